/** Processes that a test ends. */
import { readFileSync } from "node:fs";

/** Whether it lives: not even a zombie is left, or that alone. Only then are its files and locks let go. */
export const alive = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
};

/**
 * Kills it and waits until the kernel has ended it. pgrep finds it no longer some milliseconds earlier: its memory goes first, and its
 * locks are still held.
 */
export async function killed(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  while (alive(pid)) await Bun.sleep(5);
}
