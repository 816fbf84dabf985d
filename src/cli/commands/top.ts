/** `sampan top`: a container's processes as the host sees them. */

import { table } from "../../docker/table.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { write } from "../output.ts";

export default command({
  usage: "CONTAINER [ps OPTIONS]",
  flags: {},
  least: 1,
  most: Number.POSITIVE_INFINITY,
  interspersed: false,
  async run({ args, where }) {
    const [reference = "", ...options] = args;
    const { titles, processes } = await Engine.open(where).containers.top(reference, options);
    write(1, table([titles, ...processes], 0));
    return 0;
  },
});
