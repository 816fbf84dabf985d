/**
 * Where a path of a container leads, looked up beneath the container's root and never out of it: openat2 with
 * RESOLVE_IN_ROOT, and without the kernel's magic links, which in a /proc that shows the host's processes lead anywhere.
 */
import * as sys from "../sys.ts";
import { O, RESOLVE, S_IF, S_IFMT, type Status, SysError } from "../sys.ts";
import { decodeName } from "../tar/name.ts";

/** What stands at a path, the path's last link not followed. Docker's, for its API too. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** With the file's type, as stat(2) has it. */
  readonly mode: number;
  /** Nanoseconds since 1970, decimal. */
  readonly mtime: string;
  /** Of a link: where in the container it leads in the end, whether or not something is there. Otherwise empty. */
  readonly linkTarget: string;
}

/** A name in an open folder; "." where the path is the folder itself. */
export interface Place {
  readonly dir: number;
  readonly base: string;
  readonly status: Status;
}

const MAX_LINKS = 40;
const INSIDE = RESOLVE.inRoot | RESOLVE.noMagiclinks;

/** Opens a folder beneath the root, links followed inside. */
export const folderIn = (root: number, path: string): number =>
  sys.openat2(root, path || "/", O.path | O.directory, INSIDE);

/** The path as Docker reads it: absolute, without `.` and `..`, but a slash or `/.` at its end stays. */
export function absolute(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const clean = `/${parts.join("/")}`;
  if (clean === "/") return clean;
  return /(?:^|\/)\.$/.test(path) ? `${clean}/.` : path.endsWith("/") ? `${clean}/` : clean;
}

/**
 * Finds what an absolute path names. Links on the way are followed, one at its end is not, unless a slash or `/.` stands
 * behind it: that asks for a folder. Throws a SysError, of an errno of stat(2), where there is none.
 */
export function find(root: number, path: string): Place {
  const slash = path.lastIndexOf("/");
  const last = path.slice(slash + 1);
  const whole = last === "" || last === ".";
  const dir = named(path, () => folderIn(root, whole ? path : path.slice(0, slash)));
  const base = whole ? "." : last;
  const status = sys.lstatat(dir, base);
  if (status) return { dir, base, status };
  sys.close(dir);
  throw new SysError("lstat", "ENOENT", path);
}

/** An error on the way is one of the whole path. */
function named<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw error instanceof SysError ? new SysError("lstat", error.errno, path) : error;
  }
}

export function statPath(root: number, path: string): PathStat {
  const { dir, status } = find(root, path);
  sys.close(dir);
  return describe(root, path, status);
}

export const describe = (root: number, path: string, status: Status): PathStat => ({
  name: baseName(path),
  size: status.size,
  mode: status.mode,
  mtime: String(status.mtime),
  linkTarget: (status.mode & S_IFMT) === S_IF.symlink ? follow(root, path) : "",
});

/** As Go's filepath.Base has it: `b` of `/a/b/`, `.` of `/a/.`, `/` of the root. */
export function baseName(path: string): string {
  const plain = path.replace(/\/+$/, "");
  return plain === "" ? "/" : plain.slice(plain.lastIndexOf("/") + 1);
}

/** Where a path leads with every link followed, as a path without links; what is missing is taken as it is written. */
function follow(root: number, path: string): string {
  let at = "";
  let links = 0;
  const rest = path.split("/").reverse();
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      at = at.slice(0, at.lastIndexOf("/"));
      continue;
    }
    const target = linkAt(root, at, name);
    if (target === undefined) {
      at += `/${name}`;
      continue;
    }
    if (++links > MAX_LINKS) throw new SysError("lstat", "ELOOP", path);
    if (target.startsWith("/")) at = "";
    rest.push(...target.split("/").reverse());
  }
  return at || "/";
}

function linkAt(root: number, folder: string, name: string): string | undefined {
  let dir: number;
  try {
    dir = folderIn(root, folder);
  } catch {
    return undefined;
  }
  try {
    const status = sys.lstatat(dir, name);
    if (!status || (status.mode & S_IFMT) !== S_IF.symlink) return undefined;
    return decodeName(sys.readlinkat(dir, name));
  } finally {
    sys.close(dir);
  }
}
