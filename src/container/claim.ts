/**
 * One change at a time to a container: start, record of its end, removal. A claim is an flock on the container's own
 * folder, so it ends with the process that holds it, however that ends. Whoever got it after a wait looks again at the
 * row: the container may be gone. Stopping and killing need no claim; they only ask the keeper.
 */

import { steadyNow } from "../kernel/clock.ts";
import { LOCK_EX, tryFlock } from "../kernel/flock.ts";
import { closeSync, existsSync, openSync } from "../kernel/fs.ts";

export type Release = () => void;

/** Claims of this process: they wait for each other without polling. */
const queue = new Map<string, Promise<void>>();

/** Takes the claim if it is free. A folder that is gone can be claimed by nobody. */
export function tryClaim(folder: string): Release | undefined {
  let fd: number;
  try {
    fd = openSync(folder, "r");
  } catch {
    return undefined;
  }
  if (tryFlock(fd, LOCK_EX)) return () => closeSync(fd);
  closeSync(fd);
  return undefined;
}

/**
 * Waits for the claim. Undefined: the folder is gone, or `patience` milliseconds were not enough.
 */
export async function claim(
  folder: string,
  patience = Number.POSITIVE_INFINITY,
): Promise<Release | undefined> {
  const until = steadyNow() + patience;
  for (let waiting = queue.get(folder); waiting; waiting = queue.get(folder)) await waiting;
  const done = Promise.withResolvers<void>();
  queue.set(folder, done.promise);
  const leave = (): void => {
    queue.delete(folder);
    done.resolve();
  };
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    const release = tryClaim(folder);
    if (release) {
      return () => {
        release();
        leave();
      };
    }
    // The kernel tells nobody when a lock of another process becomes free without a thread that blocks for it.
    if (steadyNow() >= until || !existsSync(folder)) {
      leave();
      return undefined;
    }
    await Bun.sleep(pause);
  }
}
