/**
 * The headers of what almost every member is, a file with a short ASCII name and no attributes, written straight to where they
 * belong: the same bytes as writer.ts makes, without making anything else on the way. What files mostly share (mode,
 * owner, all that is fixed) is kept as a block that is copied, with its sum; the rest are a few digits.
 */
import { BLOCK } from "./entry.ts";

/** The most that one file's headers take: a pax header, its one record, and the header proper. */
export const MOST = 3 * BLOCK;

const NAME_MOST = 100;
const SIZE = 124;
const MTIME = 136;
const SUM = 148;
const FLAG = 156;
/** As writer.ts names extended headers. */
const EXTENSION = "PaxHeaders.0/";

export class PlainHeaders {
  readonly #file = new Uint8Array(BLOCK);
  readonly #extension = new Uint8Array(BLOCK);
  readonly #extensionSum: number;
  #mode = -1;
  #uid = -1;
  #gid = -1;
  #sum = 0;

  constructor() {
    this.#extensionSum = fixed(this.#extension, "x", 0o644, 0, 0);
    this.#extensionSum += text(this.#extension, 0, EXTENSION);
  }

  /** How many bytes were written: none where the file is not plain. There must be room for MOST. */
  write(
    into: Uint8Array,
    at: number,
    name: string,
    mode: number,
    uid: number,
    gid: number,
    size: number,
    seconds: number,
    nanos: number,
  ): number {
    // What fits into 32 bits and eleven, or seven, octal digits.
    if (size > 0xffffffff || seconds < 0 || seconds > 0xffffffff || uid >= 8 ** 7 || gid >= 8 ** 7) return 0;
    if (name.length > NAME_MOST) return 0;
    for (let i = 0; i < name.length; i++) {
      const code = name.charCodeAt(i);
      if (code < 0x20 || code > 0x7e) return 0;
    }
    if (mode !== this.#mode || uid !== this.#uid || gid !== this.#gid) {
      this.#file.fill(0);
      this.#sum = fixed(this.#file, "0", mode, uid, gid);
      this.#mode = mode;
      this.#uid = uid;
      this.#gid = gid;
    }
    let start = at;
    if (nanos !== 0) {
      const length = this.#record(into, at + BLOCK, seconds, nanos);
      into.set(this.#extension, at);
      let sum = this.#extensionSum;
      let place = at + EXTENSION.length;
      const end = at + NAME_MOST;
      for (let i = name.lastIndexOf("/") + 1; i < name.length && place < end; i++) {
        const code = name.charCodeAt(i);
        into[place++] = code;
        sum += code;
      }
      sum += digits(into, at + SIZE + 10, length);
      sealed(into, at, sum);
      start += 2 * BLOCK;
    }
    into.set(this.#file, start);
    let sum = this.#sum + text(into, start, name);
    sum += digits(into, start + SIZE + 10, size);
    sum += digits(into, start + MTIME + 10, seconds);
    sealed(into, start, sum);
    return start + BLOCK - at;
  }

  /** `30 mtime=1700000000.123456789\n`, filled up to a block; gives its length without that. */
  #record(into: Uint8Array, at: number, seconds: number, nanos: number): number {
    into.fill(0, at, at + BLOCK);
    let fraction = nanos;
    let width = 9;
    while (fraction % 10 === 0) {
      fraction /= 10;
      width--;
    }
    const whole = decimals(seconds);
    // Without its own length: two digits in any case.
    const length = 2 + " mtime=".length + whole + 1 + width + 1;
    decimal(into, at + 1, length, 2);
    text(into, at + 2, " mtime=");
    let place = at + 9 + whole;
    decimal(into, place - 1, seconds, whole);
    into[place++] = 46;
    decimal(into, place + width - 1, fraction, width);
    into[place + width] = 10;
    return length;
  }
}

/** What does not change from file to file; gives the sum of the block's bytes. */
function fixed(block: Uint8Array, flag: string, mode: number, uid: number, gid: number): number {
  for (const [offset, width] of [
    [100, 7],
    [108, 7],
    [116, 7],
    [SIZE, 11],
    [MTIME, 11],
    [329, 7],
    [337, 7],
  ] as const)
    block.fill(48, offset, offset + width);
  digits(block, 106, mode);
  digits(block, 114, uid);
  digits(block, 122, gid);
  text(block, SUM, "        ");
  text(block, FLAG, flag);
  text(block, 257, "ustar\x0000");
  let sum = 0;
  for (const byte of block) sum += byte;
  return sum;
}

/** Octal digits over the zeros that stand there, the last of them at `at`; gives what that adds to the sum. */
function digits(into: Uint8Array, at: number, value: number): number {
  let sum = 0;
  let place = at;
  for (let rest = value >>> 0; rest > 0; rest >>>= 3) {
    into[place--] = 48 + (rest & 7);
    sum += rest & 7;
  }
  return sum;
}

/** The header's sum: six digits, a NUL, a space. */
function sealed(into: Uint8Array, start: number, sum: number): void {
  let rest = sum;
  for (let place = start + SUM + 5; place >= start + SUM; place--) {
    into[place] = 48 + (rest & 7);
    rest >>>= 3;
  }
  into[start + SUM + 6] = 0;
}

/** Decimal digits, the last of them at `at`. */
function decimal(into: Uint8Array, at: number, value: number, width: number): void {
  let rest = value;
  for (let place = at; place > at - width; place--) {
    const next = Math.floor(rest / 10);
    into[place] = 48 + rest - next * 10;
    rest = next;
  }
}

function decimals(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 10; rest /= 10) count++;
  return count;
}

/** ASCII; gives the sum of its bytes. */
function text(into: Uint8Array, at: number, value: string): number {
  let sum = 0;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    into[at + i] = code;
    sum += code;
  }
  return sum;
}
