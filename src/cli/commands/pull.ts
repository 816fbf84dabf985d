/** `sampan pull`: an image from its registry. */
import { Engine } from "../../engine.ts";
import { referenceText, repository, withTag } from "../../image/index.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { print } from "../output.ts";
import { pullImage } from "../pulling.ts";
import { platformOf } from "../run/image.ts";
import { wanted } from "../tags.ts";

const FLAGS = {
  "all-tags": { type: "bool", short: "a", help: "Download all tagged images in the repository" },
  "disable-content-trust": { type: "bool", help: "Skip image verification (default true)", hidden: true },
  platform: { type: "string", help: "Set platform if server is multi-platform capable" },
  quiet: { type: "bool", short: "q", help: "Suppress verbose output" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const name = args[0] ?? "";
    const { reference, allTags } = wanted(name, flags);
    const platform = platformOf(flags.platform, name);
    await pullImage(Engine.open(where), name, 1, { platform, quiet: flags.quiet, allTags });
    print(allTags ? repository(reference) : referenceText(withTag(reference)));
    return 0;
  },
});
