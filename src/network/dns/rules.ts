/**
 * What leads a container's questions to the responder: rules of its own network namespace. 127.0.0.11 port 53 becomes the
 * gateway's address and the responder's port, and the answer comes back from 127.0.0.11, as programs expect that look at
 * it. For that a packet from 127.0.0.0/8 may leave (route_localnet), so that what comes in for it has to be thrown away:
 * without that rule a neighbour could reach what listens on this container's loopback (CVE-2020-8558).
 *
 * Where no network of the container's has an address of this host (macvlan, ipvlan) the responder has sockets in that namespace
 * itself, and the question stays on its loopback: there is nothing to guard. The keeper asks for them before the process runs.
 */
import { parseIp } from "../../common/ip.ts";
import { NETLINK, NetlinkWriter } from "../../kernel/netlink.ts";
import {
  beginBatch,
  deleteTable,
  type Expression,
  endBatch,
  ensureTable,
  fillTable,
  type NftTable,
} from "../../kernel/nftables.ts";
import type { Step } from "../../launch/index.ts";
import { isPredefined, subnetOf } from "../endpoints.ts";
import type { Endpoint } from "../types.ts";
import { PORT } from "./posts.ts";
import { type Way, WITHIN, whomToAsk } from "./whom.ts";

/** Whom programs in the container ask. */
export const SERVER = "127.0.0.11";
export const SERVER_BYTES = Uint8Array.of(127, 0, 0, 11);
const TABLE = "sampan";
const IPV4 = 2;
const TCP = 6;
const UDP = 17;
const DNS = 53;

/** A gateway's address, WITHIN, or undefined: see `whomToAsk`. */
export function resolverOf(endpoints: readonly Endpoint[]): string | undefined {
  const ways: Way[] = [];
  for (const { network, ipv4 } of endpoints)
    ways.push({
      named: !isPredefined(network.name),
      internal: network.internal,
      gateway: network.driver === "bridge" && ipv4 ? subnetOf(network, 4)?.gateway : undefined,
    });
  return whomToAsk(ways);
}

const ipv4: Expression[] = [
  { expr: "meta", key: "nfproto", to: 1 },
  { expr: "cmp", from: 1, value: Uint8Array.of(IPV4) },
];
const address = (offset: number, length: number, value: Uint8Array): Expression[] => [
  { expr: "payload", base: "network", offset, length, to: 1 },
  { expr: "cmp", from: 1, value },
];
const SOURCE = 12;
const DESTINATION = 16;
const port = (number: number): Uint8Array => Uint8Array.of(number >> 8, number & 0xff);

const led = (protocol: number, gateway: Uint8Array): Expression[] => [
  ...ipv4,
  ...address(DESTINATION, 4, SERVER_BYTES),
  { expr: "meta", key: "l4proto", to: 1 },
  { expr: "cmp", from: 1, value: Uint8Array.of(protocol) },
  { expr: "payload", base: "transport", offset: 2, length: 2, to: 1 },
  { expr: "cmp", from: 1, value: port(DNS) },
  { expr: "immediate", to: 1, value: gateway },
  { expr: "immediate", to: 2, value: port(PORT) },
  { expr: "dnat", family: "ipv4", address: 1, port: 2 },
];

function loopbackName(): Uint8Array {
  const name = new Uint8Array(16);
  name[0] = 0x6c;
  name[1] = 0x6f;
  return name;
}

/** Inside, once the loopback is up. */
export function resolverSteps(endpoints: readonly Endpoint[]): Step[] {
  const whom = resolverOf(endpoints);
  return whom === undefined ? [] : steps(whom, false);
}

/** In a container that runs, whose networks have changed. */
export const newResolverSteps = (endpoints: readonly Endpoint[]): Step[] =>
  steps(resolverOf(endpoints), true);

function steps(whom: string | undefined, instead: boolean): Step[] {
  const gateway = whom === undefined || whom === WITHIN ? undefined : parseIp(whom);
  const w = new NetlinkWriter(2048);
  beginBatch(w);
  ensureTable(w, TABLE);
  if (instead) deleteTable(w, TABLE);
  if (instead && whom !== undefined) ensureTable(w, TABLE);
  if (gateway) fillTable(w, rules(gateway));
  else if (whom === WITHIN) fillTable(w, rulesWithin);
  endBatch(w);
  const route: Step = {
    call: "proc",
    column: "inside",
    why: "--network",
    path: "sys/net/ipv4/conf/all/route_localnet",
    data: gateway ? "1" : "0",
  };
  const table: Step = {
    call: "netlink",
    column: "inside",
    why: "--network",
    protocol: NETLINK.netfilter,
    messages: w.done(),
  };
  if (whom === WITHIN && !instead) return [table];
  // In neither order is there a moment in which neighbours reach the loopback.
  return gateway ? [table, route] : [route, table];
}

/** `to`: the responder's address. */
const output = (to: Uint8Array): NftTable["chains"][number] => ({
  name: "output",
  hook: { type: "nat", hook: "output", priority: -100 },
  rules: [led(UDP, to), led(TCP, to)],
});

const rulesWithin: NftTable = { name: TABLE, sets: [], chains: [output(SERVER_BYTES)] };

const rules = (gateway: Uint8Array): NftTable => ({
  name: TABLE,
  sets: [],
  chains: [
    {
      name: "raw",
      hook: { type: "filter", hook: "prerouting", priority: -300 },
      rules: [
        [
          { expr: "meta", key: "iifname", to: 1 },
          { expr: "cmp", from: 1, not: true, value: loopbackName() },
          ...ipv4,
          ...address(DESTINATION, 1, Uint8Array.of(127)),
          { expr: "verdict", verdict: "drop" },
        ],
      ],
    },
    output(gateway),
    {
      name: "postrouting",
      hook: { type: "nat", hook: "postrouting", priority: 100 },
      rules: [
        [
          ...ipv4,
          ...address(SOURCE, 1, Uint8Array.of(127)),
          ...address(DESTINATION, 4, gateway),
          { expr: "masq" },
        ],
      ],
    },
  ],
});
