/** `sampan import`: an image of the archive of a root filesystem. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { inputStream } from "../input.ts";
import { print } from "../output.ts";

const FLAGS = {
  change: { type: "list", short: "c", help: "Apply Dockerfile instruction to the created image" },
  message: { type: "string", short: "m", help: "Set commit message for imported image" },
  platform: { type: "string", help: "Set platform if server is multi-platform capable" },
} as const satisfies Flags;

const isUrl = (text: string): boolean => /^https?:\/\//.test(text);

const source = (file: string): string | AsyncIterable<Uint8Array> =>
  file === "-" ? inputStream() : isUrl(file) ? download(file) : file;

async function* download(url: string): AsyncGenerator<Uint8Array> {
  let answer: Response;
  try {
    answer = await fetch(url);
  } catch (cause) {
    throw new SampanError("unavailable", `import ${url}: ${(cause as Error).message}`, { cause });
  }
  if (!answer.ok || !answer.body)
    throw new SampanError(
      "unavailable",
      `import ${url}: the server answers ${answer.status} ${answer.statusText}`,
    );
  yield* answer.body;
}

export default command({
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  flags: FLAGS,
  least: 1,
  most: 2,
  async run({ flags, args, where }) {
    const [file = "", reference] = args;
    const id = await Engine.open(where).images.import(source(file), {
      ...(reference ? { reference } : {}),
      changes: flags.change,
      ...(flags.message
        ? { message: flags.message }
        : isUrl(file)
          ? { message: `Imported from ${file}` }
          : {}),
      ...(flags.platform ? { platform: flags.platform } : {}),
    });
    print(id);
    return 0;
  },
});
