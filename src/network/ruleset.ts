/**
 * The one nf_tables table of an engine. Its rules never change: which bridges there are, whose addresses they carry and which
 * ports are published are elements of its sets and maps, one each. No other table is read or touched; a packet that is
 * accepted here is still judged by whoever else has rules.
 *
 * In words: what arrives for one of this host's own addresses and a published port goes to the container, on 127.0.0.1 too,
 * from where the kernel lets it leave because the bridge has route_localnet (and so must throw away what a container
 * sends to 127.0.0.0/8). From a bridge everything may leave, and enter only what was published or answers; nothing
 * enters or leaves an internal one. A client keeps its address, but for one on the container's own subnet and on loopback,
 * whose answers would not find back.
 */
import type { Expression, NftTable } from "../kernel/nftables.ts";

const word = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer);
const byte = (value: number): Uint8Array => Uint8Array.of(value);

const RTN_LOCAL = 2;
const IPS_DST_NAT = 1 << 5;
const CT_ESTABLISHED_RELATED = (1 << 1) | (1 << 2);
const IPV4 = 2;
const IPV6 = 10;

// ---- phrases that rules are made of

const family = (number: number): Expression[] => [
  { expr: "meta", key: "nfproto", to: 1 },
  { expr: "cmp", from: 1, value: byte(number) },
];
const link = (key: "iifname" | "oifname", set: string): Expression[] => [
  { expr: "meta", key, to: 1 },
  { expr: "lookup", set, from: 1 },
];
/** Source or destination, into a register. */
const address = (version: 4 | 6, which: "source" | "destination", to: number): Expression => ({
  expr: "payload",
  base: "network",
  offset: version === 4 ? (which === "source" ? 12 : 16) : which === "source" ? 8 : 24,
  length: version === 4 ? 4 : 16,
  to,
});
const loopback = (which: "source" | "destination"): Expression[] => [
  ...family(IPV4),
  { ...address(4, which, 1), length: 1 } as Expression,
  { expr: "cmp", from: 1, value: byte(127) },
];
const flags = (key: "state" | "status", mask: number): Expression[] => [
  { expr: "ct", key, to: 1 },
  { expr: "mask", register: 1, mask: word(mask) },
  { expr: "cmp", from: 1, not: true, value: word(0) },
];
const verdict = (verdict: "accept" | "drop" | "return"): Expression => ({ expr: "verdict", verdict });
const isPublished = flags("status", IPS_DST_NAT);

/** Protocol, an address or none, and port → the container's address and port. Register 1 is words 8 to 11. */
function publish(version: 4 | 6, map: string, withAddress: boolean): Expression[] {
  const words = version === 4 ? 1 : 4;
  return [
    ...family(version === 4 ? IPV4 : IPV6),
    { expr: "meta", key: "l4proto", to: 1 },
    ...(withAddress ? [address(version, "destination", 9)] : []),
    { expr: "payload", base: "transport", offset: 2, length: 2, to: withAddress ? 9 + words : 9 },
    { expr: "lookup", set: map, from: 1, to: 1 },
    { expr: "dnat", family: version === 4 ? "ipv4" : "ipv6", address: 1, port: version === 4 ? 9 : 2 },
  ];
}

const forThisHost: Expression[] = [
  { expr: "fib", to: 1 },
  { expr: "cmp", from: 1, value: word(RTN_LOCAL) },
  { expr: "verdict", verdict: { jump: "publish" } },
];

const hairpin = (version: 4 | 6): Expression[] => [
  ...isPublished,
  ...family(version === 4 ? IPV4 : IPV6),
  address(version, "source", 1),
  { expr: "meta", key: "oifname", to: version === 4 ? 9 : 2 },
  { expr: "lookup", set: `own${version}`, from: 1 },
  { expr: "masq" },
];

const leaving = (version: 4 | 6): Expression[] => [
  ...family(version === 4 ? IPV4 : IPV6),
  address(version, "source", 1),
  { expr: "lookup", set: `masquerade${version}`, from: 1 },
  { expr: "masq" },
];

const ipv6Loopback = new Uint8Array(16).fill(1, 15);

export const table = (name: string): NftTable => ({
  name,
  sets: [
    { name: "bridges", key: ["ifname"] },
    // Those with no way out and none in.
    { name: "internal", key: ["ifname"] },
    // From a bridge to itself, where containers of a network may speak with each other.
    { name: "open", key: ["ifname", "ifname"] },
    // Subnets, each with its bridge.
    { name: "own4", key: ["ipv4_addr", "ifname"], interval: true },
    { name: "own6", key: ["ipv6_addr", "ifname"], interval: true },
    // Subnets that the world sees as this host.
    { name: "masquerade4", key: ["ipv4_addr"], interval: true },
    { name: "masquerade6", key: ["ipv6_addr"], interval: true },
    // Ports on every address of this host, and on one.
    { name: "any4", key: ["inet_proto", "inet_service"], data: ["ipv4_addr", "inet_service"] },
    { name: "any6", key: ["inet_proto", "inet_service"], data: ["ipv6_addr", "inet_service"] },
    { name: "one4", key: ["inet_proto", "ipv4_addr", "inet_service"], data: ["ipv4_addr", "inet_service"] },
    { name: "one6", key: ["inet_proto", "ipv6_addr", "inet_service"], data: ["ipv6_addr", "inet_service"] },
  ],
  chains: [
    {
      name: "raw",
      hook: { type: "filter", hook: "prerouting", priority: -300 },
      rules: [
        [...link("iifname", "bridges"), ...loopback("destination"), verdict("drop")],
        // With another's address a question for a name could be asked in the other's way out.
        [
          ...link("iifname", "internal"),
          ...family(IPV4),
          address(4, "source", 1),
          { expr: "meta", key: "iifname", to: 9 },
          { expr: "lookup", set: "own4", from: 1, not: true },
          verdict("drop"),
        ],
      ],
    },
    {
      name: "publish",
      rules: [
        publish(4, "one4", true),
        publish(6, "one6", true),
        publish(4, "any4", false),
        publish(6, "any6", false),
      ],
    },
    {
      name: "prerouting",
      hook: { type: "nat", hook: "prerouting", priority: -100 },
      rules: [[...loopback("destination"), verdict("return")], forThisHost],
    },
    {
      name: "output",
      hook: { type: "nat", hook: "output", priority: -100 },
      // The kernel routes nothing from ::1 to another interface.
      rules: [
        [
          ...family(IPV6),
          address(6, "destination", 1),
          { expr: "cmp", from: 1, value: ipv6Loopback },
          verdict("return"),
        ],
        forThisHost,
      ],
    },
    {
      name: "postrouting",
      hook: { type: "nat", hook: "postrouting", priority: 100 },
      rules: [
        [...link("oifname", "bridges"), ...loopback("source"), { expr: "masq" }],
        hairpin(4),
        hairpin(6),
        [...link("oifname", "bridges"), verdict("return")],
        leaving(4),
        leaving(6),
      ],
    },
    {
      name: "forward",
      hook: { type: "filter", hook: "forward", priority: 0 },
      rules: [
        [
          { expr: "meta", key: "iifname", to: 1 },
          { expr: "meta", key: "oifname", to: 2 },
          { expr: "lookup", set: "open", from: 1 },
          verdict("accept"),
        ],
        [...link("iifname", "internal"), verdict("drop")],
        [...link("oifname", "internal"), verdict("drop")],
        [...flags("state", CT_ESTABLISHED_RELATED), verdict("accept")],
        [...isPublished, verdict("accept")],
        [...link("oifname", "bridges"), verdict("drop")],
      ],
    },
  ],
});
