/** `sampan create`: makes a container that is started later. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { UsageError } from "../flags.ts";
import { complain, print } from "../output.ts";
import { configure } from "../run/config.ts";
import { CONTAINER_FLAGS } from "../run/flags.ts";
import { withImage } from "../run/image.ts";

export default command({
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: CONTAINER_FLAGS,
  least: 0,
  most: Number.POSITIVE_INFINITY,
  interspersed: false,
  async run({ flags, args, name, where }) {
    if (args.length === 0 && !flags.rootfs)
      throw new UsageError(`'${name}' requires at least 1 argument`, "arguments");
    const config = configure(flags, args);
    const engine = Engine.open(where);
    const make = () =>
      withImage(engine, config, flags, () =>
        engine.containers.create(config, flags.name ? { name: flags.name } : {}),
      );
    const { cidfile } = flags;
    const made = cidfile
      ? await (await import("../run/cidfile.ts")).withIdFile(cidfile, make, ({ id }) => id)
      : await make();
    for (const warning of made.warnings) complain(`WARNING: ${warning}`);
    print(made.id);
    return 0;
  },
});
