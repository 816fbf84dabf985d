/** flock(2), which node:fs lacks. The library handle is opened once, at the first use. */
import { dlopen } from "bun:ffi";

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
const LOCK_UN = 8;

let libc: { flock(fd: number, operation: number): number } | undefined;
const call = (fd: number, operation: number): number => {
  libc ??= dlopen("libc.so.6", { flock: { args: ["int", "int"], returns: "int" } }).symbols;
  return libc.flock(fd, operation);
};

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
