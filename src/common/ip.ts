/**
 * IP addresses of both families: bytes in network order, 4 or 16 of them, and their text (RFC 5952 for IPv6). A prefix is an
 * address and how many of its bits count.
 */

/** undefined: it is no address. */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIp6(text) : parseIp4(text);
}

function parseIp4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 46;
    if (code >= 48 && code <= 57) {
      if (digits > 0 && value === 0) return undefined; // 010 is octal to some, ten to others
      value = value * 10 + code - 48;
      digits++;
      if (value > 255) return undefined;
    } else if (code === 46) {
      if (digits === 0 || part > 3) return undefined;
      bytes[part++] = value;
      digits = value = 0;
    } else return undefined;
  }
  return part === 4 ? bytes : undefined;
}

function parseIp6(text: string): Uint8Array | undefined {
  let source = text;
  // ::ffff:1.2.3.4
  if (source.includes(".")) {
    const colon = source.lastIndexOf(":");
    const four = parseIp4(source.slice(colon + 1));
    if (!four) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = four;
    source = `${source.slice(0, colon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const halves = source.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string | undefined): string[] => (half ? half.split(":") : []);
  const head = groups(halves[0]);
  const tail = groups(halves[1]);
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const zeros = halves.length === 2 ? Array.from({ length: missing }, () => "0") : [];
  const all = [...head, ...zeros, ...tail];
  const bytes = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    const group = all[i] ?? "";
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    const value = Number.parseInt(group, 16);
    bytes[2 * i] = value >> 8;
    bytes[2 * i + 1] = value & 0xff;
  }
  return bytes;
}

export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  // The longest run of zeros, the first of equals, is left out; a single zero is not.
  let best = 0;
  let from = -1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > best && run > 1) {
      best = run;
      from = i;
    }
  }
  const text = (list: readonly number[]): string => list.map((group) => group.toString(16)).join(":");
  if (from < 0) return text(groups);
  return `${text(groups.slice(0, from))}::${text(groups.slice(from + best))}`;
}

/** An address as the text that everybody writes for it; undefined: it is none. */
export const canonicalIp = (text: string): string | undefined => {
  const bytes = parseIp(text);
  return bytes && formatIp(bytes);
};

export interface Cidr {
  readonly address: Uint8Array;
  /** Bits. */
  readonly length: number;
}

/** `172.17.0.0/16`; undefined: it is none. Bits behind the prefix stay. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? undefined : parseIp(text.slice(0, slash));
  if (!address || text.length - slash > 4) return undefined;
  let length = 0;
  for (let i = slash + 1; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    length = length * 10 + digit;
  }
  return slash + 1 < text.length && length <= address.length * 8 ? { address, length } : undefined;
}

export const formatCidr = ({ address, length }: Cidr): string => `${formatIp(address)}/${length}`;

/** The address with only the prefix's bits: its first one; `ones`: with all others set, its last. */
export function edge({ address, length }: Cidr, ones = false): Uint8Array {
  const bytes = address.slice();
  for (let i = 0; i < bytes.length; i++) {
    const bits = Math.min(8, Math.max(0, length - 8 * i));
    const mask = (0xff << (8 - bits)) & 0xff;
    bytes[i] = ones ? (bytes[i] ?? 0) | (~mask & 0xff) : (bytes[i] ?? 0) & mask;
  }
  return bytes;
}

/** Makes it the address that follows. */
export function toNext(address: Uint8Array): void {
  for (let i = address.length - 1; i >= 0; i--) {
    const next = ((address[i] ?? 0) + 1) & 0xff;
    address[i] = next;
    if (next !== 0) return;
  }
}

/** Whether two addresses have their first bits in common. */
function agree(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; 8 * i < bits; i++) {
    const differing = (a[i] ?? 0) ^ (b[i] ?? 0);
    if (differing >> Math.max(0, 8 * (i + 1) - bits) !== 0) return false;
  }
  return true;
}

/** Whether an address, or all of another prefix, lies within. */
export const contains = (prefix: Cidr, address: Uint8Array, length = address.length * 8): boolean =>
  length >= prefix.length && agree(prefix.address, address, prefix.length);

export const overlap = (a: Cidr, b: Cidr): boolean =>
  agree(a.address, b.address, Math.min(a.length, b.length));

export function ipNumber(address: Uint8Array): bigint {
  let number = 0n;
  for (const byte of address) number = (number << 8n) | BigInt(byte);
  return number;
}

/** `size` is 4 or 16 bytes. */
export function ipFromNumber(number: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = number;
  for (let i = size - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

export const isLoopback = (address: Uint8Array): boolean =>
  address.length === 4 ? address[0] === 127 : ipNumber(address) === 1n;
