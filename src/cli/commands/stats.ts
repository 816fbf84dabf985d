/** `sampan stats`: what containers use, redrawn every second on a terminal. */

import type { Sample } from "../../container/index.ts";
import { formatter } from "../../docker/format.ts";
import { STATS_COLUMNS, StatsRow } from "../../docker/stats.ts";
import { tabbed, table } from "../../docker/table.ts";
import { Engine } from "../../engine.ts";
import { readCgroupHost } from "../../runtime/index.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { FORMAT } from "../format.ts";
import { complain, write } from "../output.ts";
import { isTerminal } from "../terminal.ts";

const FLAGS = {
  all: { type: "bool", short: "a", help: "Show all containers (default shows just running)" },
  format: FORMAT,
  "no-stream": { type: "bool", help: "Disable streaming stats and only pull the first result" },
  "no-trunc": { type: "bool", help: "Do not truncate output" },
} as const satisfies Flags;

const COLUMNS = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"] as const;
const SECOND = 1000;
const CLEAR = "\x1b[H\x1b[J";

export default command({
  usage: "[OPTIONS] [CONTAINER...]",
  flags: FLAGS,
  least: 0,
  most: Number.POSITIVE_INFINITY,
  async run({ flags, args, where }) {
    const { containers } = Engine.open(where);
    // A name that means nothing is an error; who ends while we look is not.
    for (const reference of args) containers.get(reference);
    const list = (): readonly string[] =>
      args.length > 0 ? args : containers.list({ all: flags.all ?? false }).map(({ id }) => id);
    const draw = await drawing(flags.format ?? "");
    const { note } = readCgroupHost();
    if (note)
      complain(`WARNING: ${note}: what containers use of the processor, memory and disks is not known`);
    const truncate = !flags["no-trunc"];
    const row = (sample: Sample, called: string): StatsRow => new StatsRow({ ...sample, called, truncate });

    if (flags["no-stream"]) {
      const samples = await Promise.all(
        list().map(async (called) => ({ called, sample: await glance(containers, called) })),
      );
      write(1, draw(samples.flatMap(({ called, sample }) => (sample ? [row(sample, called)] : []))));
      return 0;
    }
    const live = isTerminal(1);
    const latest = new Map<string, { sample: Sample; called: string }>();
    const watched = new Set<string>();
    const watch = async (called: string): Promise<void> => {
      try {
        for await (const sample of containers.stats(called, { stream: true }))
          latest.set(called, { sample, called });
      } catch {
        // Removed meanwhile.
      }
      latest.delete(called);
      watched.delete(called);
    };
    for (;;) {
      const named = list();
      for (const called of named)
        if (!watched.has(called)) {
          watched.add(called);
          void watch(called);
        }
      await Bun.sleep(SECOND);
      const rows = named.flatMap((called) => {
        const found = latest.get(called);
        return found && (found.sample.now || flags.all || args.length > 0) ? [row(found.sample, called)] : [];
      });
      write(1, (live ? CLEAR : "") + draw(rows));
      if (args.length > 0 && watched.size === 0) return 0;
    }
  },
});

async function glance(containers: Engine["containers"], called: string): Promise<Sample | undefined> {
  try {
    for await (const sample of containers.stats(called)) return sample;
  } catch {
    // Ended and gone meanwhile.
  }
  return undefined;
}

async function drawing(format: string): Promise<(rows: readonly StatsRow[]) => string> {
  if (format === "" || format === "table") {
    const headers = COLUMNS.map((column) => STATS_COLUMNS.headers[column]);
    return (rows) => table([headers, ...rows.map((row) => COLUMNS.map((column) => row[column]))]);
  }
  const { header, row, table: isTable } = await formatter(format, STATS_COLUMNS);
  return (rows) => {
    const lines = rows.map((each) => `${row(each)}\n`).join("");
    return isTable ? tabbed(`${header}\n${lines}`) : lines;
  };
}
