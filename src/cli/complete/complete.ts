/**
 * What may come next on a command line that somebody is typing. The shell's script ([scripts.ts](scripts.ts)) starts
 * `sampan __complete WORD...` at each Tab, the last word being the one that is typed, and reads candidates, each a line
 * with a tab and what it is, and in the end a line that begins with a colon: what the shell should add of its own. All
 * that is known comes from the commands' own tables of flags. Nothing here ever prints an error: an answer that cannot
 * be given is none.
 */
import { existsSync } from "node:fs";
import { paths } from "../../common/paths.ts";
import type { Command, Entry } from "../command.ts";
import { COMMANDS, GROUPS } from "../commands.ts";
import type { Flag, Flags } from "../flags.ts";
import { GLOBAL_FLAGS } from "../global.ts";
import { write } from "../output.ts";
import { type Known, wordsOf } from "./words.ts";

export interface Candidate {
  readonly word: string;
  readonly about?: string;
}

export interface Answer {
  readonly candidates: readonly Candidate[];
  /** The shell adds files, or folders alone. */
  readonly files?: "files" | "dirs";
  /** More belongs to the word: no blank after it. */
  readonly open?: true;
}

const NOTHING: Answer = { candidates: [] };

/** `sampan __complete`, or `__completeNoDesc` for the words alone, as cobra calls them: always 0. */
export async function completeMain([way = "", ...words]: readonly string[]): Promise<number> {
  let answer = NOTHING;
  try {
    answer = await complete(words.slice(0, -1), words.at(-1) ?? "");
  } catch {
    // A Tab is no place for an error.
  }
  const { candidates, files, open } = answer;
  const lines = candidates.map(({ word, about }) =>
    about && way === "__complete" ? `${word}\t${about.split("\n")[0]}` : word,
  );
  write(1, `${[...lines, `:${[files, open && "open"].filter(Boolean).join(" ")}`].join("\n")}\n`);
  return 0;
}

/** `before` are the words up to the one that is typed, without `sampan`. */
export async function complete(before: readonly string[], typed: string): Promise<Answer> {
  const start = walk(GLOBAL_FLAGS, before, false);
  const global = await ofFlag(GLOBAL_FLAGS, start, typed, () =>
    Promise.resolve({ words: [], files: "dirs" }),
  );
  if (global) return global;
  // `sampan help run` is `sampan run --help`.
  const rest = start.args[0] === "help" ? start.args.slice(1) : start.args;
  const [first, second] = rest;
  if (first === undefined) return only(commands(start.args.length === 0), typed);
  const group = Object.hasOwn(GROUPS, first);
  if (group && second === undefined) return only(members(first), typed);
  const called = group ? `${first} ${second}` : first;
  const entry = COMMANDS.find(({ names }) => names.includes(called));
  if (!entry || start.args[0] === "help") return NOTHING;
  const command = (await entry.load()).default;
  return inCommand(entry, command, rest.slice(group ? 2 : 1), typed, start.values["root"]?.[0]);
}

async function inCommand(
  entry: Entry,
  command: Command,
  before: readonly string[],
  typed: string,
  root: string | undefined,
): Promise<Answer> {
  const name = entry.names[0] ?? "";
  const line = walk(command.flags, before, command.interspersed ?? true, command.last);
  if (name === "explain" && line.args[0] === "run") {
    const run = COMMANDS.find(({ names }) => names.includes("run"));
    if (run) return inCommand(run, (await run.load()).default, line.args.slice(1), typed, root);
  }
  const known = (flag?: string, value = typed): Promise<Known> =>
    wordsOf({
      command: name,
      flag,
      typed: value,
      given: line.args,
      flags: line.values,
      engine: () => open(root),
    });
  return (await ofFlag(command.flags, line, typed, known)) ?? answer(await known(), typed);
}

/** The engine, where there is one already: asking makes none. */
async function open(root: string | undefined) {
  if (!existsSync(`${paths(root).root}/sampan.db`)) return undefined;
  const { Engine } = await import("../../engine.ts");
  return Engine.open(root === undefined ? {} : { root });
}

interface Line {
  readonly args: readonly string[];
  /** What flags were given. */
  readonly values: Readonly<Record<string, readonly string[]>>;
  /** The flag whose value comes next. */
  readonly waiting?: string;
  /** No flag can follow. */
  readonly ended: boolean;
}

/** Reads words as parseFlags does, and refuses none. */
function walk(table: Flags, words: readonly string[], interspersed: boolean, last?: string): Line {
  const args: string[] = [];
  const values: Record<string, string[]> = {};
  const give = (name: string, value: string): void => {
    (values[name] ??= []).push(value);
  };
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (word === "--" || (!word.startsWith("-") && (!interspersed || (word === last && args.length === 0))))
      return { args: [...args, ...words.slice(word === "--" ? i + 1 : i)], values, ended: true };
    if (!word.startsWith("-") || word === "-") {
      args.push(word);
      continue;
    }
    const [name, value] = flagOf(table, word);
    if (name === undefined) continue;
    if (value !== undefined) give(name, value);
    else if (table[name]?.type === "bool") give(name, "true");
    else if (++i < words.length) give(name, words[i] ?? "");
    else return { args, values, waiting: name, ended: false };
  }
  return { args, values, ended: false };
}

/** Which flag a word names, the last of several letters, and the value that is in it. */
function flagOf(table: Flags, word: string): [name: string | undefined, value: string | undefined] {
  if (word.startsWith("--")) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    return [Object.hasOwn(table, name) ? name : undefined, equals < 0 ? undefined : word.slice(equals + 1)];
  }
  for (let at = 1; at < word.length; at++) {
    const name = Object.keys(table).find((each) => table[each]?.short === word[at]);
    const rest = word.slice(at + 1);
    if (name === undefined) return [undefined, undefined];
    if (table[name]?.type !== "bool") return [name, rest === "" ? undefined : rest.replace(/^=/, "")];
    if (rest === "") return [name, undefined];
  }
  return [undefined, undefined];
}

/** Where a flag or its value is typed; undefined: neither. */
async function ofFlag(
  table: Flags,
  { waiting, ended, args }: Line,
  typed: string,
  known: (flag: string, value: string) => Promise<Known>,
): Promise<Answer | undefined> {
  if (waiting !== undefined) return answer(await known(waiting, typed), typed);
  if (ended || !typed.startsWith("-") || (table === GLOBAL_FLAGS && args.length > 0)) return undefined;
  const equals = typed.startsWith("--") ? typed.indexOf("=") : -1;
  if (equals < 0)
    return only(
      Object.entries(table)
        .filter(([, flag]) => !flag.hidden)
        .map(([name, flag]) => ({ word: `--${name}`, about: flag.help }))
        .concat(typed === "-" ? letters(table) : []),
      typed,
    );
  const name = typed.slice(2, equals);
  if (!Object.hasOwn(table, name)) return NOTHING;
  const value = typed.slice(equals + 1);
  const found = table[name]?.type === "bool" ? { words: ["true", "false"] } : await known(name, value);
  const { candidates, ...more } = answer(found, value);
  return { ...more, candidates: candidates.map(({ word }) => ({ word: typed.slice(0, equals + 1) + word })) };
}

const letters = (table: Flags): { word: string; about: string }[] =>
  Object.values(table).flatMap((flag: Flag) =>
    flag.short && !flag.hidden ? [{ word: `-${flag.short}`, about: flag.help }] : [],
  );

/** Those that begin as what is typed; a word that ends with `=` or `:` is to be continued, unless others are not. */
function answer({ words, files }: Known, typed: string): Answer {
  const found = only(
    [...new Set(words)].map((word) => ({ word })),
    typed,
  );
  const { candidates } = found;
  return {
    ...found,
    ...(files ? { files } : {}),
    ...(candidates.length > 0 && candidates.every(({ word }) => /[=:]$/.test(word)) ? { open: true } : {}),
  };
}

const only = (candidates: readonly Candidate[], typed: string): Answer => ({
  candidates: candidates.filter(({ word }) => word.startsWith(typed)),
});

/** What stands after `sampan`, with `help` unless that was said. */
const commands = (help: boolean): Candidate[] => [
  ...COMMANDS.flatMap(({ names, summary }) => {
    const word = names.at(-1) ?? "";
    return word.includes(" ") ? [] : [{ word, about: summary }];
  }),
  ...Object.entries(GROUPS).map(([word, about]) => ({ word, about })),
  ...(help ? [{ word: "help", about: "Help about the command" }] : []),
];

/** What stands after the word of a group. */
const members = (group: string): Candidate[] =>
  COMMANDS.flatMap(({ names, summary }) => {
    const name = names.find((each) => each.startsWith(`${group} `));
    return name ? [{ word: name.slice(group.length + 1), about: summary }] : [];
  });
