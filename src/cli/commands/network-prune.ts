/** `sampan network prune`: removes networks that no running container is on. */
import { collect } from "../../docker/filters.ts";
import { networkPruneFilter } from "../../docker/networks.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { pruneFlags } from "../filter.ts";
import { write } from "../output.ts";
import { removedText } from "../pruned.ts";

const FLAGS = pruneFlags("until=<timestamp>");

const WARNING = "WARNING! This will remove all custom networks not used by at least one container.";

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const wanted = networkPruneFilter(collect(flags.filter));
    if (!flags.force && !confirm(WARNING)) return 0;
    write(1, removedText("Deleted Networks", await Engine.open(where).networks.prune(wanted)));
    return 0;
  },
});
