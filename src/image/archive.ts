/**
 * An image archive taken apart. What it is shows only at the end (manifest.json comes last). Of a file the members' headers are
 * read first, and then what is wanted, where it lies. A stream passes once: every file in it is hashed into the blob store under
 * a temporary name, and what nobody claims is thrown away.
 */
import { closeSync, fstatSync, readFileSync, readSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { type BlobInfo, type Blobs, type BlobWriter, sha256 } from "./blobs.ts";
import {
  type Compression,
  decompress,
  detect,
  type InflateLimits,
  MAGIC_LENGTH,
  type Source,
} from "./compression.ts";
import { openFile, pieces } from "./pieces.ts";
import { BLOCK, type Entry, TarError } from "./tar/entry.ts";
import { isHeader, quote } from "./tar/header.ts";
import { TarReader } from "./tar/reader.ts";

/** Where something lies in the archive's file. */
export interface Extent {
  readonly start: number;
  readonly length: number;
}

/** A file of the archive: in a temporary file, in the store already, or still in the archive only. */
interface Part {
  readonly name: string;
  info?: BlobInfo;
  writer?: BlobWriter;
  readonly at?: Extent;
}

const BLOB = /^blobs\/sha256\/([a-f0-9]{64})$/;
const MAX_LINKS = 10;
/** Pieces between two looks at what else there is to do. */
const TURN = 16;

export class Archive {
  readonly #blobs: Blobs;
  /** The archive's own file, where it can be read anywhere. */
  readonly path: string | undefined;
  readonly #fd: number;
  readonly #parts = new Map<string, Part>();
  readonly #links = new Map<string, string>();
  readonly #byDigest = new Map<string, Part>();

  private constructor(blobs: Blobs, file?: { readonly path: string; readonly fd: number }) {
    this.#blobs = blobs;
    this.path = file?.path;
    this.#fd = file?.fd ?? -1;
  }

  /** Reads `source`, a file's path or a stream; `discard` must follow in the end. */
  static async read(
    blobs: Blobs,
    source: string | AsyncIterable<Uint8Array>,
    limits?: Partial<InflateLimits>,
  ): Promise<Archive> {
    const fd = typeof source === "string" ? openFile(source) : -1;
    const plain = typeof source === "string" && isPlainTar(fd);
    const archive = new Archive(blobs, plain ? { path: source, fd } : undefined);
    try {
      if (plain) archive.#scan();
      else await archive.#pass(typeof source === "string" ? pieces(fd) : source, limits);
    } catch (error) {
      archive.discard();
      if (error instanceof TarError) throw new SampanError("invalid", error.message, { cause: error });
      throw error;
    } finally {
      if (fd >= 0 && !plain) closeSync(fd);
    }
    return archive;
  }

  /** Reads the headers, and jumps over what the members hold. */
  #scan(): void {
    const { size } = fstatSync(this.#fd);
    const block = new Uint8Array(BLOCK);
    const reader: TarReader = new TarReader({
      entry: (entry) => {
        const name = this.#member(entry);
        if (name === undefined) return;
        const known = BLOB.exec(name)?.[1];
        const digest = known && `sha256:${known}`;
        const info = digest && { digest, size: entry.size };
        const here = info && this.#blobs.holds(info) && info;
        this.#parts.set(name, {
          name,
          at: { start: reader.offset, length: entry.size },
          ...(here && { info: here }),
        });
        const part = this.#parts.get(name);
        if (digest && part) this.#byDigest.set(digest, part);
      },
      data: () => {},
      end: () => {},
    });
    while (!reader.ended) {
      const n = readSync(this.#fd, block, 0, BLOCK, reader.offset);
      if (n === 0) break;
      reader.push(block.subarray(0, n));
      reader.skip(Math.min(reader.skippable, size - reader.offset));
    }
    reader.finish();
  }

  /** The name of a member that is a file; what else there may be is taken note of. */
  #member(entry: Entry): string | undefined {
    const name = clean(entry.name);
    if (entry.type === "symlink" || entry.type === "link") this.#links.set(name, linkTarget(name, entry));
    if (entry.type !== "file") return undefined;
    if (entry.sparse)
      throw new TarError(`${quote(entry.name)} is a sparse file, which an image archive cannot hold`);
    return name;
  }

  async #pass(source: Source, limits?: Partial<InflateLimits>): Promise<void> {
    let name = "";
    let writer: BlobWriter | undefined;
    const reader = new TarReader({
      entry: (entry) => {
        const file = this.#member(entry);
        if (file === undefined) return;
        name = file;
        const known = BLOB.exec(name)?.[1];
        const info = known && { digest: `sha256:${known}`, size: entry.size };
        if (info && this.#blobs.holds(info)) this.#add({ name, info });
        else writer = this.#blobs.create();
      },
      data: (bytes) => writer?.write(bytes),
      end: () => {
        if (!writer) return;
        this.#add({ name, info: writer.finish(), writer });
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

  #add(part: Part & { readonly info: BlobInfo }): void {
    this.#check(part.name, part.info);
    this.#parts.get(part.name)?.writer?.discard();
    this.#parts.set(part.name, part);
    this.#byDigest.set(part.info.digest, part);
  }

  /** A blob must be what its name says. */
  #check(name: string, { digest }: Pick<BlobInfo, "digest">): void {
    const promised = BLOB.exec(name)?.[1];
    if (promised !== undefined && digest !== `sha256:${promised}`)
      throw new SampanError("invalid", `the content of ${name} is ${digest}`);
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

  #content(part: Part, name: string, limit: number): Uint8Array {
    const { info, writer, at } = part;
    const size = info?.size ?? at?.length ?? 0;
    if (size > limit) throw new SampanError("invalid", `${name} has ${size} bytes; the limit is ${limit}`);
    if (info)
      return readFileSync(
        writer && !this.#blobs.holds(info) ? writer.temporary : this.#blobs.path(info.digest),
      );
    const bytes = this.#bytes({ start: at?.start ?? 0, length: size });
    this.#check(part.name, { digest: sha256(bytes) });
    return bytes;
  }

  #bytes({ start, length }: Extent): Uint8Array {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, readSync(this.#fd, bytes, 0, length, start));
  }

  /** How a file is compressed, and where in the archive's own file it lies, if it is there and not yet in the store. */
  lies(name: string): (Extent & { readonly compression: Compression }) | undefined {
    const part = this.#find(name);
    if (!part?.at || part.info) return undefined;
    const head = this.#bytes({ start: part.at.start, length: Math.min(MAGIC_LENGTH, part.at.length) });
    return { ...part.at, compression: detect(head) };
  }

  /** Moves a file into the store. */
  async keep(name: string): Promise<BlobInfo | undefined> {
    const part = this.#find(name);
    return part && this.#keep(part);
  }

  /** Moves the blob of this digest into the store, whatever its name was; undefined if it is in neither. */
  async keepBlob(digest: string): Promise<BlobInfo | undefined> {
    const part = this.#byDigest.get(digest);
    if (part) return this.#keep(part);
    return this.#blobs.has(digest) ? { digest, size: this.#blobs.size(digest) } : undefined;
  }

  async #keep(part: Part): Promise<BlobInfo> {
    const info = (part.info ??= await this.#copy(part));
    this.#byDigest.set(info.digest, part);
    if (part.writer && !this.#blobs.holds(info)) part.writer.commit();
    return info;
  }

  async #copy(part: Part): Promise<BlobInfo> {
    const writer = this.#blobs.create();
    part.writer = writer;
    let turn = 0;
    for await (const piece of pieces(this.#fd, part.at)) {
      writer.write(piece);
      // Others have their turn: the unpacking of what was copied before may be over.
      if (++turn % TURN === 0) await Bun.sleep(0);
    }
    const info = writer.finish();
    this.#check(part.name, info);
    return info;
  }

  /** Throws away what was not kept. */
  discard(): void {
    for (const { writer } of this.#parts.values()) writer?.discard();
    if (this.#fd >= 0) closeSync(this.#fd);
  }
}

/** Whether this is a file that begins with a tar header: what is compressed or a pipe can only be read from front to end. */
function isPlainTar(fd: number): boolean {
  if (!fstatSync(fd).isFile()) return false;
  const block = new Uint8Array(BLOCK);
  return readSync(fd, block, 0, BLOCK, 0) === BLOCK && isHeader(block);
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
