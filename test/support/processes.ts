/** Processes that a test ends. */
import { readdirSync, readFileSync } from "node:fs";
import { until } from "./until.ts";

/** The letter of a thread in /proc; none when there is none. */
function stateOf(pid: number, thread = pid): string {
  try {
    return /^\d+ \(.*\) (.)/s.exec(readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

/**
 * Whether it lives: not even a zombie is left, or that alone. Only then are its files and locks let go: its first thread may be
 * a zombie while others still have them.
 */
export function alive(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some(
      (thread) => !["", "Z", "X"].includes(stateOf(pid, Number(thread))),
    );
  } catch {
    return false;
  }
}

/** Where SAMPAN_STOP_AFTER holds it: the keeper is stopped; a child cannot be, as its namespace's pid 1, and pauses. */
export const isHeld = (pid: number): boolean => {
  if (stateOf(pid) === "T") return true;
  try {
    return readFileSync(`/proc/${pid}/syscall`, "utf8").startsWith(PAUSE);
  } catch {
    return false;
  }
};
const PAUSE = process.arch === "x64" ? "34 " : "73 ";

/**
 * Kills it and waits until the kernel has ended it. pgrep finds it no longer some milliseconds earlier: its memory goes
 * first, and its locks are still held.
 */
export async function killed(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await until(() => !alive(pid), `process ${pid} to end`);
}
