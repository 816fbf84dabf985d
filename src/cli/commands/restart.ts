/** `sampan restart`: stops and starts again. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";
import type { Flags } from "../flags.ts";

const FLAGS = {
  signal: { type: "string", short: "s", help: "Signal to send to the container" },
  time: { type: "int", help: "Seconds to wait before killing the container", hidden: true },
  timeout: { type: "int", short: "t", help: "Seconds to wait before killing the container" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const { containers } = Engine.open(where);
    const seconds = flags.timeout ?? flags.time;
    const options = {
      ...(seconds === undefined ? {} : { timeout: seconds < 0 ? -1 : seconds * 1000 }),
      ...(flags.signal ? { signal: flags.signal } : {}),
    };
    return each(args, (reference) => containers.restart(reference, options));
  },
});
