/**
 * Reads a tar archive as its bytes arrive, in pieces of any size, and holds none of it back: a machine whose states are
 * the kinds of block that can come next. Dialects: v7, ustar, pax, GNU (long names, base-256, sparse 0.0 to 1.0 and old).
 * Global pax headers are skipped, as Docker does; what follows the two empty blocks at the end is not looked at.
 */
import { BLOCK, type Entry, type EntryType, type Extent, padding, TarError } from "./entry.ts";
import { type Header, isEmpty, isHeader, moreExtents, parseHeader, quote } from "./header.ts";
import { decodeName } from "./name.ts";
import {
  onlyTime,
  type Pax,
  pairs,
  parsePax,
  paxExtents,
  paxName,
  paxNumber,
  paxTime,
  paxXattrs,
  timeOf,
} from "./pax.ts";

/** Where the members go, in the archive's order. */
export interface TarSink {
  /** A member begins. */
  entry(entry: Entry): void;
  /** Content of the current member; `position` is where it belongs in the file. The bytes are the reader's own. */
  data(bytes: Uint8Array, position: number): void;
  /** The current member is complete. */
  end(): void;
}

export interface TarLimits {
  /** Members of one archive. */
  readonly entries: number;
  /** Bytes of one extended header or long name. */
  readonly extension: number;
}

const LIMITS: TarLimits = { entries: 5_000_000, extension: 1 << 20 };
const NANO = 1_000_000_000n;
const NOTHING = Buffer.alloc(0);

const TYPES: Readonly<Record<string, EntryType>> = {
  "0": "file",
  "7": "file",
  S: "file",
  "1": "link",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "dir",
  D: "dir",
  "6": "fifo",
};

/** What the next bytes are. */
type State = "header" | "extension" | "extents" | "map" | "content" | "padding" | "end";

export class TarReader {
  readonly #sink: TarSink;
  readonly #limits: TarLimits;
  #state: State = "header";
  /** The block that is looked at, or has come in part; and the same as words. */
  readonly #words = new Uint32Array(BLOCK / 4);
  readonly #block = Buffer.from(this.#words.buffer);
  #filled = 0;
  /** Bytes until the state ends, and those to skip after it. */
  #left = 0;
  #pad = 0;
  #offset = 0;
  #entries = 0;
  #emptyBlocks = 0;

  // What extended headers said about the next member. Mostly it is a time and nothing else, which needs no map.
  #pax: Pax = new Map();
  #time: Buffer | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #extensionFlag = "";
  #extension = NOTHING;

  // The current member.
  #header: Header | undefined;
  /** Bytes of its content in the archive. */
  #stored = 0;
  #name = "";
  #extents: Extent[] | undefined;
  #extent = 0;
  #position = 0;
  #mapText = "";

  constructor(sink: TarSink, limits: Partial<TarLimits> = {}) {
    this.#sink = sink;
    this.#limits = { ...LIMITS, ...limits };
  }

  /** Members so far. */
  get entries(): number {
    return this.#entries;
  }

  /** Bytes of the archive so far. */
  get offset(): number {
    return this.#offset + this.#filled;
  }

  /** Bytes of content that come next, and that a caller who does not want them may `skip`. */
  get skippable(): number {
    return this.#state === "content" ? this.#left : 0;
  }

  /** As if so many bytes of content had been pushed; the sink does not see them. */
  skip(length: number): void {
    if (this.#state !== "content") return;
    this.#left -= length;
    this.#offset += length;
    if (this.#left === 0) this.#finishMember();
  }

  /** Whether the archive's end was seen; more bytes are then ignored. */
  get ended(): boolean {
    return this.#state === "end";
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case "end":
          return;
        case "content": {
          const length = Math.min(this.#left, chunk.length - at);
          this.#content(chunk.subarray(at, at + length));
          at += length;
          break;
        }
        case "padding": {
          const length = Math.min(this.#pad, chunk.length - at);
          this.#pad -= length;
          this.#offset += length;
          at += length;
          if (this.#pad === 0) this.#state = "header";
          break;
        }
        case "extension": {
          const length = Math.min(this.#left, chunk.length - at);
          this.#extension.set(chunk.subarray(at, at + length), this.#extension.length - this.#left);
          this.#left -= length;
          this.#offset += length;
          at += length;
          if (this.#left === 0) this.#extended();
          break;
        }
        default: {
          if (this.#filled === 0 && chunk.length - at >= BLOCK) {
            this.#block.set(chunk.subarray(at, at + BLOCK));
            this.#whole();
            at += BLOCK;
            break;
          }
          const length = Math.min(BLOCK - this.#filled, chunk.length - at);
          this.#block.set(chunk.subarray(at, at + length), this.#filled);
          this.#filled += length;
          at += length;
          if (this.#filled === BLOCK) {
            this.#filled = 0;
            this.#whole();
          }
        }
      }
    }
  }

  /** The input is over: an archive may lack its closing blocks, but no part of a member. */
  finish(): void {
    if (this.#state === "end") return;
    // Some writers leave out the last member's padding; but what was said of a member asks for that member.
    const promised =
      this.#pax.size > 0 ||
      this.#time !== undefined ||
      this.#longName !== undefined ||
      this.#longLink !== undefined;
    if (promised || this.#filled > 0 || (this.#state !== "header" && this.#state !== "padding")) {
      const where = this.#name ? ` in the middle of ${quote(this.#name)}` : " in the middle of a header";
      throw new TarError(
        `the archive is truncated: it ends after ${this.#offset + this.#filled} bytes,${where}`,
      );
    }
    this.#state = "end";
  }

  #whole(): void {
    const block = this.#block;
    const at = this.#offset;
    this.#offset += BLOCK;
    if (this.#state === "extents") this.#moreExtents(block);
    else if (this.#state === "map") this.#sparseMap(block);
    else if (isEmpty(block)) {
      if (++this.#emptyBlocks === 2) this.#state = "end";
    } else {
      if (!isHeader(block, this.#words))
        throw new TarError(
          at === 0 ? "this is not a tar archive" : `the archive is damaged: no tar header at byte ${at}`,
        );
      this.#emptyBlocks = 0;
      this.#start(parseHeader(block));
    }
  }

  #start(header: Header): void {
    switch (header.flag) {
      case "x":
      case "X":
      case "g":
      case "L":
      case "K":
        if (header.size > this.#limits.extension)
          throw new TarError(
            `an extended header has ${header.size} bytes, more than the limit of ${this.#limits.extension}`,
          );
        this.#extensionFlag = header.flag;
        this.#extension = Buffer.alloc(header.size);
        this.#left = header.size;
        this.#pad = padding(header.size);
        this.#state = "extension";
        if (header.size === 0) this.#extended();
        return;
      case "V":
        // A volume's label: it names the archive, not a member.
        this.#left = header.size;
        this.#header = undefined;
        this.#extents = undefined;
        this.#begin(header.size);
        return;
      case "M":
        throw new TarError(
          `${quote(header.name)} goes on from another volume: multi-volume archives cannot be read`,
        );
    }
    this.#member(header);
  }

  #extended(): void {
    const bytes = this.#extension;
    if (this.#extensionFlag === "x" || this.#extensionFlag === "X") {
      const time = this.#pax.size === 0 ? onlyTime(bytes) : undefined;
      if (!time && this.#time) this.#pax.set("mtime", this.#time);
      this.#time = time;
      if (!time) parsePax(bytes, this.#pax);
    } else if (this.#extensionFlag !== "g") {
      const nul = bytes.indexOf(0);
      const text = decodeName(nul < 0 ? bytes : bytes.subarray(0, nul));
      if (this.#extensionFlag === "L") this.#longName = text;
      else this.#longLink = text;
    }
    this.#extension = Buffer.alloc(0);
    this.#state = this.#pad > 0 ? "padding" : "header";
  }

  #member(header: Header): void {
    if (++this.#entries > this.#limits.entries)
      throw new TarError(`the archive has more than ${this.#limits.entries} members, which is the limit`);
    const pax = this.#pax;
    this.#name = (pax.size === 0 ? undefined : paxName(pax, "path")) ?? this.#longName ?? header.name;
    this.#stored = pax.size === 0 ? header.size : (paxNumber(pax, "size") ?? header.size);
    this.#header = header;
    this.#extents = undefined;
    this.#extent = 0;
    this.#position = 0;
    const kind = TYPES[header.flag];
    if (kind === undefined)
      throw new TarError(`${quote(this.#name)} is of type ${quote(header.flag)}, which is not known`);
    if (kind !== "file") {
      this.#emit(0);
      return;
    }
    if (header.sparse) {
      this.#extents = header.sparse.extents;
      if (header.sparse.more) this.#state = "extents";
      else this.#emit(header.sparse.size);
      return;
    }
    if (pax.size === 0) {
      this.#emit(this.#stored);
      return;
    }
    const major = paxNumber(pax, "GNU.sparse.major") ?? 0;
    const real = paxNumber(pax, "GNU.sparse.realsize") ?? paxNumber(pax, "GNU.sparse.size");
    this.#name = paxName(pax, "GNU.sparse.name") ?? this.#name;
    if (major === 1) {
      this.#mapText = "";
      this.#state = "map";
      return;
    }
    const map = pax.get("GNU.sparse.map");
    if (map) this.#extents = paxExtents(map);
    this.#emit(map ? (real ?? 0) : this.#stored);
  }

  /** Further extents of GNU's old sparse format stand in blocks before the content. */
  #moreExtents(block: Uint8Array): void {
    const extents = this.#extents ?? [];
    if (extents.length > 1 << 20) throw new TarError(`${quote(this.#name)} has too many sparse extents`);
    if (!moreExtents(block, extents)) this.#emit(this.#header?.sparse?.size ?? 0);
  }

  /** GNU sparse 1.0: the content begins with a list of decimal lines, filled up to whole blocks. */
  #sparseMap(block: Uint8Array): void {
    const header = this.#header;
    if (!header) return;
    this.#mapText += String.fromCharCode(...block);
    if (this.#mapText.length > this.#stored || this.#mapText.length > 1 << 24)
      throw new TarError(`${quote(this.#name)} has a sparse map that is too long`);
    const lines = this.#mapText.split("\n");
    const count = Number(lines[0]);
    if (lines.length < 2) return;
    if (!Number.isSafeInteger(count) || count < 0) throw new TarError("a sparse map has no length");
    if (lines.length < 2 * count + 2) return;
    this.#extents = pairs(lines.slice(1, 2 * count + 1));
    this.#stored -= this.#mapText.length;
    this.#mapText = "";
    this.#emit(paxNumber(this.#pax, "GNU.sparse.realsize") ?? 0);
  }

  /** The member is known: hands it on and goes to its content. */
  #emit(size: number): void {
    const header = this.#header;
    if (!header) return;
    const pax = this.#pax;
    const name = this.#name;
    if (name === "") throw new TarError("a member has no name");
    if (name.includes("\0")) throw new TarError(`${quote(name)} contains a NUL`);
    // v7 has no flag for folders: a slash at the end tells.
    const kind = TYPES[header.flag] ?? "file";
    const type = kind === "file" && name.endsWith("/") && !this.#extents ? "dir" : kind;
    const extents = this.#extents;
    if (extents) checkExtents(name, extents, size, this.#stored);
    const link = type === "link" || type === "symlink";
    const { mode, uid, gid, major, minor } = header;
    const time = this.#time ? timeOf(this.#time, "mtime") : BigInt(header.mtime) * NANO;
    const bytes = type === "file" ? size : 0;
    if (pax.size === 0 && !extents) {
      const target = link ? (this.#longLink ?? header.link) : "";
      this.#sink.entry({ name, type, size: bytes, mode, uid, gid, mtime: time, link: target, major, minor });
    } else {
      const xattrs = paxXattrs(pax);
      this.#sink.entry({
        name,
        type,
        size: bytes,
        mode,
        uid: paxNumber(pax, "uid") ?? uid,
        gid: paxNumber(pax, "gid") ?? gid,
        mtime: paxTime(pax, "mtime") ?? time,
        link: link ? (paxName(pax, "linkpath") ?? this.#longLink ?? header.link) : "",
        major: paxNumber(pax, "SCHILY.devmajor") ?? major,
        minor: paxNumber(pax, "SCHILY.devminor") ?? minor,
        ...(xattrs && { xattrs }),
        ...(extents && { sparse: extents }),
      });
    }
    this.#time = undefined;
    if (pax.size > 0) this.#pax = new Map();
    this.#longName = undefined;
    this.#longLink = undefined;
    // Only files have content; a size in the header of anything else means nothing (but a dumpdir's, which is skipped).
    if (kind !== "file" && header.flag !== "D") this.#begin(0);
    else this.#begin(this.#stored);
  }

  #begin(length: number): void {
    this.#left = length;
    this.#pad = padding(length);
    this.#state = "content";
    if (length === 0) this.#finishMember();
  }

  #content(bytes: Uint8Array): void {
    this.#left -= bytes.length;
    this.#offset += bytes.length;
    const flag = this.#header?.flag;
    if (this.#header && flag !== "D") {
      if (this.#extents) this.#sparseContent(bytes, this.#extents);
      else {
        this.#sink.data(bytes, this.#position);
        this.#position += bytes.length;
      }
    }
    if (this.#left === 0) this.#finishMember();
  }

  #sparseContent(bytes: Uint8Array, extents: Extent[]): void {
    for (let at = 0; at < bytes.length; ) {
      const extent = extents[this.#extent];
      if (!extent) return;
      const length = Math.min(extent.length - this.#position, bytes.length - at);
      if (length > 0) this.#sink.data(bytes.subarray(at, at + length), extent.offset + this.#position);
      at += length;
      this.#position += length;
      if (this.#position === extent.length) {
        this.#extent++;
        this.#position = 0;
      }
    }
  }

  #finishMember(): void {
    if (this.#header) this.#sink.end();
    this.#header = undefined;
    this.#name = "";
    this.#state = this.#pad > 0 ? "padding" : "header";
  }
}

function checkExtents(name: string, extents: readonly Extent[], size: number, stored: number): void {
  let end = 0;
  let total = 0;
  for (const { offset, length } of extents) {
    if (offset < end || offset + length > size) throw new TarError(`${quote(name)} has a wrong sparse map`);
    end = offset + length;
    total += length;
  }
  if (total !== stored) throw new TarError(`${quote(name)} has a wrong sparse map`);
}

/** Reads a whole archive that is in memory: small ones, and tests. */
export function readTar(
  bytes: Uint8Array,
  limits?: Partial<TarLimits>,
): { entry: Entry; content: Uint8Array }[] {
  const members: { entry: Entry; content: Uint8Array }[] = [];
  let entry: Entry | undefined;
  let content = new Uint8Array();
  const reader = new TarReader(
    {
      entry(next) {
        entry = next;
        content = new Uint8Array(next.type === "file" ? next.size : 0);
      },
      data: (piece, position) => content.set(piece, position),
      end() {
        if (entry) members.push({ entry, content });
      },
    },
    limits,
  );
  reader.push(bytes);
  reader.finish();
  return members;
}
