/** `--filter`, and what `prune` takes beside it. */
import type { Flags } from "./flags.ts";

/** The value of one `--filter`. */
export function readFilter(text: string): readonly [name: string, value: string] {
  const equals = text.indexOf("=");
  if (equals < 0) throw new Error("bad format of filter (expected name=value)");
  return [text.slice(0, equals).trim().toLowerCase(), text.slice(equals + 1).trim()];
}

/** Of a `prune`, with an example of what it is filtered by. */
export const pruneFlags = (example: string) =>
  ({
    filter: {
      type: "list",
      takes: "filter",
      read: readFilter,
      help: `Provide filter values (e.g. "${example}")`,
    },
    force: { type: "bool", short: "f", help: "Do not prompt for confirmation" },
  }) as const satisfies Flags;
