/**
 * Which namespace a process is in, for whoever asks a thousand of them: what /proc/PID/ns/NAME says is compared as words of 32
 * bits. As strings it would be five times the time: each is made, and each that may not be read is an exception. And libc is
 * given addresses, since to hand it an array takes as long as the call.
 */
import { type Pointer, ptr } from "bun:ffi";
import { eachEntry } from "./fs.ts";
import { libc } from "./libc.ts";

/** `mnt:[4026531832]`, with zeros behind. */
export type LinkWords = Uint32Array;

const BYTES = 32;
const PATH = 64;

const encoder = new TextEncoder();
/** A small array's bytes lie where its collector wants them: those that libc is told of are a buffer's. */
const memory = (bytes: number): Uint8Array => new Uint8Array(new ArrayBuffer(bytes));

const path = memory(PATH);
const pathAt = ptr(path);
/** What was read last. */
const read: LinkWords = new Uint32Array(new ArrayBuffer(BYTES));
const readAt = ptr(read);

/** Of a link's text. */
export function linkWords(text: string): LinkWords {
  const words = new Uint32Array(BYTES / 4);
  encoder.encodeInto(text, new Uint8Array(words.buffer));
  return words;
}

/** The link's words, until the next one is read; undefined: it cannot be read. */
export function readNamespace(pid: number, name: string): LinkWords | undefined {
  encoder.encodeInto(`/proc/${pid}/ns/${name}\0`, path);
  read.fill(0);
  return libc().readlink(pathAt, readAt, BYTES) > 0 ? read : undefined;
}

export function sameLink(a: LinkWords, b: LinkWords): boolean {
  for (let index = 0; index < BYTES / 4; index++) if (a[index] !== b[index]) return false;
  return true;
}

const ZERO = 48;
const NINE = 57;

/** A namespace that is asked of many: only the digits of its path change. */
interface Question {
  readonly path: Uint8Array;
  readonly at: Pointer;
  readonly suffix: Uint8Array;
  /** How many digits the path has room for now. */
  digits: number;
  readonly here: LinkWords;
}

const PREFIX = encoder.encode("/proc/");

function question(name: string, here: string): Question {
  const path = memory(PATH);
  path.set(PREFIX);
  return { path, at: ptr(path), suffix: encoder.encode(`/ns/${name}\0`), digits: 0, here: linkWords(here) };
}

/** Whether the process whose digits these are says something else than is said here. */
function isElsewhere(question: Question, digits: Uint8Array, from: number, count: number): boolean {
  const { path, here } = question;
  if (question.digits !== count) path.set(question.suffix, PREFIX.length + (question.digits = count));
  for (let at = 0; at < count; at++) path[PREFIX.length + at] = digits[from + at] as number;
  read.fill(0);
  const length = libc().readlink(question.at, readAt, BYTES);
  for (let at = 0; at * 4 < length; at++) if (read[at] !== here[at]) return true;
  return false;
}

/**
 * All processes that are elsewhere than `here` in one of these kinds, but for those to be skipped and those that do not say: who has
 * ended meanwhile, zombies, and whom this reader may not ask.
 */
export function processesElsewhere(
  here: readonly (readonly [name: string, text: string])[],
  skip: ReadonlySet<number>,
): number[] {
  const questions = here.map(([name, text]) => question(name, text));
  const found: number[] = [];
  eachEntry("/proc", (bytes, from) => {
    let pid = 0;
    let end = from;
    let digit = bytes[end] as number;
    while (digit >= ZERO && digit <= NINE) {
      pid = pid * 10 + digit - ZERO;
      digit = bytes[++end] as number;
    }
    if (digit !== 0 || skip.has(pid)) return;
    for (const each of questions)
      if (isElsewhere(each, bytes, from, end - from)) {
        found.push(pid);
        return;
      }
  });
  return found;
}
