/** `sampan info`: this machine, and what the engine makes of it. */
import { infoJson, infoText } from "../../docker/info.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";
import { complain, write } from "../output.ts";

export default command({
  usage: "[OPTIONS]",
  flags: { format: OBJECT_FORMAT },
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const info = await Engine.open(where).info();
    if (flags.format) return inspectAll(["info"], flags.format, () => infoJson(info));
    write(1, infoText(info));
    for (const warning of info.warnings) complain(`WARNING: ${warning}`);
    return 0;
  },
});
