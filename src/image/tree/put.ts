/**
 * Puts the members of an archive into a folder that exists already, by the rules of `docker cp`: folders are merged and get
 * the archive's mode and time, everything else takes the place of what was there, and neither kind takes the other's. Each
 * member is made as one name in its open parent. Parents are looked up beneath a root that is held open, so that nothing
 * is ever made outside of it, whatever links there are and whoever exchanges them meanwhile.
 */
import * as sys from "../sys.ts";
import { O, RESOLVE, S_IF, S_IFMT, SysError } from "../sys.ts";
import { type Entry, TarError } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import type { TarSink } from "../tar/reader.ts";
import { split } from "../unpack/folders.ts";
import { isDir } from "./folder.ts";

export interface PutOptions {
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

const SETGID = 0o2000;

/** Whether a name is one, and not a way of writing a folder. */
const isOwnName = (name: string): boolean => name !== "" && name !== "." && name !== "..";

/** A folder's own metadata, which what is put into it would change. */
interface Late {
  readonly parent: string;
  readonly name: string;
  readonly entry: Entry;
}

export class TreeFolder implements TarSink {
  readonly #options: PutOptions;
  readonly #late: Late[] = [];
  /** The parent of the member before. */
  #parentPath: string | undefined;
  #parent = -1;
  /** That parent as the archive writes it. */
  #listed: string | undefined;
  /** What is made in the parent would belong to another group than the caller's. */
  #inherits = false;
  /** Files that are made there with this mode have it: neither the umask nor an ACL of the folder's takes anything away. */
  #sureMode = -1;

  #fd = -1;
  #entry: Entry | undefined;
  #written = 0;

  readonly #uid = process.geteuid?.() ?? 0;
  readonly #gid = process.getegid?.() ?? 0;

  /** Bytes of all files. */
  size = 0;

  constructor(options: PutOptions) {
    this.#options = options;
  }

  entry(entry: Entry): void {
    const slash = entry.name.lastIndexOf("/");
    const last = entry.name.slice(slash + 1);
    const listed = slash > 0 && isOwnName(last) ? entry.name.slice(0, slash) : undefined;
    // Members of one folder mostly follow each other.
    if (listed !== undefined && listed === this.#listed) {
      this.#put(this.#parent, this.#parentPath ?? "", last, entry);
      return;
    }
    const components = split(entry.name);
    const name = components.pop();
    if (name === undefined) {
      // Otherwise the folder that everything is put into stays what it is.
      if (this.#options.whole && entry.type === "dir") this.#late.unshift({ parent: "", name: ".", entry });
      return;
    }
    const path = components.join("/");
    const dir = this.#open(path);
    this.#listed = listed;
    this.#put(dir, path, name, entry);
  }

  #put(dir: number, path: string, name: string, entry: Entry): void {
    const { type } = entry;
    if (type === "dir") {
      this.#make(dir, name, entry, () => sys.mkdirat(dir, name, 0o700));
      this.#late.push({ parent: path, name, entry });
    } else if (type === "file") {
      const flags = O.wronly | O.creat | O.excl | O.nofollow;
      this.#make(dir, name, entry, () => (this.#fd = sys.openat(dir, name, flags, entry.mode & 0o777)));
      this.#entry = entry;
      this.#written = 0;
    } else if (type === "link") this.#link(dir, name, entry);
    else if (type === "symlink") {
      this.#make(dir, name, entry, () => sys.symlinkat(entry.link, dir, name));
      this.#dress(dir, name, entry);
    } else this.#node(dir, name, entry);
  }

  data(bytes: Uint8Array, position: number): void {
    if (this.#fd < 0) return;
    sys.writeAt(this.#fd, bytes, position, this.#entry?.name ?? "");
    this.#written = position + bytes.length;
  }

  end(): void {
    const entry = this.#entry;
    const fd = this.#fd;
    if (fd < 0 || !entry) return;
    if (this.#written < entry.size) sys.ftruncate(fd, entry.size, entry.name);
    this.#own(entry, (uid, gid) => sys.fchown(fd, uid, gid, entry.name));
    // After the owner, whose change takes setuid bits away; and the caller's umask has no say.
    if (entry.mode !== this.#sureMode && !this.#hasMode(fd, entry.mode))
      sys.fchmod(fd, entry.mode, entry.name);
    if (entry.xattrs) this.#xattrs(fd, entry);
    sys.futimens(fd, entry.mtime, entry.name);
    sys.close(fd);
    this.#fd = -1;
    this.#entry = undefined;
    this.size += entry.size;
  }

  /** Whether it was made with this mode, as the next ones will be then. */
  #hasMode(fd: number, mode: number): boolean {
    if (((sys.lstatat(fd, "")?.mode ?? 0) & ~S_IFMT) !== mode) return false;
    // A change of owner could take setuid bits away from another one.
    if (mode <= 0o777) this.#sureMode = mode;
    return true;
  }

  /** Everything has come: the folders' own metadata, the deepest first. */
  finish(): void {
    for (const { parent, name, entry } of this.#late.reverse()) {
      const fd = sys.openat(this.#open(parent), name, O.rdonly | O.directory | O.nofollow);
      try {
        this.#own(entry, (uid, gid) => sys.fchown(fd, uid, gid, entry.name));
        sys.fchmod(fd, entry.mode, entry.name);
        this.#xattrs(fd, entry);
        sys.futimens(fd, entry.mtime, entry.name);
      } finally {
        sys.close(fd);
      }
    }
    this.close();
  }

  /** Lets go of what is open; for an archive that ended in the middle too. */
  close(): void {
    if (this.#fd >= 0) sys.close(this.#fd);
    if (this.#parent >= 0) sys.close(this.#parent);
    this.#fd = -1;
    this.#parent = -1;
    this.#parentPath = undefined;
    this.#listed = undefined;
  }

  /** The open folder of this path beneath the one that things are put into; what is missing of it is made. */
  #open(path: string): number {
    // Members of one folder mostly follow each other.
    if (path === this.#parentPath) return this.#parent;
    const fd = this.#look(path) ?? this.#makeParents(path);
    if (this.#parent >= 0) sys.close(this.#parent);
    this.#parent = fd;
    this.#parentPath = path;
    this.#listed = undefined;
    this.#sureMode = -1;
    this.#inherits = ((sys.lstatat(fd, "")?.mode ?? 0) & SETGID) !== 0;
    return fd;
  }

  #look(path: string): number | undefined {
    const { root, at, links } = this.#options;
    const resolve =
      RESOLVE.noMagiclinks | (links === "inside" ? RESOLVE.inRoot : RESOLVE.beneath | RESOLVE.noSymlinks);
    const whole = path === "" ? at : at === "" || at === "." ? path : `${at}/${path}`;
    try {
      return sys.openat2(root, whole || ".", O.path | O.directory, resolve);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno === "ENOENT") return undefined;
      if (error.errno === "ELOOP")
        throw new TarError(`${quote(path)} leads through a symlink, which is not followed here`);
      throw new SysError(error.syscall, error.errno, path);
    }
  }

  /** Parents that the archive does not list: 0755, of the owner of all. */
  #makeParents(path: string): number {
    const slash = path.lastIndexOf("/");
    if (path === "") throw new SysError("open", "ENOENT", this.#options.at);
    const parent = this.#open(slash < 0 ? "" : path.slice(0, slash));
    const name = path.slice(slash + 1);
    sys.mkdirat(parent, name, 0o755);
    this.#own({ uid: 0, gid: 0 }, (uid, gid) => sys.lchownat(parent, name, uid, gid));
    return sys.openat(parent, name, O.path | O.directory | O.nofollow);
  }

  /** Makes something; what is there goes, unless one of the two is a folder and the other is not. */
  #make(dir: number, name: string, entry: Entry, make: () => void): void {
    try {
      make();
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== "EEXIST") throw error;
      const there = sys.lstatat(dir, name);
      const folder = there !== undefined && isDir(there);
      if (folder && entry.type === "dir") return;
      const { shown } = this.#options;
      const path = JSON.stringify(`${shown.replace(/\/$/, "")}/${entry.name.replace(/\/$/, "")}`);
      if (folder)
        throw new TarError(`cannot overwrite directory ${path} with non-directory ${JSON.stringify(shown)}`);
      if (entry.type === "dir")
        throw new TarError(`cannot overwrite non-directory ${path} with directory ${JSON.stringify(shown)}`);
      if (there) sys.unlinkat(dir, name);
      make();
    }
  }

  #link(dir: number, name: string, entry: Entry): void {
    const components = split(entry.link);
    const target = components.pop();
    const from = target === undefined ? undefined : this.#look(components.join("/"));
    try {
      if (from === undefined || target === undefined || !sys.lstatat(from, target))
        throw new TarError(`${quote(entry.name)} is a hard link to ${quote(entry.link)}, which is not there`);
      this.#make(dir, name, entry, () => sys.linkat(from, target, dir, name));
    } finally {
      if (from !== undefined) sys.close(from);
    }
  }

  #node(dir: number, name: string, entry: Entry): void {
    const type = entry.type === "fifo" ? S_IF.fifo : entry.type === "char" ? S_IF.char : S_IF.block;
    try {
      this.#make(dir, name, entry, () =>
        sys.mknodat(dir, name, type | (entry.mode & 0o777), entry.major, entry.minor),
      );
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== "EPERM" || (type & S_IFMT) === S_IF.fifo)
        throw error;
      throw new TarError(`${quote(entry.name)} is a device, which only the machine's own root may make`);
    }
    this.#dress(dir, name, entry);
  }

  /** Owner and time of what must not be opened. */
  #dress(dir: number, name: string, entry: Entry): void {
    this.#own(entry, (uid, gid) => sys.lchownat(dir, name, uid, gid));
    sys.lutimensat(dir, name, entry.mtime);
  }

  #own(entry: Pick<Entry, "uid" | "gid">, chown: (uid: number, gid: number) => void): void {
    const { owner } = this.#options;
    const { uid, gid } = owner === "archive" ? entry : owner;
    if (uid === this.#uid && gid === this.#gid && !this.#inherits) return;
    try {
      chown(uid, gid);
    } catch (error) {
      // Whom it cannot give to others keeps what it makes, as with `cp -a`; so does an id that has no meaning here.
      const unmapped = error instanceof SysError && error.errno === "EINVAL";
      if (this.#uid === 0 && !unmapped) throw error;
    }
  }

  #xattrs(fd: number, entry: Entry): void {
    for (const [key, value] of entry.xattrs ?? []) {
      if (/^(?:trusted|user)\.overlay\./.test(key) || key === "security.selinux") continue;
      try {
        sys.fsetxattr(fd, key, value, entry.name);
      } catch (error) {
        // A filesystem may know none, and only root may give all but user.*.
        if (error instanceof SysError && ["ENOTSUP", "EOPNOTSUPP", "EPERM"].includes(error.errno)) continue;
        throw error;
      }
    }
  }
}
