/** `sampan container inspect`. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";
import { containerObject } from "../objects.ts";

const FLAGS = {
  format: OBJECT_FORMAT,
  size: { type: "bool", short: "s", help: "Display total file sizes" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const engine = Engine.open(where);
    return inspectAll(args, flags.format, (reference) =>
      containerObject(engine, reference, flags.size ?? false),
    );
  },
});
