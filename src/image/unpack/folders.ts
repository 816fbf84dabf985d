/**
 * The folders of a layer that is being unpacked, and how the place of a member is found among them: name by name, links
 * resolved inside the layer, missing parents made.
 */
import { rmSync } from "node:fs";
import * as sys from "../sys.ts";
import { S_IF, S_IFMT, type Status, SysError } from "../sys.ts";
import { TarError } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import { decodeName, encodeName } from "../tar/name.ts";
import type { Found, Lower } from "./lower.ts";

/** What a folder gets when all else is done: what is made inside would change its time, and its mode might forbid it. */
export interface Folder {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** undefined: the time when it was made. */
  readonly mtime: bigint | undefined;
  readonly xattrs: ReadonlyMap<string, Uint8Array> | undefined;
}

/** A folder that neither the archive lists nor the lower layers know. */
const UNLISTED: Folder = { mode: 0o755, uid: 0, gid: 0, mtime: undefined, xattrs: undefined };
/** One that the lower layers have. */
const asBelow = ({ mode, uid, gid, mtime }: Status, xattrs: Folder["xattrs"]): Folder => ({
  mode: mode & 0o7777,
  uid,
  gid,
  mtime,
  xattrs,
});
const MAX_LINKS = 40;
const YES = Uint8Array.of(121);

export class Folders {
  /** The layer's own folder, without a slash at its end; "" after chroot. */
  readonly root: string;
  /** Folders of this layer by path ("" is the root); they exist and are no links. */
  readonly known = new Map<string, Folder>();
  /** What the layer hides of those below. They are made at the end, where the layer has nothing of the same name. */
  readonly whiteouts = new Set<string>();
  readonly #opaque = new Set<string>();
  readonly #lower: Lower;
  readonly #opaqueName: string;
  #parentText: string | undefined;
  #parent = "";

  constructor(root: string, lower: Lower, userxattr: boolean) {
    this.root = root;
    this.#lower = lower;
    this.#opaqueName = userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
    const top = lower.root;
    this.known.set("", top ? asBelow(top, undefined) : UNLISTED);
  }

  /** Hides what the lower layers have in a folder of this layer. */
  setOpaque(path: string): void {
    this.#opaque.add(path);
    sys.lsetxattr(this.root + (path || "/"), this.#opaqueName, YES);
  }

  /** Makes a folder of this layer; what else is there goes. Where something was hidden nothing shines through. */
  create(path: string): void {
    this.make(path, () => sys.mkdir(this.root + path, 0o700));
    this.known.set(path, UNLISTED);
    if (this.whiteouts.has(path)) this.setOpaque(path);
  }

  /**
   * Makes the whiteouts that are needed: overlayfs shows those in a folder that no lower layer has as names without a
   * file. Everything else must have been made.
   */
  makeWhiteouts(): void {
    for (const path of this.whiteouts) {
      const components = path.slice(1).split("/");
      if (sys.lstat(this.root + path)) continue;
      const name = components.pop() ?? "";
      if (this.#isBlocked(components) || !this.below(components, () => true, name)) continue;
      sys.mknod(`${this.root}${this.find(components, path)}/${name}`, S_IF.char, 0, 0);
    }
  }

  /** Whether this layer has something on the way that is no folder: nothing below it is seen then. */
  #isBlocked(components: readonly string[]): boolean {
    let path = "";
    return components.some((name) => {
      path += `/${name}`;
      return !this.known.has(path) && sys.lstat(this.root + path) !== undefined;
    });
  }

  /** Makes something where nothing may be yet; what is there goes. */
  make(path: string, make: () => void): void {
    try {
      make();
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== "EEXIST") throw error;
      this.#remove(path);
      make();
    }
  }

  #remove(path: string): void {
    this.#parentText = undefined;
    if (!this.known.has(path)) {
      sys.unlink(this.root + path);
      return;
    }
    // All that the layer has said so far of the folder's inside goes with it.
    const inside = `${path}/`;
    for (const set of [this.known, this.whiteouts, this.#opaque])
      for (const at of set.keys()) if (at.startsWith(inside)) set.delete(at);
    this.known.delete(path);
    this.#opaque.delete(path);
    rmSync(Buffer.from(encodeName(this.root + path)), { recursive: true, force: true });
  }

  /** What `find` would say of a member of the folder that it was asked for last. */
  beside(member: string): { readonly folder: string; readonly name: string } | undefined {
    const start = member.startsWith("./") ? 2 : 0;
    const slash = member.lastIndexOf("/");
    if (slash <= start || member.slice(start, slash) !== this.#parentText) return undefined;
    const name = member.slice(slash + 1);
    return name === ".." || !isName(name) ? undefined : { folder: this.#parent, name };
  }

  /** The folder in which something is to be put, by its real path; missing ones are made. `why` names the member. */
  find(components: readonly string[], why: string): string {
    if (components.length === 0) return "";
    // Members of one folder mostly follow each other.
    const text = components.join("/");
    if (text === this.#parentText) return this.#parent;
    this.#parent = this.#walk(components, why) ?? "";
    this.#parentText = text;
    return this.#parent;
  }

  /** The real path of a folder of this layer; undefined if it is not there. */
  existing(components: readonly string[]): string | undefined {
    return this.#walk(components, undefined);
  }

  /** Goes down name by name. With `why` what is missing is made and what is in the way is an error. */
  #walk(components: readonly string[], why: string | undefined): string | undefined {
    let path = "";
    let links = 0;
    const rest = components.toReversed();
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === "..") {
        path = path.slice(0, path.lastIndexOf("/"));
        continue;
      }
      const next = `${path}/${name}`;
      if (this.known.has(next)) {
        path = next;
        continue;
      }
      const status = sys.lstat(this.root + next);
      if (status && (status.mode & S_IFMT) === S_IF.symlink) {
        if (++links > MAX_LINKS) {
          if (why === undefined) return undefined;
          throw new TarError(`${quote(why)} lies behind too many symlinks`);
        }
        const target = decodeName(sys.readlink(this.root + next));
        if (target.startsWith("/")) path = "";
        rest.push(...target.split("/").filter(isName).reverse());
        continue;
      }
      if (why === undefined) return undefined;
      if (status) throw new TarError(`${quote(why)} lies in ${quote(next.slice(1))}, which is not a folder`);
      if (links > 0)
        throw new TarError(`${quote(why)} lies behind a symlink to a folder that is not in this layer`);
      this.#makeParent(next);
      path = next;
    }
    return path;
  }

  /** A parent that the archive does not list: as the lower layers have it, or 0755 and root's. */
  #makeParent(path: string): void {
    const known = this.below(path.slice(1).split("/"), ({ status, xattrs }) =>
      (status.mode & S_IFMT) === S_IF.dir ? asBelow(status, xattrs) : undefined,
    );
    this.create(path);
    if (known) this.known.set(path, known);
  }

  /** What the lower layers have at a path, unless this layer hides it; with `name`, in a folder that is not hidden. */
  below<T>(folder: readonly string[], use: (found: Found) => T, name?: string): T | undefined {
    if (this.#lower.empty) return undefined;
    let path = "";
    // Most layers hide nothing, and a thousand folders in each other should not cost a million looks.
    if (this.#opaque.size === 0 && this.whiteouts.size === 0)
      return this.#lower.find(name === undefined ? folder : [...folder, name], use);
    for (const part of folder) {
      if (this.#opaque.has(path)) return undefined;
      path += `/${part}`;
      if (this.whiteouts.has(path)) return undefined;
    }
    if (name === undefined) return this.#lower.find(folder, use);
    return this.#opaque.has(path) ? undefined : this.#lower.find([...folder, name], use);
  }
}

const isName = (name: string): boolean => name !== "" && name !== ".";

/** The names on the way to a member, without `.`, empty ones and the slash in front. */
export function split(path: string): string[] {
  const names = path.split("/");
  if (names.includes(".."))
    throw new TarError(`${quote(path)} contains "..", which could lead out of the layer`);
  return names.every(isName) ? names : names.filter(isName);
}
