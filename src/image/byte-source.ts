/** A stream of pieces as bytes that are taken in whatever number they are wanted. */

/** The stream is over before what was to come. */
export class TruncatedError extends Error {
  override readonly name = "TruncatedError";
}

export class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Bytes that were taken. */
  position = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Exactly so many. */
  async take(count: number): Promise<Buffer> {
    const taken: Buffer[] = [];
    for (let left = count; left > 0; ) {
      if (await this.ended()) throw new TruncatedError();
      const part = this.#piece.subarray(this.#at, this.#at + left);
      this.#at += part.length;
      left -= part.length;
      taken.push(part);
    }
    this.position += count;
    return taken.length === 1 ? (taken[0] ?? this.#piece) : Buffer.concat(taken);
  }

  async peek(): Promise<number> {
    if (await this.ended()) throw new TruncatedError();
    return this.#piece[this.#at] ?? 0;
  }

  async ended(): Promise<boolean> {
    while (this.#at === this.#piece.length) {
      const { value, done } = await this.#pieces.next();
      if (done) return true;
      this.#piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      this.#at = 0;
    }
    return false;
  }
}
