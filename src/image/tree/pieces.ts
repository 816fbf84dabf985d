/** What is packed, on its way out: it lies side by side in large pieces, each of which is handed on when it is full. */

import { addressOf } from "../sys.ts";

const PIECE = 1 << 20;

export class Pieces {
  readonly #size: number;
  readonly #ready: Uint8Array[] = [];
  /** What was written out and can be filled again: memory that is new has to be cleared by the kernel, page by page. */
  readonly #spare: Buffer[] = [];
  readonly #reuse: boolean;
  #buffer: Buffer;
  #address: number;
  #filled = 0;

  /** `reuse`: a piece is its taker's only until that takes the next one. */
  constructor(reuse: boolean, size = PIECE) {
    this.#size = size;
    this.#reuse = reuse;
    this.#buffer = Buffer.allocUnsafeSlow(size);
    this.#address = addressOf(this.#buffer);
  }

  /** Lets `write` put something of at most `most` bytes into the present piece: it is told where, and gives how many it were. */
  place(most: number, write: (into: Uint8Array, at: number) => number): boolean {
    if (this.free <= most) return false;
    const count = write(this.#buffer, this.#filled);
    this.#filled += count;
    return count > 0;
  }

  /** The present piece's memory, from its beginning, and how much of it is filled. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  get filled(): number {
    return this.#filled;
  }

  /** Where the next byte goes. */
  get address(): number {
    return this.#address + this.#filled;
  }

  /** Bytes until the present piece is full; never 0. */
  get free(): number {
    return this.#size - this.#filled;
  }

  put(bytes: Uint8Array): void {
    if (bytes.length < this.free) {
      this.#buffer.set(bytes, this.#filled);
      this.#filled += bytes.length;
      return;
    }
    for (let done = 0; done < bytes.length; ) {
      const part = bytes.subarray(done, done + this.free);
      this.#buffer.set(part, this.#filled);
      done += part.length;
      this.added(part.length);
    }
  }

  zeros(count: number): void {
    for (let left = count; left > 0; ) {
      const n = Math.min(left, this.free);
      this.#buffer.fill(0, this.#filled, this.#filled + n);
      left -= n;
      this.added(n);
    }
  }

  added(count: number): void {
    this.#filled += count;
    if (this.#filled === this.#size) this.#next();
  }

  /** Those that are full, in order; they are the caller's. */
  *full(): Generator<Uint8Array> {
    for (let piece = this.#ready.shift(); piece; piece = this.#ready.shift()) {
      yield piece;
      if (this.#reuse) this.#spare.push(Buffer.from(piece.buffer as ArrayBuffer));
    }
  }

  get waiting(): boolean {
    return this.#ready.length > 0;
  }

  /** The present piece is handed on as it is. */
  end(): void {
    if (this.#filled > 0) this.#next();
  }

  #next(): void {
    this.#ready.push(this.#buffer.subarray(0, this.#filled));
    this.#buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#size);
    this.#address = addressOf(this.#buffer);
    this.#filled = 0;
  }
}
