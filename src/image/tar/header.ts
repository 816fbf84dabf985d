/**
 * One 512-byte tar header block, in any dialect: v7, ustar (prefix), GNU (base-256 numbers, old sparse maps).
 * Fields as in POSIX.1-1988 ustar and GNU tar's tar.h.
 */
import { BLOCK, type Extent, TarError } from "./entry.ts";
import { decodeName } from "./name.ts";

export interface Header {
  readonly name: string;
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds. */
  readonly mtime: number;
  readonly link: string;
  readonly major: number;
  readonly minor: number;
  /** Of GNU's old sparse files: the first extents, whether more blocks of them follow, and the real size. */
  readonly sparse?: { readonly extents: Extent[]; readonly more: boolean; readonly size: number };
}

/** Whether the block holds nothing but zeros, as the two at an archive's end do. */
export function isEmpty(block: Uint8Array): boolean {
  if (block[0] !== 0) return false;
  for (let i = 1; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

/** Whether this can be a header: its sum is right. The sum's own field counts as eight spaces. `words`: the same block. */
export function isHeader(block: Uint8Array, words = wordsOf(block)): boolean {
  let sum: number;
  try {
    sum = number(block, SUM, 8, "checksum");
  } catch {
    return false;
  }
  // Four bytes at a time, in two pairs of lanes; 128 of them cannot overflow.
  let even = 0;
  let odd = 0;
  for (let i = 0; i < BLOCK / 4; i++) {
    const word = words[i] ?? 0;
    even += word & 0x00ff00ff;
    odd += (word >>> 8) & 0x00ff00ff;
  }
  let unsigned = 8 * 32 + (even & 0xffff) + (even >>> 16) + (odd & 0xffff) + (odd >>> 16);
  for (let i = SUM; i < SUM + 8; i++) unsigned -= block[i] ?? 0;
  if (sum === unsigned) return true;
  // Some old writers summed signed bytes.
  let signed = unsigned;
  for (let i = 0; i < BLOCK; i++) if ((i < SUM || i >= SUM + 8) && (block[i] ?? 0) > 127) signed -= 256;
  return sum === signed;
}

const SUM = 148;

const wordsOf = (block: Uint8Array): Uint32Array =>
  new Uint32Array(block.buffer.slice(block.byteOffset, block.byteOffset + BLOCK));

export function parseHeader(block: Buffer): Header {
  const posix = begins(block, 257, "ustar\0");
  const gnu = begins(block, 257, "ustar  \0");
  const prefix = posix ? name(block, 345, 155) : "";
  const own = name(block, 0, 100);
  const flag = String.fromCharCode(block[156] ?? 0);
  const header = {
    name: prefix ? `${prefix}/${own}` : own,
    flag: flag === "\0" ? "0" : flag,
    mode: number(block, 100, 8, "mode") & 0o7777,
    uid: number(block, 108, 8, "uid"),
    gid: number(block, 116, 8, "gid"),
    size: number(block, 124, 12, "size"),
    mtime: number(block, 136, 12, "mtime"),
    link: name(block, 157, 100),
    major: posix || gnu ? number(block, 329, 8, "major") : 0,
    minor: posix || gnu ? number(block, 337, 8, "minor") : 0,
  };
  if (header.size < 0) throw new TarError(`${quote(header.name)} has a negative size`);
  if (flag !== "S") return header;
  const extents: Extent[] = [];
  oldExtents(block, 386, 4, extents);
  return {
    ...header,
    sparse: { extents, more: block[482] !== 0, size: number(block, 483, 12, "real size") },
  };
}

/** A block of further extents of an old GNU sparse file; true if yet another follows. */
export function moreExtents(block: Uint8Array, extents: Extent[]): boolean {
  oldExtents(block, 0, 21, extents);
  return block[504] !== 0;
}

function oldExtents(block: Uint8Array, from: number, count: number, extents: Extent[]): void {
  for (let i = 0; i < count; i++) {
    const at = from + i * 24;
    if (block[at] === 0) return;
    extents.push({
      offset: number(block, at, 12, "sparse offset"),
      length: number(block, at + 12, 12, "sparse length"),
    });
  }
}

export const quote = (name: string): string =>
  JSON.stringify(name.length > 300 ? `${name.slice(0, 300)}…` : name);

function name(block: Buffer, offset: number, length: number): string {
  let end = offset;
  let all = 0;
  for (let byte = block[end] ?? 0; end < offset + length && byte !== 0; byte = block[++end] ?? 0) all |= byte;
  if (end === offset) return "";
  return all < 128 ? block.toString("latin1", offset, end) : decodeName(block.subarray(offset, end));
}

function begins(block: Uint8Array, offset: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (block[offset + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Octal digits that a space or NUL ends; or, with the top bit set, a big-endian two's complement (GNU's base 256). */
function number(block: Uint8Array, offset: number, length: number, what: string): number {
  const first = block[offset] ?? 0;
  if (first & 0x80) {
    const negative = (first & 0x40) !== 0;
    let value = BigInt(first & 0x7f);
    for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[offset + i] ?? 0);
    if (negative) value -= 1n << BigInt(length * 8 - 1);
    const result = Number(value);
    if (!Number.isSafeInteger(result)) throw new TarError(`the ${what} of a member is out of range`);
    return result;
  }
  let value = 0;
  let i = offset;
  const end = offset + length;
  while (i < end && (block[i] === 32 || block[i] === 0)) i++;
  for (; i < end; i++) {
    const byte = block[i] ?? 0;
    if (byte === 32 || byte === 0) break;
    if (byte < 48 || byte > 55) throw new TarError(`the ${what} of a member is not a number`);
    value = value * 8 + (byte - 48);
  }
  return value;
}
