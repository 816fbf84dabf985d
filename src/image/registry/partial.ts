/**
 * A blob on its way from a registry: partial/<hex> of the state folder. It is kept when the connection, or the user,
 * breaks off, and the next pull goes on where it ended. What turns out to have the wrong digest is thrown away at once.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, renameSync, rmSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import { type Blobs, writeAll } from "../blobs.ts";

const PIECE = 1 << 20;

export class PartialBlob {
  readonly path: string;
  readonly #digest: string;
  readonly #expected: number;
  readonly #fd: number;
  #hash = new Bun.CryptoHasher("sha256");
  /** Bytes that are here. */
  size = 0;

  /** Opens what an earlier attempt left, or an empty file. Only one at a time may: see `alone`. */
  constructor(root: string, digest: string, size: number) {
    mkdirSync(`${root}/partial`, { recursive: true, mode: 0o700 });
    this.path = `${root}/partial/${digest.slice("sha256:".length)}`;
    this.#digest = digest;
    this.#expected = size;
    this.#fd = openSync(this.path, "a+", 0o644);
    const buffer = Buffer.allocUnsafe(PIECE);
    for (let n = readSync(this.#fd, buffer, 0, PIECE, 0); n > 0; ) {
      this.#hash.update(buffer.subarray(0, n));
      this.size += n;
      n = readSync(this.#fd, buffer, 0, PIECE, this.size);
    }
    if (this.size > size) this.restart();
  }

  get complete(): boolean {
    return this.size === this.#expected;
  }

  write(bytes: Uint8Array): void {
    if (this.size + bytes.length > this.#expected) {
      this.discard();
      throw new SampanError(
        "invalid",
        `${this.#digest} has more bytes than the ${this.#expected} of its descriptor`,
      );
    }
    try {
      writeAll(this.#fd, bytes, this.path);
    } catch (error) {
      // A part of it may have been written.
      ftruncateSync(this.#fd, this.size);
      throw error;
    }
    this.#hash.update(bytes);
    this.size += bytes.length;
  }

  /** What is here is worth nothing: the registry begins again. */
  restart(): void {
    ftruncateSync(this.#fd, 0);
    this.#hash = new Bun.CryptoHasher("sha256");
    this.size = 0;
  }

  /** All is here: gives the blob its name, if it is what it should be. */
  commit(blobs: Blobs): void {
    closeSync(this.#fd);
    const digest = `sha256:${this.#hash.digest("hex")}`;
    if (digest !== this.#digest) {
      rmSync(this.path, { force: true });
      throw new SampanError("invalid", `the content of ${this.#digest} is ${digest}`, {
        hint: "The registry, or something on the way to it, has changed these bytes; nothing of them was kept.",
      });
    }
    const path = blobs.path(digest);
    mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o755 });
    renameSync(this.path, path);
  }

  /** For the next attempt. */
  keep(): void {
    try {
      closeSync(this.#fd);
    } catch {
      // Closed by `discard`.
    }
  }

  discard(): void {
    closeSync(this.#fd);
    rmSync(this.path, { force: true });
  }
}
