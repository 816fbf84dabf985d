/** Where the responder is found: by everybody who starts a container, so that this is all of it that they load. */

import type { Paths } from "../../common/paths.ts";
import { isLocked } from "../../kernel/flock.ts";
import { existsSync, readFileSync } from "../../kernel/fs.ts";
import { startEngine } from "../../launch/index.ts";

/** On the bridges' addresses. Not 53, which a resolver of the host may have on all of them; not one that the kernel hands out. */
export const PORT = 20053;

export interface Posts {
  readonly folder: string;
  /** Held while it lives. */
  readonly lock: string;
  /** The addresses on which it listens and the ports that it carries, a line each. */
  readonly ready: string;
  readonly socket: string;
  /** The store's write-ahead log, which changes whenever something is written down. */
  readonly store: string;
}

export const postsOf = ({ root, run }: Paths): Posts => {
  const folder = `${run}/names`;
  return {
    folder,
    lock: `${folder}/lock`,
    ready: `${folder}/ready`,
    socket: `${folder}/socket`,
    store: `${root}/sampan.db-wal`,
  };
};

export type Standing = "listens" | "lives" | "gone";

/** Whether it serves all of these places, at least lives, or is gone. */
export function standing(posts: Posts, wanted: readonly string[]): Standing {
  let ready = "";
  try {
    ready = readFileSync(posts.ready, "latin1");
  } catch {
    return isLocked(posts.lock) ? "lives" : "gone";
  }
  if (!isLocked(posts.lock)) return "gone";
  const places = ready.split("\n");
  return wanted.every((place) => places.includes(place)) ? "listens" : "lives";
}

/** Starts one that lives on by itself; what it says is that it is ready. */
export const spawnResponder = ({ root, run }: Paths) => startEngine("pipe", "names", root, run);

/** Starts one that nobody waits for. One that lives sees by itself what was written down. */
export function wake(paths: Paths): void {
  if (!isLocked(postsOf(paths).lock)) spawnResponder(paths).unref();
}

/**
 * Starts it again if it was killed: one that leaves in order takes its file along. Every command asks, so that it costs one
 * look; nobody waits for it.
 */
export function revive(paths: Paths): void {
  const { ready, lock } = postsOf(paths);
  if (existsSync(ready) && !isLocked(lock)) spawnResponder(paths).unref();
}
