/**
 * The content-addressed half of the store: blobs/sha256/<hex> of an OCI image layout. Every byte is hashed while it
 * enters; a blob has a temporary name until it is complete and its digest is what was promised.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { diskError, SampanError } from "../common/error.ts";
import { pieces } from "./pieces.ts";
import { checkDigest } from "./reference.ts";

export interface BlobInfo {
  /** sha256:… */
  readonly digest: string;
  readonly size: number;
}

export const sha256 = (bytes: Uint8Array | string): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

/** Writes all of it; a full disk is named with the file. */
export function writeAll(fd: number, bytes: Uint8Array, path: string): void {
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done);
  } catch (error) {
    throw diskError(error, path);
  }
}

export class Blobs {
  readonly #root: string;
  #count = 0;

  constructor(root: string) {
    this.#root = root;
  }

  /** Where a blob of this digest is, or would be. */
  path(digest: string): string {
    checkDigest(digest);
    if (!digest.startsWith("sha256:"))
      throw new SampanError("invalid", `${digest}: digests other than sha256 are not supported`);
    return `${this.#root}/blobs/sha256/${digest.slice(7)}`;
  }

  has(digest: string): boolean {
    return existsSync(this.path(digest));
  }

  size(digest: string): number {
    return statSync(this.path(digest)).size;
  }

  /** It is there, with as many bytes as it should have. */
  holds({ digest, size }: BlobInfo): boolean {
    return statSync(this.path(digest), { throwIfNoEntry: false })?.size === size;
  }

  /** The digest of the bytes that are there: all of them are read. */
  contentDigest(digest: string): string {
    const hash = new Bun.CryptoHasher("sha256");
    const fd = openSync(this.path(digest), "r");
    try {
      for (const piece of pieces(fd)) hash.update(piece);
    } finally {
      closeSync(fd);
    }
    return `sha256:${hash.digest("hex")}`;
  }

  /** A small blob whole: a manifest or a config. */
  read(digest: string, limit: number): Uint8Array {
    const path = this.path(digest);
    const size = statSync(path).size;
    if (size > limit) throw new SampanError("invalid", `${digest} has ${size} bytes; the limit is ${limit}`);
    return readFileSync(path);
  }

  /** Begins a blob of unknown digest. */
  create(): BlobWriter {
    mkdirSync(`${this.#root}/tmp`, { recursive: true, mode: 0o700 });
    const temporary = `${this.#root}/tmp/blob-${process.pid}-${Bun.randomUUIDv7().slice(24)}-${this.#count++}`;
    return new BlobWriter(temporary, (digest) => this.path(digest));
  }

  /** Puts a small blob in. */
  add(bytes: Uint8Array | string): BlobInfo {
    const writer = this.create();
    writer.write(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    return writer.commit();
  }
}

/** Somebody may have been at the store: nothing goes out of what nobody could read again. */
export function checkBlob(blobs: Blobs, { digest, size }: BlobInfo): void {
  if (blobs.holds({ digest, size })) return;
  const what = blobs.has(digest) ? `has ${blobs.size(digest)} bytes instead of ${size}` : "is not there";
  throw new SampanError("invalid", `the store is damaged: ${digest} ${what}`, {
    hint: "Pull or load the image again.",
  });
}

/** A blob on its way in. Ends with `commit` or `discard`. */
export class BlobWriter {
  /** The file while it is being written; after `finish` it can be read. */
  readonly temporary: string;
  readonly #path: (digest: string) => string;
  readonly #hash = new Bun.CryptoHasher("sha256");
  #fd: number;
  #size = 0;
  #info: BlobInfo | undefined;

  constructor(temporary: string, path: (digest: string) => string) {
    this.temporary = temporary;
    this.#path = path;
    this.#fd = openSync(temporary, "wx", 0o644);
  }

  write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    writeAll(this.#fd, bytes, this.temporary);
    this.#size += bytes.length;
  }

  /** All bytes have come: what they are. */
  finish(): BlobInfo {
    if (this.#info) return this.#info;
    closeSync(this.#fd);
    this.#fd = -1;
    this.#info = { digest: `sha256:${this.#hash.digest("hex")}`, size: this.#size };
    return this.#info;
  }

  /** Gives the blob its name, if it is the one that was expected. */
  commit(expected?: Partial<BlobInfo>): BlobInfo {
    const info = this.finish();
    if (expected?.size !== undefined && expected.size !== info.size) {
      this.discard();
      throw new SampanError(
        "invalid",
        `${expected.digest ?? "a blob"} has ${info.size} bytes instead of ${expected.size}`,
      );
    }
    if (expected?.digest !== undefined && expected.digest !== info.digest) {
      this.discard();
      throw new SampanError("invalid", `the content of ${expected.digest} is ${info.digest}`);
    }
    const path = this.#path(info.digest);
    try {
      renameSync(this.temporary, path);
    } catch (error) {
      if (!existsSync(this.temporary)) throw error;
      mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o755 });
      renameSync(this.temporary, path);
    }
    return info;
  }

  discard(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    rmSync(this.temporary, { force: true });
  }
}
