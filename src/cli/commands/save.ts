/** `sampan save`: images as an archive that `load` and Docker read. */
import { closeSync, openSync, renameSync, rmSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { UsageError } from "../flags.ts";
import { write } from "../output.ts";
import { isTerminal } from "../terminal.ts";

const FLAGS = {
  output: { type: "string", short: "o", help: "Write to a file, instead of STDOUT" },
  platform: {
    type: "string",
    help: 'Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
  },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run({ flags, args, where }) {
    const { images } = Engine.open(where);
    const { output, platform } = flags;
    if (platform) for (const name of args) await images.checkPlatform(name, platform);
    if (!output) {
      if (isTerminal(1))
        throw new UsageError("cowardly refusing to save to a terminal. Use the -o flag or redirect", "plain");
      await images.save(args, (bytes) => write(1, bytes));
      return 0;
    }
    // Beside it and renamed, so that a file that was there is either the old or the new one.
    const part = `${output}.part-${process.pid}`;
    let fd: number;
    try {
      fd = openSync(part, "wx", 0o600);
    } catch (cause) {
      throw new SampanError("invalid", `cannot write ${output}: ${(cause as Error).message}`, { cause });
    }
    try {
      await images.save(args, (bytes) => write(fd, bytes));
      renameSync(part, output);
    } catch (error) {
      rmSync(part, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
    return 0;
  },
});
