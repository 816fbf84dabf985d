/** The messages of rtnetlink.ts read again: what a plan does to links, addresses and routes, for whoever wants to say it in words. */
import { formatIp } from "../common/ip.ts";
import {
  AF_INET6,
  IFA,
  IFF_UP,
  IFLA,
  IFLA_BRPORT,
  IFLA_IPVLAN,
  INFO,
  IPVLAN_FLAGS,
  IPVLAN_MODES,
  type IpvlanFlag,
  type IpvlanMode,
  MACVLAN_MODE,
  MACVLAN_MODES,
  type MacvlanMode,
  RTA,
  RTM,
  VETH_INFO_PEER,
} from "./rtnetlink.ts";

export type LinkChange =
  /** A pair: this end a port of `bridge` and up, `peer` born elsewhere. */
  | {
      readonly kind: "veth";
      readonly name: string;
      readonly bridge: string;
      readonly peer: string;
      readonly mac: string;
      readonly mtu?: number;
    }
  | {
      readonly kind: "macvlan";
      readonly name: string;
      readonly parent: string;
      readonly mode: MacvlanMode;
      readonly mac: string;
      readonly mtu?: number;
    }
  | {
      readonly kind: "ipvlan";
      readonly name: string;
      readonly parent: string;
      readonly mode: IpvlanMode;
      readonly flag: IpvlanFlag;
      readonly mtu?: number;
    }
  | { readonly kind: "port"; readonly name: string; readonly hairpin: boolean; readonly isolated: boolean }
  | { readonly kind: "up"; readonly name: string }
  | {
      readonly kind: "address";
      readonly link: string;
      readonly address: string;
      readonly length: number;
    }
  /** The default route: by a gateway, or straight out of a link. */
  | { readonly kind: "route"; readonly gateway: string }
  | { readonly kind: "out"; readonly link: string; readonly version: 4 | 6 };

/** Names of interfaces whose numbers the launcher fills in, by their places in the messages. */
export type LinkNames = readonly { readonly at: number; readonly name: string }[];

const HEADER = 16;
const IFINFO = 16;
const IFADDR = 8;
const ROUTE = 12;
const LOOPBACK = 1;

interface Attribute {
  /** Where its content begins in the messages. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

type Attributes = ReadonlyMap<number, Attribute>;

function attributes(messages: Uint8Array, from: number, to: number): Attributes {
  const view = new DataView(messages.buffer, messages.byteOffset, messages.byteLength);
  const found = new Map<number, Attribute>();
  for (let at = from; at + 4 <= to; ) {
    const size = view.getUint16(at, true);
    if (size < 4) break;
    // The highest bit says that it holds others.
    found.set(view.getUint16(at + 2, true) & 0x7fff, {
      at: at + 4,
      bytes: messages.subarray(at + 4, at + size),
    });
    at += (size + 3) & ~3;
  }
  return found;
}

const nested = (messages: Uint8Array, outer: Attributes, type: number, skip = 0): Attributes => {
  const found = outer.get(type);
  return found ? attributes(messages, found.at + skip, found.at + found.bytes.length) : new Map();
};

const text = (of: Attributes, type: number): string => {
  const bytes = of.get(type)?.bytes ?? new Uint8Array();
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0) < 0 ? bytes.length : bytes.indexOf(0)));
};

const number = (of: Attributes, type: number): number => {
  let value = 0;
  for (const [index, byte] of of.get(type)?.bytes.entries() ?? []) value += byte * 256 ** index;
  return value;
};

const mac = (of: Attributes): string =>
  [...(of.get(IFLA.address)?.bytes ?? [])].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

const ip = (of: Attributes, type: number): string => formatIp(of.get(type)?.bytes ?? new Uint8Array(4));

const mtu = (of: Attributes): { mtu?: number } => (of.has(IFLA.mtu) ? { mtu: number(of, IFLA.mtu) } : {});

const named = <N extends string>(numbers: Readonly<Record<N, number>>, value: number): N | undefined =>
  (Object.keys(numbers) as N[]).find((each) => numbers[each] === value);

export function readLinkChanges(messages: Uint8Array, links: LinkNames = []): LinkChange[] {
  const view = new DataView(messages.buffer, messages.byteOffset, messages.byteLength);
  const nameAt = (at: number | undefined): string => links.find((link) => link.at === at)?.name ?? "";
  const found: LinkChange[] = [];
  for (let at = 0; at + HEADER <= messages.length; ) {
    const size = view.getUint32(at, true);
    if (size < HEADER) break;
    const body = at + HEADER;
    const within = (skip: number): Attributes => attributes(messages, body + skip, at + size);
    const type = view.getUint16(at + 4, true);
    if (type === RTM.newlink) {
      const link = within(IFINFO);
      found.push(
        newLink(messages, link, nameAt, view.getUint32(body + 4, true), view.getUint32(body + 8, true)),
      );
    } else if (type === RTM.newaddr) {
      const link = nameAt(body + 4);
      found.push({
        kind: "address",
        link,
        address: ip(within(IFADDR), IFA.local),
        length: view.getUint8(body + 1),
      });
    } else if (type === RTM.newroute) {
      const route = within(ROUTE);
      const version = view.getUint8(body) === AF_INET6 ? 6 : 4;
      found.push(
        route.has(RTA.gateway)
          ? { kind: "route", gateway: ip(route, RTA.gateway) }
          : { kind: "out", link: nameAt(route.get(RTA.oif)?.at), version },
      );
    }
    at += (size + 3) & ~3;
  }
  return found;
}

function newLink(
  messages: Uint8Array,
  link: Attributes,
  nameAt: (at: number | undefined) => string,
  index: number,
  flags: number,
): LinkChange {
  const info = nested(messages, link, IFLA.linkinfo);
  const name = index === LOOPBACK ? "lo" : text(link, IFLA.ifname);
  switch (text(info, INFO.kind)) {
    case "veth": {
      const peer = nested(messages, nested(messages, info, INFO.data), VETH_INFO_PEER, IFINFO);
      const bridge = nameAt(link.get(IFLA.master)?.at);
      return { kind: "veth", name, bridge, peer: text(peer, IFLA.ifname), mac: mac(peer), ...mtu(link) };
    }
    case "macvlan": {
      const value = number(nested(messages, info, INFO.data), MACVLAN_MODE);
      return {
        kind: "macvlan",
        name,
        parent: nameAt(link.get(IFLA.link)?.at),
        mode: named(MACVLAN_MODES, value) ?? "bridge",
        mac: mac(link),
        ...mtu(link),
      };
    }
    case "ipvlan": {
      const data = nested(messages, info, INFO.data);
      return {
        kind: "ipvlan",
        name,
        parent: nameAt(link.get(IFLA.link)?.at),
        mode: named(IPVLAN_MODES, number(data, IFLA_IPVLAN.mode)) ?? "l2",
        flag: named(IPVLAN_FLAGS, number(data, IFLA_IPVLAN.flags)) ?? "bridge",
        ...mtu(link),
      };
    }
  }
  const port = nested(messages, info, INFO.slaveData);
  if (port.size > 0)
    return {
      kind: "port",
      name,
      hairpin: number(port, IFLA_BRPORT.hairpin) === 1,
      isolated: number(port, IFLA_BRPORT.isolated) === 1,
    };
  if ((flags & IFF_UP) === 0) throw new Error(`a change of the link ${name} that is not known here`);
  return { kind: "up", name };
}
