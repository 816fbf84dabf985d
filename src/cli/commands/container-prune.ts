/** `sampan container prune`: removes all that do not run. */
import { collect, pruneChoice } from "../../docker/filters.ts";
import { humanSize4 } from "../../docker/human.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { pruneFlags } from "../filter.ts";
import { print, write } from "../output.ts";
import { removedText } from "../pruned.ts";

const FLAGS = pruneFlags("until=<timestamp>");

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const choice = pruneChoice(collect(flags.filter));
    if (!flags.force && !confirm("WARNING! This will remove all stopped containers.")) return 0;
    const { removed, reclaimed } = await Engine.open(where).containers.prune(choice);
    write(1, removedText("Deleted Containers", removed));
    print(`Total reclaimed space: ${humanSize4(reclaimed)}`);
    return 0;
  },
});
