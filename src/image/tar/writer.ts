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
const ascii = /^[\x20-\x7e]*$/;

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

/** The header blocks of one member. */
export function header(entry: Entry): Uint8Array {
  const pax = new Map<string, Uint8Array>();
  const text = (key: string, value: string): void => void pax.set(key, encoder.encode(value));
  const name = entry.type === "dir" && !entry.name.endsWith("/") ? `${entry.name}/` : entry.name;
  const nameBytes = encodeName(name);
  const linkBytes = encodeName(entry.link);
  const split = ascii.test(name) ? splitName(name) : undefined;
  if (!split) pax.set("path", nameBytes);
  if (linkBytes.length > 100 || !ascii.test(entry.link)) pax.set("linkpath", linkBytes);
  const size = entry.type === "file" ? entry.size : 0;
  if (size >= 8 ** 11) text("size", String(size));
  if (entry.uid >= 8 ** 7) text("uid", String(entry.uid));
  if (entry.gid >= 8 ** 7) text("gid", String(entry.gid));
  const seconds = floorDiv(entry.mtime, NANO);
  const nanos = entry.mtime - seconds * NANO;
  if (nanos !== 0n || seconds < 0n || seconds >= 8n ** 11n) text("mtime", decimalTime(entry.mtime));
  for (const [key, value] of entry.xattrs ?? []) pax.set(`SCHILY.xattr.${key}`, value);

  const clamp = (value: bigint, digits: number): number =>
    value < 0n || value >= 8n ** BigInt(digits) ? 0 : Number(value);
  const main = block({
    name: split?.name ?? encodeName(printable(name)).subarray(0, 100),
    prefix: split?.prefix ?? new Uint8Array(),
    link: pax.has("linkpath") ? encodeName(printable(entry.link)).subarray(0, 100) : linkBytes,
    flag: FLAG[entry.type],
    mode: entry.mode & 0o7777,
    uid: entry.uid < 8 ** 7 ? entry.uid : 0,
    gid: entry.gid < 8 ** 7 ? entry.gid : 0,
    size: size < 8 ** 11 ? size : 0,
    mtime: clamp(seconds, 11),
    major: entry.major,
    minor: entry.minor,
  });
  if (pax.size === 0) return main;

  const records = [...pax].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => paxRecord(key, value));
  const body = Buffer.concat(records);
  const base = printable(name).replace(/\/$/, "").split("/").pop() ?? "";
  const extension = block({
    name: encoder.encode(`PaxHeaders.0/${base}`.slice(0, 100)),
    prefix: new Uint8Array(),
    link: new Uint8Array(),
    flag: "x",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
    major: 0,
    minor: 0,
  });
  return Buffer.concat([extension, body, new Uint8Array(padding(body.length)), main]);
}

interface Fields {
  readonly name: Uint8Array;
  readonly prefix: Uint8Array;
  readonly link: Uint8Array;
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

function block(fields: Fields): Uint8Array {
  const bytes = Buffer.alloc(BLOCK);
  const octal = (offset: number, width: number, value: number): void => {
    bytes.write(value.toString(8).padStart(width - 1, "0"), offset, "latin1");
  };
  bytes.set(fields.name, 0);
  octal(100, 8, fields.mode);
  octal(108, 8, fields.uid);
  octal(116, 8, fields.gid);
  octal(124, 12, fields.size);
  octal(136, 12, fields.mtime);
  bytes.write("        ", 148, "latin1");
  bytes.write(fields.flag, 156, "latin1");
  bytes.set(fields.link, 157);
  bytes.write("ustar\x0000", 257, "latin1");
  octal(329, 8, fields.major);
  octal(337, 8, fields.minor);
  bytes.set(fields.prefix, 345);
  let sum = 0;
  for (const byte of bytes) sum += byte;
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

/** ustar's way with names over 100 bytes: up to 155 more in front of a slash. */
function splitName(name: string): { name: Uint8Array; prefix: Uint8Array } | undefined {
  if (name.length <= 100) return { name: encoder.encode(name), prefix: new Uint8Array() };
  if (name.length > 256) return undefined;
  const slash = name.indexOf("/", name.length - 101);
  if (slash <= 0 || slash > 155 || slash === name.length - 1) return undefined;
  return { name: encoder.encode(name.slice(slash + 1)), prefix: encoder.encode(name.slice(0, slash)) };
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, "_");

/** `12 path=abc\n`, the length counting its own digits. */
function paxRecord(key: string, value: Uint8Array): Uint8Array {
  const rest = Buffer.concat([encoder.encode(` ${key}=`), value, encoder.encode("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([encoder.encode(String(length)), rest]);
}

const floorDiv = (value: bigint, by: bigint): bigint =>
  value >= 0n || value % by === 0n ? value / by : value / by - 1n;

/** Seconds with a fraction, without closing zeros: `-1.5`. */
function decimalTime(nanoseconds: bigint): string {
  const absolute = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = (absolute % NANO).toString().padStart(9, "0").replace(/0+$/, "");
  return `${nanoseconds < 0n ? "-" : ""}${absolute / NANO}${fraction && `.${fraction}`}`;
}
