/** `sampan system prune`: removes what nothing uses, of every kind. */
import { collect, type Filters, pruneChoice, pruneFilter } from "../../docker/filters.ts";
import { humanSize4 } from "../../docker/human.ts";
import { volumePruneChoice } from "../../docker/volumes.ts";
import { Engine } from "../../engine.ts";
import type { PrunedVolumes } from "../../volume/index.ts";
import { command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { pruneFlags } from "../filter.ts";
import { type Flags, UsageError } from "../flags.ts";
import { print, write } from "../output.ts";
import { imageLines, removedText } from "../pruned.ts";
import { report } from "../report.ts";

const FLAGS = {
  all: { type: "bool", short: "a", help: "Remove all unused images not just dangling ones" },
  ...pruneFlags("label=<key>=<value>"),
  volumes: { type: "bool", help: "Prune anonymous volumes" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const filters = collect(flags.filter);
    const { all = false, volumes = false } = flags;
    if (volumes && filters["until"])
      throw new UsageError('ERROR: The "until" filter is not supported with "--volumes"', "plain");
    const choice = pruneChoice(filters);
    if (!flags.force && !confirm(question(all, volumes, flags.filter))) return 0;
    const engine = Engine.open(where);
    const containers = await engine.containers.prune(choice);
    write(1, removedText("Deleted Containers", containers.removed));
    // What was removed before may have been what used the rest.
    const wanted = pruneFilter(filters);
    write(1, removedText("Deleted Networks", await engine.networks.prune(wanted)));
    const volumeBytes = volumes ? (await pruneVolumes(engine, filters)).reclaimed : 0;
    const images = await engine.images.prune({
      all,
      filter: ({ created, config }) => wanted({ created, labels: config.config?.Labels ?? {} }),
    });
    write(1, removedText("Deleted Images", imageLines(images.removed)));
    print(`Total reclaimed space: ${humanSize4(containers.reclaimed + volumeBytes + images.reclaimed)}`);
    return 0;
  },
});

async function pruneVolumes(engine: Engine, filters: Filters): Promise<PrunedVolumes> {
  const { filter } = volumePruneChoice(filters);
  const pruned = await engine.volumes.prune({ filter });
  write(1, removedText("Deleted Volumes", pruned.removed));
  for (const problem of pruned.problems) report(problem);
  return pruned;
}

function question(
  all: boolean,
  volumes: boolean,
  filters: readonly (readonly [name: string, value: string])[],
): string {
  const kinds = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
  ];
  const items = (lines: readonly string[]): string => lines.map((line) => `  - ${line}\n`).join("");
  const chosen =
    filters.length === 0
      ? ""
      : `\n  Items to be pruned will be filtered with:\n${items(filters.map(([name, value]) => `${name}=${value}`))}`;
  return `WARNING! This will remove:\n${items(kinds)}${chosen}`;
}
