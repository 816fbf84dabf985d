/** `sampan stop`: asks to end, waits, and ends. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";
import { STOP_FLAGS, stopOptions } from "../stopping.ts";

export default command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: STOP_FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const { containers } = Engine.open(where);
    const options = stopOptions(flags);
    return each(args, (reference) => containers.stop(reference, options));
  },
});
