/** `sampan volume rename`: another name, which the containers that use it follow. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";

export default command({
  usage: "VOLUME NEW_NAME",
  flags: {},
  least: 2,
  most: 2,
  async run({ args: [from = "", to = ""], where }) {
    await Engine.open(where).volumes.rename(from, to);
    return 0;
  },
});
