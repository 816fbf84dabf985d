/** `--pull`: what to do about an image that is not here, or that may be newer elsewhere. */
import { SampanError } from "../../common/error.ts";
import type { ContainerConfig } from "../../container/index.ts";
import type { Engine } from "../../engine.ts";
import { familiarName, noSuchImage, parseReference, withTag } from "../../image/index.ts";
import { complain } from "../output.ts";

export interface ImageFlags {
  readonly pull?: string | undefined;
  readonly quiet?: boolean | undefined;
}

/** `--platform`, or what $DOCKER_DEFAULT_PLATFORM says of every image but this machine's own root. */
export function platformOf(given: string | undefined, image: string): string | undefined {
  if (given !== undefined || image === "" || image === "host" || image === "host:latest") return given;
  return process.env["DOCKER_DEFAULT_PLATFORM"] || undefined;
}

/**
 * Does `work`, for which an image must be here: it is fetched before if that is wanted, and when `work` finds it missing.
 * What fetches is loaded only then.
 */
export async function withImage<T>(
  engine: Engine,
  { image, platform }: Pick<ContainerConfig, "image" | "platform">,
  flags: ImageFlags,
  work: () => T | Promise<T>,
): Promise<T> {
  const fetch = async (): Promise<void> => {
    const { pullImage } = await import("../pulling.ts");
    await pullImage(engine, image, 2, { platform, quiet: flags.quiet });
  };
  if (flags.pull === "always" && image !== "") await fetch();
  if (flags.pull === "never" && image !== "" && !engine.images.resolve(image)) throw noSuchImage(image);
  try {
    return await work();
  } catch (error) {
    const name = isMissing(error) && flags.pull !== "never" ? nameOf(image) : undefined;
    if (name === undefined) throw error;
    const what = platform ? `'${name}' for ${platform}` : `'${name}'`;
    if (!flags.quiet) complain(`Unable to find image ${what} locally`);
    await fetch();
    return work();
  }
}

/** Not here at all, or only for another platform. The machine's own root is of its platform, whatever a registry has. */
const isMissing = (error: unknown): boolean =>
  error instanceof SampanError &&
  error.code === "not-found" &&
  (error.message.startsWith("No such image") ||
    /^image with reference (?!host ).* was found but /.test(error.message));

/** undefined: an id, which names no registry. */
function nameOf(image: string): string | undefined {
  try {
    return familiarName(withTag(parseReference(image)));
  } catch {
    return undefined;
  }
}
