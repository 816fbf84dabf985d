/**
 * What lies beneath a layer that is being unpacked: its lower layers, seen merged, through folder fds that were opened
 * before chroot. Needed where an archive leaves something to them: a parent folder that it does not list, a hard link
 * to a file that only they have. Every step is one openat of one name with O_NOFOLLOW: no link is ever followed.
 */
import { readdirSync } from "node:fs";
import {
  close,
  fgetxattr,
  flistxattr,
  isWhiteout,
  lstatat,
  O,
  openat,
  S_IF,
  S_IFMT,
  type Status,
} from "../sys.ts";
import { decodeName } from "../tar/name.ts";

export interface Found {
  readonly status: Status;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** The folder that it is in: valid while `use` runs. */
  readonly dir: number;
  readonly name: string;
}

export class Lower {
  readonly #layers: readonly number[];
  readonly #opaque: string;
  /** What stands in the roots of all layers, hidden or not. */
  readonly names: ReadonlySet<string>;

  /** Folders of unpacked layers, top-most first. */
  constructor(folders: readonly string[], userxattr: boolean) {
    this.#layers = folders.map((path) => openat(-100, path, O.rdonly | O.directory | O.nofollow));
    this.names = new Set(
      folders.flatMap((path) => readdirSync(path, { encoding: "buffer" }).map(decodeName)),
    );
    this.#opaque = userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
  }

  get empty(): boolean {
    return this.#layers.length === 0;
  }

  /** The metadata of the root, which the top-most layer gives. */
  get root(): Status | undefined {
    const top = this.#layers[0];
    return top === undefined ? undefined : lstatat(top, "");
  }

  /** Looks the path up from the top; calls `use` with what the lower layers show there, or gives undefined. */
  find<T>(components: readonly string[], use: (found: Found) => T): T | undefined {
    for (const layer of this.#layers) {
      let dir = layer;
      let last = false;
      try {
        for (const [index, name] of components.entries()) {
          const status = lstatat(dir, name);
          if (!status) break;
          if (isWhiteout(status)) return undefined;
          if (index === components.length - 1)
            return use({ status, xattrs: xattrs(dir, name, status), dir, name });
          if ((status.mode & S_IFMT) !== S_IF.dir) return undefined;
          const next = openat(dir, name, O.rdonly | O.directory | O.nofollow);
          if (dir !== layer) close(dir);
          dir = next;
          // An opaque folder hides what is beneath it.
          last ||= fgetxattr(dir, this.#opaque)?.[0] === 121;
        }
      } finally {
        if (dir !== layer) close(dir);
      }
      if (last) return undefined;
    }
    return undefined;
  }
}

/** Those that belong to the file, not to overlayfs. Only files and folders can be asked by fd. */
function xattrs(dir: number, name: string, status: Status): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const type = status.mode & S_IFMT;
  if (type !== S_IF.file && type !== S_IF.dir) return found;
  const fd = openat(dir, name, O.rdonly | O.nofollow);
  try {
    for (const key of flistxattr(fd)) {
      if (key.startsWith("trusted.overlay.") || key.startsWith("user.overlay.")) continue;
      const value = fgetxattr(fd, key);
      if (value) found.set(key, value);
    }
  } finally {
    close(fd);
  }
  return found;
}
