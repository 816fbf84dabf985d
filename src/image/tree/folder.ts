/**
 * Open folders, of one tree or of several layers seen as one, as overlayfs shows them. Everything is looked up as one
 * name in a folder that is held open and links are never followed, so that nobody who changes the tree meanwhile can lead
 * a reader anywhere else.
 */
import * as sys from "../sys.ts";
import { O, S_IF, S_IFMT, type Status } from "../sys.ts";

/** What stands at a name. */
export interface Found {
  /** The open folder that has it. */
  readonly dir: number;
  readonly status: Status;
}

/** One open folder. */
export interface Folder {
  /** Its names, sorted. */
  names(): string[];
  look(name: string): Found | undefined;
  /** Opens a folder in it; the caller closes it. */
  open(name: string): Folder;
  /** The fd that its own metadata and attributes are read from. */
  readonly fd: number;
  close(): void;
}

export const openFolder = (dir: number, name: string): number =>
  sys.openat(dir, name, O.rdonly | O.directory | O.nofollow);

/** undefined: what was to be opened went, or something else took its place, while it was looked at. */
export function ifThere<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof sys.SysError && ["ENOENT", "ENOTDIR", "ELOOP"].includes(error.errno))
      return undefined;
    throw error;
  }
}

/** From the working folder, links on the way followed: for paths that the engine itself made. */
export const openPath = (path: string): number => sys.openat(-100, path, O.rdonly | O.directory);

export const isDir = ({ mode }: Status): boolean => (mode & S_IFMT) === S_IF.dir;
export const isFile = ({ mode }: Status): boolean => (mode & S_IFMT) === S_IF.file;

const OPAQUE = ["trusted.overlay.opaque", "user.overlay.opaque"];
const Y = "y".charCodeAt(0);

/** Whether a folder of a layer hides those of the same name beneath it. */
export const isOpaque = (fd: number): boolean => OPAQUE.some((name) => sys.fgetxattr(fd, name)?.[0] === Y);

/** A tree as it is. */
export class Plain implements Folder {
  constructor(readonly fd: number) {}

  names(): string[] {
    return sys.names(this.fd);
  }

  look(name: string): Found | undefined {
    const status = sys.lstatat(this.fd, name);
    return status && { dir: this.fd, status };
  }

  open(name: string): Plain {
    return new Plain(openFolder(this.fd, name));
  }

  close(): void {
    sys.close(this.fd);
  }
}

interface Layer {
  readonly fd: number;
  readonly mount: number;
}

/** The same folder in several layers, top-most first, those that an opaque one hides left out. */
export class Merged implements Folder {
  readonly #dirs: readonly Layer[];

  private constructor(dirs: readonly Layer[]) {
    this.#dirs = dirs;
  }

  /** The roots of layers: host folders, top-most first. What is mounted in them is no part of them. */
  static layers(paths: readonly string[]): Merged {
    return new Merged(
      paths.map((path) => {
        const fd = openPath(path);
        return { fd, mount: sys.lstatat(fd, "")?.mount ?? 0 };
      }),
    );
  }

  /** -1: all that would be in it is mounted there. */
  get fd(): number {
    return this.#dirs[0]?.fd ?? -1;
  }

  names(): string[] {
    if (this.#dirs.length === 1) return sys.names(this.fd);
    const all = new Set<string>();
    for (const { fd } of this.#dirs) for (const name of sys.names(fd)) all.add(name);
    return [...all].sort();
  }

  look(name: string): Found | undefined {
    for (const { fd } of this.#dirs) {
      const status = sys.lstatat(fd, name);
      if (status) return sys.isWhiteout(status) ? undefined : { dir: fd, status };
    }
    return undefined;
  }

  open(name: string): Merged {
    const opened: Layer[] = [];
    for (const { fd: dir, mount } of this.#dirs) {
      const status = sys.lstatat(dir, name);
      if (!status || (isDir(status) && status.mount !== mount)) continue;
      // Anything else hides what is below.
      if (!isDir(status)) break;
      const fd = ifThere(() => openFolder(dir, name));
      if (fd === undefined) continue;
      opened.push({ fd, mount });
      if (isOpaque(fd)) break;
    }
    return new Merged(opened);
  }

  close(): void {
    for (const { fd } of this.#dirs) sys.close(fd);
  }
}
