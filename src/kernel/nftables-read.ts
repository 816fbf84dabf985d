/** Elements that messages of nftables.ts add to sets and maps, read again, for whoever wants to say them in words. */

import type { Element } from "./nftables.ts";

export interface AddedElements {
  readonly table: string;
  readonly set: string;
  readonly elements: readonly Element[];
}

const HEADER = 16;
/** struct nfgenmsg */
const GENERIC = 4;
const NEW_ELEMENT = (10 << 8) | 12;
const TABLE = 1;
const SET = 2;
const LIST = 3;
const KEY = 1;
const DATA = 2;

type Attribute = readonly [type: number, content: Uint8Array];

function attributes(bytes: Uint8Array): Attribute[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Attribute[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const size = view.getUint16(at, true);
    if (size < 4) break;
    // The highest bit says that it holds others.
    found.push([view.getUint16(at + 2, true) & 0x7fff, bytes.subarray(at + 4, at + size)]);
    at += (size + 3) & ~3;
  }
  return found;
}

const first = (of: readonly Attribute[], type: number): Uint8Array | undefined =>
  of.find(([each]) => each === type)?.[1];

const text = (bytes: Uint8Array = new Uint8Array()): string =>
  new TextDecoder().decode(bytes).replace(/\0.*$/, "");

/** What stands in an attribute that holds one value. */
const valueIn = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes && attributes(bytes)[0]?.[1];

export function readAddedElements(messages: Uint8Array): AddedElements[] {
  const view = new DataView(messages.buffer, messages.byteOffset, messages.byteLength);
  const found: AddedElements[] = [];
  for (let at = 0; at + HEADER <= messages.length; ) {
    const size = view.getUint32(at, true);
    if (size < HEADER) break;
    if (view.getUint16(at + 4, true) === NEW_ELEMENT) {
      const body = attributes(messages.subarray(at + HEADER + GENERIC, at + size));
      const elements = attributes(first(body, LIST) ?? new Uint8Array()).map(([, content]): Element => {
        const parts = attributes(content);
        const data = valueIn(first(parts, DATA));
        return { key: valueIn(first(parts, KEY)) ?? new Uint8Array(), ...(data ? { data } : {}) };
      });
      found.push({ table: text(first(body, TABLE)), set: text(first(body, SET)), elements });
    }
    at += (size + 3) & ~3;
  }
  return found;
}
