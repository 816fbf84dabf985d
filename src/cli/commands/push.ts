/** `sampan push`: an image to its registry. */
import { Engine } from "../../engine.ts";
import { repository } from "../../image/index.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { print } from "../output.ts";
import { progressTo } from "../progress.ts";
import { wanted } from "../tags.ts";

const FLAGS = {
  "all-tags": { type: "bool", short: "a", help: "Push all tags of an image to the repository" },
  "disable-content-trust": { type: "bool", help: "Skip image signing (default true)", hidden: true },
  platform: {
    type: "string",
    help: 'Push a platform-specific manifest as a single-platform image to the registry. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
  },
  quiet: { type: "bool", short: "q", help: "Suppress verbose output" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] NAME[:TAG]",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const name = args[0] ?? "";
    const { reference, allTags } = wanted(name, flags);
    const pushed = await Engine.open(where).images.push(name, {
      allTags,
      ...(flags.platform && { platform: flags.platform }),
      ...(!flags.quiet && { onProgress: progressTo(1) }),
    });
    if (flags.quiet) print(allTags ? repository(reference) : (pushed[0]?.reference ?? name));
    return 0;
  },
});
