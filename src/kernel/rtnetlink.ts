/** Links, addresses and routes (rtnetlink(7), linux/if_link.h): the messages that a container's network takes. */
import { edge } from "../common/ip.ts";
import { type NetlinkWriter, NLM_F } from "./netlink.ts";

export const RTM = { newlink: 16, dellink: 17, newaddr: 20, newroute: 24, getroute: 26 } as const;
export const IFF_UP = 1;
const AF_INET = 2;
export const AF_INET6 = 10;

export const IFLA = {
  address: 1,
  ifname: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkinfo: 18,
  netNsPid: 19,
} as const;
export const INFO = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const;
export const VETH_INFO_PEER = 1;
export const MACVLAN_MODE = 1;
export const IFLA_IPVLAN = { mode: 1, flags: 2 } as const;
const IFLA_VLAN_ID = 1;
const IFLA_BR = { forwardDelay: 1, stpState: 5, multicastSnooping: 23 } as const;
export const IFLA_BRPORT = { hairpin: 4, isolated: 33 } as const;
export const IFA = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
/** No duplicate address detection: the engine hands an address out once. */
const IFA_F_NODAD = 2;
export const RTA = { destination: 1, source: 2, oif: 4, gateway: 5 } as const;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE = { universe: 0, link: 253 } as const;
const RTN_UNICAST = 1;

/** An address in bytes, 4 or 16 of them, and the length of its network's prefix. */
export interface Prefix {
  readonly address: Uint8Array;
  readonly length: number;
}

const familyOf = (address: Uint8Array): number => (address.length === 4 ? AF_INET : AF_INET6);

/** struct ifinfomsg; an index of 0 leaves it to IFLA_IFNAME. */
function ifinfo(w: NetlinkWriter, up: boolean, index = 0): void {
  w.u32(0); // family, type
  w.u32(index);
  w.u32(up ? IFF_UP : 0);
  w.u32(up ? IFF_UP : 0); // and which of them to change
}

export interface Veth {
  /** Of the host's end; seven zeros of it, at `digits`, become the pid. */
  readonly name: string;
  /** The container's end. */
  readonly peer: string;
  readonly mac: Uint8Array;
  readonly mtu?: number;
}

/** Where the launcher fills in the pid (twice) and the bridge's number. */
export interface VethPlaces {
  readonly pid: number;
  readonly bridge: number;
  readonly name: number;
}

/**
 * A veth pair in one message: this end a port of a bridge and up, the other one born in another process's namespace. That
 * end stays down: IFF_UP for a peer is refused (ENOTCONN), since its other end does not exist yet.
 */
export function newVeth(w: NetlinkWriter, veth: Veth): VethPlaces {
  w.begin(RTM.newlink, NLM_F.ack | NLM_F.create | NLM_F.excl);
  ifinfo(w, true);
  const name = w.attrText(IFLA.ifname, veth.name);
  const bridge = w.attrU32(IFLA.master, 0);
  if (veth.mtu !== undefined) w.attrU32(IFLA.mtu, veth.mtu);
  const info = w.open(IFLA.linkinfo);
  w.attrText(INFO.kind, "veth");
  const data = w.open(INFO.data);
  const peer = w.open(VETH_INFO_PEER);
  ifinfo(w, false);
  w.attrText(IFLA.ifname, veth.peer);
  w.attrBytes(IFLA.address, veth.mac);
  if (veth.mtu !== undefined) w.attrU32(IFLA.mtu, veth.mtu);
  const pid = w.attrU32(IFLA.netNsPid, 0);
  w.close(peer);
  w.close(data);
  w.close(info);
  w.end();
  return { name, bridge, pid };
}

/** How a bridge treats a port: hairpin sends a frame back where it came from; isolated ports reach only ports that are not. */
export function setBridgePort(
  w: NetlinkWriter,
  name: string,
  port: { readonly hairpin: boolean; readonly isolated: boolean },
): number {
  w.begin(RTM.newlink, NLM_F.ack);
  ifinfo(w, true);
  const at = w.attrText(IFLA.ifname, name);
  const info = w.open(IFLA.linkinfo);
  w.attrText(INFO.slaveKind, "bridge");
  const data = w.open(INFO.slaveData);
  w.attrU8(IFLA_BRPORT.hairpin, port.hairpin ? 1 : 0);
  w.attrU8(IFLA_BRPORT.isolated, port.isolated ? 1 : 0);
  w.close(data);
  w.close(info);
  w.end();
  return at;
}

/** A link on a parent of this namespace, born in another process's. */
export interface ChildLink {
  readonly name: string;
  readonly mtu?: number;
}

/** Where the launcher fills in the pid and the parent's number. */
export interface ChildPlaces {
  readonly pid: number;
  readonly parent: number;
}

/** All of it but its kind; what is written after is that. */
function newChild(w: NetlinkWriter, { name, mtu }: ChildLink, mac?: Uint8Array): ChildPlaces {
  w.begin(RTM.newlink, NLM_F.ack | NLM_F.create | NLM_F.excl);
  ifinfo(w, false);
  w.attrText(IFLA.ifname, name);
  const parent = w.attrU32(IFLA.link, 0);
  const pid = w.attrU32(IFLA.netNsPid, 0);
  if (mac) w.attrBytes(IFLA.address, mac);
  if (mtu !== undefined) w.attrU32(IFLA.mtu, mtu);
  return { parent, pid };
}

export const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
export type MacvlanMode = keyof typeof MACVLAN_MODES;

/** A macvlan: another card on the parent's wire. */
export function newMacvlan(
  w: NetlinkWriter,
  link: ChildLink & { readonly mac: Uint8Array; readonly mode: MacvlanMode },
): ChildPlaces {
  const places = newChild(w, link, link.mac);
  const info = w.open(IFLA.linkinfo);
  w.attrText(INFO.kind, "macvlan");
  const data = w.open(INFO.data);
  w.attrU32(MACVLAN_MODE, MACVLAN_MODES[link.mode]);
  w.close(data);
  w.close(info);
  w.end();
  return places;
}

export const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const;
export type IpvlanMode = keyof typeof IPVLAN_MODES;
export const IPVLAN_FLAGS = { bridge: 0, private: 1, vepa: 2 } as const;
export type IpvlanFlag = keyof typeof IPVLAN_FLAGS;

/** An ipvlan: further addresses on the parent's card, whose MAC it has. */
export function newIpvlan(
  w: NetlinkWriter,
  link: ChildLink & { readonly mode: IpvlanMode; readonly flag: IpvlanFlag },
): ChildPlaces {
  const places = newChild(w, link);
  const info = w.open(IFLA.linkinfo);
  w.attrText(INFO.kind, "ipvlan");
  const data = w.open(INFO.data);
  w.attrU16(IFLA_IPVLAN.mode, IPVLAN_MODES[link.mode]);
  w.attrU16(IFLA_IPVLAN.flags, IPVLAN_FLAGS[link.flag]);
  w.close(data);
  w.close(info);
  w.end();
  return places;
}

/** A bridge, up. One that is there already stays as it is. */
export function newBridge(w: NetlinkWriter, name: string, mac: Uint8Array, mtu?: number): void {
  w.begin(RTM.newlink, NLM_F.ack | NLM_F.create);
  ifinfo(w, true);
  w.attrText(IFLA.ifname, name);
  // An address of its own: without, it takes the lowest of its ports' and changes with them.
  w.attrBytes(IFLA.address, mac);
  if (mtu !== undefined) w.attrU32(IFLA.mtu, mtu);
  const info = w.open(IFLA.linkinfo);
  w.attrText(INFO.kind, "bridge");
  const data = w.open(INFO.data);
  w.attrU32(IFLA_BR.stpState, 0);
  w.attrU32(IFLA_BR.forwardDelay, 0);
  w.close(data);
  w.close(info);
  w.end();
}

/** Changes nothing of a bridge that is there, which another kind of link refuses. */
export function asBridge(w: NetlinkWriter, name: string): void {
  w.begin(RTM.newlink, NLM_F.ack);
  ifinfo(w, false);
  w.attrText(IFLA.ifname, name);
  const info = w.open(IFLA.linkinfo);
  w.attrText(INFO.kind, "bridge");
  w.close(w.open(INFO.data));
  w.close(info);
  w.end();
}

/** A link that leads nowhere, up: `dummy`, or where a kernel has none `ifb`, which loses what nobody sends through it too. */
export function newDeadEnd(w: NetlinkWriter, name: string, kind: "dummy" | "ifb"): void {
  w.begin(RTM.newlink, NLM_F.ack | NLM_F.create | NLM_F.excl);
  ifinfo(w, true);
  w.attrText(IFLA.ifname, name);
  const info = w.open(IFLA.linkinfo);
  w.attrText(INFO.kind, kind);
  w.close(info);
  w.end();
}

/** One VLAN (802.1Q) of another link, whose number goes where this says; up. */
export function newVlan(w: NetlinkWriter, name: string, vlan: number): number {
  w.begin(RTM.newlink, NLM_F.ack | NLM_F.create | NLM_F.excl);
  ifinfo(w, true);
  w.attrText(IFLA.ifname, name);
  const base = w.attrU32(IFLA.link, 0);
  const info = w.open(IFLA.linkinfo);
  w.attrText(INFO.kind, "vlan");
  const data = w.open(INFO.data);
  w.attrU16(IFLA_VLAN_ID, vlan);
  w.close(data);
  w.close(info);
  w.end();
  return base;
}

export function deleteLink(w: NetlinkWriter, name: string): void {
  w.begin(RTM.dellink, NLM_F.ack);
  ifinfo(w, false);
  w.attrText(IFLA.ifname, name);
  w.end();
}

/** Loopback, which is the first interface of every network namespace. */
export function loopbackUp(w: NetlinkWriter): void {
  w.begin(RTM.newlink, NLM_F.ack);
  ifinfo(w, true, 1);
  w.end();
}

export function linkUp(w: NetlinkWriter, name: string): void {
  w.begin(RTM.newlink, NLM_F.ack);
  ifinfo(w, true);
  w.attrText(IFLA.ifname, name);
  w.end();
}

/** An address for an interface, whose number goes where this says. One that it has already is left. */
export function addAddress(w: NetlinkWriter, prefix: Prefix): number {
  w.begin(RTM.newaddr, NLM_F.ack | NLM_F.create | NLM_F.replace);
  w.u8(familyOf(prefix.address));
  w.u8(prefix.length);
  w.u8(prefix.address.length === 4 ? 0 : IFA_F_NODAD);
  w.u8(0); // scope: universe
  const link = w.u32(0);
  w.attrBytes(IFA.local, prefix.address);
  w.attrBytes(IFA.address, prefix.address);
  // The kernel finds everybody's address of a subnet by itself; programs that ask the interface for it do not.
  if (prefix.address.length === 4 && prefix.length < 31) w.attrBytes(IFA.broadcast, edge(prefix, true));
  w.end();
  return link;
}

/**
 * Asks for the way from an address of this machine's to itself by an interface, whose number goes where this says: an error where
 * that is down (ENETUNREACH) or the address is gone (EINVAL, ENETUNREACH).
 */
export function askWay(w: NetlinkWriter, address: Uint8Array): number {
  const four = address.length === 4;
  w.begin(RTM.getroute, NLM_F.ack);
  w.u8(familyOf(address));
  w.u8(address.length * 8);
  w.u8(four ? 32 : 0);
  w.u8(0);
  w.u32(0); // table, protocol, scope, type
  w.u32(0);
  w.attrBytes(RTA.destination, address);
  // By IPv6 the way to it is gone with it.
  if (four) w.attrBytes(RTA.source, address);
  const link = w.attrU32(RTA.oif, 0);
  w.end();
  return link;
}

/** The default route by a gateway. */
export function addDefaultRoute(w: NetlinkWriter, gateway: Uint8Array): void {
  defaultRoute(w, familyOf(gateway), RT_SCOPE.universe);
  w.attrBytes(RTA.gateway, gateway);
  w.end();
}

/** The default route straight out of an interface, whose number goes where this says. */
export function addDeviceRoute(w: NetlinkWriter, version: 4 | 6): number {
  defaultRoute(w, version === 4 ? AF_INET : AF_INET6, version === 4 ? RT_SCOPE.link : RT_SCOPE.universe);
  const link = w.attrU32(RTA.oif, 0);
  w.end();
  return link;
}

/** struct rtmsg */
function defaultRoute(w: NetlinkWriter, family: number, scope: number): void {
  w.begin(RTM.newroute, NLM_F.ack | NLM_F.create | NLM_F.replace);
  w.u8(family);
  w.u8(0); // length of the destination's prefix
  w.u8(0); // and of the source's
  w.u8(0); // type of service
  w.u8(RT_TABLE_MAIN);
  w.u8(RTPROT_BOOT);
  w.u8(scope);
  w.u8(RTN_UNICAST);
  w.u32(0);
}
