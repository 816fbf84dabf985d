/**
 * What networks have in the kernel goes when nobody needs it any more. Not at once: making it again costs the next container
 * some 25 ms, and one often follows another. So whoever records the end of the last container that was on a network starts
 * a process, which waits until nothing has been written down for a while and then takes bridges and table away. If it is
 * killed, the next command finds the mark of what is there (see release.ts) and starts another.
 */
import { LOCK_EX, tryFlock, unflock } from "../kernel/flock.ts";
import { existsSync } from "../kernel/fs.ts";
import type { Place } from "./attach.ts";
import { finishLeaving, takeDownAll } from "./leaving.ts";
import { NetworkRows } from "./rows.ts";
import { alone } from "./shared.ts";

/** Milliseconds. */
const QUIET = 5_000;

/** The lock, which whoever starts this process holds already, so that this one does too. */
const LOCK = 0;

/** Resolves when all of it is gone, or is needed again, or another process waits for that. */
export async function tidyWhenIdle(place: Place): Promise<void> {
  const { paths, store } = place;
  const rows = new NetworkRows(store);
  /** Another number as soon as any other process has written. */
  const version = (): number | undefined =>
    store.db.query<{ data_version: number }, []>("PRAGMA data_version").get()?.data_version;
  for (;;) {
    if (!tryFlock(LOCK, LOCK_EX)) return;
    let seen: number | undefined;
    do {
      seen = version();
      await Bun.sleep(QUIET);
    } while (version() !== seen);
    if (!existsSync(paths.root)) return;
    if (rows.inUse().size === 0)
      alone(place, () => {
        finishLeaving(place);
        takeDownAll(place);
      });
    // In this order whoever records another end either finds nobody waiting, or is seen here.
    unflock(LOCK);
    if (version() === seen || rows.inUse().size > 0) return;
  }
}
