/**
 * Puts the members of an archive into a folder that exists already, by the rules of `docker cp`: folders are merged and get
 * the archive's mode and time, everything else takes the place of what was there, and neither kind takes the other's. What
 * is to be made is told to the launcher (put.c), which makes it while the next piece of the archive is read here.
 */
import { writeSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import { errnoName } from "../../kernel/errno.ts";
import * as sys from "../sys.ts";
import { S_IF, SysError } from "../sys.ts";
import { type Entry, TarError } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import { encodeName } from "../tar/name.ts";
import type { TarSink } from "../tar/reader.ts";
import { split } from "../unpack/folders.ts";

export interface PutOptions {
  /** The launcher's path. */
  readonly launcher: string;
  /** Beneath what nothing leads out: an open folder. */
  readonly root: number;
  /** The folder to put things into, seen from the root. */
  readonly at: string;
  /** The folder's name in errors. */
  readonly shown: string;
  /** In a container links lead where they lead inside; into a folder of the caller's none is followed at all. */
  readonly links: "inside" | "refused";
  /** Who owns what is made. `archive`: whom the archive names, as far as the caller may say so. */
  readonly owner: "archive" | { readonly uid: number; readonly gid: number };
  /** What the archive says of its own folder (`./`) is what the folder becomes. */
  readonly whole?: boolean;
}

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
/** What is smaller goes through the buffer together with its record, of what is larger only the record. */
const SMALL = 16 << 10;
const BUFFER = 256 << 10;
const PATH_MAX = 4096;
/** The kernel takes no larger one. */
const XATTR_MOST = 65536;
/** Bytes of a pipe: enough for both sides to work at once. */
const PIPE = 1 << 20;

/** Whether a name is one, and not a way of writing a folder. */
const isOwnName = (name: string): boolean => name !== "" && name !== "." && name !== "..";

/** A folder's own metadata, which what is put into it would change. */
interface Late {
  readonly parent: string;
  readonly name: string;
  readonly entry: Entry;
}

/** What a record says of a member beside its name. */
type Said = Pick<Entry, "mode" | "uid" | "gid" | "mtime">;
const NOTHING: Said = { mode: 0, uid: 0, gid: 0, mtime: 0n };

/** What put.c has to say where it could not do something. `why`: what the errno alone does not say; of a `target`, `call` is its name. */
interface Refusal {
  readonly why: "" | "parent" | "target" | "folder" | "file" | "device";
  readonly call: string;
  readonly errno: number;
  readonly path: string;
}

export class TreeFolder implements TarSink {
  readonly #options: PutOptions;
  readonly #late: Late[] = [];
  /** The parent of the member before, and the same as the archive writes it. */
  #parent: string | undefined;
  #listed: string | undefined;
  /** The file whose content comes. */
  #file: Entry | undefined;

  readonly #child: ReturnType<typeof Bun.spawn>;
  readonly #answer: Promise<string>;
  #pipe: number;

  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);
  readonly #words = new Uint32Array(this.#buffer.buffer);
  readonly #longs = new BigInt64Array(this.#buffer.buffer);
  /** Always a multiple of 8, as records are. */
  #filled = 0;

  constructor(options: PutOptions) {
    const { launcher, root, at, links, owner } = options;
    this.#options = options;
    const { read, write } = sys.pipe({ blocking: true });
    sys.widenPipe(write, PIPE);
    this.#pipe = write;
    this.#child = Bun.spawn([launcher, "put"], { stdio: [read, "pipe", "inherit", root], cwd: "/", env: {} });
    sys.close(read);
    this.#answer = new Response(this.#child.stdout as ReadableStream).text();
    const mode = (links === "inside" ? INSIDE : 0) | (owner === "archive" ? OWNERS : 0);
    const who = owner === "archive" ? {} : owner;
    this.#record(OP.start, { ...NOTHING, ...who, mode }, 0, at === "." ? "" : at);
  }

  entry(entry: Entry): void {
    const slash = entry.name.lastIndexOf("/");
    const last = entry.name.slice(slash + 1);
    const listed = slash > 0 && isOwnName(last) ? entry.name.slice(0, slash) : undefined;
    // Members of one folder mostly follow each other.
    if (listed !== undefined && listed === this.#listed) {
      this.#member(last, entry);
      return;
    }
    const components = split(entry.name);
    const name = components.pop();
    if (name === undefined) {
      // Otherwise the folder that everything is put into stays what it is.
      if (this.#options.whole && entry.type === "dir") this.#late.unshift({ parent: "", name: ".", entry });
      return;
    }
    this.#enter(components.join("/"));
    this.#listed = listed;
    this.#member(name, entry);
  }

  #enter(parent: string): void {
    if (parent !== this.#parent) this.#record(OP.parent, NOTHING, 0, parent);
    this.#parent = parent;
  }

  #member(name: string, entry: Entry): void {
    switch (entry.type) {
      case "file":
        this.#record(OP.file, entry, entry.size, name);
        this.#file = entry;
        return;
      case "dir":
        this.#record(OP.dir, entry, 0, name);
        this.#late.push({ parent: this.#parent ?? "", name, entry });
        return;
      case "symlink":
        this.#record(OP.symlink, entry, 0, name, entry.link);
        return;
      case "link":
        this.#record(OP.link, entry, 0, name, split(entry.link).join("/"));
        return;
      default: {
        const type = entry.type === "fifo" ? S_IF.fifo : entry.type === "char" ? S_IF.char : S_IF.block;
        const device = Number(sys.makedev(entry.major, entry.minor));
        this.#record(OP.node, { ...entry, mode: type | entry.mode }, device, name);
      }
    }
  }

  data(bytes: Uint8Array, position: number): void {
    if (!this.#file) return;
    if (bytes.length <= SMALL) {
      this.#small(bytes, position);
      return;
    }
    // The tail goes the other way, so that what follows is aligned.
    const whole = bytes.length & ~7;
    const at = this.#room(HEAD);
    this.#head(at, OP.data, whole, 0, NOTHING, position);
    this.#filled = at + HEAD;
    this.#flush();
    this.#write(bytes.subarray(0, whole));
    if (whole < bytes.length) this.#small(bytes.subarray(whole), position + whole);
  }

  #small(bytes: Uint8Array, position: number): void {
    const at = this.#room(HEAD + aligned(bytes.length));
    this.#head(at, OP.data, bytes.length, 0, NOTHING, position);
    this.#buffer.set(bytes, at + HEAD);
    this.#filled = at + HEAD + aligned(bytes.length);
  }

  end(): void {
    if (this.#file?.xattrs) this.#xattrs(this.#file);
    this.#file = undefined;
  }

  #xattrs({ name, xattrs }: Entry): void {
    for (const [key, value] of xattrs ?? []) {
      if (/^(?:trusted|user)\.overlay\./.test(key) || key === "security.selinux") continue;
      if (value.length > XATTR_MOST) throw new SysError("setxattr", "E2BIG", name);
      const length = this.#begin(HEAD + PATH_MAX + XATTR_MOST, key);
      this.#buffer.set(value, this.#filled + HEAD + length);
      this.#head(this.#filled, OP.xattr, length + value.length, length, NOTHING, 0);
      this.#filled += HEAD + aligned(length + value.length);
    }
  }

  /** Everything has come: the folders' own metadata, the deepest first. Resolves when all of it is made. */
  async finish(): Promise<void> {
    for (const { parent, name, entry } of this.#late.reverse()) {
      this.#enter(parent);
      this.#record(OP.again, entry, 0, name);
      this.#xattrs(entry);
    }
    this.#record(OP.done, NOTHING, 0, "");
    this.#flush();
    const refusal = await this.#ended();
    if (refusal) throw refusal;
  }

  /** Of an archive that could not be put to its end: nobody writes any more when the reason is known. */
  async reason(error: unknown): Promise<unknown> {
    const refusal = await this.#ended();
    const unheard = (error as { code?: string }).code === "EPIPE";
    return unheard || !(refusal instanceof Vanished) ? (refusal ?? error) : error;
  }

  // ---- what was refused

  async #ended(): Promise<Error | undefined> {
    if (this.#pipe >= 0) sys.close(this.#pipe);
    this.#pipe = -1;
    const answer = await this.#answer;
    await this.#child.exited;
    if (answer === "") {
      const how = this.#child.signalCode ?? `exit ${this.#child.exitCode}`;
      return new Vanished(
        "system",
        `the process that makes the files ended before its work was done: ${how}`,
      );
    }
    const { why, call, errno, path } = JSON.parse(answer) as Partial<Refusal>;
    if (errno === undefined) return undefined;
    return this.#refused({ why: why ?? "", call: call ?? "", errno, path: path ?? "" });
  }

  #refused({ why, call, errno, path }: Refusal): Error {
    const { shown } = this.#options;
    const full = JSON.stringify(`${shown.replace(/\/$/, "")}/${path}`);
    const folder = JSON.stringify(shown);
    if (why === "folder")
      return new TarError(`cannot overwrite directory ${full} with non-directory ${folder}`);
    if (why === "file")
      return new TarError(`cannot overwrite non-directory ${full} with directory ${folder}`);
    if (why === "target")
      return new TarError(`${quote(path)} is a hard link to ${quote(call)}, which is not there`);
    if (why === "device")
      return new TarError(`${quote(path)} is a device, which only the machine's own root may make`);
    const name = errnoName(errno);
    if (why === "parent" && name === "ELOOP")
      return new TarError(`${quote(path)} leads through a symlink, which is not followed here`);
    return new SysError(call, name, path);
  }

  // ---- records

  /** A record of one or two texts, each with its NUL. */
  #record(op: number, said: Said, size: number, first: string, second?: string): void {
    const one = this.#begin(HEAD + 2 * PATH_MAX, first);
    const two = second === undefined ? 0 : this.#put(this.#filled + HEAD + one, second);
    this.#head(this.#filled, op, one + two, one, said, size);
    this.#filled += HEAD + aligned(one + two);
  }

  /** Puts the first text where it belongs, in front of what may follow; gives its length. */
  #begin(most: number, text: string): number {
    return this.#put(this.#room(most) + HEAD, text);
  }

  #put(at: number, text: string): number {
    // Three bytes a character is the most that UTF-8 needs.
    if (text.length * 3 < PATH_MAX && text.isWellFormed()) {
      const length = this.#buffer.write(text, at, "utf8");
      this.#buffer[at + length] = 0;
      return length + 1;
    }
    const bytes = encodeName(text);
    if (bytes.length >= PATH_MAX) throw new SysError("open", "ENAMETOOLONG", text);
    this.#buffer.set(bytes, at);
    this.#buffer[at + bytes.length] = 0;
    return bytes.length + 1;
  }

  #head(at: number, op: number, length: number, first: number, said: Said, size: number): void {
    const words = this.#words;
    const word = at >> 2;
    words[word] = op;
    words[word + 1] = length;
    words[word + 2] = said.mode;
    words[word + 3] = first;
    words[word + 4] = said.uid;
    words[word + 5] = said.gid;
    this.#longs[(at >> 3) + 3] = said.mtime;
    words[word + 8] = size;
    words[word + 9] = size / 2 ** 32;
  }

  /** Where so many bytes have room. */
  #room(bytes: number): number {
    if (this.#filled + bytes > BUFFER) this.#flush();
    return this.#filled;
  }

  #flush(): void {
    this.#write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #write(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(writeSync(this.#pipe, rest));
  }
}

/** It has ended and said nothing. */
class Vanished extends SampanError {}

const aligned = (length: number): number => (length + 7) & ~7;
