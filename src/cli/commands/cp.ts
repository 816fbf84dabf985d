/** `sampan cp`: files between this machine and a container. */
import { SampanError } from "../../common/error.ts";
import { containerTarget } from "../../container/index.ts";
import { humanSize } from "../../docker/human.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { inputStream } from "../input.ts";
import { write } from "../output.ts";
import { isTerminal } from "../terminal.ts";

const FLAGS = {
  archive: { type: "bool", short: "a", help: "Archive mode (copy all uid/gid information)" },
  "follow-link": { type: "bool", short: "L", help: "Always follow symbol link in SRC_PATH" },
  quiet: {
    type: "bool",
    short: "q",
    help: "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached",
  },
} as const satisfies Flags;

/** `CONTAINER:PATH`; a path of this machine is one that begins with `/` or `.`, or has no colon. */
function split(word: string): { container: string; path: string } {
  const colon = word.indexOf(":");
  const container = colon < 0 ? "" : word.slice(0, colon);
  if (word.startsWith("/") || colon < 0 || container.startsWith(".")) return { container: "", path: word };
  return { container, path: word.slice(colon + 1) };
}

export default command({
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tsampan cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  flags: FLAGS,
  least: 2,
  most: 2,
  async run({ flags, args: [source = "", destination = ""], where }) {
    if (source === "") throw new UsageError("source can not be empty", "plain");
    if (destination === "") throw new UsageError("destination can not be empty", "plain");
    const from = split(source);
    const to = split(destination);
    if (from.container && to.container)
      throw new UsageError("copying between containers is not supported", "plain");
    if (!from.container && !to.container)
      throw new UsageError("must specify at least one container source", "plain");
    const { containers } = Engine.open(where);
    const quiet = flags.quiet ?? !isTerminal(2);
    const progress = new Progress(quiet, to.container ? "to" : "from");
    const options = {
      archive: flags.archive ?? false,
      followLinks: flags["follow-link"] ?? false,
      onBytes: (total: number) => progress.passed(total),
    };
    if (to.container && source === "-") await fromStdin(containers, to.container, to.path);
    else if (to.container) await containers.copyFromHost(to.container, from.path, to.path, options);
    else if (destination === "-") {
      const { archive } = await containers.copyOut(from.container, from.path);
      for await (const piece of archive) write(1, piece);
    } else await containers.copyToHost(from.container, from.path, to.path, options);
    if (source !== "-" && destination !== "-") progress.end(destination);
    return 0;
  },
});

async function fromStdin(containers: Engine["containers"], container: string, path: string): Promise<void> {
  const files = { pathStat: (at: string) => containers.pathStat(container, at) };
  const target = await containerTarget(files, path);
  if (!target.isDir)
    throw new SampanError("invalid", `destination "${container}:${path}" must be a directory`, {
      hint: "What comes by stdin is an archive, and goes into a folder that is there.",
    });
  // An archive says itself who owns what.
  await containers.copyIn(container, target.path, inputStream(), { owner: "archive" });
}

const INTERVAL = 100;

/** One line that grows, and says in the end how much it was. */
class Progress {
  readonly #quiet: boolean;
  readonly #way: "to" | "from";
  #total = 0;
  #shown = 0;

  constructor(quiet: boolean, way: "to" | "from") {
    this.#quiet = quiet;
    this.#way = way;
  }

  passed(total: number): void {
    this.#total = total;
    if (this.#quiet || !isTerminal(2) || Date.now() - this.#shown < INTERVAL) return;
    this.#shown = Date.now();
    write(2, `\x1b[2K\rCopying ${this.#way} container - ${humanSize(total)}`);
  }

  end(destination: string): void {
    if (this.#quiet) return;
    const clear = this.#shown > 0 ? "\x1b[2K\r" : "";
    write(2, `${clear}Successfully copied ${humanSize(this.#total)} to ${destination}\n`);
  }
}
