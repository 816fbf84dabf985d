/**
 * Reading /proc and cgroupfs for an explanation. A file that is gone reads as nothing; one that may not be read is noted, so
 * that the explanation can say what is missing.
 */

import {
  closeSync,
  constants,
  fstatSync,
  openInRoot,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
} from "../kernel/fs.ts";

/** As much of a file that a container wrote as anybody wants to see. */
const MOST = 1 << 20;

export class Look {
  /** Names of what may not be read: `namespaces`, `mounts`, … */
  readonly refused = new Set<string>();

  #try<T>(what: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "EACCES" || code === "EPERM") this.refused.add(what);
      return undefined;
    }
  }

  text(path: string, what: string): string | undefined {
    return this.#try(what, () => readFileSync(path, "utf8"));
  }

  link(path: string, what: string): string | undefined {
    return this.#try(what, () => readlinkSync(path));
  }

  /**
   * A small file as the process sees it. What lies there is the container's, so it is looked up beneath its root, and it
   * may be anything: only a plain file is read.
   */
  inside(pid: number, path: string): string | undefined {
    let root = -1;
    let fd = -1;
    try {
      root = openSync(`/proc/${pid}/root`, constants.O_RDONLY | constants.O_DIRECTORY);
      fd = openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      const found = fstatSync(fd);
      if (!found.isFile()) return undefined;
      const bytes = new Uint8Array(Math.min(found.size, MOST));
      return new TextDecoder().decode(bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0)));
    } catch {
      return undefined;
    } finally {
      for (const each of [root, fd]) if (each >= 0) closeSync(each);
    }
  }
}

/** First lines win, as getpwuid(3) has it. */
export function userNames(passwd: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of passwd.split("\n")) {
    const [name = "", , uid = ""] = line.split(":");
    if (uid !== "" && name !== "" && !names.has(Number(uid))) names.set(Number(uid), name);
  }
  return names;
}
