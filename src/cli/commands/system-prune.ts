/** `sampan system prune`: removes what nothing uses, of every kind. */
import { collect, pruneChoice, pruneFilter } from "../../docker/filters.ts";
import { humanSize4 } from "../../docker/human.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { readFilter } from "../filter.ts";
import type { Flags } from "../flags.ts";
import { print, write } from "../output.ts";
import { imageLines, removedText } from "../pruned.ts";

const FLAGS = {
  all: { type: "bool", short: "a", help: "Remove all unused images not just dangling ones" },
  filter: {
    type: "list",
    takes: "filter",
    read: readFilter,
    help: 'Provide filter values (e.g. "label=<key>=<value>")',
  },
  force: { type: "bool", short: "f", help: "Do not prompt for confirmation" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const filters = collect(flags.filter);
    const all = flags.all ?? false;
    const choice = pruneChoice(filters);
    if (!flags.force && !confirm(question(all, flags.filter))) return 0;
    const engine = Engine.open(where);
    const containers = await engine.containers.prune(choice);
    write(1, removedText("Deleted Containers", containers.removed));
    // Last, since what was removed before may have been what used them.
    const wanted = pruneFilter(filters);
    const images = await engine.images.prune({
      all,
      filter: ({ created, config }) => wanted({ created, labels: config.config?.Labels ?? {} }),
    });
    write(1, removedText("Deleted Images", imageLines(images.removed)));
    print(`Total reclaimed space: ${humanSize4(containers.reclaimed + images.reclaimed)}`);
    return 0;
  },
});

function question(all: boolean, filters: readonly (readonly [name: string, value: string])[]): string {
  const kinds = [
    "all stopped containers",
    all ? "all images without at least one container associated to them" : "all dangling images",
  ];
  const items = (lines: readonly string[]): string => lines.map((line) => `  - ${line}\n`).join("");
  const chosen =
    filters.length === 0
      ? ""
      : `\n  Items to be pruned will be filtered with:\n${items(filters.map(([name, value]) => `${name}=${value}`))}`;
  return `WARNING! This will remove:\n${items(kinds)}${chosen}`;
}
