/** Processes that a test ends. */
import { readdirSync, readFileSync } from "node:fs";

/**
 * Whether it lives. Not if nothing is left of it but a zombie; one whose other threads have not ended yet still has all its files and
 * locks.
 */
export const alive = (pid: number): boolean => {
  try {
    const ended = /^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    return !ended || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
};

/**
 * Kills it and waits until the kernel has ended it. pgrep finds it no longer some milliseconds earlier: its memory goes
 * first, and its locks are still held.
 */
export async function killed(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  while (alive(pid)) await Bun.sleep(5);
}
