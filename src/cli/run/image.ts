/** `--pull`: what to do about an image that is not here, or that may be newer elsewhere. */
import { SampanError } from "../../common/error.ts";
import type { Engine } from "../../engine.ts";
import { noSuchImage, pullUnavailable } from "../../image/index.ts";

/** What can be said before anything is made. An image that is merely not here is found out by the engine. */
export function requireImage(engine: Engine, image: string, pull: string | undefined): void {
  if (pull === "always" && image !== "host") throw pullUnavailable(image);
  if (pull === "never" && image !== "" && !engine.images.resolve(image)) throw noSuchImage(image);
}

/** The engine's "no such image" becomes the reason why it could not be fetched; every other error stays as it is. */
export function orPull(error: unknown, image: string): unknown {
  const missing =
    error instanceof SampanError && error.code === "not-found" && error.message.startsWith("No such image");
  if (!missing) return error;
  try {
    return pullUnavailable(image);
  } catch {
    // An id names no registry.
    return error;
  }
}
