/** `sampan kill`: sends a signal, by default the one that cannot be refused. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";

export default command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: { signal: { type: "string", short: "s", help: "Signal to send to the container" } },
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const { containers } = Engine.open(where);
    return each(args, (reference) => containers.kill(reference, flags.signal || "KILL"));
  },
});
