/** `--pull`: what to do about an image that is not here, or that may be newer elsewhere. */
import type { Engine } from "../../engine.ts";
import { noSuchImage, pullUnavailable } from "../../image/index.ts";

/** Without a word of it the engine finds the image itself and says so where it is not here. */
export function requireImage(engine: Engine, image: string, pull: string | undefined): void {
  if (pull === "always" && image !== "host") throw pullUnavailable(image);
  if (pull === "never" && image !== "" && !engine.images.resolve(image)) throw noSuchImage(image);
}
