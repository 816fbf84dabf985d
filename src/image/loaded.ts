/** What `load` found, and the words in which Docker says so. */
import { familiarName } from "./reference.ts";

export interface Loaded {
  readonly id: string;
  /** In full; undefined: the image has no name. */
  readonly reference?: string;
  /** The image that had this name until now. */
  readonly replaced?: string;
}

/** What `docker load` prints of one image. */
export function loadedText(loaded: Loaded): string {
  if (loaded.reference === undefined) return `Loaded image ID: ${loaded.id}`;
  const name = familiarName(loaded.reference);
  const moved = loaded.replaced
    ? `The image ${name} already exists, renaming the old one with ID ${loaded.replaced} to empty string\n`
    : "";
  return `${moved}Loaded image: ${name}`;
}
