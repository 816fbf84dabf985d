/**
 * Flags as data, read as Docker's command line reads them (Go's pflag): `-itd`, `-p80:80`, `--name=x`,
 * `--no-trunc=false`. A command's flags are one table; the types of their values follow from it. The texts of the
 * errors are pflag's and strconv's, since people search for them.
 */
import { parseDuration } from "../common/durations.ts";
import { parseSize } from "../common/sizes.ts";

export type FlagType = "bool" | "string" | "int" | "uint16" | "bytes" | "duration" | "decimal" | "list";

export interface Flag {
  readonly type: FlagType;
  readonly short?: string;
  /** What the help calls its value where that is not the type's name. */
  readonly takes?: string;
  readonly help: string;
  /** Reads one value where the type's own reading is not enough; throws an Error that says what it takes. */
  readonly read?: (text: string) => unknown;
  /** Accepted and not shown. */
  readonly hidden?: true;
}
export type Flags = Readonly<Record<string, Flag>>;

type Native<T extends FlagType> = T extends "bool"
  ? boolean
  : T extends "int" | "uint16" | "bytes" | "duration" | "decimal"
    ? number
    : string;
type One<F extends Flag> = F extends { readonly read: (text: string) => infer R } ? R : Native<F["type"]>;
/** A list is never absent; everything else is undefined unless it was given. */
export type Values<F extends Flags> = {
  readonly [K in keyof F]: F[K]["type"] extends "list" ? readonly One<F[K]>[] : One<F[K]> | undefined;
};

/** A command line that cannot be. `form` says how it is shown: with the usage line, with a hint at the help, or plain. */
export class UsageError extends Error {
  constructor(
    message: string,
    readonly form: "flag" | "arguments" | "options" | "plain" = "options",
  ) {
    super(message);
  }
}

const READ: Record<FlagType, (text: string) => unknown> = {
  bool: readBool,
  string: (text) => text,
  list: (text) => text,
  int: readInt,
  uint16: readUint16,
  bytes: parseSize,
  duration: parseDuration,
  decimal: readNano,
};

function readBool(text: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** As strconv.ParseInt with base 0, short of underscores. */
export function readInt(text: string): number {
  const digits = /^[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)$/.test(text);
  if (!digits) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const bare = text.replace(/^[+-]/, "");
  const size = Number(/^0[0-7]/.test(bare) ? `0o${bare.slice(1)}` : bare);
  if (size > 2 ** 63)
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  return text.startsWith("-") ? -size : size;
}

function readUint16(text: string): number {
  if (!/^[0-9]+$/.test(text))
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Number(text) > 0xffff)
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return Number(text);
}

/** `1.5` or `3/2` processors, in billionths of one. */
function readNano(text: string): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\/(\d+))?$/.exec(text);
  if (!match || match[2] === "0") throw new Error(`failed to parse ${text} as a rational number`);
  const nano = (Number(match[1]) / Number(match[2] ?? 1)) * 1e9;
  const whole = Math.round(nano);
  if (Math.abs(nano - whole) > 1e-3 || (whole === 0 && nano !== 0)) throw new Error("value is too precise");
  return whole;
}

/** How a flag is called in an error: `-m, --memory` or `--mount`. */
const called = (name: string, flag: Flag): string => (flag.short ? `-${flag.short}, --${name}` : `--${name}`);

export interface Parsed<F extends Flags> {
  readonly flags: Values<F>;
  readonly args: readonly string[];
  /** `--help` was among them: nothing else counts. */
  readonly help: boolean;
}

/**
 * Reads a command's words. Without `interspersed` the first word that is no flag ends the flags, as `run` and `exec`
 * need it: what follows belongs to the program. `last`: if this is the first such word, it ends them as well.
 */
export function parseFlags<F extends Flags>(
  table: F,
  words: readonly string[],
  interspersed = true,
  last?: string,
): Parsed<F> {
  const values: Record<string, unknown> = {};
  for (const name in table) if (table[name]?.type === "list") values[name] = [];
  const args: string[] = [];
  let help = false;
  let i = 0;

  const set = (name: string, flag: Flag, text: string): void => {
    let value: unknown;
    try {
      value = (flag.read ?? READ[flag.type])(text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(
        `invalid argument ${JSON.stringify(text)} for "${called(name, flag)}" flag: ${reason}`,
        "flag",
      );
    }
    if (flag.type === "list") (values[name] as unknown[]).push(value);
    else values[name] = value;
    if (name === "help") help = value === true;
  };

  const long = (word: string): void => {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const flag = Object.hasOwn(table, name) ? table[name] : name === "help" ? HELP : undefined;
    if (!flag) throw new UsageError(`unknown flag: --${name}`, "flag");
    if (equals >= 0) return set(name, flag, word.slice(equals + 1));
    if (flag.type === "bool") return set(name, flag, "true");
    const next = words[i++];
    if (next === undefined) throw new UsageError(`flag needs an argument: --${name}`, "flag");
    set(name, flag, next);
  };

  const short = (word: string): void => {
    for (let at = 1; at < word.length; at++) {
      const letter = word[at] ?? "";
      const name = ofLetter(table, letter) ?? (letter === "h" ? "help" : "");
      const flag = table[name] ?? (name === "help" ? HELP : undefined);
      if (!flag) throw new UsageError(`unknown shorthand flag: '${letter}' in -${word.slice(at)}`, "flag");
      const rest = word.slice(at + 1);
      if (rest.startsWith("=")) return set(name, flag, rest.slice(1));
      if (flag.type === "bool") {
        set(name, flag, "true");
        continue;
      }
      if (rest !== "") return set(name, flag, rest);
      const next = words[i++];
      if (next === undefined)
        throw new UsageError(`flag needs an argument: '${letter}' in -${word.slice(at)}`, "flag");
      return set(name, flag, next);
    }
  };

  while (i < words.length) {
    const word = words[i++] ?? "";
    if (word === "--") {
      args.push(...words.slice(i));
      break;
    }
    if (word.startsWith("--")) long(word);
    else if (word.startsWith("-") && word !== "-") short(word);
    else {
      args.push(word);
      if (!interspersed || (word === last && args.length === 1)) {
        args.push(...words.slice(i));
        break;
      }
    }
  }
  return { flags: values as Values<F>, args, help };
}

function ofLetter(table: Flags, letter: string): string | undefined {
  for (const name in table) if (table[name]?.short === letter) return name;
  return undefined;
}

const HELP: Flag = { type: "bool", help: "Print usage" };
