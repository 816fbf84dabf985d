/** `sampan create`: makes a container that is started later. */

import { Engine } from "../../engine.ts";
import { existsSync, writeFileSync } from "../../kernel/fs.ts";
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
    const { cidfile } = flags;
    if (cidfile && existsSync(cidfile))
      throw new UsageError(
        `container ID file found, make sure the other container isn't running or delete ${cidfile}`,
      );
    const engine = Engine.open(where);
    const made = await withImage(engine, config.image, flags, () =>
      engine.containers.create(config, flags.name ? { name: flags.name } : {}),
    );
    for (const warning of made.warnings) complain(`WARNING: ${warning}`);
    if (cidfile) writeFileSync(cidfile, made.id);
    print(made.id);
    return 0;
  },
});
