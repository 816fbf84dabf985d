/** `sampan volume rm`: removes volumes that no container uses. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";
import type { Flags } from "../flags.ts";

const FLAGS = {
  force: { type: "bool", short: "f", help: "Force the removal of one or more volumes" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const { volumes } = Engine.open(where);
    return each(args, async (name) => {
      try {
        await volumes.remove(name);
      } catch (error) {
        // With --force a volume that is not there is what was wanted.
        if (!(flags.force && error instanceof SampanError && error.code === "not-found")) throw error;
      }
    });
  },
});
