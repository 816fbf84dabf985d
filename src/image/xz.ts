/**
 * Decompresses .xz: streams of blocks of LZMA2, each with a check of its content. Format: The .xz File Format 1.1. Other filters than
 * LZMA2, which only programs' own archives have, are refused by name.
 */
import { ByteSource } from "./byte-source.ts";
import { DamagedError, Lzma2 } from "./lzma2.ts";

const MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const LZMA2 = 0x21;
/** Bytes of each kind of check; kinds that no program writes are skipped. */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
/** What `xz -9` uses; more would not fit into the memory that a layer may take. */
const LARGEST_WINDOW = 64 << 20;

export async function* unxz(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = new ByteSource(input);
  for (let first = true; first || (await another(source)); first = false) yield* stream(source);
}

/** Zeros may lie between streams, and behind the last. */
async function another(source: ByteSource): Promise<boolean> {
  for (;;) {
    if (await source.ended()) return false;
    if ((await source.peek()) !== 0) return true;
    await source.take(1);
  }
}

async function* stream(source: ByteSource): AsyncGenerator<Uint8Array> {
  const header = await source.take(12);
  if (Buffer.compare(header.subarray(0, 6), MAGIC) !== 0)
    throw new DamagedError("what follows is no xz stream");
  const kind = header[7] ?? 0;
  if (header[6] !== 0 || kind > 15) throw new DamagedError("its flags are not known");
  same(crc32(header.subarray(6, 8)), header.readUInt32LE(8));
  for (let size = await source.peek(); size !== 0; size = await source.peek())
    yield* block(source, (size + 1) * 4, kind);
  await index(source);
  const footer = await source.take(12);
  same(crc32(footer.subarray(4, 10)), footer.readUInt32LE(0));
  if (footer.toString("latin1", 10) !== "YZ" || footer[9] !== kind)
    throw new DamagedError("its footer is wrong");
}

async function* block(source: ByteSource, size: number, kind: number): AsyncGenerator<Uint8Array> {
  const header = await source.take(size);
  same(crc32(header.subarray(0, size - 4)), header.readUInt32LE(size - 4));
  const lzma2 = new Lzma2(windowOf(header));
  const check = checkOf(kind);
  const start = source.position;
  for (;;) {
    const control = (await source.take(1))[0] ?? 0;
    if (control === 0) break;
    if (control > 2 && control < 0x80) throw new DamagedError("a chunk is of no known kind");
    let piece: Uint8Array;
    const head = await source.take(control < 0x80 ? 2 : control >= 0xc0 ? 5 : 4);
    if (control < 0x80) piece = lzma2.stored(control, await source.take(head.readUInt16BE(0) + 1));
    else {
      const decoded = ((control & 0x1f) << 16) + head.readUInt16BE(0) + 1;
      piece = lzma2.compressed(control, head[4], await source.take(head.readUInt16BE(2) + 1), decoded);
    }
    check.update(piece);
    yield piece;
  }
  await source.take((4 - ((source.position - start) % 4)) % 4);
  const wanted = await source.take(CHECK_SIZES[kind] ?? 0);
  const got = check.digest();
  if (got && Buffer.compare(got, wanted) !== 0)
    throw new DamagedError("its content is not what was compressed");
}

/** Bytes of the window that the block's only filter wants. */
function windowOf(header: Buffer): number {
  const flags = header[1] ?? 0;
  let at = 2;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = header[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  if ((flags & 0x40) !== 0) number();
  if ((flags & 0x80) !== 0) number();
  const filter = number();
  if ((flags & 3) !== 0 || filter !== LZMA2) throw new DamagedError("it needs a filter that is not known");
  number();
  const bits = header[at] ?? 0;
  // 4 KiB, 6 KiB, 8 KiB, 12 KiB and so on.
  const window = bits >= 40 ? Number.POSITIVE_INFINITY : (2 | (bits & 1)) * 2 ** (Math.floor(bits / 2) + 11);
  if (window > LARGEST_WINDOW)
    throw new DamagedError(`it needs a window of more than ${LARGEST_WINDOW >> 20} MiB`);
  return window;
}

async function index(source: ByteSource): Promise<void> {
  const start = source.position;
  const seen: Buffer[] = [await source.take(1)];
  const number = async (): Promise<number> => {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = await source.take(1);
      seen.push(byte);
      value += ((byte[0] ?? 0) & 0x7f) * 2 ** shift;
      if ((byte[0] ?? 0) < 0x80) break;
    }
    return value;
  };
  for (let left = 2 * (await number()); left > 0; left--) await number();
  seen.push(await source.take((4 - ((source.position - start) % 4)) % 4));
  same(crc32(Buffer.concat(seen)), (await source.take(4)).readUInt32LE(0));
}

const crc32 = (bytes: Uint8Array): number => Bun.hash.crc32(bytes);

function same(got: number, wanted: number): void {
  if (got !== wanted) throw new DamagedError("one of its checksums is wrong");
}

interface Check {
  update(bytes: Uint8Array): void;
  /** undefined: of a kind that is not known. */
  digest(): Uint8Array | undefined;
}

function checkOf(kind: number): Check {
  if (kind === 1) {
    let sum = 0;
    return {
      update: (bytes) => {
        sum = Bun.hash.crc32(bytes, sum);
      },
      digest: () => {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32LE(sum);
        return bytes;
      },
    };
  }
  if (kind === 4) return new Crc64();
  if (kind !== 10) return { update: () => {}, digest: () => undefined };
  const hash = new Bun.CryptoHasher("sha256");
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
}

const CRC64_LOW = new Uint32Array(256);
const CRC64_HIGH = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let value = BigInt(i);
  for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ ((value & 1n) === 1n ? 0xc96c5795d7870f42n : 0n);
  CRC64_LOW[i] = Number(value & 0xffffffffn);
  CRC64_HIGH[i] = Number(value >> 32n);
}

/** ECMA-182, reflected, as two halves of 32 bits. */
class Crc64 implements Check {
  #low = -1;
  #high = -1;

  update(bytes: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (const byte of bytes) {
      const index = (low ^ byte) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (CRC64_LOW[index] ?? 0);
      high = (high >>> 8) ^ (CRC64_HIGH[index] ?? 0);
    }
    this.#low = low;
    this.#high = high;
  }

  digest(): Uint8Array {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(~this.#low, 0);
    bytes.writeInt32LE(~this.#high, 4);
    return bytes;
  }
}
