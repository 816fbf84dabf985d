/** `sampan rename`: another name for a container. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";

export default command({
  usage: "CONTAINER NEW_NAME",
  flags: {},
  least: 2,
  most: 2,
  async run({ args, where }) {
    const [reference = "", name = ""] = args.map((word) => word.trim());
    if (reference === "") throw new SampanError("invalid", "Neither old nor new names may be empty");
    await Engine.open(where).containers.rename(reference, name);
    return 0;
  },
});
