/** cpuset: which CPUs and memory nodes. A v1 folder is born with none, and no process can enter it so. */
import { readFileSync } from "../../kernel/fs.ts";
import type { Controller, Write } from "./controller.ts";
import { put } from "./controller.ts";

export const cpuset: Controller = {
  name: "cpuset",
  v1: "cpuset",
  v2: "cpuset",
  limits(place, { cpu: r }) {
    const writes: Write[] = [];
    if (r?.cpus) writes.push(put(place, "cpuset", "cpuset.cpus", r.cpus, "--cpuset-cpus"));
    if (r?.mems) writes.push(put(place, "cpuset", "cpuset.mems", r.mems, "--cpuset-mems"));
    return writes;
  },
};

const read = (path: string): string => {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return "";
  }
};

/**
 * v1: what each folder on the way down needs, from the nearest one above that has it. `folders` from the hierarchy's
 * mount down to the container's own; those that are filled already are left alone.
 */
export function inherit(folders: readonly string[], given: { cpus?: string; mems?: string }): Write[] {
  const writes: Write[] = [];
  for (const file of ["cpus", "mems"] as const) {
    // From the bottom up to the first that has a value, then down again.
    const last = folders.length - 1;
    let from = last - 1;
    let value = "";
    while (from >= 0 && (value = read(`${folders[from]}/cpuset.${file}`)) === "") from--;
    for (let at = from + 1; at <= last; at++) {
      if (at === last && given[file]) continue;
      writes.push({ path: `${folders[at]}/cpuset.${file}`, data: value, why: "cpuset" });
    }
  }
  return writes;
}
