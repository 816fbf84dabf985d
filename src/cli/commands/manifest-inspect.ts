/** `sampan manifest inspect`: what a registry has under a name, as it is. */
import { manifestJson, manifestObject } from "../../docker/manifest.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { print } from "../output.ts";

const FLAGS = {
  insecure: { type: "bool", help: "Allow communication with an insecure registry" },
  verbose: { type: "bool", short: "v", help: "Output additional info including layers and platform" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] MANIFEST",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const found = await Engine.open(where).images.look(args[0] ?? "", {
      insecure: flags.insecure ?? false,
      deep: flags.verbose ?? false,
    });
    if (!flags.verbose && !Array.isArray(found)) print(manifestJson(found));
    else {
      const objects = Array.isArray(found) ? found.map(manifestObject) : manifestObject(found);
      print(JSON.stringify(objects, null, "\t"));
    }
    return 0;
  },
});
