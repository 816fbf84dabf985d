/**
 * DNS messages (RFC 1035, EDNS by RFC 6891), as much as a small responder needs: one question is read, answers to it are
 * written. What comes from a container may be any bytes: every offset is checked, pointers may only point backwards, and
 * what is no question is refused, never guessed at.
 */

export const TYPE = { A: 1, PTR: 12, AAAA: 28, OPT: 41, ANY: 255 } as const;
export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
} as const;
const IN = 1;

const HEADER = 12;
/** What a UDP answer may have without EDNS, and at most: larger ones get fragmented and lost. */
const PLAIN = 512;
const MOST = 4096;

export interface Question {
  readonly id: number;
  /** In lower case, without the last dot; empty: the root. A dot or NUL within a label has made it `undefined`. */
  readonly name: string | undefined;
  readonly type: number;
  readonly class: number;
  readonly recursion: boolean;
  /** How it stands in the message: an answer repeats it to the letter. */
  readonly section: Uint8Array;
  /** The asker knows EDNS and takes so many bytes by UDP. */
  readonly edns: number | undefined;
}

/** A message that asks nothing that could be answered: refused with this code, or passed over. */
export interface Refusal {
  readonly id: number;
  readonly rcode: number;
}

export type Incoming = Question | Refusal | undefined;

export const isRefusal = (incoming: Question | Refusal): incoming is Refusal => "rcode" in incoming;

const word = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

/** Where a name ends; -1: it is none. Its pointers are not followed. */
function skipName(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return -1;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2 <= bytes.length ? at + 2 : -1;
    if (length > 63) return -1;
    at += length + 1;
    if (at - from > 255) return -1;
  }
}

/** The text of a name that has no pointers. */
function readName(bytes: Uint8Array, from: number, end: number): string | undefined {
  let text = "";
  for (let at = from; at < end - 1; ) {
    const next = at + 1 + (bytes[at] ?? 0);
    if (text !== "") text += ".";
    for (at++; at < next; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === 0 || byte === 0x2e) return undefined;
      text += String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
    }
  }
  return text;
}

/** The size that an OPT record among the rest offers; undefined: there is none; -1: the rest is broken. */
function readEdns(bytes: Uint8Array, from: number, count: number): number | undefined {
  let size: number | undefined;
  let at = from;
  for (let record = 0; record < count; record++) {
    const name = at;
    at = skipName(bytes, at);
    if (at < 0 || at + 10 > bytes.length) return -1;
    if (word(bytes, at) === TYPE.OPT && bytes[name] === 0) size = word(bytes, at + 2);
    at += 10 + word(bytes, at + 8);
    if (at > bytes.length) return -1;
  }
  return size;
}

/** Reads a message; undefined: it is an answer, or too short to be anything. */
export function read(bytes: Uint8Array): Incoming {
  if (bytes.length < HEADER) return undefined;
  const id = word(bytes, 0);
  const flags = word(bytes, 2);
  if (flags & 0x8000) return undefined;
  if ((flags >> 11) & 15) return { id, rcode: RCODE.notImplemented };
  const malformed = { id, rcode: RCODE.formatError };
  if (word(bytes, 4) !== 1) return malformed;
  const end = skipName(bytes, HEADER);
  if (end < 0 || end + 4 > bytes.length) return malformed;
  // A question has nothing before it that it could point to.
  for (let at = HEADER; at < end - 1; at += (bytes[at] ?? 0) + 1)
    if ((bytes[at] ?? 0) >= 0xc0) return malformed;
  const edns = readEdns(bytes, end + 4, word(bytes, 6) + word(bytes, 8) + word(bytes, 10));
  if (edns === -1) return malformed;
  return {
    id,
    name: readName(bytes, HEADER, end),
    type: word(bytes, end),
    class: word(bytes, end + 2),
    recursion: (flags & 0x0100) !== 0,
    section: bytes.slice(HEADER, end + 4),
    edns,
  };
}

export const isInternet = (question: Question): boolean => question.class === IN;

/** How large an answer by UDP may be. */
export const udpLimit = ({ edns }: Question): number => Math.min(MOST, Math.max(PLAIN, edns ?? PLAIN));

export type Answer =
  | { readonly type: typeof TYPE.A | typeof TYPE.AAAA; readonly address: Uint8Array }
  | { readonly type: typeof TYPE.PTR; readonly target: string };

/** A name as labels. Ours are of letters, digits and dashes; what cannot be one is cut to 63 bytes. */
function labels(name: string): Uint8Array {
  const bytes: number[] = [];
  for (const label of name.split(".")) {
    const text = new TextEncoder().encode(label).subarray(0, 63);
    if (text.length > 0) bytes.push(text.length, ...text);
  }
  return Uint8Array.of(...bytes.slice(0, 254), 0);
}

const dataOf = (answer: Answer): Uint8Array => ("address" in answer ? answer.address : labels(answer.target));

export interface Reply {
  readonly rcode: number;
  readonly answers: readonly Answer[];
  /** Seconds. */
  readonly ttl: number;
}

/**
 * The answer to a question in at most `limit` bytes. What does not fit is left out and the answer says that it is
 * truncated, so that the asker comes again by TCP.
 */
export function reply(question: Question, { rcode, answers, ttl }: Reply, limit: number): Uint8Array {
  const tail = question.edns === undefined ? 0 : 11;
  const data: Uint8Array[] = [];
  let size = HEADER + question.section.length + tail;
  for (const answer of answers) {
    const each = dataOf(answer);
    if (size + 12 + each.length > limit) break;
    data.push(each);
    size += 12 + each.length;
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const truncated = data.length < answers.length ? 0x0200 : 0;
  view.setUint16(0, question.id);
  view.setUint16(2, 0x8480 | truncated | (question.recursion ? 0x0100 : 0) | rcode);
  view.setUint16(4, 1);
  view.setUint16(6, data.length);
  view.setUint16(10, tail > 0 ? 1 : 0);
  bytes.set(question.section, HEADER);
  let at = HEADER + question.section.length;
  for (const [index, each] of data.entries()) {
    view.setUint16(at, 0xc000 | HEADER);
    view.setUint16(at + 2, answers[index]?.type ?? 0);
    view.setUint16(at + 4, IN);
    view.setUint32(at + 6, ttl);
    view.setUint16(at + 10, each.length);
    bytes.set(each, at + 12);
    at += 12 + each.length;
  }
  if (tail > 0) {
    view.setUint16(at + 1, TYPE.OPT);
    view.setUint16(at + 3, MOST);
  }
  return bytes;
}

/** What is said of a message that was no question: its id and the code. */
export function refuse({ id, rcode }: Refusal): Uint8Array {
  const bytes = new Uint8Array(HEADER);
  new DataView(bytes.buffer).setUint16(0, id);
  new DataView(bytes.buffer).setUint16(2, 0x8000 | rcode);
  return bytes;
}

/** Whether an answer that came from elsewhere is one to this question: the same id, the same words. */
export function answers(bytes: Uint8Array, id: number, section: Uint8Array): boolean {
  if (bytes.length < HEADER || word(bytes, 0) !== id || !((bytes[2] ?? 0) & 0x80)) return false;
  // A server that does not understand may leave the question out.
  if (word(bytes, 4) === 0) return bytes.length === HEADER;
  if (bytes.length < HEADER + section.length) return false;
  for (let at = 0; at < section.length; at++) {
    const theirs = bytes[HEADER + at] ?? 0;
    const ours = section[at] ?? 0;
    // Some servers change the case of letters.
    if (theirs !== ours && (theirs | 0x20) !== (ours | 0x20)) return false;
  }
  return true;
}

export const rcodeOf = (bytes: Uint8Array): number => (bytes[3] ?? 0) & 15;

/** The address that a name below in-addr.arpa or ip6.arpa stands for, as canonical text of its bytes in hex. */
export function reverseOf(name: string): Uint8Array | undefined {
  const parts = name.split(".");
  if (name.endsWith(".in-addr.arpa") && parts.length === 6) {
    const bytes = parts.slice(0, 4).reverse().map(Number);
    return bytes.every((byte, i) => byte < 256 && String(byte) === parts[3 - i])
      ? Uint8Array.from(bytes)
      : undefined;
  }
  if (!name.endsWith(".ip6.arpa") || parts.length !== 34) return undefined;
  const hex = parts.slice(0, 32).reverse().join("");
  return /^[0-9a-f]{32}$/.test(hex) ? Uint8Array.fromHex(hex) : undefined;
}
