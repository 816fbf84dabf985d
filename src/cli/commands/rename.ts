/** `sampan rename`: another name for a container. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";

export default command({
  usage: "CONTAINER NEW_NAME",
  flags: {},
  least: 2,
  most: 2,
  async run({ args, where }) {
    const [reference = "", name = ""] = args;
    await Engine.open(where).containers.rename(reference.trim(), name.trim());
    return 0;
  },
});
