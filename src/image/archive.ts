/**
 * An image archive taken apart: every file of it is hashed into the blob store under a temporary name while the stream
 * passes, since what it is shows only at the end (manifest.json comes last). What nobody claims is thrown away.
 */
import { readFileSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { type BlobInfo, type Blobs, type BlobWriter } from "./blobs.ts";
import { decompress, type InflateLimits } from "./compression.ts";
import { type Entry, TarError } from "./tar/entry.ts";
import { quote } from "./tar/header.ts";
import { TarReader } from "./tar/reader.ts";

interface Part {
  readonly info: BlobInfo;
  /** Not of parts that the store had already. */
  readonly writer?: BlobWriter;
}

const BLOB = /^blobs\/sha256\/([a-f0-9]{64})$/;
const MAX_LINKS = 10;

export class Archive {
  readonly #blobs: Blobs;
  readonly #parts = new Map<string, Part>();
  readonly #links = new Map<string, string>();
  readonly #byDigest = new Map<string, Part>();

  private constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  /** Reads all of `source`; `discard` must follow in the end. */
  static async read(
    blobs: Blobs,
    source: AsyncIterable<Uint8Array>,
    limits?: Partial<InflateLimits>,
  ): Promise<Archive> {
    const archive = new Archive(blobs);
    try {
      await archive.#read(source, limits);
    } catch (error) {
      archive.discard();
      if (error instanceof TarError) throw new SampanError("invalid", error.message, { cause: error });
      throw error;
    }
    return archive;
  }

  async #read(source: AsyncIterable<Uint8Array>, limits?: Partial<InflateLimits>): Promise<void> {
    let name = "";
    let writer: BlobWriter | undefined;
    const reader = new TarReader({
      entry: (entry) => {
        name = clean(entry.name);
        if (entry.type === "symlink" || entry.type === "link") this.#links.set(name, linkTarget(name, entry));
        if (entry.type !== "file") return;
        if (entry.sparse)
          throw new TarError(`${quote(entry.name)} is a sparse file, which an image archive cannot hold`);
        const known = BLOB.exec(name)?.[1];
        if (known && this.#blobs.has(`sha256:${known}`)) {
          const digest = `sha256:${known}`;
          this.#add(name, { info: { digest, size: this.#blobs.size(digest) } });
        } else writer = this.#blobs.create();
      },
      data: (bytes) => writer?.write(bytes),
      end: () => {
        if (!writer) return;
        const part = { info: writer.finish(), writer };
        this.#add(name, part);
        writer = undefined;
      },
    });
    let empty = true;
    try {
      for await (const piece of decompress(source, limits)) {
        empty = false;
        reader.push(piece);
      }
      if (empty) throw new SampanError("invalid", "the archive is empty");
      reader.finish();
    } finally {
      writer?.discard();
    }
  }

  #add(name: string, part: Part): void {
    const promised = BLOB.exec(name)?.[1];
    if (promised !== undefined && part.info.digest !== `sha256:${promised}`)
      throw new SampanError("invalid", `the content of ${name} is ${part.info.digest}`);
    this.#parts.get(name)?.writer?.discard();
    this.#parts.set(name, part);
    this.#byDigest.set(part.info.digest, part);
  }

  /** The part of this name, through links inside the archive. */
  #find(name: string): Part | undefined {
    let at = clean(name);
    for (let links = 0; links < MAX_LINKS; links++) {
      const part = this.#parts.get(at);
      if (part) return part;
      const target = this.#links.get(at);
      if (target === undefined) return undefined;
      at = target;
    }
    return undefined;
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** Whether a blob with this digest is in the archive or in the store. */
  hasBlob(digest: string): boolean {
    return this.#byDigest.has(digest) || this.#blobs.has(digest);
  }

  /** A small file's content; undefined if it is not there. */
  json(name: string, limit: number): Uint8Array | undefined {
    const part = this.#find(name);
    return part && this.#content(part, name, limit);
  }

  /** A small blob's content, from the archive or the store. */
  blob(digest: string, limit: number): Uint8Array {
    const part = this.#byDigest.get(digest);
    return part ? this.#content(part, digest, limit) : this.#blobs.read(digest, limit);
  }

  #content({ info, writer }: Part, name: string, limit: number): Uint8Array {
    if (info.size > limit)
      throw new SampanError("invalid", `${name} has ${info.size} bytes; the limit is ${limit}`);
    return readFileSync(
      writer && !this.#blobs.has(info.digest) ? writer.temporary : this.#blobs.path(info.digest),
    );
  }

  /** Moves a file into the store. */
  keep(name: string): BlobInfo | undefined {
    const part = this.#find(name);
    return part && this.#keep(part);
  }

  /** Moves the blob of this digest into the store, whatever its name was; undefined if it is in neither. */
  keepBlob(digest: string): BlobInfo | undefined {
    const part = this.#byDigest.get(digest);
    if (part) return this.#keep(part);
    return this.#blobs.has(digest) ? { digest, size: this.#blobs.size(digest) } : undefined;
  }

  #keep(part: Part): BlobInfo {
    if (part.writer && !this.#blobs.has(part.info.digest)) part.writer.commit();
    return part.info;
  }

  /** Throws away what was not kept. */
  discard(): void {
    for (const { writer } of this.#parts.values()) writer?.discard();
  }
}

/** `./a//b` is `a/b`. */
const clean = (name: string): string =>
  name
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");

/** Where a link leads inside the archive: a symlink from its own folder, a hard link from the top. */
function linkTarget(name: string, entry: Entry): string {
  const parts = entry.type === "link" || entry.link.startsWith("/") ? [] : name.split("/").slice(0, -1);
  for (const part of entry.link.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined)
        throw new TarError(
          `${quote(name)} is a link to ${quote(entry.link)}, which is outside of the archive`,
        );
    } else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
