/** `sampan network rm`: removes networks that no container is on. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { each, SILENT } from "../each.ts";
import type { Flags } from "../flags.ts";

const FLAGS = {
  force: { type: "bool", short: "f", help: "Do not error if the network does not exist" },
} as const satisfies Flags;

export default command({
  usage: "NETWORK [NETWORK...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const { networks } = Engine.open(where);
    return each(args, async (name) => {
      try {
        return await networks.remove(name);
      } catch (error) {
        if (!(flags.force && error instanceof SampanError && error.code === "not-found")) throw error;
        return SILENT;
      }
    });
  },
});
