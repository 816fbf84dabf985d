/** `sampan completion bash|fish|zsh`: a script that has the shell ask `sampan` itself for what comes next. */
import { command } from "../command.ts";
import { SCRIPTS, type Shell } from "../complete/scripts.ts";
import type { Flags } from "../flags.ts";
import { write } from "../output.ts";

const FLAGS = {
  "no-descriptions": { type: "bool", help: "disable completion descriptions" },
} as const satisfies Flags;

const generate = (shell: Shell) =>
  command({
    usage: "[OPTIONS]",
    flags: FLAGS,
    least: 0,
    most: 0,
    run({ flags }) {
      const script = SCRIPTS[shell];
      write(1, flags["no-descriptions"] ? script.replace("__complete ", "__completeNoDesc ") : script);
      return 0;
    },
  });

export const bash = generate("bash");
export const fish = generate("fish");
export const zsh = generate("zsh");
