/** `sampan volume clone`: a new volume with the content of another. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { print } from "../output.ts";

export default command({
  usage: "VOLUME NEW_VOLUME",
  flags: {},
  least: 2,
  most: 2,
  async run({ args: [from = "", to = ""], where }) {
    print((await Engine.open(where).volumes.clone(from, to)).name);
    return 0;
  },
});
