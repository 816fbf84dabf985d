/**
 * What stays in memory for a container that only waits: the proportional set size of the process that looks after it.
 * Proportional, since a page that fifty keepers share is there once.
 */
import { readFileSync } from "node:fs";
import { Containers } from "../containers.ts";
import type { Medians } from "../sample.ts";
import { atMost, type Measure } from "./measure.ts";

const BUDGET_MB = 0.3;

export const memory: Measure = {
  name: "memory",
  async rows({ peers, scale, signal }) {
    const count = Math.max(10, 50 / scale);
    const values: Medians = {};
    for (const { name, background, books } of peers) {
      if (!background || !books) continue;
      using _containers = await Containers.idle(background, count, signal);
      const sizes = books.keepers().map(proportionalSize);
      if (sizes.length < count) throw new Error(`${name} has ${sizes.length} keepers of ${count} containers`);
      values[name] = sizes.reduce((sum, size) => sum + size, 0) / count / 1e6;
    }
    const budgets = [atMost(BUDGET_MB, "MB")];
    return [
      {
        title: `keeper of an idle container, PSS, ${count} of them`,
        unit: "MB",
        values,
        samples: count,
        budgets,
      },
    ];
  },
};

/** In bytes. */
function proportionalSize(pid: number): number {
  const kilobytes = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}
