/**
 * A tree as an archive, or as what the launcher puts: the same tree gives the same bytes, whoever packs it. Names in order, a
 * folder before what is in it, hard links as links to the first of their names. Headers and small files are put side by side
 * into large pieces, files are read straight into them, so that a file costs its system calls and little else.
 */
import { SampanError } from "../../common/error.ts";
import * as sys from "../sys.ts";
import { S_IF, S_IFMT, type Status, SysError } from "../sys.ts";
import type { EntryType } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import { decodeName } from "../tar/name.ts";
import { type Folder, type Found, isDir } from "./folder.ts";
import { type About, Archive, type Form, type Xattrs } from "./form.ts";
import { UpperFolder } from "./layer.ts";
import type { Pieces } from "./pieces.ts";

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
  /** How it is written down; without it as an archive. */
  readonly form?: Form;
}

interface Frame {
  readonly folder: Folder;
  /** In front of its names: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly names: readonly string[];
  readonly mount: number;
  at: number;
}

/** All that `put` puts into it. */
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

/** The file by which a layer says what it hides. */
const WHITEOUT: About = {
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  seconds: 0,
  nanos: 0,
  mtime: 0n,
  major: 0,
  minor: 0,
};

export class Packer {
  readonly #hidden: ReadonlySet<string>;
  /** The first name of each file that has several. */
  readonly #links = new Map<string, string>();
  readonly #form: Form;
  readonly #out: Pieces;

  constructor({ hidden, form = new Archive() }: PackOptions) {
    this.#hidden = new Set(hidden);
    this.#form = form;
    this.#out = form.out;
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
    if (folder instanceof UpperFolder && folder.opaque) this.#whiteout(`${name}/.wh..wh..opq`);
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
      this.#whiteout(`${whiteouts}.wh.${base}`);
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

  #whiteout(name: string): void {
    this.#form.member(name, "file", WHITEOUT, "", undefined);
    this.#form.endFile(0);
  }

  /** Small ones need no generator of their own. */
  #content(opened: Opened): Iterable<Uint8Array> {
    if (!this.#form.holds(opened.size)) return this.#large(opened);
    try {
      for (let left = opened.size; left > 0; ) left -= this.#read(opened, left);
    } finally {
      sys.close(opened.fd);
    }
    this.#form.endFile(opened.size);
    return NOTHING;
  }

  *#large(opened: Opened): Generator<Uint8Array> {
    try {
      for (let left = opened.size; left > 0; ) {
        // What nobody ever wrote need not be read to be zero.
        const hole = opened.sparse ? sys.holeAt(opened.fd, opened.size - left, left) : 0;
        left -= hole > 0 ? this.#form.hole(hole) : this.#read(opened, left);
        yield* this.#out.full();
      }
    } finally {
      sys.close(opened.fd);
    }
    this.#form.endFile(opened.size);
  }

  #read({ fd, name, size }: Opened, left: number): number {
    const form = this.#form;
    const most = Math.min(left, form.room());
    const n = sys.readTo(fd, this.#out.address + form.front, most);
    if (n === 0)
      throw new SampanError("conflict", `${quote(name)} became shorter while it was read`, {
        hint: "Something writes to it: try again, or pause the container meanwhile.",
      });
    form.content(n, size - left);
    return n;
  }

  #head(name: string, type: EntryType, status: Status, fd: number, link = ""): void {
    this.#form.member(name, type, status, link, fd < 0 ? undefined : xattrsOf(fd, name));
  }

  /** The end, and what is left of the pieces. */
  *end(): Generator<Uint8Array> {
    this.#form.end();
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
function xattrsOf(fd: number, name: string): Xattrs | undefined {
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
