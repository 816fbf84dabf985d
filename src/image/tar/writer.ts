/**
 * Writes tar archives, the same bytes for the same entries: ustar as far as it goes, a pax header in front where it does
 * not (long or non-ASCII names, big numbers, fractions of seconds, xattrs). Names of owners are never written.
 * Formats: POSIX.1-2001 pax; SCHILY.xattr.* for xattrs, as every container tool writes them.
 */
import { BLOCK, type Entry, type EntryType, padding } from "./entry.ts";
import { encodeName } from "./name.ts";

const FLAG: Record<EntryType, string> = {
  file: "0",
  link: "1",
  symlink: "2",
  char: "3",
  block: "4",
  dir: "5",
  fifo: "6",
};
const NANO = 1_000_000_000n;
const encoder = new TextEncoder();

/** What `entryOf` fills in: a file that root owns, from the year 1970. */
export type EntryInput = Partial<Entry> & Pick<Entry, "name" | "type">;

/** An entry with everything that was not given at its default. */
export const entryOf = (input: EntryInput): Entry => ({
  size: 0,
  mode: input.type === "dir" ? 0o755 : input.type === "symlink" ? 0o777 : 0o644,
  uid: 0,
  gid: 0,
  mtime: 0n,
  link: "",
  major: 0,
  minor: 0,
  ...input,
});

/** Sends an archive's bytes to `write`, which must use or copy them before it returns. */
export class TarWriter {
  readonly #write: (bytes: Uint8Array) => void;
  #left = 0;
  #pad = 0;

  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /** Begins a member; a file's content, `size` bytes, must follow through `data`. */
  entry(entry: Entry): void {
    if (this.#left !== 0) throw new Error(`${this.#left} bytes are missing before ${entry.name}`);
    this.#write(header(entry));
    this.#left = entry.type === "file" ? entry.size : 0;
    this.#pad = padding(this.#left);
  }

  data(bytes: Uint8Array): void {
    if (bytes.length > this.#left) throw new Error("more content than the entry's size");
    this.#left -= bytes.length;
    this.#write(bytes);
    if (this.#left === 0 && this.#pad > 0) {
      this.#write(new Uint8Array(this.#pad));
      this.#pad = 0;
    }
  }

  /** A small file in one call. */
  file(name: string, content: string | Uint8Array, rest: Partial<Entry> = {}): void {
    const bytes = typeof content === "string" ? encoder.encode(content) : content;
    this.entry(entryOf({ ...rest, name, type: "file", size: bytes.length }));
    this.data(bytes);
  }

  /** The two empty blocks that end an archive. */
  end(): void {
    if (this.#left !== 0) throw new Error(`${this.#left} bytes are missing at the end`);
    this.#write(new Uint8Array(2 * BLOCK));
  }
}

/** An archive in memory, for what is known to be small. */
export function tarBytes(build: (writer: TarWriter) => void): Uint8Array {
  const parts: Uint8Array[] = [];
  const writer = new TarWriter((bytes) => parts.push(bytes.slice()));
  build(writer);
  writer.end();
  return Buffer.concat(parts);
}

/** The header blocks of one member. On the way of every file that is packed: nothing is made that is not written. */
export function header(entry: Entry): Uint8Array {
  const pax: PaxRecord[] = [];
  const name = entry.type === "dir" && !entry.name.endsWith("/") ? `${entry.name}/` : entry.name;
  const plain = isAscii(name);
  const split = plain ? splitName(name) : undefined;
  if (!split) pax.push(["path", encodeName(name)]);
  const plainLink = isAscii(entry.link);
  const longLink = !plainLink || entry.link.length > 100;
  if (longLink) pax.push(["linkpath", encodeName(entry.link)]);
  const size = entry.type === "file" ? entry.size : 0;
  if (size >= 8 ** 11) pax.push(["size", String(size)]);
  if (entry.uid >= 8 ** 7) pax.push(["uid", String(entry.uid)]);
  if (entry.gid >= 8 ** 7) pax.push(["gid", String(entry.gid)]);
  const seconds = floorDiv(entry.mtime, NANO);
  const late = seconds < 0n || seconds >= 8n ** 11n;
  if (late || seconds * NANO !== entry.mtime) pax.push(["mtime", decimalTime(entry.mtime)]);
  if (entry.xattrs) for (const [key, value] of entry.xattrs) pax.push([`SCHILY.xattr.${key}`, value]);

  const fields: Fields = {
    name: split ? split.name : printable(name).slice(0, 100),
    prefix: split ? split.prefix : "",
    link: longLink ? printable(entry.link).slice(0, 100) : entry.link,
    flag: FLAG[entry.type],
    mode: entry.mode & 0o7777,
    uid: entry.uid < 8 ** 7 ? entry.uid : 0,
    gid: entry.gid < 8 ** 7 ? entry.gid : 0,
    size: size < 8 ** 11 ? size : 0,
    mtime: late ? 0 : Number(seconds),
    major: entry.major,
    minor: entry.minor,
  };
  if (pax.length === 0) {
    const bytes = Buffer.alloc(BLOCK);
    block(bytes, 0, fields);
    return bytes;
  }
  return extended(pax, printable(name), fields);
}

type PaxRecord = readonly [key: string, value: string | Uint8Array];

/** A pax header with these records, and the block that they correct. */
function extended(pax: PaxRecord[], name: string, fields: Fields): Uint8Array {
  if (pax.length > 1) pax.sort(([a], [b]) => (a < b ? -1 : 1));
  let length = 0;
  for (const record of pax) length += recordLength(record);
  const bytes = Buffer.alloc(2 * BLOCK + length + padding(length));
  const base = name.replace(/\/$/, "").split("/").pop() ?? "";
  block(bytes, 0, { ...EXTENSION, name: `PaxHeaders.0/${base}`.slice(0, 100), size: length });
  let at = BLOCK;
  for (const record of pax) {
    const [key, value] = record;
    at += bytes.write(`${recordLength(record)} ${key}=`, at);
    if (typeof value === "string") at += bytes.write(value, at, "latin1");
    else {
      bytes.set(value, at);
      at += value.length;
    }
    bytes[at++] = 10;
  }
  block(bytes, bytes.length - BLOCK, fields);
  return bytes;
}

/** Of `12 path=abc\n`, which counts its own digits. */
function recordLength([key, value]: PaxRecord): number {
  const rest = (isAscii(key) ? key.length : Buffer.byteLength(key)) + value.length + 3;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return length;
}

/** Texts are ASCII and fit. */
interface Fields {
  readonly name: string;
  readonly prefix: string;
  readonly link: string;
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

const EXTENSION: Fields = {
  name: "",
  prefix: "",
  link: "",
  flag: "x",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  major: 0,
  minor: 0,
};

/** Fills 512 bytes that are zero. */
function block(bytes: Buffer, start: number, fields: Fields): void {
  const text = (offset: number, value: string): void => {
    for (let i = 0; i < value.length; i++) bytes[start + offset + i] = value.charCodeAt(i);
  };
  const octal = (offset: number, width: number, value: number): void => {
    let rest = value;
    for (let at = start + offset + width - 2; at >= start + offset; at--) {
      bytes[at] = 48 + (rest % 8);
      rest = Math.floor(rest / 8);
    }
  };
  text(0, fields.name);
  octal(100, 8, fields.mode);
  octal(108, 8, fields.uid);
  octal(116, 8, fields.gid);
  octal(124, 12, fields.size);
  octal(136, 12, fields.mtime);
  text(148, "        ");
  text(156, fields.flag);
  text(157, fields.link);
  text(257, "ustar\x0000");
  octal(329, 8, fields.major);
  octal(337, 8, fields.minor);
  text(345, fields.prefix);
  let sum = 0;
  for (let at = start; at < start + BLOCK; at++) sum += bytes[at] ?? 0;
  octal(148, 7, sum);
  bytes[start + 154] = 0;
}

/** ustar's way with names over 100 bytes: up to 155 more in front of a slash. */
function splitName(name: string): { name: string; prefix: string } | undefined {
  if (name.length <= 100) return { name, prefix: "" };
  if (name.length > 256) return undefined;
  const slash = name.indexOf("/", name.length - 101);
  if (slash <= 0 || slash > 155 || slash === name.length - 1) return undefined;
  return { name: name.slice(slash + 1), prefix: name.slice(0, slash) };
}

/** Printable ASCII only. */
function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}

const printable = (text: string): string => (isAscii(text) ? text : text.replace(/[^\x20-\x7e]/g, "_"));

const floorDiv = (value: bigint, by: bigint): bigint =>
  value >= 0n || value % by === 0n ? value / by : value / by - 1n;

/** Seconds with a fraction, without closing zeros: `-1.5`. */
function decimalTime(nanoseconds: bigint): string {
  const absolute = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = (absolute % NANO).toString().padStart(9, "0").replace(/0+$/, "");
  return `${nanoseconds < 0n ? "-" : ""}${absolute / NANO}${fraction && `.${fraction}`}`;
}
