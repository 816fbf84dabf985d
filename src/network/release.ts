/**
 * What a container gives back when it has ended. This alone of the room is on the way of every container that could have a
 * network, since readers that are not asynchronous come by here.
 */
import type { Paths } from "../common/paths.ts";
import { isLocked } from "../kernel/flock.ts";
import { enginePath, startEngine } from "../launch/index.ts";
import type { Store } from "../store/index.ts";

const LEFT = "SELECT count(*) AS n FROM ports WHERE container = ? AND planned <= ?";

const USED = "SELECT 1 FROM endpoints WHERE active = 1 LIMIT 1";

/** Has the statements of an end ready. */
export function expectRelease({ db }: Store): void {
  db.query(LEFT);
  db.query(USED);
}

/** Held by the process that waits for the networks to be idle: see idle.ts. */
export const idleLock = ({ run }: Paths): string => `${run}/network.idle`;

/** Once an end is written down: where it was the last, what is left in the kernel is to go. */
export function tidyLater({ paths, store }: { readonly paths: Paths; readonly store: Store }): void {
  if (store.db.query(USED).get() || isLocked(idleLock(paths))) return;
  startEngine("ignore", "repair", paths.root, paths.run, "idle").unref();
}

/**
 * Removes from the kernel what the container's keeper has not (`lost`: there was no keeper to do it) and then gives its
 * addresses and ports back, which `goes` leaves to the removal of the container's own row. In this order a crash in between is met by the same steps again.
 */
export function release(
  { paths, store }: { readonly paths: Paths; readonly store: Store },
  container: string,
  lost: boolean,
  goes: boolean,
): void {
  const left = store.db.query<{ n: number }, [string, number]>(LEFT).get(container, lost ? 1 : 0);
  // A command of its own does it: what it needs is not loaded here.
  if (left && left.n > 0)
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
