/** `sampan unpause`: lets the processes of a paused container go on. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";

export default command({
  usage: "CONTAINER [CONTAINER...]",
  flags: {},
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ args, where }) {
    const { containers } = Engine.open(where);
    return each(args, (reference) => containers.unpause(reference));
  },
});
