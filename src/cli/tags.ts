/** What `pull` and `push` are asked for by a name: one image of a repository, or all that are tagged. */
import { parseReference, type Reference } from "../image/index.ts";
import { UsageError } from "./flags.ts";
import { print } from "./output.ts";

export interface Wanted {
  readonly reference: Reference;
  readonly allTags: boolean;
}

/** Says which tag is meant where none was named. */
export function wanted(
  name: string,
  flags: { readonly "all-tags": boolean | undefined; readonly quiet: boolean | undefined },
): Wanted {
  const reference = parseReference(name);
  const allTags = flags["all-tags"] ?? false;
  const open = reference.tag === undefined && reference.digest === undefined;
  if (allTags && !open) throw new UsageError("tag can't be used with --all-tags/-a", "plain");
  if (open && !allTags && !flags.quiet) print("Using default tag: latest");
  return { reference, allTags };
}
