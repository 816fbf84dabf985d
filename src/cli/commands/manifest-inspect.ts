/** `sampan manifest inspect`: what a registry has under a name, as it is. */
import { SampanError } from "../../common/error.ts";
import { manifestJson, manifestObject } from "../../docker/manifest.ts";
import { Engine } from "../../engine.ts";
import { parseReference, referenceText, withTag } from "../../image/index.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { print } from "../output.ts";

const FLAGS = {
  insecure: { type: "bool", help: "Allow communication with an insecure registry" },
  verbose: { type: "bool", short: "v", help: "Output additional info including layers and platform" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  flags: FLAGS,
  least: 1,
  most: 2,
  async run({ flags, args, where }) {
    if (args.length === 2) throw notKept(args);
    const found = await Engine.open(where).images.look(args[0] ?? "", {
      insecure: flags.insecure ?? false,
      deep: flags.verbose ?? false,
    });
    if (!flags.verbose && !Array.isArray(found)) print(manifestJson(found));
    else {
      const objects = Array.isArray(found) ? found.map(manifestObject) : manifestObject(found);
      print(JSON.stringify(objects, null, "\t"));
    }
    return 0;
  },
});

/** With a list, Docker shows what `docker manifest create` has put into it on this machine: here nothing ever has. */
function notKept(names: readonly string[]): SampanError {
  const [, manifest = ""] = names.map((name) => referenceText(withTag(parseReference(name))));
  return new SampanError("not-found", `No such manifest: ${manifest}`, {
    hint: "Lists are not made here. Without MANIFEST_LIST it is asked for in its registry.",
  });
}
