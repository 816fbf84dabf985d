/** `sampan volume prune`: removes volumes that no container uses. */
import { collect } from "../../docker/filters.ts";
import { humanSize4 } from "../../docker/human.ts";
import { volumePruneChoice } from "../../docker/volumes.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { pruneFlags } from "../filter.ts";
import { type Flags, UsageError } from "../flags.ts";
import { print, write } from "../output.ts";
import { removedText } from "../pruned.ts";
import { report } from "../report.ts";

const FLAGS = {
  all: { type: "bool", short: "a", help: "Remove all unused volumes, not just anonymous ones" },
  ...pruneFlags("label=<label>"),
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const filters = collect(flags.filter);
    if (flags.all && filters["all"])
      throw new UsageError("conflicting options: cannot specify both --all and --filter all=1", "plain");
    const choice = volumePruneChoice(filters);
    const all = flags.all === true || choice.all;
    const which = all ? "all" : "anonymous";
    const warning = `WARNING! This will remove ${which} local volumes not used by at least one container.`;
    if (!flags.force && !confirm(warning)) return 0;
    const { removed, reclaimed, problems } = await Engine.open(where).volumes.prune({
      all,
      filter: choice.filter,
    });
    write(1, removedText("Deleted Volumes", removed));
    print(`Total reclaimed space: ${humanSize4(reclaimed)}`);
    for (const problem of problems) report(problem);
    return problems.length > 0 ? 1 : 0;
  },
});
