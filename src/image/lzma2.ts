/**
 * LZMA2, the one filter that xz needs. Its data comes in chunks that say how long they are, 64 KiB at most before and 2 MiB after: one
 * chunk at a time is decoded, into a window that keeps what later ones may refer to. Format: LZMA SDK's specification (public domain).
 */

/** What the data's sender got wrong. */
export class DamagedError extends Error {
  override readonly name = "DamagedError";
}

const STATES = 12;
const POS_STATES = 16;
/** Where each kind of probability begins in the one table of them. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POS_STATES;
const IS_REP_G0 = IS_REP + STATES;
const IS_REP_G1 = IS_REP_G0 + STATES;
const IS_REP_G2 = IS_REP_G1 + STATES;
const IS_REP0_LONG = IS_REP_G2 + STATES;
const SLOTS = IS_REP0_LONG + STATES * POS_STATES;
const SPECIAL = SLOTS + 4 * 64;
const ALIGN = SPECIAL + 115;
/** A length: two choices, then 8 short ones and 8 middle ones for each place, then 256 long ones. */
const LENGTH = 2 + POS_STATES * 16 + 256;
const MATCH_LENGTH = ALIGN + 16;
const REP_LENGTH = MATCH_LENGTH + LENGTH;
const LITERAL = REP_LENGTH + LENGTH;
/** Literals for each of lc + lp ≤ 4 bits of context. */
const LITERALS = 0x300 << 4;
const EVEN = 1024;

export class Lzma2 {
  readonly #window: Uint8Array;
  readonly #probs = new Uint16Array(LITERAL + LITERALS);
  /** Where the next byte goes, and how many there were since the window was cleared. */
  #at = 0;
  #total = 0;
  #cleared = false;
  #ready = false;

  #lc = 0;
  #lpMask = 0;
  #pbMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;

  // The range decoder.
  #input: Uint8Array = new Uint8Array();
  #next = 0;
  #range = 0;
  #code = 0;

  /** `window`: bytes that may be referred to. */
  constructor(window: number) {
    this.#window = new Uint8Array(window);
  }

  /** A chunk that is stored as it is. */
  stored(control: number, bytes: Uint8Array): Uint8Array {
    if (control === 1) this.#clear();
    if (!this.#cleared) throw new DamagedError("it begins in the middle");
    for (const byte of bytes) this.#put(byte);
    return bytes;
  }

  /** A chunk of `size` bytes once decoded. `properties`: where the chunk brings new ones. */
  compressed(control: number, properties: number | undefined, input: Uint8Array, size: number): Uint8Array {
    const reset = (control >> 5) & 3;
    if (reset === 3) this.#clear();
    if (!this.#cleared) throw new DamagedError("it begins in the middle");
    if (properties !== undefined) this.#setProperties(properties);
    if (reset > 0) this.#reset();
    if (!this.#ready) throw new DamagedError("a chunk has no state to begin with");
    const output = Buffer.allocUnsafe(size);
    this.#input = input;
    this.#range = 0xffffffff;
    this.#code =
      ((input[1] ?? 0) * 0x1000000 + ((input[2] ?? 0) << 16) + ((input[3] ?? 0) << 8) + (input[4] ?? 0)) >>>
      0;
    this.#next = 5;
    this.#decode(output);
    // The encoder leaves nothing: what is left was not written by one.
    this.#normalize();
    if (this.#code !== 0 || this.#next !== input.length)
      throw new DamagedError("a chunk does not end where it should");
    return output;
  }

  #clear(): void {
    this.#total = 0;
    this.#at = 0;
    this.#cleared = true;
    this.#ready = false;
  }

  #setProperties(properties: number): void {
    const lc = properties % 9;
    const lp = Math.floor(properties / 9) % 5;
    const pb = Math.floor(properties / 45);
    if (pb > 4 || lc + lp > 4) throw new DamagedError("a chunk has wrong properties");
    this.#lc = lc;
    this.#lpMask = (1 << lp) - 1;
    this.#pbMask = (1 << pb) - 1;
    this.#ready = true;
  }

  #reset(): void {
    this.#probs.fill(EVEN);
    this.#state = 0;
    this.#rep0 = 0;
    this.#rep1 = 0;
    this.#rep2 = 0;
    this.#rep3 = 0;
  }

  #put(byte: number): void {
    this.#window[this.#at++] = byte;
    if (this.#at === this.#window.length) this.#at = 0;
    this.#total++;
  }

  /** The byte so many before the next one; 0 is the last. */
  #back(distance: number): number {
    const at = this.#at - distance - 1;
    return this.#window[at < 0 ? at + this.#window.length : at] ?? 0;
  }

  #decode(output: Uint8Array): void {
    for (let done = 0; done < output.length; ) {
      const place = this.#total & this.#pbMask;
      const state = this.#state;
      if (this.#bit(IS_MATCH + state * POS_STATES + place) === 0) {
        const byte = this.#literal();
        this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        output[done++] = byte;
        this.#put(byte);
        continue;
      }
      let length = this.#bit(IS_REP + state) === 0 ? this.#match(state, place) : this.#again(state, place);
      if (this.#rep0 >= this.#total || this.#rep0 >= this.#window.length)
        throw new DamagedError("it refers to what was not there");
      if (length > output.length - done) throw new DamagedError("a chunk is longer than it says");
      for (; length > 0; length--) {
        const byte = this.#back(this.#rep0);
        output[done++] = byte;
        this.#put(byte);
      }
    }
  }

  #literal(): number {
    const before = this.#total === 0 ? 0 : this.#back(0);
    const context = ((this.#total & this.#lpMask) << this.#lc) + (before >> (8 - this.#lc));
    const base = LITERAL + 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      let match = this.#back(this.#rep0);
      let offset = 0x100;
      while (symbol < 0x100) {
        match <<= 1;
        const wanted = match & offset;
        const bit = this.#bit(base + offset + wanted + symbol);
        symbol = (symbol << 1) | bit;
        offset &= bit === 1 ? wanted : ~wanted;
      }
    } else while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol & 0xff;
  }

  /** A match at a distance of its own; gives its length. */
  #match(state: number, place: number): number {
    this.#rep3 = this.#rep2;
    this.#rep2 = this.#rep1;
    this.#rep1 = this.#rep0;
    const length = this.#length(MATCH_LENGTH, place);
    this.#state = state < 7 ? 7 : 10;
    const slot = this.#tree(SLOTS + Math.min(length - 2, 3) * 64, 6);
    if (slot < 4) this.#rep0 = slot;
    else {
      const bits = (slot >> 1) - 1;
      const base = (2 | (slot & 1)) * 2 ** bits;
      this.#rep0 =
        slot < 14
          ? base + this.#reverse(SPECIAL + base - slot, bits)
          : base + this.#direct(bits - 4) * 16 + this.#reverse(ALIGN, 4);
    }
    return length;
  }

  /** A match at one of the last four distances. */
  #again(state: number, place: number): number {
    if (this.#bit(IS_REP_G0 + state) === 0) {
      if (this.#bit(IS_REP0_LONG + state * POS_STATES + place) === 0) {
        this.#state = state < 7 ? 9 : 11;
        return 1;
      }
    } else {
      let distance = this.#rep1;
      if (this.#bit(IS_REP_G1 + state) === 1) {
        distance = this.#rep2;
        if (this.#bit(IS_REP_G2 + state) === 1) {
          distance = this.#rep3;
          this.#rep3 = this.#rep2;
        }
        this.#rep2 = this.#rep1;
      }
      this.#rep1 = this.#rep0;
      this.#rep0 = distance;
    }
    this.#state = state < 7 ? 8 : 11;
    return this.#length(REP_LENGTH, place);
  }

  #length(base: number, place: number): number {
    if (this.#bit(base) === 0) return 2 + this.#tree(base + 2 + place * 8, 3);
    if (this.#bit(base + 1) === 0) return 10 + this.#tree(base + 2 + POS_STATES * 8 + place * 8, 3);
    return 18 + this.#tree(base + 2 + POS_STATES * 16, 8);
  }

  #tree(base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol - (1 << bits);
  }

  #reverse(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #direct(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      this.#normalize();
      this.#range = this.#range >>> 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = value * 2 + bit;
    }
    return value;
  }

  #normalize(): void {
    if (this.#range >= 0x1000000) return;
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#input[this.#next++] ?? 0)) >>> 0;
  }

  #bit(index: number): 0 | 1 {
    this.#normalize();
    const probability = this.#probs[index] ?? 0;
    const bound = (this.#range >>> 11) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probs[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    this.#probs[index] = probability - (probability >> 5);
    return 1;
  }
}
