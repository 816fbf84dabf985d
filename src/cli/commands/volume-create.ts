/** `sampan volume create`: makes a volume. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { print } from "../output.ts";
import { toMap } from "../run/labels.ts";

const FLAGS = {
  driver: { type: "string", short: "d", help: 'Specify volume driver name (default "local")' },
  label: { type: "list", help: "Set metadata for a volume" },
  name: { type: "string", hidden: true, help: "" },
  opt: { type: "list", short: "o", help: "Set driver specific options" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] [VOLUME]",
  flags: FLAGS,
  least: 0,
  most: 1,
  async run({ flags, args, where }) {
    const [word] = args;
    if (word !== undefined && flags.name !== undefined)
      throw new UsageError(
        "conflicting options: cannot specify a volume name through both --name and as a positional arg",
      );
    const name = word ?? flags.name;
    const volume = await Engine.open(where).volumes.create({
      ...(name ? { name } : {}),
      ...(flags.driver ? { driver: flags.driver } : {}),
      labels: toMap(flags.label),
      options: toMap(flags.opt),
    });
    print(volume.name);
    return 0;
  },
});
