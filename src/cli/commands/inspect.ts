/** `sampan inspect`: a container or an image, whichever has that name; containers first. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { inspectAll } from "../inspecting.ts";
import { containerObject, imageObject } from "../objects.ts";

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
    if (type !== undefined && type !== "container" && type !== "image")
      throw new UsageError(`unknown type: "${type}": must be one of "container", "image"`, "plain");
    const engine = Engine.open(where);
    return inspectAll(args, flags.format, (reference) => {
      const container = (): unknown => containerObject(engine, reference, flags.size ?? false);
      if (type === "container") return container();
      if (type === "image") return imageObject(engine, reference);
      try {
        return container();
      } catch (error) {
        if (!notFound(error)) throw error;
      }
      try {
        return imageObject(engine, reference);
      } catch (error) {
        if (!notFound(error)) throw error;
        throw new SampanError("not-found", `No such object: ${reference}`);
      }
    });
  },
});

const notFound = (error: unknown): boolean =>
  error instanceof SampanError && (error.code === "not-found" || error.code === "invalid");
