/** Extended headers of POSIX.1-2001 (pax): `<length> <key>=<value>\n`, records that correct the header they precede. */
import { type Extent, TarError } from "./entry.ts";
import { decodeName } from "./name.ts";

export type Pax = Map<string, Uint8Array>;

const NANO = 1_000_000_000n;
const decoder = new TextDecoder();

/** Adds the records of one extended header to `into`, which keeps `bytes`. An empty value takes an earlier one back. */
export function parsePax(bytes: Buffer, into: Pax): void {
  for (let at = 0; at < bytes.length; ) {
    // Some writers fill up with NULs.
    if (bytes[at] === 0) return;
    const space = bytes.indexOf(32, at);
    const length = decimal(bytes, at, space);
    const end = at + length;
    if (
      !Number.isSafeInteger(length) ||
      length <= space - at + 2 ||
      end > bytes.length ||
      bytes[end - 1] !== 10
    )
      throw new TarError("a pax record has a wrong length");
    const equals = bytes.indexOf(61, space + 1);
    if (equals < 0 || equals >= end) throw new TarError("a pax record has no =");
    const key = bytes.toString("utf8", space + 1, equals);
    const value = bytes.subarray(equals + 1, end - 1);
    // GNU's sparse format 0.0 repeats these two keys: they are gathered as the pairs of format 0.1.
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") {
      const before = into.get("GNU.sparse.map");
      into.set("GNU.sparse.map", before ? Buffer.concat([before, Buffer.from(","), value]) : value);
    } else if (value.length === 0) into.delete(key);
    else into.set(key, value);
    at = end;
  }
}

/** What a header's only record says where that is ` mtime=…`, with nothing behind it: the value's bytes. */
export function onlyTime(bytes: Buffer): Buffer | undefined {
  const end = bytes.length - 1;
  // Two digits of length, as every time of this millennium has.
  if (decimal(bytes, 0, 2) !== bytes.length || bytes[end] !== 10 || end === MTIME.length + 2)
    return undefined;
  for (let i = 0; i < MTIME.length; i++) if (bytes[i + 2] !== MTIME[i]) return undefined;
  return bytes.subarray(MTIME.length + 2, end);
}

const MTIME = Buffer.from(" mtime=");

/** Digits alone, at most ten of them; NaN if it is anything else. */
function decimal(bytes: Uint8Array, from: number, to: number): number {
  if (to <= from || to - from > 10) return Number.NaN;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** A name or path; a NUL inside would mean something else to the kernel. */
export function paxName(pax: Pax, key: string): string | undefined {
  const value = pax.get(key);
  if (!value) return undefined;
  if (value.includes(0)) throw new TarError(`the pax record ${key} contains a NUL`);
  return decodeName(value);
}

/** A decimal number that is not negative. */
export function paxNumber(pax: Pax, key: string): number | undefined {
  const value = pax.get(key);
  if (!value) return undefined;
  const text = decoder.decode(value);
  if (!/^\d{1,16}$/.test(text)) throw new TarError(`the pax record ${key} is not a number`);
  return Number(text);
}

/** Seconds with a fraction, as nanoseconds; digits beyond the ninth are dropped. */
export function paxTime(pax: Pax, key: string): bigint | undefined {
  const value = pax.get(key);
  return value && timeOf(value, key);
}

/** The value of the record `key`. */
export function timeOf(value: Uint8Array, key: string): bigint {
  const negative = value[0] === 45;
  const begin = negative ? 1 : 0;
  const dot = value.indexOf(46);
  const whole = dot < 0 ? value.length : dot;
  let seconds = 0;
  let nanos = 0;
  let good = whole > begin && whole - begin <= 15;
  for (let at = begin; at < value.length; at++) {
    if (at === dot) continue;
    const digit = (value[at] ?? 0) - 48;
    good &&= digit >= 0 && digit <= 9;
    if (at < whole) seconds = seconds * 10 + digit;
    else if (at <= whole + 9) nanos = nanos * 10 + digit;
  }
  if (!good) throw new TarError(`the pax record ${key} is not a time`);
  for (let digits = value.length - whole - 1; digits > 0 && digits < 9; digits++) nanos *= 10;
  const time = BigInt(seconds) * NANO + BigInt(nanos);
  return negative ? -time : time;
}

/** SCHILY.xattr.NAME holds the bytes; LIBARCHIVE.xattr.NAME the same in base64, with NAME percent-encoded. */
export function paxXattrs(pax: Pax): Map<string, Uint8Array> | undefined {
  let found: Map<string, Uint8Array> | undefined;
  for (const [key, value] of pax) {
    if (key.startsWith("LIBARCHIVE.xattr.")) {
      found ??= new Map();
      const name = percentDecode(key.slice("LIBARCHIVE.xattr.".length));
      if (!found.has(name)) found.set(name, Buffer.from(decoder.decode(value), "base64"));
    } else if (key.startsWith("SCHILY.xattr.")) {
      found ??= new Map();
      found.set(key.slice("SCHILY.xattr.".length), value);
    }
  }
  return found;
}

/** `offset,length,offset,length…` of GNU's sparse formats 0.0 and 0.1. */
export function paxExtents(value: Uint8Array): Extent[] {
  return pairs(decoder.decode(value).split(","));
}

/** Decimal texts, two by two. */
export function pairs(texts: readonly string[]): Extent[] {
  if (texts.length % 2 !== 0) throw new TarError("a sparse map is incomplete");
  const extents: Extent[] = [];
  for (let i = 0; i < texts.length; i += 2) {
    const [offset, length] = [texts[i] ?? "", texts[i + 1] ?? ""];
    if (!/^\d{1,15}$/.test(offset) || !/^\d{1,15}$/.test(length))
      throw new TarError("a sparse map holds something that is no number");
    extents.push({ offset: Number(offset), length: Number(length) });
  }
  return extents;
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
