/** `sampan image inspect`. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";
import { imageObject } from "../objects.ts";

const FLAGS = {
  format: OBJECT_FORMAT,
  platform: {
    type: "string",
    help:
      "Inspect a specific platform of the multi-platform image.\n" +
      "If the image or the server is not multi-platform capable, the command will error out if the platform does not match.\n" +
      "'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)",
  },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags: { format, platform }, args, where }) {
    const engine = Engine.open(where);
    return inspectAll(args, format, async (reference) => {
      if (platform) await engine.images.checkPlatform(reference, platform);
      return imageObject(engine, reference);
    });
  },
});
