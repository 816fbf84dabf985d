/** `sampan apply`: accepts what a container changed in copy-on-write folders. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { print } from "../output.ts";
import { shown } from "../shown.ts";

const FLAGS = {
  force: {
    type: "bool",
    short: "f",
    help: "Also over what has changed in the folder since the container took its copy",
  },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER [PATH...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run({ flags, args: [container = "", ...paths], where }) {
    const { containers } = Engine.open(where);
    const applied = await containers.apply(container, paths, { force: flags.force ?? false });
    for (const { kind, path } of applied) print(shown(`${kind} ${path}`));
    return 0;
  },
});
