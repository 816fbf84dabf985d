/**
 * Who gets which address and which port of the host. All of it happens inside a transaction of the caller's, so that two
 * commands never hand one out twice. A container joins its networks when it is made; it takes addresses and ports when it
 * is about to start and gives them back when its end is recorded. Addresses that were asked for are its own all along.
 */
import { SampanError } from "../common/error.ts";
import { contains, edge, formatIp, parseCidr, parseIp, toNext } from "../common/ip.ts";
import { parentOf } from "./names.ts";
import type { NetworkRows } from "./rows.ts";
import type { Endpoint, EndpointConfig, Network, Subnet } from "./types.ts";

/** 02:42 and the address: what answers at an address keeps its MAC when the container is another. */
export function macOf(address: Uint8Array): string {
  const hex = address.subarray(address.length - 4).toHex();
  return `02:42:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6)}`;
}

export const macBytes = (mac: string): Uint8Array => Uint8Array.fromHex(mac.replaceAll(":", ""));

export function subnetOf(network: Network, version: 4 | 6): Subnet | undefined {
  for (const subnet of network.subnets) if (subnet.subnet.includes(":") === (version === 6)) return subnet;
  return undefined;
}

/** Predefined networks take no fixed addresses, since their subnet is nobody's to rely on. */
function checkAddresses(network: Network, asked: EndpointConfig, predefined: boolean): void {
  if (predefined)
    throw new SampanError("invalid", "user specified IP address is supported on user defined networks only", {
      hint: `Make a network with a subnet: sampan network create --subnet 10.5.0.0/24 NAME`,
    });
  for (const [text, version] of [
    [asked.ipv4, 4],
    [asked.ipv6, 6],
  ] as const) {
    if (text === undefined) continue;
    const address = parseIp(text);
    if (!address || address.length !== (version === 4 ? 4 : 16))
      throw new SampanError("invalid", `invalid IPv${version} address: ${text}`);
    const subnet = subnetOf(network, version);
    const cidr = subnet && parseCidr(subnet.subnet);
    if (!subnet || !cidr)
      throw new SampanError(
        "invalid",
        `invalid endpoint settings: network ${network.name} has no IPv${version} subnet for address ${text}`,
        { hint: version === 6 ? "Make the network with --ipv6." : "Make the network with --subnet." },
      );
    if (!contains(cidr, address))
      throw new SampanError(
        "invalid",
        `invalid endpoint settings: no configured subnet contains IP address ${text}`,
        { hint: `The subnet of ${network.name} is ${subnet.subnet}.` },
      );
    if (reserved(subnet).has(formatIp(address)))
      throw new SampanError("conflict", `Address already in use: ${text}`, {
        hint: `It is the gateway, an auxiliary address or an end of ${subnet.subnet}.`,
      });
  }
}

/** Addresses of a subnet that no container gets. */
function reserved({ subnet, gateway, auxiliary }: Subnet): Set<string> {
  const taken = new Set<string>();
  const cidr = parseCidr(subnet);
  if (cidr && cidr.length < cidr.address.length * 8 - 1) {
    taken.add(formatIp(edge(cidr)));
    if (cidr.address.length === 4) taken.add(formatIp(edge(cidr, true)));
  }
  if (gateway) taken.add(gateway);
  for (const name in auxiliary) {
    const address = auxiliary[name];
    if (address) taken.add(address);
  }
  return taken;
}

/**
 * Writes down that a container is on a network. `name`: of its interface, where it is about to start and takes its addresses
 * at once.
 */
export function join(
  rows: NetworkRows,
  container: string,
  network: Network,
  asked: EndpointConfig,
  position: number,
  name?: string,
): Endpoint {
  const predefined = isPredefined(network.name);
  if (predefined && asked.aliases && asked.aliases.length > 0)
    throw new SampanError("invalid", "network-scoped aliases are only supported for user-defined networks", {
      hint: `Make a network of your own: sampan network create NAME`,
    });
  for (const name in asked.driverOptions)
    if (name.startsWith("com.docker.network.endpoint."))
      throw new SampanError("invalid", `unsupported driver option: ${name}`, {
        hint: "Interfaces are eth0, eth1 … in the order of the networks; settings of theirs take --sysctl.",
      });
  if (asked.mac !== undefined && network.driver === "ipvlan")
    throw new SampanError("invalid", "ipvlan interfaces do not support custom mac address assignment", {
      hint: `They have that of their parent, ${parentOf(network)}.`,
    });
  if (asked.ipv4 || asked.ipv6) {
    checkAddresses(network, asked, predefined);
    for (const address of [asked.ipv4, asked.ipv6]) {
      const holder = address && rows.holderOf(network.id, address);
      if (holder)
        throw new SampanError("conflict", `Address already in use: ${address}`, {
          hint: `Container ${holder} has it on network ${network.name}.`,
        });
    }
  }
  const joined: Endpoint = {
    container,
    network,
    asked: { ...asked, network: network.name },
    active: false,
    interface: undefined,
    ipv4: asked.ipv4,
    ipv6: asked.ipv6,
    mac: undefined,
  };
  const endpoint = name === undefined ? joined : addressed(rows, joined, name);
  rows.insertEndpoint(endpoint, position);
  return endpoint;
}

export const isPredefined = (name: string): boolean =>
  name === "bridge" || name === "host" || name === "none";

/** Takes what an endpoint needs while its container runs. */
export function activate(rows: NetworkRows, endpoint: Endpoint, name: string): Endpoint {
  const active = addressed(rows, endpoint, name);
  rows.setActive(active);
  return active;
}

/** With all that it has while its container runs. */
function addressed(rows: NetworkRows, endpoint: Endpoint, name: string): Endpoint {
  const { network, asked } = endpoint;
  const ipv4 = asked.ipv4 ?? freeAddress(rows, network, 4);
  const ipv6 = asked.ipv6 ?? freeAddress(rows, network, 6);
  const address = parseIp(ipv4 ?? ipv6 ?? "");
  const mac =
    network.driver === "ipvlan"
      ? undefined
      : (asked.mac ?? macOf(address ?? crypto.getRandomValues(new Uint8Array(4))));
  return { ...endpoint, active: true, interface: name, ipv4, ipv6, mac };
}

/** The lowest address of the subnet, or of the range in it, that nobody has; undefined: there is no such subnet. */
function freeAddress(rows: NetworkRows, network: Network, version: 4 | 6): string | undefined {
  const subnet = subnetOf(network, version);
  const cidr = subnet && parseCidr(subnet.range ?? subnet.subnet);
  if (!subnet || !cidr) return undefined;
  const taken = reserved(subnet);
  for (const address of rows.addresses(network.id, version)) taken.add(address);
  const last = formatIp(edge(cidr, true));
  const address = edge(cidr);
  for (let text = formatIp(address); ; text = formatIp(address)) {
    if (!taken.has(text)) return text;
    if (text === last) break;
    toNext(address);
  }
  throw new SampanError(
    "conflict",
    `no available IPv${version} addresses on this network's address pools: ${network.name} (${network.id})`,
    {
      hint: `All of ${subnet.range ?? subnet.subnet} are taken: sampan network inspect ${network.name} shows by whom.`,
    },
  );
}
