/**
 * Which namespace a process is in, for whoever asks a thousand of them: what /proc/PID/ns/NAME says is compared as words of 32
 * bits. As strings it would be five times the time: each is made, and each that may not be read is an exception.
 */
import { libc } from "./libc.ts";

/** `mnt:[4026531832]`, with zeros behind. */
export type LinkWords = Uint32Array;

const BYTES = 32;

export const newLinkWords = (): LinkWords => new Uint32Array(BYTES / 4);

const encoder = new TextEncoder();
const path = new Uint8Array(64);

/** Of a link's text. */
export function linkWords(text: string): LinkWords {
  const words = newLinkWords();
  encoder.encodeInto(text, new Uint8Array(words.buffer));
  return words;
}

/** Reads the link into `words`; false: it cannot be read. */
export function readNamespace(pid: number, name: string, words: LinkWords): boolean {
  encoder.encodeInto(`/proc/${pid}/ns/${name}\0`, path);
  words.fill(0);
  return libc().readlink(path, words, BYTES) > 0;
}

export function sameLink(a: LinkWords, b: LinkWords): boolean {
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
