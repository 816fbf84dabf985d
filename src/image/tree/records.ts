/**
 * What the launcher's `put` takes (put.c): members as records, in the order of an archive and without its blocks. They go where
 * both sides are this program's own; what comes from or goes to anybody else is an archive.
 */
import * as sys from "../sys.ts";
import { S_IF, SysError } from "../sys.ts";
import { BLOCK, type EntryType, padding } from "../tar/entry.ts";
import { encodeName } from "../tar/name.ts";
import { split } from "../unpack/folders.ts";
import type { About, Form, Xattrs } from "./form.ts";
import { Pieces } from "./pieces.ts";

// The records of put.c.
const OP = {
  start: 0,
  parent: 1,
  data: 2,
  xattr: 3,
  done: 4,
  file: 5,
  dir: 6,
  symlink: 7,
  link: 8,
  node: 9,
  again: 10,
} as const;
const INSIDE = 1;
const OWNERS = 2;
const HEAD = 40;
/** A piece holds the largest record, and thousands of usual ones: whoever takes it works while the next one is filled. */
const PIECE = 128 << 10;
const PATH_MAX = 4096;
/** The kernel takes no larger one. */
const XATTR_MOST = 65536;

/** Times are told in one number here. */
type Described = Omit<About, "seconds" | "nanos">;
/** What a record says of a member beside its name. */
type Said = Pick<About, "mode" | "uid" | "gid" | "mtime">;
const NOTHING: Said = { mode: 0, uid: 0, gid: 0, mtime: 0n };

/** A folder's own metadata, which what is put into it would change. */
interface Late {
  readonly parent: string;
  readonly name: string;
  readonly said: Said;
  readonly xattrs: Xattrs | undefined;
}

/** The first record: where things are put and how. It is the one that puts who says so, never the one that packs. */
export interface Start {
  /** The folder to put things into, seen from the root; "" is the root. */
  readonly at: string;
  /** Links lead where they lead inside of the root; otherwise none is followed. */
  readonly linksInside: boolean;
  readonly owner: Owner;
}

/** Who owns what is made. `archive`: whom the archive names, as far as the caller may say so. */
export type Owner = "archive" | { readonly uid: number; readonly gid: number };

export function startRecord({ at, linksInside, owner }: Start): Uint8Array {
  const records = new Records();
  records.start(at, (linksInside ? INSIDE : 0) | (owner === "archive" ? OWNERS : 0), owner);
  const [record = new Uint8Array()] = records.out.full();
  return record;
}

export interface RecordsOptions {
  /** What is said of the folder itself (`./`) is what it becomes. */
  readonly whole?: boolean;
}

export class Records implements Form {
  readonly out = new Pieces(true, PIECE);
  readonly front = HEAD;
  /** Bytes of an archive of the same, for whoever counts in those. */
  archived = 2 * BLOCK;
  readonly #whole: boolean;
  readonly #late: Late[] = [];
  /** The parent of the member before, and the same as it was written. */
  #parent: string | undefined;
  #listed: string | undefined;
  #xattrs: Xattrs | undefined;
  // The present piece in words; made anew for each.
  #bytes: Uint8Array | undefined;
  #words: Uint32Array = new Uint32Array();
  #longs: BigInt64Array = new BigInt64Array();

  constructor({ whole = false }: RecordsOptions = {}) {
    this.#whole = whole;
  }

  member(name: string, type: EntryType, about: Described, link: string, xattrs: Xattrs | undefined): void {
    this.archived += BLOCK + (type === "file" ? about.size + padding(about.size) : 0);
    const slash = name.lastIndexOf("/");
    const last = name.slice(slash + 1);
    const listed = slash > 0 && isOwnName(last) ? name.slice(0, slash) : undefined;
    // Members of one folder mostly follow each other.
    if (listed !== undefined && listed === this.#listed) {
      this.#member(last, type, about, link, xattrs);
      return;
    }
    const components = split(name);
    const own = components.pop();
    if (own === undefined) {
      // Otherwise the folder that everything is put into stays what it is.
      if (this.#whole && type === "dir") this.#late.unshift({ parent: "", name: ".", said: about, xattrs });
      return;
    }
    this.#enter(components.join("/"));
    this.#listed = listed;
    this.#member(own, type, about, link, xattrs);
  }

  #enter(parent: string): void {
    if (parent !== this.#parent) this.#record(OP.parent, NOTHING, 0, parent);
    this.#parent = parent;
  }

  #member(name: string, type: EntryType, about: Described, link: string, xattrs: Xattrs | undefined): void {
    switch (type) {
      case "file":
        this.#record(OP.file, about, about.size, name);
        this.#xattrs = xattrs;
        return;
      case "dir":
        this.#record(OP.dir, about, 0, name);
        this.#late.push({ parent: this.#parent ?? "", name, said: about, xattrs });
        return;
      case "symlink":
        this.#record(OP.symlink, about, 0, name, link);
        return;
      case "link":
        this.#record(OP.link, about, 0, name, split(link).join("/"));
        return;
      default: {
        const kind = type === "fifo" ? S_IF.fifo : type === "char" ? S_IF.char : S_IF.block;
        const { uid, gid, mtime } = about;
        const device = type === "fifo" ? 0 : Number(sys.makedev(about.major, about.minor));
        this.#record(OP.node, { mode: kind | (about.mode & 0o7777), uid, gid, mtime }, device, name);
      }
    }
  }

  // ---- a file's content

  holds(size: number): boolean {
    const bytes = HEAD + aligned(size);
    if (bytes >= PIECE) return false;
    this.#free(bytes);
    return true;
  }

  room(): number {
    this.#free(2 * HEAD);
    return this.out.free - HEAD;
  }

  content(count: number, position: number): void {
    this.#head(OP.data, count, 0, NOTHING, position);
    this.out.added(HEAD + aligned(count));
  }

  /** What is not written is a hole there, too. */
  hole(count: number): number {
    return count;
  }

  /** Content that is in memory. */
  data(bytes: Uint8Array, position: number): void {
    this.#free(HEAD + aligned(bytes.length));
    this.out.buffer.set(bytes, this.out.filled + HEAD);
    this.content(bytes.length, position);
  }

  /** Content that the caller sends itself, after all that is here: a multiple of 8 bytes. */
  announce(count: number, position: number): void {
    this.#free(HEAD);
    this.#head(OP.data, count, 0, NOTHING, position);
    this.out.added(HEAD);
    this.out.end();
  }

  endFile(): void {
    if (this.#xattrs) this.#attributes(this.#xattrs);
    this.#xattrs = undefined;
  }

  #attributes(xattrs: Xattrs): void {
    for (const [key, value] of xattrs) {
      if (/^(?:trusted|user)\.overlay\./.test(key) || key === "security.selinux") continue;
      if (value.length > XATTR_MOST) throw new SysError("setxattr", "E2BIG", key);
      this.#free(HEAD + PATH_MAX + XATTR_MOST);
      const length = this.#text(this.out.filled + HEAD, key);
      this.out.buffer.set(value, this.out.filled + HEAD + length);
      this.#head(OP.xattr, length + value.length, length, NOTHING, 0);
      this.out.added(HEAD + aligned(length + value.length));
    }
  }

  start(at: string, mode: number, owner: Owner): void {
    this.#record(OP.start, { ...NOTHING, ...(owner !== "archive" && owner), mode }, 0, at);
    this.out.end();
  }

  /** The folders' own metadata, the deepest first. */
  end(): void {
    for (const { parent, name, said, xattrs } of this.#late.reverse()) {
      this.#enter(parent);
      this.#record(OP.again, said, 0, name);
      if (xattrs) this.#attributes(xattrs);
    }
    this.#record(OP.done, NOTHING, 0, "");
    this.out.end();
  }

  // ---- records

  /** A record of one or two texts, each with its NUL. */
  #record(op: number, said: Said, size: number, first: string, second?: string): void {
    this.#free(HEAD + 2 * PATH_MAX);
    const at = this.out.filled + HEAD;
    const one = this.#text(at, first);
    const two = second === undefined ? 0 : this.#text(at + one, second);
    this.#head(op, one + two, one, said, size);
    this.out.added(HEAD + aligned(one + two));
  }

  #text(at: number, text: string): number {
    const buffer = this.out.buffer as Buffer;
    // Three bytes a character is the most that UTF-8 needs.
    if (text.length * 3 < PATH_MAX && text.isWellFormed()) {
      const length = buffer.write(text, at, "utf8");
      buffer[at + length] = 0;
      return length + 1;
    }
    const bytes = encodeName(text);
    if (bytes.length >= PATH_MAX) throw new SysError("open", "ENAMETOOLONG", text);
    buffer.set(bytes, at);
    buffer[at + bytes.length] = 0;
    return bytes.length + 1;
  }

  #head(op: number, length: number, first: number, { mode, uid, gid, mtime }: Said, size: number): void {
    const at = this.out.filled;
    if (this.#bytes !== this.out.buffer) {
      this.#bytes = this.out.buffer;
      this.#words = new Uint32Array(this.#bytes.buffer);
      this.#longs = new BigInt64Array(this.#bytes.buffer);
    }
    const words = this.#words;
    const word = at >> 2;
    words[word] = op;
    words[word + 1] = length;
    words[word + 2] = op === OP.node ? mode : mode & 0o7777;
    words[word + 3] = first;
    words[word + 4] = uid;
    words[word + 5] = gid;
    this.#longs[(at >> 3) + 3] = mtime;
    words[word + 8] = size;
    words[word + 9] = size / 2 ** 32;
  }

  /** So many bytes are free in one piece. */
  #free(bytes: number): void {
    if (this.out.free < bytes) this.out.end();
  }
}

/** Whether a name is one, and not a way of writing a folder. */
const isOwnName = (name: string): boolean => name !== "" && name !== "." && name !== "..";
const aligned = (length: number): number => (length + 7) & ~7;
