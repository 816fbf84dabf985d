/** What `prune` has removed, as Docker lists it. */
import type { Removed } from "../image/index.ts";

export const imageLines = (removed: readonly Removed[]): string[] =>
  removed.map((each) => ("untagged" in each ? `untagged: ${each.untagged}` : `deleted: ${each.deleted}`));

/** A heading, a line for each, and an empty line; nothing where there is nothing. */
export const removedText = (heading: string, lines: readonly string[]): string =>
  lines.length === 0 ? "" : `${heading}:\n${lines.join("\n")}\n\n`;
