/** `sampan volume export`: a volume's content as a tar archive. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { intoFile } from "../into-file.ts";

const FLAGS = {
  output: { type: "string", short: "o", help: "Write to a file, or to STDOUT with -" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] VOLUME",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args: [name = ""], where }) {
    const { volumes } = Engine.open(where);
    await intoFile(flags.output === "-" ? undefined : flags.output, async (write) => {
      for await (const bytes of volumes.export(name)) write(bytes);
    });
    return 0;
  },
});
