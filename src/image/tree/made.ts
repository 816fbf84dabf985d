/**
 * Places that the engine makes in a container's own folder because it mounts something there: /proc, /etc/hosts and so on,
 * where the image has none. They are nobody's change as long as they are what the engine made: new and empty, or the link
 * that leads to the list of mounts.
 */
import * as sys from "../sys.ts";
import { S_IF, S_IFMT } from "../sys.ts";
import { ifThere, isDir, type Merged, openFolder } from "./folder.ts";

/** The text of /etc/mtab, the one link among the places. */
const LINK = new TextEncoder().encode("/proc/mounts");

export class MadePlaces {
  readonly #paths: ReadonlySet<string>;

  readonly #except: ReadonlySet<string>;

  /** With a slash in front, each with the folders on its way; `except`: those of which nothing is asked at all. */
  constructor(paths: readonly string[], except: ReadonlySet<string> = new Set()) {
    this.#paths = new Set(paths);
    this.#except = except;
  }

  /** Whether what stands at `path` is only a place of the engine's, or a folder that came up for nothing but such. */
  has(dir: number, name: string, path: string, lower: Merged | undefined): boolean {
    if (this.#except.has(path)) return true;
    if (!this.#paths.has(path)) return false;
    const status = sys.lstatat(dir, name);
    if (!status || sys.isWhiteout(status)) return false;
    const below = lower?.look(name)?.status;
    if (!isDir(status)) return !below && (status.size === 0 || isMadeLink(dir, name, status));
    const same = below && below.mode === status.mode && below.uid === status.uid && below.gid === status.gid;
    if (below && !same) return false;
    const fd = ifThere(() => openFolder(dir, name));
    if (fd === undefined) return true;
    const beneath = below ? lower?.open(name) : undefined;
    try {
      const names = sys.names(fd);
      // One that only its own time brought up is somebody's.
      if (below && names.length === 0) return false;
      return names.every((child) => this.has(fd, child, `${path}/${child}`, beneath));
    } finally {
      beneath?.close();
      sys.close(fd);
    }
  }
}

const isMadeLink = (dir: number, name: string, { mode }: sys.Status): boolean =>
  (mode & S_IFMT) === S_IF.symlink && Buffer.compare(sys.readlinkat(dir, name), LINK) === 0;
