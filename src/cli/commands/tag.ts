/** `sampan tag`: one more name for an image. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";

export default command({
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  flags: {},
  least: 2,
  most: 2,
  async run({ args, where }) {
    const [source = "", target = ""] = args;
    await Engine.open(where).images.tag(source, target);
    return 0;
  },
});
