/**
 * Who may throw image files away, and when. Whoever adds images holds images.lock shared while blobs and layers exist that
 * no row names yet; garbage is collected only by one who gets it exclusively. A lock ends with its process.
 */
import { closeSync, fstatSync, mkdirSync, openSync, rmSync, statSync } from "node:fs";
import type { Paths } from "../common/paths.ts";
import { LOCK_EX, LOCK_SH, tryFlock } from "../kernel/flock.ts";

const PAUSE = 20;

const openGate = (paths: Paths): number => openSync(`${paths.root}/images.lock`, "a", 0o600);

/** Runs `work` while nothing that it makes can be collected. */
export async function adding<T>(paths: Paths, work: () => Promise<T>): Promise<T> {
  const fd = openGate(paths);
  try {
    while (!tryFlock(fd, LOCK_SH)) await Bun.sleep(PAUSE);
    return await work();
  } finally {
    closeSync(fd);
  }
}

/** Runs `work` if nobody adds images at the moment; undefined if somebody does. */
export function collecting<T>(paths: Paths, work: () => T): T | undefined {
  const fd = openGate(paths);
  try {
    return tryFlock(fd, LOCK_EX) ? work() : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Runs `work` alone among all processes that name the same thing; `work` gets the lock's fd, which a child may inherit. */
export async function alone<T>(
  paths: Paths,
  name: string,
  work: (fd: number) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  mkdirSync(`${paths.root}/tmp`, { recursive: true, mode: 0o700 });
  const path = `${paths.root}/tmp/${name}.lock`;
  for (;;) {
    const fd = openSync(path, "a", 0o600);
    try {
      while (!tryFlock(fd, LOCK_EX)) {
        signal?.throwIfAborted();
        await Bun.sleep(PAUSE);
      }
      // The one before removed the file when it was done: then this is a lock on nothing.
      if (statSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino) continue;
      try {
        return await work(fd);
      } finally {
        rmSync(path, { force: true });
      }
    } finally {
      closeSync(fd);
    }
  }
}
