/** The flags before the command's name: on the way of every command that has one, so without the texts of the help. */
import type { Flags } from "./flags.ts";

export const GLOBAL_FLAGS = {
  debug: { type: "bool", short: "D", help: "Enable debug mode" },
  root: {
    type: "string",
    help: "Folder of the engine's state (default: /var/lib/sampan, without root ~/.local/share/sampan)",
  },
  version: { type: "bool", short: "v", help: "Print version information and quit" },
} as const satisfies Flags;
