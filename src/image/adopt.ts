/** The last steps of every way in which an image arrives: unpack its layers, write its rows, list it in index.json. */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import type { Paths } from "../common/paths.ts";
import type { Store } from "../store/index.ts";
import { Blobs } from "./blobs.ts";
import { chainIds, ensureLayer } from "./layers.ts";
import { type Descriptor, MAX_CONFIG, MAX_MANIFEST, MEDIA, parseConfig, parseManifest } from "./manifest.ts";
import type { UnpackLimits } from "./unpack/child.ts";

/** What the operations on images work with. */
export interface Place {
  readonly store: Store;
  readonly paths: Paths;
  readonly blobs: Blobs;
  readonly limits?: Partial<UnpackLimits>;
  /** Bytes that images may take: see budget.ts. */
  readonly budget?: number;
}

export interface Adopted {
  readonly id: string;
  /** References that named another image until now, by that image's id. */
  readonly moved: readonly { readonly reference: string; readonly from: string }[];
}

/**
 * Takes in the image of a manifest whose blobs are all in the store, under `references` (in full, with a tag). To be called
 * inside `adding`.
 */
export async function adopt(place: Place, manifest: string, references: readonly string[]): Promise<Adopted> {
  const { store, paths, blobs } = place;
  const parsed = parseManifest(blobs.read(manifest, MAX_MANIFEST), `manifest ${manifest}`);
  if ("manifests" in parsed) throw new SampanError("invalid", `${manifest} is an index, not a manifest`);
  const id = parsed.config.digest;
  const configBytes = blobs.read(id, MAX_CONFIG);
  const config = parseConfig(configBytes, `config ${id}`);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== parsed.layers.length)
    throw new SampanError(
      "invalid",
      `invalid manifest, layers length mismatch: expected ${parsed.layers.length}, got ${diffIds.length}`,
    );
  const chains = chainIds(diffIds);
  for (const [index, layer] of parsed.layers.entries()) {
    const source = { digest: layer.digest, path: blobs.path(layer.digest) };
    await ensureLayer(store, paths, chains.slice(0, index + 1), diffIds[index] ?? "", source, place.limits);
  }
  const created = Date.parse(config.created ?? "");
  const moved = store.transaction(() => {
    // Of one that is here under another manifest, that one stays, unless somebody has been at its blobs.
    const kept = isWhole(place, id);
    const size = chains.reduce((sum, chain) => sum + layerSize(store, chain), 0);
    store.db
      .query(
        `INSERT INTO images (id, config, manifest, created, size, used) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET used = excluded.used, removed = 0${kept ? "" : ", manifest = excluded.manifest"}`,
      )
      .run(id, JSON.stringify(config), manifest, Number.isFinite(created) ? created : 0, size, Date.now());
    const link = store.db.query(
      "INSERT OR IGNORE INTO image_layers (image, position, chain) VALUES (?, ?, ?)",
    );
    for (const [position, chain] of chains.entries()) link.run(id, position, chain);
    const before = references.map((reference) => ({ reference, from: setTag(store, reference, id) }));
    writeIndex(place);
    return before.flatMap(({ reference, from }) =>
      from === undefined || from === id ? [] : [{ reference, from }],
    );
  });
  return { id, moved };
}

/** Whether an image is here with its manifest and all that this names, as far as sizes tell. */
export function isWhole({ store, blobs }: Pick<Place, "store" | "blobs">, id: string): boolean {
  const manifest = store.db
    .query<{ manifest: string }, [string]>("SELECT manifest FROM images WHERE id = ?")
    .get(id)?.manifest;
  if (manifest === undefined || !blobs.has(manifest)) return false;
  try {
    const parsed = parseManifest(blobs.read(manifest, MAX_MANIFEST), manifest);
    return "layers" in parsed && [parsed.config, ...parsed.layers].every((part) => blobs.holds(part));
  } catch {
    return false;
  }
}

const layerSize = (store: Store, chain: string): number =>
  store.db.query<{ size: number }, [string]>("SELECT size FROM layers WHERE chain = ?").get(chain)?.size ?? 0;

/** Points a reference to an image; gives the id that it pointed to before. Inside a transaction. */
export function setTag(store: Store, reference: string, id: string): string | undefined {
  const asId = /^docker\.io\/library\/(sha256:.*)$/.exec(reference)?.[1];
  if (asId !== undefined)
    throw new SampanError("invalid", "refusing to create an ambiguous tag using digest algorithm as name", {
      hint: `${asId} would be read as the beginning of an image's id.`,
    });
  const before = store.db
    .query<{ image: string }, [string]>("SELECT image FROM tags WHERE reference = ?")
    .get(reference)?.image;
  store.db
    .query(
      "INSERT INTO tags (reference, image) VALUES (?, ?) ON CONFLICT (reference) DO UPDATE SET image = excluded.image",
    )
    .run(reference, id);
  return before;
}

/**
 * Writes the image layout's index.json from the rows. Each tag is one entry, named in full; an image without a tag has
 * one without a name. Inside a transaction, so that writers queue.
 */
export function writeIndex({ store, paths, blobs }: Pick<Place, "store" | "paths" | "blobs">): void {
  const rows = store.db
    .query<{ manifest: string; reference: string | null }, []>(
      `SELECT i.manifest, t.reference FROM images i
       LEFT JOIN tags t ON t.image = i.id AND t.reference NOT LIKE '%@%' WHERE i.removed = 0 ORDER BY i.manifest, t.reference`,
    )
    .all();
  const manifests = rows.flatMap(({ manifest, reference }): Descriptor[] => {
    const size = statSync(blobs.path(manifest), { throwIfNoEntry: false })?.size;
    if (size === undefined) return [];
    return [
      {
        mediaType: mediaTypeOf(blobs, manifest),
        digest: manifest,
        size,
        ...(reference !== null && {
          annotations: {
            "io.containerd.image.name": reference,
            "org.opencontainers.image.ref.name": reference,
          },
        }),
      },
    ];
  });
  const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests };
  replace(`${paths.root}/index.json`, `${JSON.stringify(index, undefined, 2)}\n`);
  const layout = `${paths.root}/oci-layout`;
  if (!statSync(layout, { throwIfNoEntry: false })) replace(layout, '{"imageLayoutVersion":"1.0.0"}');
}

function mediaTypeOf(blobs: Blobs, manifest: string): string {
  const type = (JSON.parse(readFileSync(blobs.path(manifest), "utf8")) as { mediaType?: unknown }).mediaType;
  return typeof type === "string" && type !== "" ? type : MEDIA.manifest;
}

function replace(path: string, content: string): void {
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, content, { mode: 0o644 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
