/** Processes by their program's name, of which the kernel keeps 15 characters. In this bench's pid namespace only. */
import { readdirSync, readFileSync } from "node:fs";

export function processesNamed(name: string): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && command(entry) === name)
    .map(Number);
}

function command(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd();
  } catch {
    // It ended while we looked.
    return "";
  }
}
