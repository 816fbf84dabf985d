/**
 * An image that is another one with one more layer, as `commit` makes it. The layers beneath are the parent's own, with their
 * own blobs and digests; the new one is kept uncompressed, as it is packed, and unpacked at the same time.
 */
import { SampanError } from "../common/error.ts";
import { adopt, type Place } from "./adopt.ts";
import { applyChanges, type MutableConfig } from "./changes.ts";
import { adding } from "./gate.ts";
import { addLayer } from "./layers.ts";
import { type Descriptor, MAX_MANIFEST, MEDIA, parseManifest } from "./manifest.ts";
import type { ImageRecord } from "./record.ts";
import { parseReference, referenceText, withTag } from "./reference.ts";

export interface Commit {
  readonly parent: ImageRecord;
  /** The image's name; none: it has only its id. */
  readonly reference?: string;
  readonly config: MutableConfig;
  /** Dockerfile instructions such as `CMD ["sh"]`. */
  readonly changes?: readonly string[];
  readonly author?: string;
  readonly message?: string;
  /** For its history: what ran in the container. */
  readonly createdBy: string;
}

/** Two empty blocks: an archive of nothing. */
const EMPTY = 1024;

export async function commitImage(
  place: Place,
  { parent, reference, config, changes = [], author, message, createdBy }: Commit,
  layer: AsyncIterable<Uint8Array>,
): Promise<string> {
  applyChanges(config, changes);
  const name = reference ? withTag(parseReference(reference)) : undefined;
  if (name?.digest !== undefined)
    throw new SampanError("invalid", "cannot commit to digest reference", {
      hint: "Give the image a tag: its digest comes from its content.",
    });
  return adding(place.paths, async () => {
    const below = parent.config.rootfs.diff_ids;
    const added = await keep(place, below, layer);
    const created = new Date().toISOString();
    const step = {
      created,
      ...(author && { author }),
      created_by: createdBy,
      ...(message && { comment: message }),
      ...(!added && { empty_layer: true }),
    };
    const { architecture, os, variant, history = below.map(() => ({})) } = parent.config;
    const image = {
      created,
      ...(author && { author }),
      architecture,
      ...(variant !== undefined && { variant }),
      os,
      config,
      rootfs: { type: "layers", diff_ids: [...below, ...(added ? [added.digest] : [])] },
      history: [...history, step],
    };
    const configBlob = place.blobs.add(JSON.stringify(image));
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, digest: configBlob.digest, size: configBlob.size },
      layers: [...layersOf(place, parent), ...(added ? [{ mediaType: MEDIA.layer, ...added }] : [])],
    };
    const { digest } = place.blobs.add(JSON.stringify(manifest));
    const { id } = await adopt(place, digest, name ? [referenceText(name)] : []);
    return id;
  });
}

/** The layer as a blob and unpacked; undefined if there is nothing in it. */
async function keep(
  { blobs, store, paths }: Place,
  below: readonly string[],
  layer: AsyncIterable<Uint8Array>,
): Promise<Pick<Descriptor, "digest" | "size"> | undefined> {
  const writer = blobs.create();
  const pieces = layer[Symbol.asyncIterator]();
  try {
    const first = await pieces.next();
    const second = first.done ? first : await pieces.next();
    if (second.done && (first.value?.length ?? 0) <= EMPTY) return undefined;
    const all = (async function* () {
      for (let next = first; !next.done; next = next === first ? second : await pieces.next()) {
        writer.write(next.value);
        yield next.value;
      }
    })();
    await addLayer(store, paths, below, all, () => writer.commit().digest);
    return writer.finish();
  } finally {
    writer.discard();
    // Whoever packs it need not go on when nobody takes it.
    await pieces.return?.();
  }
}

/** The parent's layers in an OCI manifest: the bytes are the same whichever of the two names their form has. */
function layersOf({ blobs, store }: Place, parent: ImageRecord): Descriptor[] {
  const digest = store.db
    .query<{ manifest: string }, [string]>("SELECT manifest FROM images WHERE id = ?")
    .get(parent.id)?.manifest;
  const manifest = digest && parseManifest(blobs.read(digest, MAX_MANIFEST), `manifest ${digest}`);
  if (!manifest || "manifests" in manifest)
    throw new SampanError("not-found", `the image ${parent.id} is no longer here`);
  return manifest.layers.map(({ mediaType, digest: layer, size }) => ({
    mediaType: mediaType.replace(
      /^application\/vnd\.docker\.image\.rootfs\.diff\.tar\.?(gzip|zstd)?$/,
      (_, form) => (form ? `${MEDIA.layer}+${form}` : MEDIA.layer),
    ),
    digest: layer,
    size,
  }));
}
