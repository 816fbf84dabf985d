/** `sampan image prune`: removes images that nothing uses. */
import { booleanOf, collect, pruneFilter } from "../../docker/filters.ts";
import { humanSize4 } from "../../docker/human.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { pruneFlags } from "../filter.ts";
import type { Flags } from "../flags.ts";
import { print, write } from "../output.ts";
import { imageLines, removedText } from "../pruned.ts";

const FLAGS = {
  all: { type: "bool", short: "a", help: "Remove all unused images, not just dangling ones" },
  ...pruneFlags("until=<timestamp>"),
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const { dangling, ...rest } = collect(flags.filter);
    const all = flags.all === true || dangling?.some((value) => !booleanOf("dangling", value)) === true;
    const wanted = pruneFilter(rest);
    const warning = all
      ? "WARNING! This will remove all images without at least one container associated to them."
      : "WARNING! This will remove all dangling images.";
    if (!flags.force && !confirm(warning)) return 0;
    const { removed, reclaimed } = await Engine.open(where).images.prune({
      all,
      filter: ({ created, config }) => wanted({ created, labels: config.config?.Labels ?? {} }),
    });
    write(1, removedText("Deleted Images", imageLines(removed)));
    print(`Total reclaimed space: ${humanSize4(reclaimed)}`);
    return 0;
  },
});
