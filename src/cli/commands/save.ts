/** `sampan save`: images as an archive that `load` and Docker read. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { intoFile } from "../into-file.ts";

const FLAGS = {
  output: { type: "string", short: "o", help: "Write to a file, instead of STDOUT" },
  platform: {
    type: "string",
    help: 'Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
  },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run({ flags, args, where }) {
    const { images } = Engine.open(where);
    const { output, platform } = flags;
    if (platform) for (const name of args) await images.checkPlatform(name, platform);
    await intoFile(output, (write) => images.save(args, write));
    return 0;
  },
});
