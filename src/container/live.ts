/**
 * Whether a container lives, by what cannot lie: its keeper holds a lock as long as it lives, and has written who it and
 * the process are: as the text of a link, which is there whole or not at all and is read in one call. All of it lies in the
 * run folder, which a reboot empties.
 */

import type { Paths } from "../common/paths.ts";
import { isLocked } from "../kernel/flock.ts";
import { readdirSync, readlinkSync } from "../kernel/fs.ts";
import { shortId } from "./ids.ts";

export { isLocked };

export interface Live {
  readonly keeper: number;
  readonly keeperStart: bigint;
  /** 0 while it waits for a restart. */
  readonly pid: number;
  readonly start: bigint;
  /** Nanoseconds since 1970, decimal. */
  readonly startedAt: string;
  readonly restarts: number;
  readonly restarting: boolean;
}

/** What the keeper wrote; undefined: it has not come so far. */
export function readPidFile(path: string): Live | undefined {
  let text: string;
  try {
    text = readlinkSync(path);
  } catch {
    return undefined;
  }
  const [keeper, keeperStart, pid, start, startedAt = "0", restarts, state] = text.split(" ");
  return {
    keeper: Number(keeper),
    keeperStart: BigInt(keeperStart ?? 0),
    pid: Number(pid),
    start: BigInt(start ?? 0),
    startedAt,
    restarts: Number(restarts),
    restarting: state === "restarting",
  };
}

/** The containers that have a run folder: every one that lives, and some whose end nobody has recorded yet. */
export function runFolders(paths: Paths): ReadonlySet<string> {
  try {
    return new Set(readdirSync(paths.run));
  } catch {
    return new Set();
  }
}

export const hasRunFolder = (folders: ReadonlySet<string>, id: string): boolean => folders.has(shortId(id));
