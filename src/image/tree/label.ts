/** SELinux labels of files that are there: the attribute security.selinux, of a file or of everything beneath a folder. */
import * as sys from "../sys.ts";
import { O, SysError } from "../sys.ts";
import { ifThere, isDir, openFolder, Plain } from "./folder.ts";

const KEY = "security.selinux";

export interface Labelling {
  /** What is labelled so already is taken to be so as a whole: the folder itself gets its label last. */
  readonly once?: boolean;
}

/** Gives `path`, which is no link, and all that is beneath it that label; links are labelled themselves. */
export function labelTree(path: string, label: string, { once = false }: Labelling = {}): void {
  sys.load();
  const value = Buffer.from(`${label}\0`);
  const status = sys.lstatat(-100, path);
  if (!status) return;
  if (!isDir(status)) return give(() => sys.lsetxattr(path, KEY, value));
  const folder = new Plain(sys.openat(-100, path, O.rdonly | O.directory | O.nofollow));
  try {
    if (once && labelOf(folder.fd) === label) return;
    labelFolder(folder, value);
  } finally {
    folder.close();
  }
}

/** The kernel may end it with a NUL. */
const labelOf = (fd: number): string =>
  Buffer.from(sys.fgetxattr(fd, KEY) ?? [])
    .toString()
    .replace("\0", "");

function labelFolder(folder: Plain, value: Uint8Array): void {
  for (const name of folder.names()) {
    const found = folder.look(name);
    if (!found) continue;
    if (!isDir(found.status)) {
      give(() => sys.lsetxattr(`/proc/self/fd/${folder.fd}/${name}`, KEY, value));
      continue;
    }
    const inner = ifThere(() => new Plain(openFolder(folder.fd, name)));
    if (!inner) continue;
    try {
      labelFolder(inner, value);
    } finally {
      inner.close();
    }
  }
  give(() => sys.fsetxattr(folder.fd, KEY, value, ""));
}

/** A file may be gone by now, and a filesystem may take no labels: what lies there has that of the mount. */
function give(set: () => void): void {
  try {
    set();
  } catch (error) {
    if (error instanceof SysError && ["ENOENT", "EOPNOTSUPP", "ENOTSUP", "EROFS"].includes(error.errno))
      return;
    throw error;
  }
}
