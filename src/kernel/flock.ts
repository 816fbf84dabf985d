/** flock(2), which node:fs lacks. */
import { closeSync, openSync, readFileSync, statSync } from "./fs.ts";
import { libc } from "./libc.ts";

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
const LOCK_UN = 8;

const call = (fd: number, operation: number): number => libc().flock(fd, operation);

/** Holds the lock while `work` runs. Waits for it, however long another holder takes. */
export function flock<T>(fd: number, operation: number, work: () => T): T {
  while (call(fd, operation) !== 0) {
    // Only EINTR can end a wait on a valid fd: ask again.
  }
  try {
    return work();
  } finally {
    call(fd, LOCK_UN);
  }
}

/** Takes the lock if nobody else holds it; false if somebody does. The lock is gone when the fd is closed. */
export const tryFlock = (fd: number, operation: number): boolean => call(fd, operation | LOCK_NB) === 0;

/** Gives the lock up. */
export const unflock = (fd: number): void => {
  call(fd, LOCK_UN);
};

/** Whether somebody holds the lock. The test takes it shared for a moment, and a holder-to-be waits for its own. */
export function isLocked(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    return !tryFlock(fd, LOCK_SH);
  } finally {
    closeSync(fd);
  }
}

/** The process that holds an exclusive flock on the file, as /proc/locks has it; undefined: nobody, or out of sight. */
export function flockHolder(path: string): number | undefined {
  const inode = String(statSync(path).ino);
  for (const line of readFileSync("/proc/locks", "latin1").split("\n")) {
    // 1: FLOCK  ADVISORY  WRITE 30165 fe:00:2155174 0 EOF
    const [, kind, , access, pid, file] = line.split(/ +/);
    if (
      kind === "FLOCK" &&
      access === "WRITE" &&
      file?.slice(file.lastIndexOf(":") + 1) === inode &&
      Number(pid) > 0
    )
      return Number(pid);
  }
  return undefined;
}
