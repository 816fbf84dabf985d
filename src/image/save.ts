/**
 * `save`: the form that Docker writes since version 25, an OCI image layout with Docker's own manifest.json beside it, so
 * that every tool reads one or the other. Blobs are written as they are kept; the same images give the same archive.
 */
import { closeSync, openSync, readSync } from "node:fs";
import type { Place } from "./adopt.ts";
import { checkBlob } from "./blobs.ts";
import { type Descriptor, MAX_MANIFEST, MEDIA, parseManifest, parseObject } from "./manifest.ts";
import type { ImageRecord } from "./record.ts";
import { familiarName } from "./reference.ts";
import { padding } from "./tar/entry.ts";
import { entryOf, header } from "./tar/writer.ts";

export interface Saved {
  readonly image: ImageRecord;
  /** Digest of its manifest. */
  readonly manifest: string;
  /** References in full that go along. */
  readonly references: readonly string[];
}

type Write = (bytes: Uint8Array) => void | Promise<void>;

const PIECE = 1 << 20;

export async function save({ blobs }: Place, images: readonly Saved[], write: Write): Promise<void> {
  const sizes = new Map<string, number>();
  const index: Descriptor[] = [];
  const listed: unknown[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  for (const { manifest, references } of images) {
    const bytes = blobs.read(manifest, MAX_MANIFEST);
    const parsed = parseManifest(bytes, manifest);
    if ("manifests" in parsed) continue;
    const { mediaType } = parseObject(bytes, manifest);
    for (const { digest, size } of [parsed.config, ...parsed.layers]) sizes.set(digest, size);
    sizes.set(manifest, bytes.length);
    const entry: Descriptor = {
      mediaType: typeof mediaType === "string" && mediaType !== "" ? mediaType : MEDIA.manifest,
      digest: manifest,
      size: bytes.length,
    };
    for (const reference of references)
      index.push({
        ...entry,
        annotations: {
          "io.containerd.image.name": reference,
          "org.opencontainers.image.ref.name": reference.slice(reference.lastIndexOf(":") + 1),
        },
      });
    if (references.length === 0) index.push(entry);
    const path = ({ digest }: Descriptor): string => `blobs/sha256/${digest.slice("sha256:".length)}`;
    listed.push({
      Config: path(parsed.config),
      RepoTags: references.length > 0 ? references.map(familiarName) : null,
      Layers: parsed.layers.map(path),
    });
    for (const name of references.map(familiarName)) {
      const colon = name.lastIndexOf(":");
      const tags = (repositories[name.slice(0, colon)] ??= {});
      tags[name.slice(colon + 1)] = parsed.config.digest.slice("sha256:".length);
    }
  }

  for (const [digest, size] of sizes) checkBlob(blobs, { digest, size });

  const file = async (name: string, content: string): Promise<void> => {
    const bytes = new TextEncoder().encode(content);
    await write(header(entryOf({ name, type: "file", size: bytes.length })));
    await write(bytes);
    await write(new Uint8Array(padding(bytes.length)));
  };
  await write(header(entryOf({ name: "blobs", type: "dir" })));
  await write(header(entryOf({ name: "blobs/sha256", type: "dir" })));
  for (const [digest, size] of [...sizes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    await write(
      header(entryOf({ name: `blobs/sha256/${digest.slice("sha256:".length)}`, type: "file", size })),
    );
    await copy(blobs.path(digest), size, write);
    await write(new Uint8Array(padding(size)));
  }
  await file("index.json", JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests: index }));
  await file("manifest.json", JSON.stringify(listed));
  await file("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
  if (Object.keys(repositories).length > 0) await file("repositories", JSON.stringify(repositories));
  await write(new Uint8Array(1024));
}

async function copy(path: string, size: number, write: Write): Promise<void> {
  const fd = openSync(path, "r");
  try {
    for (let left = size; left > 0; ) {
      // A new buffer each time: the receiver may keep what it was given.
      const buffer = Buffer.allocUnsafe(Math.min(PIECE, left));
      const n = readSync(fd, buffer);
      if (n === 0) throw new Error(`${path} became shorter while it was read`);
      left -= n;
      await write(buffer.subarray(0, n));
    }
  } finally {
    closeSync(fd);
  }
}
