/** `sampan pause`: freezes all processes of a container. */
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
    return each(args, (reference) => containers.pause(reference));
  },
});
