/**
 * Puts the members of one layer's archive into a folder, in overlayfs's form: a whiteout `.wh.x` becomes a character
 * device 0:0 named x, `.wh..wh..opq` the folder's attribute overlay.opaque. The last of several members with one name
 * wins, whatever their types. Nothing leaves the folder, even without chroot: a caller that is not root cannot chroot.
 */

import * as sys from "../sys.ts";
import { O, S_IF, S_IFMT, SysError } from "../sys.ts";
import { type Entry, TarError } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import { decodeName } from "../tar/name.ts";
import type { TarSink } from "../tar/reader.ts";
import { Folders, split } from "./folders.ts";
import type { Found, Lower } from "./lower.ts";

interface LayerOptions {
  /** The folder, without a slash at its end; "" after chroot. */
  readonly root: string;
  readonly lower: Lower;
  /** user.overlay.* instead of trusted.overlay.*, for a caller without CAP_SYS_ADMIN. */
  readonly userxattr: boolean;
  /** Owners, devices and trusted attributes can be set. Otherwise everything belongs to the caller. */
  readonly privileged: boolean;
}

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

export class LayerFolder implements TarSink {
  readonly #folders: Folders;
  readonly #lower: Lower;
  readonly #privileged: boolean;
  /** Hard links whose target has not come yet. */
  readonly #pending: Entry[] = [];

  // The file that is being written.
  #fd = -1;
  #path = "";
  #entry: Entry | undefined;
  #written = 0;

  /** Bytes of all files, and of what symlinks say, as `du --apparent-size` and Docker count them. */
  size = 0;

  constructor(options: LayerOptions) {
    this.#folders = new Folders(options.root, options.lower, options.userxattr);
    this.#lower = options.lower;
    this.#privileged = options.privileged;
  }

  entry(entry: Entry): void {
    // Members of one folder mostly follow each other.
    const known = this.#folders.beside(entry.name);
    if (known !== undefined && !known.name.startsWith(WHITEOUT)) {
      this.#member(`${known.folder}/${known.name}`, entry);
      return;
    }
    const components = split(entry.name);
    const name = components.pop();
    if (name === undefined) {
      if (entry.type !== "dir") throw new TarError(`the root of the layer is a ${noun(entry)}, not a folder`);
      this.#describe("", entry);
      return;
    }
    if (name.startsWith(WHITEOUT)) this.#hide(components, name, entry.name);
    else this.#member(`${this.#folders.find(components, entry.name)}/${name}`, entry);
  }

  #member(path: string, entry: Entry): void {
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
      this.#makeLink(`${this.#folders.find(components, entry.name)}/${name}`, entry, true);
    }
    this.#folders.makeWhiteouts();
    const folders = [...this.#folders.known].sort(([a], [b]) => (a < b ? 1 : -1));
    for (const [path, folder] of folders) {
      const at = this.#folders.root + (path || "/");
      if (this.#privileged && (folder.uid !== 0 || folder.gid !== 0)) sys.lchown(at, folder.uid, folder.gid);
      sys.chmod(at, folder.mode);
      if (folder.xattrs) this.#setXattrs(folder.xattrs, (key, value) => sys.lsetxattr(at, key, value), path);
      if (folder.mtime !== undefined) sys.lutimens(at, folder.mtime);
    }
  }

  // ---- one member of each kind

  #makeFolder(path: string, entry: Entry): void {
    if (!this.#folders.known.has(path)) this.#folders.create(path);
    this.#describe(path, entry);
  }

  #describe(path: string, entry: Entry): void {
    const { mode, uid, gid, mtime, xattrs } = entry;
    this.#folders.known.set(path, { mode, uid, gid, mtime, xattrs });
  }

  #openFile(path: string, entry: Entry): void {
    this.#folders.make(path, () => {
      this.#fd = sys.open(
        this.#folders.root + path,
        O.wronly | O.creat | O.excl | O.nofollow,
        entry.mode & 0o777,
      );
    });
    this.#path = this.#folders.root + path;
    this.#entry = entry;
    this.#written = 0;
  }

  #makeSymlink(path: string, entry: Entry): void {
    if (entry.link === "") throw new TarError(`${quote(entry.name)} is a symlink without a target`);
    this.#folders.make(path, () => sys.symlink(entry.link, this.#folders.root + path));
    this.size += Buffer.byteLength(entry.link);
    this.#dressLink(path, entry);
  }

  #makeNode(path: string, entry: Entry): void {
    const whiteout = entry.type === "char" && entry.major === 0 && entry.minor === 0;
    const device = entry.type !== "fifo" && !whiteout;
    const type = entry.type === "fifo" ? S_IF.fifo : entry.type === "char" ? S_IF.char : S_IF.block;
    try {
      this.#folders.make(path, () =>
        sys.mknod(this.#folders.root + path, type | (entry.mode & 0o777), entry.major, entry.minor),
      );
    } catch (error) {
      // Only the machine's own root may make devices; a container that needs one is given the host's.
      if (device && error instanceof SysError && error.errno === "EPERM") return;
      throw error;
    }
    this.#dressLink(path, entry);
    if (entry.mode > 0o777) sys.chmod(this.#folders.root + path, entry.mode);
  }

  /** Owner, attributes and time of what must not be opened. */
  #dressLink(path: string, entry: Entry): void {
    const at = this.#folders.root + path;
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
    const parent = this.#folders.existing(components);
    const target = parent === undefined ? undefined : `${parent}/${name}`;
    if (target === path) return;
    const status = target === undefined ? undefined : sys.lstat(this.#folders.root + target);
    if (target !== undefined && status) {
      if ((status.mode & S_IFMT) === S_IF.dir)
        throw new TarError(`${quote(entry.name)} is a hard link to ${quote(entry.link)}, which is a folder`);
      this.#folders.make(path, () => sys.link(this.#folders.root + target, this.#folders.root + path));
      return;
    }
    const copy = this.#folders.below([...components, name], (found) =>
      this.#copyUp(components, name, found, entry),
    );
    if (copy !== undefined) {
      this.#folders.make(path, () => sys.link(this.#folders.root + copy, this.#folders.root + path));
      return;
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
    const path = `${this.#folders.find([...components], why.name)}/${name}`;
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
      const folder = this.#folders.find(components, full);
      if (folder !== "") this.#folders.setOpaque(folder);
      // overlayfs does not look for the attribute on a layer's root: what is below goes name by name.
      else for (const below of this.#lower.names) this.#hide([], WHITEOUT + below, full);
      return;
    }
    // aufs keeps books of its own in such names.
    if (name.startsWith(".wh..wh.")) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw new TarError(`${quote(full)} is a whiteout of ${hidden === "" ? "nothing" : quote(hidden)}`);
    const parent = this.#folders.existing(components) ?? ["", ...components].join("/");
    const path = `${parent}/${hidden}`;
    this.#folders.whiteouts.add(path);
    // What this layer itself has there stays; a folder of its own only hides what is below.
    if (this.#folders.known.has(path)) this.#folders.setOpaque(path);
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
