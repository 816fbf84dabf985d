/**
 * Decompresses .bz2: streams of blocks of up to 900 kB, each sorted (Burrows and Wheeler), moved to the front and coded by Huffman's
 * trees, as bits that begin and end anywhere. What is not complete yet is tried again when more has come. Format: bzip2's own
 * source; blocks that are "randomised", which nothing has written since 1997, are refused.
 */
import { TruncatedError } from "./byte-source.ts";
import { DamagedError } from "./lzma2.ts";

const BLOCK = 0x314159265359;
const END = 0x177245385090;
/** Symbols that one tree codes before the next selector. */
const GROUP = 50;
const LONGEST = 20;
/** Bytes that are worth another try: a block has at most 900 kB. */
const ENOUGH = 1 << 18;

/** The bits that have come and are not used up. */
class Bits {
  bytes: Uint8Array = new Uint8Array();
  /** In bits. */
  at = 0;

  add(pieces: readonly Uint8Array[]): void {
    const used = this.at >> 3;
    this.bytes = Buffer.concat([this.bytes.subarray(used), ...pieces]);
    this.at -= used * 8;
  }

  get left(): number {
    return this.bytes.length * 8 - this.at;
  }

  /** Up to 24 at once. */
  read(count: number): number {
    if (this.left < count) throw new TruncatedError();
    const byte = this.at >> 3;
    const { bytes } = this;
    const word =
      ((bytes[byte] ?? 0) << 24) |
      ((bytes[byte + 1] ?? 0) << 16) |
      ((bytes[byte + 2] ?? 0) << 8) |
      (bytes[byte + 3] ?? 0);
    const value = (word << (this.at & 7)) >>> (32 - count);
    this.at += count;
    return value;
  }
}

export async function* unbzip2(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = input[Symbol.asyncIterator]();
  const bits = new Bits();
  let over = false;
  const more = async (): Promise<void> => {
    const came: Uint8Array[] = [];
    for (let size = 0; size < ENOUGH && !over; ) {
      const { value, done } = await pieces.next();
      if (done) over = true;
      else {
        came.push(value);
        size += value.length;
      }
    }
    bits.add(came);
  };
  /** What `read` gives, with as much more input as it needs. */
  const whole = async <T>(read: () => T): Promise<T> => {
    for (;;) {
      const start = bits.at;
      try {
        return read();
      } catch (error) {
        if (!(error instanceof TruncatedError) || over) throw error;
        bits.at = start;
        await more();
      }
    }
  };
  for (let first = true; ; first = false) {
    // Streams may follow each other, each from a byte on.
    bits.at = (bits.at + 7) & ~7;
    const level = await whole(() => {
      if (!first && over && bits.left === 0) return 0;
      return header(bits);
    });
    if (level === 0) return;
    let sum = 0;
    for (;;) {
      const block = await whole(() => readBlock(bits, level * 100_000));
      if (block === undefined) break;
      const { bytes, crc } = block;
      if (crcOf(bytes) !== crc) throw new DamagedError("one of its checksums is wrong");
      sum = (((sum << 1) | (sum >>> 31)) ^ crc) >>> 0;
      yield bytes;
    }
    if ((await whole(() => read32(bits))) !== sum) throw new DamagedError("one of its checksums is wrong");
  }
}

function header(bits: Bits): number {
  const magic = bits.read(24);
  const level = bits.read(8) - 48;
  if (magic !== 0x425a68 || level < 1 || level > 9) throw new DamagedError("what follows is no bzip2 stream");
  return level;
}

const read32 = (bits: Bits): number => bits.read(16) * 0x10000 + bits.read(16);

/** undefined: the stream ends here. */
function readBlock(bits: Bits, most: number): { bytes: Uint8Array; crc: number } | undefined {
  const magic = bits.read(24) * 0x1000000 + bits.read(24);
  if (magic === END) return undefined;
  if (magic !== BLOCK) throw new DamagedError("a block does not begin where it should");
  const crc = read32(bits);
  if (bits.read(1) === 1) throw new DamagedError("a block is randomised, which is no longer read");
  const origin = bits.read(24);
  const symbols = usedSymbols(bits);
  const { trees, selectors } = readTrees(bits, symbols.length + 2);
  const sorted = new Uint32Array(most);
  const count = unmove(bits, symbols, trees, selectors, sorted);
  if (origin >= count) throw new DamagedError("a block has a wrong origin");
  return { bytes: unrun(unsort(sorted, count, origin), count), crc };
}

function usedSymbols(bits: Bits): number[] {
  const ranges = bits.read(16);
  const symbols: number[] = [];
  for (let range = 0; range < 16; range++) {
    if ((ranges & (0x8000 >> range)) === 0) continue;
    const used = bits.read(16);
    for (let i = 0; i < 16; i++) if ((used & (0x8000 >> i)) !== 0) symbols.push(range * 16 + i);
  }
  if (symbols.length === 0) throw new DamagedError("a block has no symbols");
  return symbols;
}

/** A canonical tree: for each length the first code that is longer, and where its symbols begin. */
interface Tree {
  readonly limit: Int32Array;
  readonly base: Int32Array;
  readonly order: Uint16Array;
  readonly shortest: number;
}

function readTrees(bits: Bits, size: number): { trees: Tree[]; selectors: Uint8Array } {
  const groups = bits.read(3);
  const count = bits.read(15);
  if (groups < 2 || groups > 6 || count === 0) throw new DamagedError("a block has a wrong number of trees");
  const front = Array.from({ length: groups }, (_, index) => index);
  const selectors = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    let place = 0;
    while (bits.read(1) === 1) if (++place >= groups) throw new DamagedError("a block has a wrong selector");
    const [tree = 0] = front.splice(place, 1);
    front.unshift(tree);
    selectors[i] = tree;
  }
  const trees = Array.from({ length: groups }, () => {
    const lengths = new Uint8Array(size);
    let length = bits.read(5);
    for (let i = 0; i < size; i++) {
      while (true) {
        if (length < 1 || length > LONGEST) throw new DamagedError("a block has a wrong tree");
        if (bits.read(1) === 0) break;
        length += bits.read(1) === 0 ? 1 : -1;
      }
      lengths[i] = length;
    }
    return treeOf(lengths);
  });
  return { trees, selectors };
}

function treeOf(lengths: Uint8Array): Tree {
  const counts = new Int32Array(LONGEST + 2);
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1;
  const order = new Uint16Array(lengths.length);
  const limit = new Int32Array(LONGEST + 1);
  const base = new Int32Array(LONGEST + 1);
  let code = 0;
  let place = 0;
  for (let length = 1; length <= LONGEST; length++) {
    base[length] = place - code;
    for (let symbol = 0; symbol < lengths.length; symbol++)
      if (lengths[symbol] === length) order[place++] = symbol;
    code += counts[length] ?? 0;
    limit[length] = code;
    code <<= 1;
  }
  return { limit, base, order, shortest: counts.findIndex((count) => count > 0) };
}

function decode(bits: Bits, { limit, base, order, shortest }: Tree): number {
  let code = bits.read(shortest);
  for (let length = shortest; length <= LONGEST; length++) {
    if (code < (limit[length] ?? 0)) return order[(base[length] ?? 0) + code] ?? 0;
    code = (code << 1) | bits.read(1);
  }
  throw new DamagedError("a block has a code that none of its trees has");
}

/** The sorted block's bytes, in the low bits of each word; gives how many. */
function unmove(
  bits: Bits,
  symbols: readonly number[],
  trees: readonly Tree[],
  selectors: Uint8Array,
  sorted: Uint32Array,
): number {
  const front = Uint8Array.from(symbols);
  const end = symbols.length + 1;
  let count = 0;
  let run = 0;
  let weight = 1;
  let tree = trees[0];
  for (let taken = 0; ; taken++) {
    if (taken % GROUP === 0) {
      const group = taken / GROUP;
      if (group >= selectors.length) throw new DamagedError("a block has too few selectors");
      tree = trees[selectors[group] ?? 0];
    }
    const symbol = tree ? decode(bits, tree) : 0;
    if (symbol < 2) {
      // Runs are numbers of the digits 1 and 2, the lowest first.
      run += weight << symbol;
      weight <<= 1;
      if (run > sorted.length) throw new DamagedError("a block is too long");
      continue;
    }
    if (run > 0) {
      if (count + run > sorted.length) throw new DamagedError("a block is too long");
      sorted.fill(front[0] ?? 0, count, count + run);
      count += run;
      run = 0;
      weight = 1;
    }
    if (symbol === end) return count;
    const place = symbol - 1;
    const byte = front[place] ?? 0;
    front.copyWithin(1, 0, place);
    front[0] = byte;
    if (count >= sorted.length) throw new DamagedError("a block is too long");
    sorted[count++] = byte;
  }
}

/** The block as it was before it was sorted: the high bits of each word say where the next byte stands. */
function unsort(sorted: Uint32Array, count: number, origin: number): Uint8Array {
  const starts = new Uint32Array(257);
  for (let i = 0; i < count; i++) {
    const next = ((sorted[i] ?? 0) & 0xff) + 1;
    starts[next] = (starts[next] ?? 0) + 1;
  }
  for (let i = 1; i < 257; i++) starts[i] = (starts[i] ?? 0) + (starts[i - 1] ?? 0);
  for (let i = 0; i < count; i++) {
    const byte = (sorted[i] ?? 0) & 0xff;
    const at = starts[byte] ?? 0;
    starts[byte] = at + 1;
    sorted[at] = (sorted[at] ?? 0) | (i << 8);
  }
  const bytes = new Uint8Array(count);
  let at = (sorted[origin] ?? 0) >>> 8;
  for (let i = 0; i < count; i++) {
    const word = sorted[at] ?? 0;
    bytes[i] = word & 0xff;
    at = word >>> 8;
  }
  return bytes;
}

/** Four equal bytes are followed by the number of further ones. */
function unrun(bytes: Uint8Array, count: number): Uint8Array {
  let size = 0;
  const each = (emit: (byte: number, times: number) => void): void => {
    let same = 0;
    let before = -1;
    for (let i = 0; i < count; i++) {
      const byte = bytes[i] ?? 0;
      if (same === 4) {
        emit(before, byte);
        same = 0;
        before = -1;
        continue;
      }
      same = byte === before ? same + 1 : 1;
      before = byte;
      emit(byte, 1);
    }
  };
  each((_, times) => (size += times));
  const output = Buffer.allocUnsafe(size);
  let at = 0;
  each((byte, times) => {
    for (let i = 0; i < times; i++) output[at++] = byte;
  });
  return output;
}

const CRC = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let value = i << 24;
  for (let bit = 0; bit < 8; bit++) value = (value << 1) ^ (value < 0 ? 0x04c11db7 : 0);
  CRC[i] = value;
}

/** The highest bit first, unlike everybody else's. */
function crcOf(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc << 8) ^ (CRC[(crc >>> 24) ^ byte] ?? 0);
  return ~crc >>> 0;
}
