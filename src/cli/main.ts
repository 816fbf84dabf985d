/**
 * `sampan`: finds the command, loads it alone, reads its flags, runs it and turns what goes wrong into a text and an exit
 * code. Nothing heavy may be imported here: whatever is costs every command its time.
 */
import { SampanError } from "../common/error.ts";
import { VERSION } from "../common/version.ts";
import type { Entry } from "./command.ts";
import { COMMANDS, GROUPS } from "./commands.ts";
import { parseFlags, UsageError } from "./flags.ts";
import { GLOBAL_FLAGS } from "./global.ts";
import { leave } from "./leave.ts";
import { complain, write } from "./output.ts";
import { report } from "./report.ts";

interface Global {
  readonly debug: boolean;
  readonly root?: string;
}

async function main(words: readonly string[]): Promise<number> {
  // The own ways in of the keeper and of processes that work for others; no flags, no help.
  if (words[0] === "repair") return (await import("./commands/repair.ts")).repair(words.slice(1));
  if (words[0] === "names") return (await import("./commands/names.ts")).names(words.slice(1));
  if (words[0] === "tidy") return (await import("./commands/tidy.ts")).tidy(words.slice(1));
  if (words[0] === "reap") return (await import("./commands/reap.ts")).reap(words.slice(1));
  if (words[0] === "unpack") return (await import("../image/index.ts")).unpackMain(words.slice(1));
  if (words[0] === "tree") return (await import("../image/index.ts")).treeMain(words.slice(1));
  if (words[0]?.startsWith("__complete")) return (await import("./complete/complete.ts")).completeMain(words);

  const { global, rest } = await before(words);
  const first = rest[0];
  if (first === undefined) return show((await import("./help.ts")).mainHelp());
  if (first === "help") return main([...rest.slice(1), "--help"]);

  const group = GROUPS[first] !== undefined;
  const called = group && rest[1] !== undefined && !rest[1].startsWith("-") ? `${first} ${rest[1]}` : first;
  const entry = entryOf(called);
  if (!entry) {
    if (group && called === first) return show((await import("./help.ts")).groupHelp(first));
    const usage = group ? `Usage:  sampan ${first}\n\nRun 'sampan ${first} --help'` : "Run 'sampan --help'";
    complain(`sampan: unknown command: sampan ${called}\n\n${usage} for more information`);
    return 1;
  }
  return call(entry, called, rest.slice(called === first ? 1 : 2), global);
}

/** A plain loop, as everything that every command passes: see common/loops.ts. */
function entryOf(called: string): Entry | undefined {
  for (const entry of COMMANDS) if (entry.names.includes(called)) return entry;
  return undefined;
}

/** Reads what stands before the command's name. */
async function before(words: readonly string[]): Promise<{ global: Global; rest: readonly string[] }> {
  if (!words[0]?.startsWith("-")) return { global: { debug: false }, rest: words };
  try {
    const { flags, args, help } = parseFlags(GLOBAL_FLAGS, words, false);
    if (help) process.exit(show((await import("./help.ts")).mainHelp()));
    if (flags.version) process.exit(show(`Sampan version ${VERSION}\n`));
    return {
      global: { debug: flags.debug ?? false, ...(flags.root ? { root: flags.root } : {}) },
      rest: args,
    };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    complain(
      `${error.message}\n\nUsage:  sampan [OPTIONS] COMMAND [ARG...]\n\nRun 'sampan --help' for more information`,
    );
    process.exit(125);
  }
}

/** What `run` fails with otherwise. */
const RUN = 125;

async function call(entry: Entry, called: string, words: readonly string[], global: Global): Promise<number> {
  const name = `sampan ${called}`;
  const command = (await entry.load()).default;
  try {
    const { flags, args, help } = parseFlags(
      command.flags,
      words,
      command.interspersed ?? true,
      command.last,
    );
    if (help) return show((await import("./help.ts")).commandHelp(entry, command, called));
    if (args.length < command.least || args.length > command.most)
      throw new UsageError(count(name, command), "arguments");
    return await command.run({ flags, args, name, where: global.root ? { root: global.root } : {} });
  } catch (error) {
    if (error instanceof UsageError) {
      if (error.form === "plain") {
        complain(error.message);
        return 1;
      }
      const usage = error.form === "options" ? "" : `Usage:  ${name} ${command.usage}\n\n`;
      const prefix = error.form === "flag" ? "" : "sampan: ";
      complain(`${prefix}${error.message}\n\n${usage}Run '${name} --help' for more information`);
      if (error.form === "arguments") return 1;
      return error.form === "flag" ? 125 : (command.failure ?? 125);
    }
    report(error, global.debug);
    return codeOf(error, command.failure);
  }
}

/**
 * Docker's codes of a container that did not come to be. Its `run` goes by the words of the cause, whatever it was that is not
 * there or may not be used: a program, a device, a file of the caller's.
 */
function codeOf(error: unknown, failure: number | undefined): number {
  if (failure === undefined || !(error instanceof SampanError)) return failure ?? 1;
  const { code, message } = error;
  if (code === "not-executable") return 126;
  if (code === "command-not-found") return 127;
  if (failure !== RUN) return failure;
  if (message.includes("no such file or directory")) return 127;
  return message.includes("permission denied") || message.includes("is a directory") ? 126 : failure;
}

/** Docker's text for too few or too many words. */
function count(name: string, { least, most }: { least: number; most: number }): string {
  const words = (n: number): string => `${n} argument${n === 1 ? "" : "s"}`;
  if (most === 0) return `'${name}' accepts no arguments`;
  if (least === most) return `'${name}' requires ${words(least)}`;
  if (most === Number.POSITIVE_INFINITY) return `'${name}' requires at least ${words(least)}`;
  if (least === 0) return `'${name}' requires at most ${words(most)}`;
  return `'${name}' requires at least ${least} and at most ${words(most)}`;
}

const show = (text: string): number => {
  write(1, text);
  return 0;
};

leave(await main(process.argv.slice(2)));
