/** `sampan commit`: an image of what a container has written. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { print } from "../output.ts";

const FLAGS = {
  author: {
    type: "string",
    short: "a",
    help: 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")',
  },
  change: { type: "list", short: "c", help: "Apply Dockerfile instruction to the created image" },
  message: { type: "string", short: "m", help: "Commit message" },
  pause: { type: "bool", short: "p", help: "Pause container during commit (default true)" },
  "no-pause": { type: "bool", help: "Disable pausing container during commit" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  flags: FLAGS,
  least: 1,
  most: 2,
  async run({ flags, args: [container = "", reference], where }) {
    if (flags.pause !== undefined && flags["no-pause"] !== undefined)
      throw new UsageError("conflicting options: --no-pause and --pause cannot be used together");
    const pause = flags["no-pause"] ? false : flags.pause;
    const id = await Engine.open(where).containers.commit(container, {
      ...(reference && { reference }),
      ...(flags.author && { author: flags.author }),
      ...(flags.message && { message: flags.message }),
      ...(pause !== undefined && { pause }),
      changes: flags.change,
    });
    print(id);
    return 0;
  },
});
