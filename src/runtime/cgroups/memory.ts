/** memory: limit, swap, reservation; how an OOM kill shows. v2 names: kernel's cgroup-v2.rst, "Memory". */
import type { Controller, Place, Write } from "./controller.ts";
import { notOnV2, put } from "./controller.ts";

const orMax = (bytes: number): string => (bytes < 0 ? "max" : String(bytes));

export const memory: Controller = {
  name: "memory",
  v1: "memory",
  v2: "memory",
  limits(place, { memory: r }) {
    const writes: Write[] = [];
    if (r === undefined) return writes;
    const add = (file: string, data: string | number, flag: string): void => {
      writes.push(put(place, "memory", file, data, flag));
    };
    const swapFile = place.version === 2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
    const swap = wantedSwap(place, swapFile, r.limit, r.swap);
    if (place.version === 2) {
      if (r.swappiness !== undefined && r.swappiness !== -1) throw notOnV2("--memory-swappiness", "memory");
      if (r.disableOOMKiller) throw notOnV2("--oom-kill-disable", "memory");
      // Swap first when it becomes more, so that memory can go there when its own limit shrinks.
      if (swap !== undefined)
        add(swapFile, swap < 0 ? "max" : Math.max(0, swap - (r.limit ?? 0)), "--memory-swap");
      if (r.limit) add("memory.max", orMax(r.limit), "--memory");
      if (r.reservation) add("memory.low", orMax(r.reservation), "--memory-reservation");
      return writes;
    }
    if (r.limit) add("memory.limit_in_bytes", r.limit, "--memory");
    if (swap !== undefined) add(swapFile, swap, "--memory-swap");
    if (r.reservation) add("memory.soft_limit_in_bytes", r.reservation, "--memory-reservation");
    if (r.swappiness !== undefined && r.swappiness !== -1)
      add("memory.swappiness", r.swappiness, "--memory-swappiness");
    if (r.disableOOMKiller) add("memory.oom_control", "1", "--oom-kill-disable");
    return writes;
  },
};

/** Twice the limit is what nobody asked for: the default that goes with --memory. A kernel without swap limits goes without. */
function wantedSwap(place: Place, file: string, limit?: number, swap?: number): number | undefined {
  if (!swap) return undefined;
  if (limit !== undefined && swap === 2 * limit && !place.has(file)) return undefined;
  return swap;
}

/** The value of `key` in a file of `key value` lines; undefined: not there. */
export function field(text: string, key: string): number | undefined {
  let at = 0;
  while ((at = text.indexOf(key, at)) >= 0) {
    const after = at + key.length;
    if ((at === 0 || text[at - 1] === "\n") && text[after] === " ")
      return Number.parseInt(text.slice(after + 1), 10);
    at = after;
  }
  return undefined;
}

/** From the readings of the after column (or the live files): how many processes the kernel killed for want of memory. */
export const oomKills = (readings: Readonly<Record<string, string>>): number =>
  field(readings["memory.events"] ?? "", "oom_kill") ??
  field(readings["memory.oom_control"] ?? "", "oom_kill") ??
  0;
