/** How a process ended, as an exit code; what a code alone does not tell is said on stderr. */

import { formatDuration } from "../common/durations.ts";
import type { Exit } from "../launch/index.ts";
import { complain } from "./output.ts";

const KILLED = 137;

/** `limit`: the time that the container was given. */
export async function exitCode(exit: Exit | undefined, name: string, limit?: number): Promise<number> {
  if (!exit) {
    complain(`sampan: the keeper of ${name} was killed, and the process with it`);
    return KILLED;
  }
  if (exit.timedOut) {
    const time = limit === undefined ? "" : ` (${formatDuration(limit)})`;
    complain(`sampan: ${name} was killed: its time${time} was over`);
  } else if (exit.code === KILLED && !exit.killed) {
    const { oomKills } = await import("../runtime/index.ts");
    if (oomKills(exit.readings) > 0) {
      complain(`sampan: ${name} was killed: it needed more memory than its limit allows`);
      complain("A higher limit is set with --memory.");
    }
  }
  return exit.code;
}
