/**
 * What a container gives back when it has ended. This alone of the room is on the way of every container that could have a
 * network, since readers that are not asynchronous come by here.
 */
import { type Paths, runDir } from "../common/paths.ts";
import { LOCK_EX, tryFlock } from "../kernel/flock.ts";
import { closeSync, existsSync, openSync } from "../kernel/fs.ts";
import { enginePath, startHolding } from "../launch/index.ts";
import type { Store } from "../store/index.ts";

const LEFT = "SELECT count(*) AS n FROM ports WHERE container = ? AND planned <= ?";

const USED = "SELECT 1 FROM endpoints WHERE active = 1 LIMIT 1";

/** Has the statements of an end ready. */
export function expectRelease({ db }: Store): void {
  db.query(LEFT);
  db.query(USED);
}

/** Held by the process that waits for the networks to be idle: see idle.ts. */
const idleLock = (run: string): string => `${run}/network.idle`;

/**
 * There while the kernel may have anything of the networks': made before that is, removed after it. Of the run folder, since a
 * boot takes both.
 */
export const kernelMark = ({ run }: Paths): string => `${run}/network.there`;

/** In a container's run folder: the ids of those that were started in its network namespace, which so may outlive it. */
export const sharersFile = (paths: Paths, container: string): string => `${runDir(paths, container)}/sharers`;

interface Place {
  readonly paths: Paths;
  readonly store: Store;
}

/**
 * Once an end is written down: where it was the last, what is left in the kernel is to go. The process that sees to it has the
 * lock from its first moment, so that there is never a second.
 */
export function tidyLater({ paths: { root, run }, store }: Place): void {
  if (store.db.query(USED).get()) return;
  const lock = openSync(idleLock(run), "a", 0o600);
  try {
    if (tryFlock(lock, LOCK_EX)) startHolding(lock, "ignore", "repair", root, run, "idle").unref();
  } finally {
    closeSync(lock);
  }
}

/**
 * Starts that process again if it was killed, or whoever was to start it. Every command asks, so that where the kernel has nothing
 * it costs one look; nobody waits for it.
 */
export function tidyAgain(place: Place): void {
  if (!existsSync(kernelMark(place.paths))) return;
  try {
    tidyLater(place);
  } catch {
    // Whoever may only read leaves it to others.
  }
}

/**
 * Removes from the kernel what the container's keeper has not (`lost`: there was no keeper to do it) and then gives its
 * addresses and ports back, which `goes` leaves to the removal of the container's own row. In this order a crash in between is met by the same steps again.
 */
export function release({ paths, store }: Place, container: string, lost: boolean, goes: boolean): void {
  const left = store.db.query<{ n: number }, [string, number]>(LEFT).get(container, lost ? 1 : 0);
  // A command of its own does it: what it needs is not loaded here.
  if ((left && left.n > 0) || existsSync(sharersFile(paths, container)))
    Bun.spawnSync([enginePath(), "repair", paths.root, paths.run, container], {
      stdio: ["ignore", "ignore", "ignore"],
    });
  if (!goes) store.transaction(() => releaseRows(store, container), true);
}

/** The rows alone, inside the caller's transaction. */
export function releaseRows({ db }: Store, container: string): void {
  db.query(
    `UPDATE endpoints SET active = 0, interface = NULL, mac = NULL, ipv4 = asked ->> 'ipv4', ipv6 = asked ->> 'ipv6'
     WHERE container = ? AND active = 1`,
  ).run(container);
  db.query("DELETE FROM ports WHERE container = ?").run(container);
}
