/** An archive on its way out: what is put into it lies side by side in large pieces, each of which is handed on when it is full. */

const PIECE = 1 << 20;

export class Pieces {
  readonly #ready: Uint8Array[] = [];
  #buffer = Buffer.allocUnsafe(PIECE);
  #filled = 0;

  /** Bytes until the present piece is full; never 0. */
  get free(): number {
    return PIECE - this.#filled;
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

  /** Where at most so many bytes more can be written, before `added` says how many it were. */
  room(most: number): Uint8Array {
    return this.#buffer.subarray(this.#filled, this.#filled + Math.min(most, this.free));
  }

  added(count: number): void {
    this.#filled += count;
    if (this.#filled === PIECE) this.#next();
  }

  /** Those that are full, in order; they are the caller's. */
  *full(): Generator<Uint8Array> {
    for (let piece = this.#ready.shift(); piece; piece = this.#ready.shift()) yield piece;
  }

  get waiting(): boolean {
    return this.#ready.length > 0;
  }

  /** No more will come: the last piece is handed on as it is. */
  end(): void {
    if (this.#filled > 0) this.#next();
  }

  #next(): void {
    this.#ready.push(this.#buffer.subarray(0, this.#filled));
    this.#buffer = Buffer.allocUnsafe(PIECE);
    this.#filled = 0;
  }
}
