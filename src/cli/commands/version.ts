/** `sampan version`. */
import { versionJson, versionText } from "../../docker/info.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";
import { write } from "../output.ts";

export default command({
  usage: "[OPTIONS]",
  flags: { format: OBJECT_FORMAT },
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const version = await Engine.open(where).version();
    if (flags.format) return inspectAll(["version"], flags.format, () => versionJson(version));
    write(1, versionText(version));
    return 0;
  },
});
