/** Bridges, subnets and published ports as elements of the engine's table (see ruleset.ts): all that changes in it. */
import { edge, ipFromNumber, ipNumber, parseCidr } from "../common/ip.ts";
import type { Element } from "../kernel/nftables.ts";
import { bridgeOf, hasIcc, hasMasquerade } from "./names.ts";
import type { Network, Protocol } from "./types.ts";

const IPPROTO: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** Values side by side, each beginning at a word. */
function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += (part.length + 3) & ~3;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += (part.length + 3) & ~3;
  }
  return joined;
}

const port = (number: number): Uint8Array => Uint8Array.of(number >> 8, number & 0xff);

export interface PublishedBytes {
  readonly protocol: Protocol;
  /** Absent: every address. */
  readonly address?: Uint8Array;
  readonly port: number;
  readonly destination: Uint8Array;
  readonly target: number;
}

/** The map that a published port belongs in, and its element. */
export function publishedElement(p: PublishedBytes): { readonly map: string; readonly element: Element } {
  const version = p.destination.length === 4 ? 4 : 6;
  const protocol = Uint8Array.of(IPPROTO[p.protocol]);
  const key = p.address ? concat(protocol, p.address, port(p.port)) : concat(protocol, port(p.port));
  return {
    map: p.address ? `one${version}` : `any${version}`,
    element: { key, data: concat(p.destination, port(p.target)) },
  };
}

/** What shows that the table has its rules: the last of them, by the handle that the kernel gave it (see `lastHandle`). */
export const LAST_RULE = { chain: "forward", handle: 39 } as const;

/** A name as sets hold it: sixteen bytes. */
export function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(16);
  for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
  return bytes;
}

export const pairOf = (name: string): Element => ({ key: concat(nameBytes(name), nameBytes(name)) });

/** A subnet, from its first to its last address, with its bridge. */
export const ownSubnet = (first: Uint8Array, last: Uint8Array, bridge: string): Element => ({
  key: concat(first, nameBytes(bridge)),
  end: concat(last, nameBytes(bridge)),
});

/** A network's elements, by the sets that hold them. */
export function networkElements(network: Network): [set: string, list: Element[], concatenated: boolean][] {
  const name = bridgeOf(network);
  const key = nameBytes(name);
  const sets: [string, Element[], boolean][] = [["bridges", [{ key }], false]];
  if (network.internal) sets.push(["internal", [{ key }], false]);
  if (hasIcc(network)) sets.push(["open", [pairOf(name)], false]);
  for (const { subnet } of network.subnets) {
    const cidr = parseCidr(subnet);
    if (!cidr) continue;
    const size = cidr.address.length;
    const version = size === 4 ? 4 : 6;
    const first = edge(cidr);
    const last = edge(cidr, true);
    sets.push([`own${version}`, [ownSubnet(first, last, name)], true]);
    if (hasMasquerade(network) && !network.internal)
      sets.push([
        `masquerade${version}`,
        [{ key: first, end: ipFromNumber(ipNumber(last) + 1n, size) }],
        false,
      ]);
  }
  return sets;
}
