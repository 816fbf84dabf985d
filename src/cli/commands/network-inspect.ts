/** `sampan network inspect`. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";
import { networkObject } from "../objects.ts";

const FLAGS = {
  format: OBJECT_FORMAT,
  verbose: { type: "bool", short: "v", help: "Verbose output for diagnostics" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const engine = Engine.open(where);
    return inspectAll(args, flags.format, (reference) => networkObject(engine, reference));
  },
});
