/** `sampan load`: images from an archive. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { loadedText } from "../../image/index.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { inputSource } from "../input.ts";
import { print } from "../output.ts";
import { isTerminal } from "../terminal.ts";

const FLAGS = {
  input: { type: "string", short: "i", help: "Read from tar archive file, instead of STDIN" },
  platform: {
    type: "string",
    help: 'Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
  },
  quiet: { type: "bool", short: "q", help: "Suppress the load output" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    if (!flags.input && isTerminal(0))
      throw new UsageError("requested load from stdin, but stdin is empty", "plain");
    const source = flags.input || inputSource();
    const loaded = await Engine.open(where)
      .images.load(source, flags.platform ? { platform: flags.platform } : {})
      .catch((error: unknown) => {
        throw flags.input ? withFile(error, flags.input) : error;
      });
    for (const each of loaded) print(loadedText(each));
    return 0;
  },
});

/** What is wrong with an archive, with the file that it is in. */
function withFile(error: unknown, file: string): unknown {
  if (!(error instanceof SampanError) || error.code !== "invalid" || error.message.includes(file))
    return error;
  const { code, message, hint, kernel } = error;
  return new SampanError(code, `${file}: ${message}`, {
    ...(hint !== undefined && { hint }),
    ...(kernel && { kernel }),
    cause: error,
  });
}
