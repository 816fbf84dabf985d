/** Environment, labels, annotations and sysctls: `key=value`, by flag and by file; texts as the docker CLI's. */

import { fileReason } from "../../common/error.ts";
import { readFileSync } from "../../kernel/fs.ts";
import { UsageError } from "../flags.ts";

/** `A=b`, or `A` alone: the caller's own value, and if there is none, no such variable. */
export function readEnv(text: string): string {
  if (text === "" || text.startsWith("=")) throw new Error(`invalid environment variable: ${text}`);
  return fromCaller(text);
}

const fromCaller = (text: string): string => {
  const value = text.includes("=") ? undefined : process.env[text];
  return value === undefined ? text : `${text}=${value}`;
};

export function readLabel(text: string): string {
  if (text.startsWith("=") || text === "") throw new Error(`invalid label '${text}': empty name`);
  return text;
}

const SYSCTLS =
  "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced".split(
    " ",
  );

/** Only what a namespace has of its own. */
export function readSysctl(text: string): string {
  const key = text.slice(0, Math.max(text.indexOf("="), 0));
  const allowed = SYSCTLS.includes(key) || key.startsWith("net.") || key.startsWith("fs.mqueue.");
  if (!allowed) throw new Error(`sysctl '${text}' is not allowed`);
  return text;
}

/** `["a=b", "c"]` → `{a: "b", c: ""}`; a later one wins. */
export function toMap(pairs: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals);
    const value = equals < 0 ? "" : pair.slice(equals + 1);
    // Defined, not assigned: `__proto__` is a name like any other.
    Object.defineProperty(map, name, { value, enumerable: true, writable: true, configurable: true });
  }
  return map;
}

/** The pairs of these files, then those that were given by themselves. */
export function fromFiles(
  files: readonly string[],
  kind: "env" | "label",
  own: readonly string[],
): readonly string[] {
  if (files.length === 0) return own;
  return [...files.flatMap((file) => readPairs(file, kind)), ...own];
}

/** The first line, from 1 on, that is no UTF-8. */
function lineOfBrokenText(bytes: Uint8Array): number {
  const strict = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    try {
      strict.decode(bytes.subarray(start, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    start = end < 0 ? bytes.length : end + 1;
  }
  return line;
}

/**
 * The lines of `--env-file` and `--label-file`: `#` opens a comment line, blanks before a name are dropped, quotes mean
 * nothing, and a name alone takes the caller's value (`env`) or stays empty.
 */
export function readPairs(file: string, kind: "env" | "label"): string[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new UsageError(`open ${file}: ${fileReason(error)}`);
  }
  const refuse = (reason: string): never => {
    throw new UsageError(`invalid ${kind} file (${file}): ${reason}`);
  };
  const pairs: string[] = [];
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return refuse(`invalid utf8 bytes at line ${lineOfBrokenText(bytes)}`);
  }
  for (const whole of text.split(/\r?\n/)) {
    const line = whole.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const equals = line.indexOf("=");
    const name = equals < 0 ? line : line.slice(0, equals);
    if (name === "") refuse(`no variable name on line '${line}'`);
    if (/\s/.test(name)) refuse(`variable '${name}' contains whitespaces`);
    if (equals >= 0) pairs.push(line);
    else if (kind === "label") pairs.push(line.trim());
    else if (process.env[name] !== undefined) pairs.push(`${name}=${process.env[name]}`);
  }
  return pairs;
}
