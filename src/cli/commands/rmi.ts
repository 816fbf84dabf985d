/** `sampan rmi`: takes names from images, and images away with their last name. */

import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { print } from "../output.ts";
import { report } from "../report.ts";

const FLAGS = {
  force: { type: "bool", short: "f", help: "Force removal of the image" },
  platform: {
    type: "list",
    help: 'Remove only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
  },
  "no-prune": { type: "bool", help: "Do not delete untagged parents" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run({ flags, args, where }) {
    const { containers, images } = Engine.open(where);
    const [platform, another] = flags.platform;
    if (another !== undefined) throw new UsageError("multiple platforms are not supported", "plain");
    const options = {
      force: flags.force ?? false,
      noPrune: flags["no-prune"] ?? false,
      ...(platform !== undefined && { platform }),
    };
    // Whoever looks records what has ended meanwhile: only what really runs is in the way.
    containers.list({ all: true });
    let code = 0;
    for (const reference of args) {
      try {
        for (const each of await images.remove(reference, options))
          print("untagged" in each ? `Untagged: ${each.untagged}` : `Deleted: ${each.deleted}`);
      } catch (error) {
        report(error);
        // With --force an image that is not there is what was wanted.
        if (!(options.force && error instanceof SampanError && error.code === "not-found")) code = 1;
      }
    }
    return code;
  },
});
