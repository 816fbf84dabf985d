/** `sampan network disconnect`: one network less for a container, at once if it runs. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";

const FLAGS = {
  force: { type: "bool", short: "f", help: "Force the container to disconnect from a network" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: FLAGS,
  least: 2,
  most: 2,
  async run({ args: [network = "", container = ""], where }) {
    await Engine.open(where).containers.disconnect(container, network);
    return 0;
  },
});
