/** `sampan import`: an image of the archive of a root filesystem. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { print } from "../output.ts";

const FLAGS = {
  change: { type: "list", short: "c", help: "Apply Dockerfile instruction to the created image" },
  message: { type: "string", short: "m", help: "Set commit message for imported image" },
  platform: { type: "string", help: "Set platform if server is multi-platform capable" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] file|- [REPOSITORY[:TAG]]",
  flags: FLAGS,
  least: 1,
  most: 2,
  async run({ flags, args, where }) {
    const [file = "", reference] = args;
    if (/^https?:\/\//.test(file))
      throw new SampanError("unavailable", `import ${file}: this version has no way to the network`, {
        hint: "Fetch the archive first and import the file.",
      });
    const id = await Engine.open(where).images.import(file === "-" ? Bun.stdin.stream() : file, {
      ...(reference ? { reference } : {}),
      changes: flags.change,
      ...(flags.message ? { message: flags.message } : {}),
      ...(flags.platform ? { platform: flags.platform } : {}),
    });
    print(id);
    return 0;
  },
});
