/** `sampan inspect`: a container, an image, a network or a volume, whichever has that name; in this order. */
import { SampanError } from "../../common/error.ts";
import { inspectVolume } from "../../docker/volumes.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";
import { containerObject, imageObject, networkObject } from "../objects.ts";

const FLAGS = {
  format: OBJECT_FORMAT,
  size: { type: "bool", short: "s", help: "Display total file sizes if the type is container" },
  type: { type: "string", help: "Only inspect objects of the given type" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run({ flags, args, where }) {
    const { type } = flags;
    const engine = Engine.open(where);
    const kinds: Readonly<Record<string, (reference: string) => unknown>> = {
      container: (reference) => containerObject(engine, reference, flags.size ?? false),
      image: (reference) => imageObject(engine, reference),
      network: (reference) => networkObject(engine, reference),
      volume: async (name) => inspectVolume(await engine.volumes.get(name)),
    };
    if (type !== undefined && !Object.hasOwn(kinds, type))
      throw new UsageError(
        `unknown type: "${type}": must be one of ${Object.keys(kinds)
          .map((kind) => `"${kind}"`)
          .join(", ")}`,
        "plain",
      );
    const find = type === undefined ? undefined : kinds[type];
    return inspectAll(args, flags.format, async (reference) => {
      if (find) return find(reference);
      for (const kind of Object.values(kinds))
        try {
          return await kind(reference);
        } catch (error) {
          if (!notFound(error)) throw error;
        }
      throw new SampanError("not-found", `No such object: ${reference}`);
    });
  },
});

const notFound = (error: unknown): boolean =>
  error instanceof SampanError && (error.code === "not-found" || error.code === "invalid");
