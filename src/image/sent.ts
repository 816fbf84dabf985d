/**
 * As what a layer goes to registries. One that is kept uncompressed (it is then its own diffID: of `commit`, `import`, an archive of
 * Docker's) goes compressed, as Docker sends it, and a registry's with its own bytes. What it was once is written down in
 * `sent`, so that an image has the same digest in every registry; the compressed blob stays as long as its layer does.
 */
import { closeSync, openSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import type { Store } from "../store/index.ts";
import type { Place } from "./adopt.ts";
import { type BlobInfo, checkBlob } from "./blobs.ts";
import { alone } from "./gate.ts";
import { type Descriptor, MEDIA } from "./manifest.ts";
import { pieces } from "./pieces.ts";

/** Docker's level, gzip's own default: 4 is hardly quicker, 1 makes a sixth more. */
const LEVEL = 6;
const PIECE = 1 << 20;

/** What is known to go out in the place of a blob: the blob itself, if a registry has it so. */
export const sentAs = ({ db }: Store, blob: string): BlobInfo | undefined =>
  db.query<BlobInfo, [string]>("SELECT digest, size FROM sent WHERE blob = ?").get(blob) ?? undefined;

export function rememberSent(store: Store, blob: string, { digest, size }: BlobInfo): void {
  store.transaction(() =>
    store.db
      .query("INSERT OR REPLACE INTO sent (blob, digest, size) VALUES (?, ?, ?)")
      .run(blob, digest, size),
  );
}

/** The blob that goes out for a layer, which is in the store then. */
export async function outgoing(
  place: Place,
  layer: Descriptor,
  diff: string,
  options: { readonly signal?: AbortSignal; readonly onBytes?: (bytes: number) => void } = {},
): Promise<Descriptor> {
  const { store, paths, blobs } = place;
  if (layer.digest !== diff) return layer;
  const known = (): Descriptor | undefined => {
    const sent = sentAs(store, diff);
    if (sent?.digest === diff) return layer;
    return sent && blobs.holds(sent) ? gzipped(layer, sent) : undefined;
  };
  const compressed = async (): Promise<Descriptor> => {
    const before = known();
    if (before) return before;
    const info = await compress(place, layer, options);
    rememberSent(store, diff, info);
    return gzipped(layer, info);
  };
  return known() ?? alone(paths, `gzip-${diff.slice("sha256:".length)}`, compressed, options.signal);
}

/** The same layer's descriptor, in Docker's words or in OCI's. */
const gzipped = (layer: Descriptor, { digest, size }: BlobInfo): Descriptor => ({
  ...layer,
  mediaType: layer.mediaType.startsWith("application/vnd.docker.")
    ? "application/vnd.docker.image.rootfs.diff.tar.gzip"
    : `${MEDIA.layer}+gzip`,
  digest,
  size,
});

/** zlib works in threads of its own; the same bytes always give the same, since the header has neither a name nor a time. */
async function compress(
  { blobs }: Place,
  layer: Descriptor,
  { signal, onBytes }: { readonly signal?: AbortSignal; readonly onBytes?: (bytes: number) => void },
): Promise<BlobInfo> {
  checkBlob(blobs, layer);
  const [{ pipeline, Readable }, { createGzip }] = await Promise.all([
    import("node:stream"),
    import("node:zlib"),
  ]);
  const hash = new Bun.CryptoHasher("sha256");
  const fd = openSync(blobs.path(layer.digest), "r");
  const source = function* (): Generator<Uint8Array> {
    let done = 0;
    for (const piece of pieces(fd)) {
      signal?.throwIfAborted();
      hash.update(piece);
      onBytes?.((done += piece.length));
      yield piece;
    }
  };
  const writer = blobs.create();
  try {
    const gzip = createGzip({ level: LEVEL, chunkSize: PIECE });
    let failure: unknown;
    pipeline(Readable.from(source(), { objectMode: true, highWaterMark: 1 }), gzip, (error) => {
      failure = error;
    });
    for await (const piece of gzip as AsyncIterable<Uint8Array>) writer.write(piece);
    if (failure) throw failure;
    const found = `sha256:${hash.digest("hex")}`;
    if (found !== layer.digest)
      throw new SampanError("invalid", `the store is damaged: the content of ${layer.digest} is ${found}`, {
        hint: "Remove the image, and pull or load it again.",
      });
    return writer.commit();
  } finally {
    writer.discard();
    closeSync(fd);
  }
}
