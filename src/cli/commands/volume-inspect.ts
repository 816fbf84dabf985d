/** `sampan volume inspect`. */
import { inspectVolume } from "../../docker/volumes.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";

export default command({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: { format: OBJECT_FORMAT },
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const { volumes } = Engine.open(where);
    return inspectAll(args, flags.format, async (name) => inspectVolume(await volumes.get(name)));
  },
});
