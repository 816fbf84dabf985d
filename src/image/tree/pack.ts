/**
 * A tree as a tar archive: the same tree gives the same bytes, whoever packs it. Names in order, a folder before what is
 * in it, hard links as links to the first of their names. Headers and small files are put side by side into large pieces,
 * files are read straight into them, so that a file costs its system calls and little else.
 */
import { SampanError } from "../../common/error.ts";
import * as sys from "../sys.ts";
import { S_IF, S_IFMT, type Status, SysError } from "../sys.ts";
import { BLOCK, type EntryType, padding } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import { decodeName } from "../tar/name.ts";
import { MOST, PlainHeaders } from "../tar/plain.ts";
import { entryOf, header } from "../tar/writer.ts";
import { type Folder, type Found, isDir } from "./folder.ts";
import { UpperFolder } from "./layer.ts";
import { Pieces } from "./pieces.ts";

const TYPES: Readonly<Record<number, EntryType>> = {
  [S_IF.file]: "file",
  [S_IF.dir]: "dir",
  [S_IF.symlink]: "symlink",
  [S_IF.char]: "char",
  [S_IF.block]: "block",
  [S_IF.fifo]: "fifo",
};

/** Filesystems whose files the kernel makes up when they are read: by their magic numbers, linux/magic.h. */
const KERNELS = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x27e0eb, // cgroup
  0x63677270, // cgroup2
  0x1cd1, // devpts
  0x19800202, // mqueue
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0xcafe4a11, // bpf
]);

/** Whether a file's size says nothing of what can be read from it. */
export const isKernels = (fd: number): boolean => KERNELS.has(sys.filesystem(fd));

export interface PackOptions {
  /** Names (without a slash in front) of folders that are shown empty. */
  readonly hidden?: readonly string[];
  /** A piece is its taker's only until that takes the next one. */
  readonly reuse?: boolean;
}

interface Frame {
  readonly folder: Folder;
  /** In front of its names: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly names: readonly string[];
  readonly mount: number;
  at: number;
}

/** A whole archive of what `put` puts into it. */
export function* packed(
  options: PackOptions,
  put: (packer: Packer) => Generator<Uint8Array>,
): Generator<Uint8Array> {
  const packer = new Packer(options);
  yield* put(packer);
  yield* packer.end();
}

/** A file whose header is written, and whose content is to follow. */
interface Opened {
  readonly fd: number;
  readonly name: string;
  readonly size: number;
  /** It takes less of the disk than it has bytes. */
  readonly sparse: boolean;
}

export class Packer {
  readonly #hidden: ReadonlySet<string>;
  /** The first name of each file that has several. */
  readonly #links = new Map<string, string>();
  readonly #out: Pieces;
  readonly #plain = new PlainHeaders();

  constructor({ hidden, reuse = false }: PackOptions) {
    this.#hidden = new Set(hidden);
    this.#out = new Pieces(reuse);
  }

  /** A folder under this name, or with "" only what is in it. The folder is closed. */
  *folder(root: Folder, name: string): Generator<Uint8Array> {
    const stack: Frame[] = [];
    const enter = (folder: Folder, prefix: string, mount: number): void => {
      stack.push({ folder, prefix, names: folder.names(), mount, at: 0 });
    };
    try {
      const status = sys.lstatat(root.fd, "");
      const mount = status?.mount ?? 0;
      if (name !== "" && status) this.#dir(root, name, status);
      enter(root, name === "" ? "" : name.endsWith("/") ? name : `${name}/`, mount);
      for (let top = stack.at(-1); top; top = stack.at(-1)) {
        const child = top.names[top.at++];
        if (child === undefined) {
          top.folder.close();
          stack.pop();
          continue;
        }
        const found = top.folder.look(child);
        const at = top.prefix + child;
        if (found && top.folder instanceof UpperFolder && child.startsWith(".wh.")) throw reserved(at);
        if (!found) continue;
        if (!isDir(found.status)) {
          const opened = this.#member(
            found,
            child,
            at,
            top.folder instanceof UpperFolder ? top.prefix : undefined,
          );
          const pieces = opened ? this.#content(opened) : NOTHING;
          if (pieces !== NOTHING) yield* pieces;
          if (this.#out.waiting) yield* this.#out.full();
          continue;
        }
        const folder = this.#open(top.folder, child);
        if (!folder) continue;
        this.#dir(folder, at, found.status);
        const crosses = found.status.mount !== top.mount && folder.fd >= 0;
        if (this.#hidden.has(at) || (crosses && isKernels(folder.fd))) folder.close();
        else enter(folder, `${at}/`, found.status.mount);
      }
    } finally {
      for (const { folder } of stack) folder.close();
    }
  }

  /** What was a folder a moment ago; undefined: it is none any more. */
  #open(parent: Folder, name: string): Folder | undefined {
    try {
      return parent.open(name);
    } catch (error) {
      if (error instanceof SysError && ["ENOENT", "ENOTDIR", "ELOOP"].includes(error.errno)) return undefined;
      throw error;
    }
  }

  #dir(folder: Folder, name: string, status: Status): void {
    this.#head(name, "dir", status, folder.fd);
    if (folder instanceof UpperFolder && folder.opaque)
      this.#out.put(header(entryOf({ name: `${name}/.wh..wh..opq`, type: "file" })));
  }

  /** Anything but a folder: `base` in the open folder where it was found, under this name. */
  *file(found: Found, base: string, name: string): Generator<Uint8Array> {
    const opened = this.#member(found, base, name);
    if (opened) yield* this.#content(opened);
  }

  /**
   * All of a member but a file's content. `whiteouts`: a device 0:0 is what a layer hides, and this is the prefix of its
   * name.
   */
  #member({ dir, status }: Found, base: string, name: string, whiteouts?: string): Opened | undefined {
    if (whiteouts !== undefined && sys.isWhiteout(status)) {
      this.#out.put(header(entryOf({ name: `${whiteouts}.wh.${base}`, type: "file" })));
      return undefined;
    }
    const type = TYPES[status.mode & S_IFMT];
    // A socket is nothing without the process that listens on it.
    if (type === undefined) return undefined;
    const first = status.identity === "" ? undefined : this.#links.get(status.identity);
    if (first !== undefined) {
      this.#head(name, "link", status, -1, first);
      return undefined;
    }
    const opened = type === "file" ? open(dir, base) : undefined;
    // Something else by now, or nothing.
    if (type === "file" && !opened) return undefined;
    if (status.identity !== "") this.#links.set(status.identity, name);
    if (!opened) {
      this.#head(name, type, status, -1, type === "symlink" ? decodeName(sys.readlinkat(dir, base)) : "");
      return undefined;
    }
    this.#head(name, "file", opened.status, opened.fd);
    const { size, blocks } = opened.status;
    return { fd: opened.fd, name, size, sparse: blocks * 512 < size };
  }

  /** Small ones need no generator of their own. */
  #content(opened: Opened): Iterable<Uint8Array> {
    if (opened.size >= this.#out.free) return this.#large(opened);
    try {
      for (let left = opened.size; left > 0; ) left -= this.#read(opened, left);
    } finally {
      sys.close(opened.fd);
    }
    this.#out.zeros(padding(opened.size));
    return NOTHING;
  }

  *#large(opened: Opened): Generator<Uint8Array> {
    try {
      for (let left = opened.size; left > 0; ) {
        // What nobody ever wrote need not be read to be zero.
        const hole = opened.sparse ? sys.holeAt(opened.fd, opened.size - left, left) : 0;
        if (hole > 0) {
          const part = Math.min(hole, this.#out.free);
          this.#out.zeros(part);
          left -= part;
        } else left -= this.#read(opened, left);
        yield* this.#out.full();
      }
    } finally {
      sys.close(opened.fd);
    }
    this.#out.zeros(padding(opened.size));
  }

  #read({ fd, name }: Opened, left: number): number {
    const n = sys.readTo(fd, this.#out.address, Math.min(left, this.#out.free));
    if (n === 0)
      throw new SampanError("conflict", `${quote(name)} became shorter while it was read`, {
        hint: "Something writes to it: try again, or pause the container meanwhile.",
      });
    this.#out.added(n);
    return n;
  }

  #head(name: string, type: EntryType, status: Status, fd: number, link = ""): void {
    const xattrs = fd < 0 ? undefined : xattrsOf(fd, name);
    if (type === "file" && !xattrs && this.#file(name, status)) return;
    const device = type === "char" || type === "block";
    this.#out.put(
      header({
        name,
        type,
        size: type === "file" ? status.size : 0,
        mode: status.mode & 0o7777,
        uid: status.uid,
        gid: status.gid,
        mtime: status.mtime,
        link,
        major: device ? status.major : 0,
        minor: device ? status.minor : 0,
        ...(xattrs && { xattrs }),
      }),
    );
  }

  /** The headers of a file without attributes, if they are plain. */
  #file(name: string, { mode, uid, gid, size, seconds, nanos }: Status): boolean {
    return this.#out.place(MOST, (into, at) =>
      this.#plain.write(into, at, name, mode & 0o7777, uid, gid, size, seconds, nanos),
    );
  }

  /** The archive's end, and what is left of the pieces. */
  *end(): Generator<Uint8Array> {
    this.#out.zeros(2 * BLOCK);
    this.#out.end();
    yield* this.#out.full();
  }
}

const NOTHING: readonly Uint8Array[] = [];

function open(dir: number, name: string): ReturnType<typeof sys.openFile> {
  try {
    return sys.openFile(dir, name);
  } catch (error) {
    if (error instanceof SysError && error.errno === "ENOENT") return undefined;
    throw error;
  }
}

const reserved = (name: string): SampanError =>
  new SampanError(
    "invalid",
    `${quote(name)} cannot be in a layer: a name that begins with .wh. says that something is gone`,
    {
      hint: "Rename it, or take the files out with cp.",
    },
  );

/** Those that belong to the file: not overlayfs's own, and not the host's labels. */
function xattrsOf(fd: number, name: string): Map<string, Uint8Array> | undefined {
  const keys = sys.flistxattr(fd);
  if (keys.length === 0) return undefined;
  let found: Map<string, Uint8Array> | undefined;
  for (const key of keys) {
    if (key === "trusted.overlay.metacopy" || key === "user.overlay.metacopy")
      throw new SampanError("refused", `${quote(name)} was changed by an overlay with metacopy`);
    if (/^(?:trusted|user)\.overlay\./.test(key) || key === "security.selinux") continue;
    const value = sys.fgetxattr(fd, key);
    if (value) (found ??= new Map()).set(key, value);
  }
  return found;
}
