/** The `--format` flag, in its two forms, with the help that Docker gives it. */
import type { Flag } from "./flags.ts";

const TEMPLATE =
  "'json':             Print in JSON format\n" +
  "'TEMPLATE':         Print output using the given Go template.\n" +
  "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

const CUSTOM = "Format output using a custom template:\n";

/** Of commands that print a table. */
export const FORMAT = {
  type: "string",
  help:
    `${CUSTOM}'table':            Print output in table format with column headers (default)\n` +
    `'table TEMPLATE':   Print output in table format using the given Go template\n${TEMPLATE}`,
} as const satisfies Flag;

/** Of commands that print objects. */
export const OBJECT_FORMAT = { type: "string", short: "f", help: CUSTOM + TEMPLATE } as const satisfies Flag;
