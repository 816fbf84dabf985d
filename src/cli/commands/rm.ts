/** `sampan rm`: removes containers. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";
import { type Flags } from "../flags.ts";
import { complain, print } from "../output.ts";
import { report } from "../report.ts";

const FLAGS = {
  force: { type: "bool", short: "f", help: "Force the removal of a running container (uses SIGKILL)" },
  link: { type: "bool", short: "l", help: "Remove the specified link" },
  volumes: { type: "bool", short: "v", help: "Remove anonymous volumes associated with the container" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run({ flags, args, where }) {
    const { containers } = Engine.open(where);
    const options = { force: flags.force ?? false, volumes: flags.volumes ?? false };
    if (flags.link) throw new SampanError("invalid", "--link: there are no links here");
    if (!options.force) return each(args, (reference) => containers.remove(reference, options));
    // With --force a container that is not there is what was wanted.
    let code = 0;
    for (const reference of args) {
      try {
        await containers.remove(reference, options);
        print(reference);
      } catch (error) {
        if (error instanceof SampanError && error.code === "not-found") complain(`sampan: ${error.message}`);
        else {
          code = 1;
          report(error);
        }
      }
    }
    return code;
  },
});
