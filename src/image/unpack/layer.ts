/**
 * Puts the members of one layer's archive into a folder, in overlayfs's form: a whiteout `.wh.x` becomes a character
 * device 0:0 named x, `.wh..wh..opq` the folder's attribute overlay.opaque. The last of several members with one name
 * wins, whatever their types. Parents are walked name by name and links on the way are resolved inside the folder, so
 * that nothing leaves it even without chroot (a caller that is not root cannot chroot).
 */
import { rmSync } from "node:fs";
import { type Entry, TarError } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import { decodeName, encodeName } from "../tar/name.ts";
import type { TarSink } from "../tar/reader.ts";
import type { Found, Lower } from "./lower.ts";
import * as sys from "./sys.ts";
import { O, S_IF, S_IFMT, SysError } from "./sys.ts";

/** What a folder gets when all else is done: what is made inside would change its time, and its mode might forbid it. */
interface Folder {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** undefined: the time when it was made. */
  readonly mtime: bigint | undefined;
  readonly xattrs: ReadonlyMap<string, Uint8Array> | undefined;
}

interface LayerOptions {
  /** The folder, without a slash at its end; "" after chroot. */
  readonly root: string;
  readonly lower: Lower;
  /** user.overlay.* instead of trusted.overlay.*, for a caller without CAP_SYS_ADMIN. */
  readonly userxattr: boolean;
  /** Owners, devices and trusted attributes can be set. Otherwise everything belongs to the caller. */
  readonly privileged: boolean;
}

/** A folder that neither the archive lists nor the lower layers know. */
const UNLISTED: Folder = { mode: 0o755, uid: 0, gid: 0, mtime: undefined, xattrs: undefined };
const MAX_LINKS = 40;
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
const YES = Uint8Array.of(121);

export class LayerFolder implements TarSink {
  readonly #root: string;
  readonly #lower: Lower;
  readonly #privileged: boolean;
  readonly #opaqueName: string;
  /** Folders of this layer by path ("" is the root); they exist and are no links. */
  readonly #folders = new Map<string, Folder>();
  /** Whiteouts that this layer's archive asked for: a folder of the same name becomes opaque instead. */
  readonly #whiteouts = new Set<string>();
  /** Hard links whose target has not come yet. */
  readonly #pending: Entry[] = [];
  #parentText: string | undefined;
  #parent = "";

  // The file that is being written.
  #fd = -1;
  #path = "";
  #entry: Entry | undefined;
  #written = 0;

  /** Bytes of all files. */
  size = 0;

  constructor(options: LayerOptions) {
    this.#root = options.root;
    this.#lower = options.lower;
    this.#privileged = options.privileged;
    this.#opaqueName = options.userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
    this.#folders.set("", options.lower.root ?? UNLISTED);
  }

  entry(entry: Entry): void {
    const components = split(entry.name);
    const name = components.pop();
    if (name === undefined) {
      if (entry.type !== "dir") throw new TarError(`the root of the layer is a ${noun(entry)}, not a folder`);
      this.#describe("", entry);
      return;
    }
    if (name.startsWith(WHITEOUT)) {
      this.#hide(components, name, entry.name);
      return;
    }
    const path = `${this.#folder(components, entry.name)}/${name}`;
    const type = entry.type;
    if (type === "dir") this.#makeFolder(path, entry);
    else if (type === "file") this.#openFile(path, entry);
    else if (type === "link") this.#makeLink(path, entry, false);
    else if (type === "symlink") this.#makeSymlink(path, entry);
    else this.#makeNode(path, entry);
  }

  data(bytes: Uint8Array, position: number): void {
    if (this.#fd < 0) return;
    sys.writeAt(this.#fd, bytes, position, this.#path);
    this.#written = position + bytes.length;
  }

  end(): void {
    const entry = this.#entry;
    if (this.#fd < 0 || !entry) return;
    const fd = this.#fd;
    const path = this.#path;
    if (this.#written < entry.size) sys.ftruncate(fd, entry.size, path);
    const owned = this.#privileged && (entry.uid !== 0 || entry.gid !== 0);
    if (owned) sys.fchown(fd, entry.uid, entry.gid, path);
    // chown takes the setuid bits away, and open cannot give them.
    if (owned || entry.mode > 0o777) sys.fchmod(fd, entry.mode, path);
    if (entry.xattrs)
      this.#setXattrs(entry.xattrs, (key, value) => sys.fsetxattr(fd, key, value, path), entry.name);
    sys.futimens(fd, entry.mtime, path);
    sys.close(fd);
    this.#fd = -1;
    this.#entry = undefined;
    this.size += entry.size;
  }

  /** Everything has come: late links, then the folders' own metadata, the deepest first. */
  finish(): void {
    for (const entry of this.#pending) {
      const components = split(entry.name);
      const name = components.pop() ?? "";
      this.#makeLink(`${this.#folder(components, entry.name)}/${name}`, entry, true);
    }
    const folders = [...this.#folders].sort(([a], [b]) => (a < b ? 1 : -1));
    for (const [path, folder] of folders) {
      const at = this.#root + (path || "/");
      if (this.#privileged && (folder.uid !== 0 || folder.gid !== 0)) sys.lchown(at, folder.uid, folder.gid);
      sys.chmod(at, folder.mode);
      if (folder.xattrs) this.#setXattrs(folder.xattrs, (key, value) => sys.lsetxattr(at, key, value), path);
      if (folder.mtime !== undefined) sys.lutimens(at, folder.mtime);
    }
  }

  // ---- one member of each kind

  #makeFolder(path: string, entry: Entry): void {
    if (!this.#folders.has(path)) {
      if (this.#whiteouts.has(path)) this.#replaceWhiteout(path);
      else this.#make(path, () => sys.mkdir(this.#root + path, 0o700), true);
    }
    this.#describe(path, entry);
  }

  #describe(path: string, entry: Entry): void {
    const { mode, uid, gid, mtime, xattrs } = entry;
    this.#folders.set(path, { mode, uid, gid, mtime, xattrs });
  }

  #openFile(path: string, entry: Entry): void {
    this.#make(path, () => {
      this.#fd = sys.open(this.#root + path, O.wronly | O.creat | O.excl | O.nofollow, entry.mode & 0o777);
    });
    this.#path = this.#root + path;
    this.#entry = entry;
    this.#written = 0;
  }

  #makeSymlink(path: string, entry: Entry): void {
    if (entry.link === "") throw new TarError(`${quote(entry.name)} is a symlink without a target`);
    this.#make(path, () => sys.symlink(entry.link, this.#root + path));
    this.#dressLink(path, entry);
  }

  #makeNode(path: string, entry: Entry): void {
    const whiteout = entry.type === "char" && entry.major === 0 && entry.minor === 0;
    // The kernel gives devices to nobody but root; a container that needs one is given the host's.
    if (entry.type !== "fifo" && !this.#privileged && !whiteout) return;
    const type = entry.type === "fifo" ? S_IF.fifo : entry.type === "char" ? S_IF.char : S_IF.block;
    this.#make(path, () =>
      sys.mknod(this.#root + path, type | (entry.mode & 0o777), entry.major, entry.minor),
    );
    this.#dressLink(path, entry);
    if (entry.mode > 0o777) sys.chmod(this.#root + path, entry.mode);
  }

  /** Owner, attributes and time of what must not be opened. */
  #dressLink(path: string, entry: Entry): void {
    const at = this.#root + path;
    if (this.#privileged && (entry.uid !== 0 || entry.gid !== 0)) sys.lchown(at, entry.uid, entry.gid);
    if (entry.xattrs)
      this.#setXattrs(entry.xattrs, (key, value) => sys.lsetxattr(at, key, value), entry.name);
    sys.lutimens(at, entry.mtime);
  }

  /** `last`: everything else of the archive has come. */
  #makeLink(path: string, entry: Entry, last: boolean): void {
    const components = split(entry.link);
    const name = components.pop();
    if (name === undefined)
      throw new TarError(`${quote(entry.name)} is a hard link to ${quote(entry.link)}, which is a folder`);
    const parent = this.#existing(components);
    const target = parent === undefined ? undefined : `${parent}/${name}`;
    if (target === path) return;
    const status = target === undefined ? undefined : sys.lstat(this.#root + target);
    if (target !== undefined && status && !this.#whiteouts.has(target)) {
      if ((status.mode & S_IFMT) === S_IF.dir)
        throw new TarError(`${quote(entry.name)} is a hard link to ${quote(entry.link)}, which is a folder`);
      this.#make(path, () => sys.link(this.#root + target, this.#root + path));
      return;
    }
    if (!this.#whiteouts.has(target ?? "")) {
      const copy = this.#lower.find([...components, name], (found) =>
        this.#copyUp(components, name, found, entry),
      );
      if (copy !== undefined) {
        this.#make(path, () => sys.link(this.#root + copy, this.#root + path));
        return;
      }
    }
    if (last)
      throw new TarError(
        `${quote(entry.name)} is a hard link to ${quote(entry.link)}, which is neither in this layer nor below it`,
      );
    this.#pending.push(entry);
  }

  /** Two names of one file need it in one layer: what the lower ones have is copied here, as overlayfs does at a write. */
  #copyUp(components: readonly string[], name: string, found: Found, why: Entry): string {
    const { status, xattrs } = found;
    const path = `${this.#folder([...components], why.name)}/${name}`;
    const type = status.mode & S_IFMT;
    const base: Entry = {
      name: path,
      type: "file",
      size: status.size,
      mode: status.mode & 0o7777,
      uid: status.uid,
      gid: status.gid,
      mtime: status.mtime,
      link: "",
      major: status.major,
      minor: status.minor,
      xattrs,
    };
    if (type === S_IF.dir)
      throw new TarError(`${quote(why.name)} is a hard link to ${quote(why.link)}, which is a folder`);
    if (type === S_IF.symlink)
      this.#makeSymlink(path, {
        ...base,
        type: "symlink",
        link: decodeName(sys.readlinkat(found.dir, name)),
      });
    else if (type === S_IF.file) {
      const from = sys.openat(found.dir, name, O.rdonly | O.nofollow);
      try {
        this.#openFile(path, base);
        const buffer = new Uint8Array(Math.min(Math.max(status.size, 1), 1 << 20));
        for (let at = 0, n = sys.readInto(from, buffer); n > 0; at += n, n = sys.readInto(from, buffer))
          this.data(buffer.subarray(0, n), at);
        this.end();
      } finally {
        sys.close(from);
      }
    } else if (type === S_IF.char || type === S_IF.block || type === S_IF.fifo)
      this.#makeNode(path, {
        ...base,
        type: type === S_IF.char ? "char" : type === S_IF.block ? "block" : "fifo",
      });
    return path;
  }

  // ---- whiteouts

  #hide(components: string[], name: string, full: string): void {
    if (name === OPAQUE) {
      if (this.#lower.empty) return;
      const folder = this.#folder(components, full);
      if (folder !== "") this.#setOpaque(folder);
      // overlayfs does not look for the attribute on a layer's root: what is below goes name by name.
      else for (const below of this.#lower.names) this.#hide([], WHITEOUT + below, full);
      return;
    }
    // aufs keeps books of its own in such names.
    if (name.startsWith(".wh..wh.")) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw new TarError(`${quote(full)} is a whiteout of ${hidden === "" ? "nothing" : quote(hidden)}`);
    // The lowest layer has nothing to hide.
    if (this.#lower.empty) return;
    const path = `${this.#folder(components, full)}/${hidden}`;
    if (this.#whiteouts.has(path)) return;
    this.#whiteouts.add(path);
    // What this layer itself has there stays; a folder of its own only hides what is below.
    if (this.#folders.has(path)) this.#setOpaque(path);
    else if (!sys.lstat(this.#root + path)) sys.mknod(this.#root + path, S_IF.char, 0, 0);
  }

  #setOpaque(path: string): void {
    sys.lsetxattr(this.#root + (path || "/"), this.#opaqueName, YES);
  }

  /** A folder where this layer has hidden something: it is new, and nothing below shines through. */
  #replaceWhiteout(path: string): void {
    const status = sys.lstat(this.#root + path);
    if (status) this.#remove(path);
    sys.mkdir(this.#root + path, 0o700);
    this.#setOpaque(path);
  }

  // ---- finding and making places

  /** Makes something where nothing may be yet; what is there goes. */
  #make(path: string, make: () => void, folder = false): void {
    try {
      make();
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== "EEXIST") throw error;
      this.#remove(path);
      make();
    }
    if (!folder) this.#folders.delete(path);
  }

  #remove(path: string): void {
    if (this.#folders.has(path)) {
      const inside = `${path}/`;
      for (const known of this.#folders.keys())
        if (known === path || known.startsWith(inside)) this.#folders.delete(known);
      rmSync(Buffer.from(encodeName(this.#root + path)), { recursive: true, force: true });
    } else sys.unlink(this.#root + path);
    this.#parentText = undefined;
  }

  /** The folder in which something is to be put, by its real path; missing ones are made. */
  #folder(components: string[], why: string): string {
    if (components.length === 0) return "";
    // Members of one folder mostly follow each other.
    const text = components.join("/");
    if (text === this.#parentText) return this.#parent;
    let path = "";
    let links = 0;
    const rest = components.toReversed();
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === "..") {
        path = path.slice(0, path.lastIndexOf("/"));
        continue;
      }
      const next = `${path}/${name}`;
      if (this.#folders.has(next)) {
        path = next;
        continue;
      }
      const status = sys.lstat(this.#root + next);
      if (!status) {
        if (links > 0)
          throw new TarError(`${quote(why)} lies behind a symlink to a folder that is not in this layer`);
        this.#makeParent(next);
        path = next;
      } else if (this.#whiteouts.has(next) && sys.isWhiteout(status)) {
        this.#replaceWhiteout(next);
        this.#folders.set(next, UNLISTED);
        path = next;
      } else if ((status.mode & S_IFMT) === S_IF.symlink) {
        if (++links > MAX_LINKS) throw new TarError(`${quote(why)} lies behind too many symlinks`);
        const target = decodeName(sys.readlink(this.#root + next));
        if (target.startsWith("/")) path = "";
        rest.push(...splitTarget(target).reverse());
      } else throw new TarError(`${quote(why)} lies in ${quote(next.slice(1))}, which is not a folder`);
    }
    this.#parentText = text;
    this.#parent = path;
    return path;
  }

  /** A parent that the archive does not list: as the lower layers have it, or 0755 and root's. */
  #makeParent(path: string): void {
    const known = this.#lower.find(path.slice(1).split("/"), ({ status, xattrs }) =>
      (status.mode & S_IFMT) === S_IF.dir ? { ...status, mode: status.mode & 0o7777, xattrs } : undefined,
    );
    sys.mkdir(this.#root + path, 0o700);
    this.#folders.set(path, known ?? UNLISTED);
  }

  /** Like `#folder`, but makes nothing; undefined if it is not there. */
  #existing(components: readonly string[]): string | undefined {
    let path = "";
    let links = 0;
    const rest = components.toReversed();
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === "..") {
        path = path.slice(0, path.lastIndexOf("/"));
        continue;
      }
      const next = `${path}/${name}`;
      if (this.#folders.has(next)) {
        path = next;
        continue;
      }
      const status = sys.lstat(this.#root + next);
      if (!status || (status.mode & S_IFMT) !== S_IF.symlink || ++links > MAX_LINKS) return undefined;
      const target = decodeName(sys.readlink(this.#root + next));
      if (target.startsWith("/")) path = "";
      rest.push(...splitTarget(target).reverse());
    }
    return path;
  }

  #setXattrs(
    xattrs: ReadonlyMap<string, Uint8Array>,
    set: (key: string, value: Uint8Array) => void,
    name: string,
  ): void {
    for (const [key, value] of xattrs) {
      // overlayfs's own and the host's labels are not an image's to give.
      if (/^(trusted|user)\.overlay\./.test(key) || key === "security.selinux") continue;
      try {
        set(key, value);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        // Without root only user.* can be had; a filesystem or a kind of file may know no xattrs at all.
        if (error.errno === "ENOTSUP" || error.errno === "EOPNOTSUPP") continue;
        if (!this.#privileged || key.startsWith("user.")) continue;
        throw new TarError(`${quote(name)}: the attribute ${key} cannot be set (${error.errno})`);
      }
    }
  }
}

/** The names on the way to a member, without `.`, empty ones and the slash in front. */
function split(path: string): string[] {
  const names = path.split("/");
  for (const name of names)
    if (name === "" || name === "." || name === "..") {
      if (names.includes(".."))
        throw new TarError(`${quote(path)} contains "..", which could lead out of the layer`);
      return names.filter((name) => name !== "" && name !== ".");
    }
  return names;
}

const splitTarget = (target: string): string[] =>
  target.split("/").filter((name) => name !== "" && name !== ".");

const noun = (entry: Entry): string =>
  ({
    file: "file",
    dir: "folder",
    symlink: "symlink",
    link: "hard link",
    char: "device",
    block: "device",
    fifo: "fifo",
  })[entry.type];
