/** `sampan image inspect`. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";
import { imageObject } from "../objects.ts";

export default command({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: { format: OBJECT_FORMAT },
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const engine = Engine.open(where);
    return inspectAll(args, flags.format, (reference) => imageObject(engine, reference));
  },
});
