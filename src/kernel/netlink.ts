/**
 * Netlink's framing (netlink(7)): messages with a header, attributes with a length and a type, everything padded to four
 * bytes. Several messages in one buffer are sent with one call. Numbers are little-endian, as the machines are that this
 * engine runs on; what a protocol wants in network order says so.
 */

export const NLM_F = {
  request: 1,
  ack: 4,
  /** Of a message that makes something: replace what is there, refuse if it is there, make it if it is not. */
  replace: 0x100,
  excl: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

export const NETLINK = { route: 0, netfilter: 12 } as const;

const NESTED = 0x8000;
const HEADER = 16;

/** Messages being written. A place that is returned is a byte offset, good for the launcher's `fill` too. */
export class NetlinkWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;
  #message = 0;
  #sequence = 0;

  constructor(size = 1024) {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  #room(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, at + size));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#at = at + size;
    return at;
  }

  /** Begins a message; `flags` are NLM_F's beside request. */
  begin(type: number, flags: number): void {
    const at = (this.#message = this.#room(HEADER));
    this.#view.setUint16(at + 4, type, true);
    this.#view.setUint16(at + 6, flags | NLM_F.request, true);
    this.#view.setUint32(at + 8, ++this.#sequence, true);
  }

  /** Ends the message that was begun last. */
  end(): void {
    this.#view.setUint32(this.#message, this.#at - this.#message, true);
  }

  /** The fixed part of a message. */
  u8(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }
  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }
  u32(value: number): number {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
    return at;
  }

  #attribute(type: number, size: number): number {
    const at = this.#room(4 + ((size + 3) & ~3));
    this.#view.setUint16(at, 4 + size, true);
    this.#view.setUint16(at + 2, type, true);
    return at + 4;
  }

  attrU8(type: number, value: number): void {
    const at = this.#attribute(type, 1);
    this.#view.setUint8(at, value);
  }
  attrU16(type: number, value: number): void {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, true);
  }
  attrU32(type: number, value: number): number {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, true);
    return at;
  }
  /** In network order, as nf_tables has its numbers. */
  attrBe32(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, false);
  }
  /** ASCII, with its NUL. */
  attrText(type: number, text: string): number {
    const at = this.#attribute(type, text.length + 1);
    for (let i = 0; i < text.length; i++) this.#bytes[at + i] = text.charCodeAt(i);
    return at;
  }
  attrBytes(type: number, value: Uint8Array): number {
    const at = this.#attribute(type, value.length);
    this.#bytes.set(value, at);
    return at;
  }
  /** One without content. */
  attrFlag(type: number): void {
    this.#attribute(type, 0);
  }

  /** Opens an attribute that holds others; `close` takes what this returns. */
  open(type: number): number {
    const at = this.#room(4);
    this.#view.setUint16(at + 2, type | NESTED, true);
    return at;
  }
  close(open: number): void {
    this.#view.setUint16(open, this.#at - open, true);
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}
