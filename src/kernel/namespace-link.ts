/**
 * Which namespace a process is in, for whoever asks hundreds of them: what /proc/PID/ns/NAME says is compared as words of 32
 * bits. As strings it would be five times the time: each is made, and each that may not be read is an exception. And libc is
 * given addresses, since to hand it an array takes as long as the call.
 */
import { ptr } from "bun:ffi";
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
