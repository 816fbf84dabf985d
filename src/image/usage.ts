/** What the images take of the disk, and what of it each has alone: for `system df`. */
import type { Store } from "../store/index.ts";
import type { Place } from "./adopt.ts";
import { MAX_MANIFEST, parseManifest } from "./manifest.ts";
import { platformText } from "./platform.ts";
import type { ImageRecord } from "./record.ts";

export interface ImageUsage {
  readonly image: ImageRecord;
  /** Bytes of its layers that other images have too. */
  readonly shared: number;
  /** How many containers were made of it, or have it mounted. */
  readonly containers: number;
}

export interface ImagesUsage {
  /** Bytes of all unpacked layers, each counted once. */
  readonly layers: number;
  readonly images: readonly ImageUsage[];
}

export function imagesUsage({ db }: Store, images: readonly ImageRecord[]): ImagesUsage {
  const shared = new Map(
    db
      .query<{ image: string; bytes: number }, []>(
        `SELECT il.image, SUM(l.size) AS bytes FROM image_layers il JOIN layers l ON l.chain = il.chain
         WHERE EXISTS (SELECT 1 FROM image_layers o WHERE o.chain = il.chain AND o.image <> il.image) GROUP BY il.image`,
      )
      .all()
      .map(({ image, bytes }) => [image, bytes]),
  );
  const containers = new Map(
    db
      .query<{ image: string; count: number }, []>(
        `SELECT image, COUNT(*) AS count
         FROM (SELECT id, image FROM containers UNION SELECT container, image FROM container_images) GROUP BY image`,
      )
      .all()
      .map(({ image, count }) => [image, count]),
  );
  const layers =
    db
      .query<{ bytes: number | null }, []>(
        "SELECT SUM(size) AS bytes FROM layers WHERE chain IN (SELECT chain FROM image_layers)",
      )
      .get()?.bytes ?? 0;
  return {
    layers,
    images: images.map((image) => ({
      image,
      shared: shared.get(image.id) ?? 0,
      containers: containers.get(image.id) ?? 0,
    })),
  };
}

export interface ImageContent {
  /** `linux/amd64` */
  readonly platform: string;
  /** The manifest's digest. */
  readonly manifest: string;
  /** Bytes of the manifest and all that it names. */
  readonly content: number;
}

export function imageContent({ store, blobs }: Place, image: ImageRecord): ImageContent {
  const manifest =
    store.db.query<{ manifest: string }, [string]>("SELECT manifest FROM images WHERE id = ?").get(image.id)
      ?.manifest ?? "";
  const bytes = blobs.read(manifest, MAX_MANIFEST);
  const parsed = parseManifest(bytes, `manifest ${manifest}`);
  let content = bytes.length;
  if (!("manifests" in parsed)) for (const { size } of [parsed.config, ...parsed.layers]) content += size;
  return { platform: platformText(image.config), manifest, content };
}
