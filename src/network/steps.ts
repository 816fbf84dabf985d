/**
 * A container's networks as steps of its plan. The keeper makes each link with its other end born in the container's
 * namespace, asks whether the engine's rules know the bridge, and adds one element for each published port; the container's
 * own process then brings its ends up. What is missing on the way (a bridge, the whole table) is repaired by a command of
 * the engine's that the launcher executes, so the same plan also starts the container again after somebody removed them.
 */
import { parseCidr, parseIp } from "../common/ip.ts";
import { NETLINK, NetlinkWriter } from "../kernel/netlink.ts";
import { beginBatch, type Element, elements, endBatch, getElement, getRule } from "../kernel/nftables.ts";
import {
  addAddress,
  addDefaultRoute,
  addDeviceRoute,
  askWay,
  type IpvlanFlag,
  type IpvlanMode,
  linkUp,
  loopbackUp,
  type MacvlanMode,
  newIpvlan,
  newMacvlan,
  newVeth,
  setBridgePort,
} from "../kernel/rtnetlink.ts";
import type { Fill, Step } from "../launch/index.ts";
import { carriedAddress } from "./carried.ts";
import { resolverOf, resolverSteps } from "./dns/rules.ts";
import { WITHIN } from "./dns/whom.ts";
import { leaveText, serveText } from "./dns/words.ts";
import { LAST_RULE, nameBytes, publishedElement } from "./elements.ts";
import { macBytes, subnetOf } from "./endpoints.ts";
import { bridgeOf, hasIcc, mtuOf, OPTION, parentOf } from "./names.ts";
import type { Endpoint, Network, PublishedPort } from "./types.ts";

export interface NetworkSteps {
  /** After the child is there, before its barrier. */
  readonly outside: readonly Step[];
  /** After that barrier; the keeper may have a part in it. */
  readonly inside: readonly Step[];
  readonly after: readonly Step[];
}

export interface Wiring {
  /** Name of the nf_tables table. */
  readonly table: string;
  /** Active ones, in the order of their interfaces. */
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
  /** The command that makes what is missing. */
  readonly repair: readonly string[];
  /** The responder's socket. */
  readonly names: string;
}

export function networkSteps(wiring: Wiring): NetworkSteps {
  const outside: Step[] = [];
  for (const port of wiring.ports) {
    const hold = holdStep(port);
    if (hold) outside.push(hold);
  }
  for (const endpoint of wiring.endpoints)
    outside.push(...linkSteps(wiring, endpoint, wiring.ports.length > 0));
  outside.push(...publishSteps(wiring, "add"));
  const inside = [
    ...insideSteps(wiring.endpoints, wiring.endpoints, true),
    ...resolverSteps(wiring.endpoints),
  ];
  const after = publishSteps(wiring, "delete");
  if (resolverOf(wiring.endpoints) === WITHIN) {
    // There must be a loopback, and no process that could ask.
    inside.push(barrier("outside"), namesStep(wiring, "outside"), barrier("inside"));
    after.push(namesStep(wiring, "after"));
  }
  return { outside, inside, after };
}

const barrier = (waits: "inside" | "outside"): Step => ({
  call: "barrier",
  column: waits,
  waits,
  why: "--network",
});

/** The responder has sockets in the container's own namespace: before its process runs, and no longer than that. */
function namesStep({ names, endpoints }: Wiring, column: "outside" | "after"): Step {
  const container = endpoints[0]?.container ?? "";
  return {
    call: "ask",
    column,
    why: "--network",
    socket: names,
    text: column === "outside" ? serveText(container) : leaveText(container),
    // Without it the container has no names until somebody starts the responder again.
    optional: true,
  };
}

// ---- links

/** The keeper's part of one endpoint. */
export function linkSteps(wiring: Wiring, endpoint: Endpoint, hairpin: boolean): Step[] {
  const { network } = endpoint;
  if (network.driver !== "bridge") return [childStep(wiring, endpoint)];
  const bridge = bridgeOf(network);
  const check = new NetlinkWriter(128);
  getElement(check, wiring.table, "bridges", nameBytes(bridge));
  // Whoever flushed the table has left its sets.
  getRule(check, wiring.table, LAST_RULE.chain, LAST_RULE.handle);
  return [
    vethStep(wiring, endpoint, bridge, hairpin),
    ...wayStep(wiring, network, bridge),
    {
      call: "netlink",
      column: "outside",
      why: "--network",
      protocol: NETLINK.netfilter,
      messages: check.done(),
      repair: wiring.repair,
    },
  ];
}

/** A bridge that somebody set down, or whose address somebody took away, is repaired like one that is gone. */
function wayStep({ repair }: Wiring, network: Network, bridge: string): Step[] {
  const gateway = parseIp((subnetOf(network, 4) ?? subnetOf(network, 6))?.gateway ?? "");
  if (!gateway) return [];
  const w = new NetlinkWriter(64);
  const at = askWay(w, gateway);
  return [
    {
      call: "netlink",
      column: "outside",
      why: "--network",
      protocol: NETLINK.route,
      messages: w.done(),
      fill: { links: [{ at, name: bridge }] },
      repair,
      // Where this machine's rules of routing answer otherwise, the link works all the same.
      optional: true,
    },
  ];
}

/** `veth`, the pid in seven digits, three of the container's id and the number of the interface: nobody else has such a one. */
function vethStep(wiring: Wiring, endpoint: Endpoint, bridge: string, hairpin: boolean): Step {
  const peer = endpoint.interface ?? "eth0";
  const name = `veth0000000${endpoint.container.slice(0, 3)}${Number(peer.slice(3)).toString(36)}`;
  const mtu = mtuOf(endpoint.network);
  const w = new NetlinkWriter(512);
  const places = newVeth(w, {
    name,
    peer,
    mac: macBytes(endpoint.mac ?? ""),
    ...(mtu === undefined ? {} : { mtu }),
  });
  const digits = [places.name + 4];
  const isolated = !hasIcc(endpoint.network);
  // A published port of its own is sent back where it came from, if the kernel filters bridges (br_netfilter).
  if (hairpin || isolated) digits.push(setBridgePort(w, name, { hairpin, isolated }) + 4);
  const fill: Fill = { pid: [places.pid], digits, links: [{ at: places.bridge, name: bridge }] };
  return {
    call: "netlink",
    column: "outside",
    why: "--network",
    protocol: NETLINK.route,
    messages: w.done(),
    fill,
    repair: wiring.repair,
  };
}

/** A macvlan or an ipvlan on a link of this machine. */
function childStep({ repair }: Wiring, { network, mac, interface: name = "eth0" }: Endpoint): Step {
  const { options } = network;
  const mtu = mtuOf(network);
  const w = new NetlinkWriter(256);
  const link = { name, ...(mtu === undefined ? {} : { mtu }) };
  const places =
    network.driver === "ipvlan"
      ? newIpvlan(w, {
          ...link,
          mode: ipvlanMode(network),
          flag: (options[OPTION.ipvlanFlag] ?? "bridge") as IpvlanFlag,
        })
      : newMacvlan(w, {
          ...link,
          mac: macBytes(mac ?? ""),
          mode: (options[OPTION.macvlanMode] ?? "bridge") as MacvlanMode,
        });
  return {
    call: "netlink",
    column: "outside",
    why: "--network",
    protocol: NETLINK.route,
    messages: w.done(),
    fill: { pid: [places.pid], links: [{ at: places.parent, name: parentOf(network) }] },
    ...(network.ownParent ? { repair } : {}),
  };
}

const ipvlanMode = ({ options }: Network): IpvlanMode => (options[OPTION.ipvlanMode] ?? "l2") as IpvlanMode;

// ---- inside

/** The endpoint whose gateway is the way out: the highest priority, then the first name. */
export function gatewayOf(endpoints: readonly Endpoint[], version: 4 | 6): Endpoint | undefined {
  let best: Endpoint | undefined;
  for (const endpoint of endpoints) {
    const { network, asked } = endpoint;
    if (network.internal || !subnetOf(network, version)?.gateway) continue;
    const more = (asked.gatewayPriority ?? 0) - (best?.asked.gatewayPriority ?? 0);
    if (!best || more > 0 || (more === 0 && network.name < best.network.name)) best = endpoint;
  }
  return best;
}

/** The container's part of `endpoints`; `all` are those that it is on then, among which its ways out are chosen. */
export function insideSteps(
  endpoints: readonly Endpoint[],
  all: readonly Endpoint[],
  loopback: boolean,
): Step[] {
  const steps: Step[] = [];
  const w = new NetlinkWriter(512);
  const links: { at: number; name: string }[] = [];
  if (loopback) loopbackUp(w);
  for (const endpoint of endpoints) {
    const name = endpoint.interface ?? "eth0";
    const more = endpoint.asked.linkLocal;
    // Without an IPv6 subnet there is no IPv6, not even link-local, but where that was asked for.
    if (!endpoint.ipv6 && !(more && hasIp6(more)))
      steps.push({
        call: "proc",
        column: "inside",
        why: "--network",
        path: `sys/net/ipv6/conf/${name}/disable_ipv6`,
        data: "1",
        optional: true,
      });
    for (const [text, version] of [
      [endpoint.ipv4, 4],
      [endpoint.ipv6, 6],
    ] as const) {
      const address = text === undefined ? undefined : parseIp(text);
      const cidr = parseCidr(subnetOf(endpoint.network, version)?.subnet ?? "");
      if (address && cidr) links.push({ at: addAddress(w, { address, length: cidr.length }), name });
    }
    if (more)
      for (const text of more) {
        const address = parseIp(text);
        if (address) links.push({ at: addAddress(w, { address, length: linkLocalLength(address) }), name });
      }
    linkUp(w, name);
  }
  for (const version of [4, 6] as const) {
    const way = gatewayOf(all, version);
    if (!way) continue;
    const address = parseIp(subnetOf(way.network, version)?.gateway ?? "");
    // An ipvlan that routes asks for nobody's MAC: what leaves it is its parent's to send on.
    if (way.network.driver === "ipvlan" && ipvlanMode(way.network) !== "l2")
      links.push({ at: addDeviceRoute(w, version), name: way.interface ?? "eth0" });
    else if (address) addDefaultRoute(w, address);
  }
  const messages = w.done();
  if (messages.length > 0)
    steps.push({
      call: "netlink",
      column: "inside",
      why: "--network",
      protocol: NETLINK.route,
      messages,
      fill: { links },
    });
  return steps;
}

function hasIp6(addresses: readonly string[]): boolean {
  for (const address of addresses) if (address.includes(":")) return true;
  return false;
}

/** Of 169.254.0.0/16 and fe80::/64, as Docker takes any such address for. */
const linkLocalLength = (address: Uint8Array): number => (address.length === 4 ? 16 : 64);

// ---- ports

const SOCKET = { tcp: [1, 6], udp: [2, 17], sctp: [5, 132] } as const;
const AF_INET = 2;
const AF_INET6 = 10;

/** What has a port, as socket(2) and bind(2) take it: struct sockaddr_in or sockaddr_in6. Undefined: the responder has it. */
export function holdOf(
  published: PublishedPort,
): { readonly type: number; readonly protocol: number; readonly address: Uint8Array } | undefined {
  const { protocol, address, port } = published;
  const ip = carriedAddress(published) === undefined ? parseIp(address) : undefined;
  if (!ip) return undefined;
  const four = ip.length === 4;
  const bytes = new Uint8Array(four ? 16 : 28);
  bytes[0] = four ? AF_INET : AF_INET6;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(ip, four ? 4 : 8);
  const [type, number] = SOCKET[protocol];
  return { type, protocol: number, address: bytes };
}

function holdStep(published: PublishedPort): Step | undefined {
  const hold = holdOf(published);
  return hold && { call: "hold", column: "outside", why: "--publish", ...hold };
}

/** Elements of published ports by the map that holds them. What has no way through the kernel (::1) has none. */
export function elementsOf(ports: readonly PublishedPort[]): Map<string, Element[]> {
  const maps = new Map<string, Element[]>();
  for (const { protocol, address, port, destination, target } of ports) {
    if (address === "::1" || address.includes(":") !== destination.includes(":")) continue;
    const from = parseIp(address);
    const to = parseIp(destination);
    if (!from || !to) continue;
    const all = address === "0.0.0.0" || address === "::";
    const { map, element } = publishedElement({
      protocol,
      port,
      destination: to,
      target,
      ...(all ? {} : { address: from }),
    });
    const list = maps.get(map);
    if (list) list.push(element);
    else maps.set(map, [element]);
  }
  return maps;
}

/** An attribute's length has sixteen bits. */
export const CHUNK = 500;

/**
 * Adds or deletes the elements of ports. Deleting adds first, in the same batch: an element that is gone by then is no error, and
 * one that leads elsewhere is another container's, so that the batch is refused and leaves it.
 */
export function publishSteps(
  { table, ports, repair }: Pick<Wiring, "table" | "ports" | "repair">,
  action: "add" | "delete",
): Step[] {
  const steps: Step[] = [];
  for (let from = 0; from < ports.length; from += CHUNK) {
    const maps = elementsOf(ports.slice(from, from + CHUNK));
    if (maps.size === 0) continue;
    const w = new NetlinkWriter(512);
    beginBatch(w);
    for (const [map, list] of maps) {
      elements(w, "add", table, map, list);
      if (action === "delete") elements(w, "delete", table, map, list);
    }
    endBatch(w);
    steps.push({
      call: "netlink",
      column: action === "add" ? "outside" : "after",
      why: "--publish",
      protocol: NETLINK.netfilter,
      messages: w.done(),
      ...(action === "add" ? { repair } : {}),
    });
  }
  return steps;
}
