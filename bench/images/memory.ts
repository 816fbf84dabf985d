/** A command's time, and the most memory that it takes with all processes that work for it: the sum of their proportional shares. */
import { readdirSync, readFileSync } from "node:fs";
import type { Command } from "../command.ts";

/** Often enough for what takes seconds, and seldom enough to cost it nothing. */
const EVERY_MS = 20;

export interface Watched {
  readonly seconds: number;
  readonly megabytes: number;
}

/** `daemons`: names of programs that work for the command without being its children. */
export async function watched(
  command: Command,
  daemons: readonly string[],
  every = EVERY_MS,
): Promise<Watched> {
  const start = Bun.nanoseconds();
  const child = Bun.spawn([...command], { stdio: ["ignore", "ignore", "inherit"] });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, sharesOf(child.pid, daemons));
  }, every);
  const code = await child.exited;
  const seconds = (Bun.nanoseconds() - start) / 1e9;
  clearInterval(watch);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}`);
  return { seconds, megabytes: peak / 1e6 };
}

function sharesOf(top: number, daemons: readonly string[]): number {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap(look);
  const wanted = new Set([top]);
  for (const { pid, name } of processes) if (daemons.includes(name)) wanted.add(pid);
  // Children stand behind their parents in most cases, but pids go round.
  for (let before = -1; before !== wanted.size; ) {
    before = wanted.size;
    for (const { pid, parent } of processes) if (wanted.has(parent)) wanted.add(pid);
  }
  return [...wanted].reduce((sum, pid) => sum + shareOf(pid), 0);
}

function look(pid: string): { pid: number; parent: number; name: string }[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = stat.lastIndexOf(")");
    const parent = Number(stat.slice(end + 2).split(" ")[1]);
    return [{ pid: Number(pid), parent, name: stat.slice(stat.indexOf("(") + 1, end) }];
  } catch {
    // It ended while we looked.
    return [];
  }
}

/** Bytes. */
function shareOf(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
