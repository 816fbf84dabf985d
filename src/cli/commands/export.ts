/** `sampan export`: a container's root filesystem as a tar archive. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { intoFile } from "../into-file.ts";

const FLAGS = {
  output: { type: "string", short: "o", help: "Write to a file, instead of STDOUT" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args: [reference = ""], where }) {
    const { containers } = Engine.open(where);
    // Before there is a file.
    containers.get(reference);
    await intoFile(flags.output, async (write) => {
      for await (const piece of containers.export(reference)) write(piece);
    });
    return 0;
  },
});
