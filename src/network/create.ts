/** A new network: what was asked for is checked, what was left open is chosen, and it is written down. The kernel hears of it
 * when a container starts on it. */

import { SampanError } from "../common/error.ts";
import {
  type Cidr,
  canonicalIp,
  contains,
  edge,
  formatCidr,
  formatIp,
  overlap,
  parseCidr,
  parseIp,
} from "../common/ip.ts";
import { readFileSync } from "../kernel/fs.ts";
import { asBridge } from "../kernel/rtnetlink.ts";
import { launchNow } from "../launch/index.ts";
import type { Place } from "./attach.ts";
import { isPredefined } from "./endpoints.ts";
import { bridgeOf, OPTION } from "./names.ts";
import { isOwnParent } from "./parents.ts";
import { chooseSubnet, hostRoutes, subnetsOf } from "./pools.ts";
import { newNetworkId, predefined, withGateway } from "./predefined.ts";
import { NetworkRows } from "./rows.ts";
import { interfaces, route } from "./shared.ts";
import type { Network, NetworkConfig, Subnet } from "./types.ts";

/** What a caller may leave out of a network's configuration. */
export type NetworkWish = Pick<NetworkConfig, "name"> &
  Partial<Omit<NetworkConfig, "foreign" | "routeLocalnet" | "ownParent" | "driver">> & {
    readonly driver?: string;
  };

const refuse = (message: string, hint?: string): never => {
  throw new SampanError("invalid", message, hint === undefined ? {} : { hint });
};

export function createNetwork(place: Place, wish: NetworkWish): Network {
  const own = complete(wish);
  return place.store.transaction(() => {
    const rows = new NetworkRows(place.store);
    const config = wish.configFrom === undefined ? own : complete(fromTemplate(rows, wish, wish.configFrom));
    if (rows.byName(config.name))
      throw new SampanError("conflict", `network with name ${config.name} already exists`, {
        hint: `\`sampan network inspect ${config.name}\` shows it.`,
      });
    // The default network has Docker's first subnet wherever that is free: so it is there before any other.
    predefined(rows, place.paths, "bridge");
    const others = rows.all().filter(({ configOnly }) => !configOnly);
    const id = newNetworkId();
    if (wish.configOnly) {
      const template: Network = { ...config, driver: "null", configOnly: true, id, created: Date.now() };
      rows.insert(template);
      return template;
    }
    const subnets = choose(config, others, place.paths.root);
    const network: Network = { ...config, subnets, id, created: Date.now() };
    const foreign = config.driver === "bridge" && checkBridge(place, network, others);
    const made: Network = {
      ...network,
      ...(foreign ? { foreign, ...(hasRouteLocalnet(network) ? { routeLocalnet: true } : {}) } : {}),
      ...(isOwnParent(network, others, interfaces()) ? { ownParent: true } : {}),
    };
    rows.insert(made);
    return made;
  });
}

/** What a network is that takes addresses, options and labels from a template: then none of these are its own. */
function fromTemplate(rows: NetworkRows, wish: NetworkWish, configFrom: string): NetworkWish {
  const given = (record: object | undefined): boolean => Object.keys(record ?? {}).length > 0;
  const template = rows.byName(configFrom);
  if (!template?.configOnly)
    throw new SampanError("forbidden", `configuration network ${JSON.stringify(configFrom)} does not exist`, {
      hint: "`sampan network create --config-only` makes one.",
    });
  if (wish.ipv6 || wish.subnets?.length || given(wish.labels) || given(wish.ipamOptions))
    throw new SampanError(
      "forbidden",
      "user specified configurations are not supported if the network depends on a configuration network",
      { hint: `Its subnets, IPAM options and labels are those of ${configFrom}.` },
    );
  if (given(wish.options))
    throw new SampanError(
      "forbidden",
      "network driver options are not supported if the network depends on a configuration network",
      { hint: `Its options are those of ${configFrom}.` },
    );
  const { ipv4, ipv6, subnets, options, ipamOptions, labels } = template;
  return { ...wish, ipv4, ipv6, subnets, options, ipamOptions, labels };
}

function hasRouteLocalnet(network: Network): boolean {
  try {
    return (
      readFileSync(`/proc/sys/net/ipv4/conf/${bridgeOf(network)}/route_localnet`, "latin1").trim() !== "0"
    );
  } catch {
    return false;
  }
}

/** Everything that is wrong with it by itself. */
function complete(wish: NetworkWish): NetworkConfig {
  const { name } = wish;
  // --network default is the network bridge, whatever is called so.
  if (isPredefined(name) || name === "default")
    throw new SampanError("forbidden", `operation is not permitted on predefined ${name} network `);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
    refuse(
      name === ""
        ? "invalid network name: it is empty"
        : `"${name}" includes invalid characters for a network name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
    );
  const driver = wish.driver || "bridge";
  if (driver === "host" || driver === "null")
    throw new SampanError("forbidden", `only one instance of "${driver}" network is allowed`, {
      hint: `It is called ${driver === "null" ? "none" : "host"}.`,
    });
  if (driver !== "bridge" && driver !== "macvlan" && driver !== "ipvlan")
    throw new SampanError("not-found", `could not find plugin ${driver}: plugin "${driver}" not found`, {
      hint: "The drivers are bridge, macvlan and ipvlan.",
    });
  if (wish.configOnly) {
    if (wish.internal || wish.attachable)
      throw new SampanError(
        "forbidden",
        "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
        { hint: "Say it of the networks that are made from it." },
      );
    if (wish.configFrom !== undefined)
      throw new SampanError(
        "forbidden",
        "a configuration network cannot depend on another configuration network",
      );
  }
  const options = wish.options ?? {};
  checkOptions(driver, options);
  const subnets = (wish.subnets ?? []).map(checkSubnet);
  for (const version of [4, 6] as const) {
    const same = subnets.filter(({ subnet }) => subnet.includes(":") === (version === 6));
    if (same.length > 1)
      refuse(
        `a network has one IPv${version} subnet: ${same.map(({ subnet }) => subnet).join(" and ")} are given`,
      );
  }
  return {
    name,
    driver,
    internal: wish.internal ?? false,
    attachable: wish.attachable ?? false,
    ipv4: wish.ipv4 ?? true,
    ipv6: (wish.ipv6 ?? false) || subnets.some(({ subnet }) => subnet.includes(":")),
    subnets,
    options,
    ipamOptions: wish.ipamOptions ?? {},
    labels: wish.labels ?? {},
    ...(wish.configFrom === undefined ? {} : { configFrom: wish.configFrom }),
  };
}

/** Options of Docker's that change what a network does, and that no network here has: silence about them would be a lie. */
const ABSENT = [
  "com.docker.network.bridge.inhibit_ipv4",
  "com.docker.network.bridge.trusted_host_interfaces",
  "com.docker.network.container_iface_prefix",
  "com.docker.network.host_ipv4",
  "com.docker.network.host_ipv6",
];
/** Of what a network's gateway does with packets there is one kind. */
const GATEWAY_MODES = [
  "com.docker.network.bridge.gateway_mode_ipv4",
  "com.docker.network.bridge.gateway_mode_ipv6",
];

const BOOLEAN = [OPTION.icc, OPTION.masquerade];

function checkOptions(driver: string, options: Readonly<Record<string, string>>): void {
  for (const name of ABSENT)
    if (options[name] !== undefined && options[name] !== "false")
      refuse(`unsupported option: ${name}=${options[name]}`, "Leave it out: networks here do without it.");
  for (const name of GATEWAY_MODES) {
    const value = options[name] ?? "nat";
    if (value !== "nat")
      refuse(
        `unsupported option: ${name}=${value}`,
        "A network's gateway translates addresses (nat), or with --internal leads nowhere.",
      );
  }
  const mtu = options[OPTION.mtu];
  if (mtu !== undefined && !(/^\d{1,5}$/.test(mtu) && Number(mtu) >= 68 && Number(mtu) <= 65_535))
    refuse(`invalid MTU: ${OPTION.mtu}=${mtu}`, "It takes a number of bytes from 68 to 65535.");
  for (const name of BOOLEAN) {
    const value = options[name];
    if (value !== undefined && !["true", "false", "1", "0"].includes(value))
      refuse(`invalid value: ${name}=${value}`, "It takes true or false.");
  }
  const binding = options[OPTION.binding];
  if (binding !== undefined && !parseIp(binding))
    refuse(`invalid value: ${OPTION.binding}=${binding}`, "It takes an address of this machine.");
  const bridge = options[OPTION.bridge];
  if (
    bridge !== undefined &&
    (bridge === "" || bridge.length > 15 || /[/\s:]/.test(bridge) || /^\.\.?$/.test(bridge))
  )
    refuse(
      `invalid interface name: ${OPTION.bridge}=${bridge}`,
      "It has at most 15 characters, none of them a slash, a colon or a blank.",
    );
  if (driver === "bridge") return;
  for (const [name, value, all] of driver === "macvlan" ? MACVLAN : IPVLAN) {
    const given = options[name];
    if (given !== undefined && !all.includes(given))
      refuse(
        `requested ${driver} ${value} '${given}' is not valid, '${all[0]}' ${value} is the ${driver} driver default`,
        `It takes ${all.slice(0, -1).join(", ")} and ${all[all.length - 1]}.`,
      );
  }
}

/** Options that choose, what is said of them, and the choices, the default first. */
type Choice = readonly [name: string, spoken: string, choices: readonly string[]];
const MACVLAN: readonly Choice[] = [[OPTION.macvlanMode, "mode", ["bridge", "private", "vepa", "passthru"]]];
const IPVLAN: readonly Choice[] = [
  [OPTION.ipvlanMode, "mode", ["l2", "l3", "l3s"]],
  [OPTION.ipvlanFlag, "flag", ["bridge", "private", "vepa"]],
];

/** In canonical form, and everything in it that belongs to it. */
function checkSubnet({ subnet, gateway, range, auxiliary }: Subnet): Subnet {
  const cidr = parseCidr(subnet);
  if (!cidr) return refuse(`invalid subnet ${subnet}: it is no prefix such as 10.5.0.0/24`);
  const first = formatCidr({ address: edge(cidr), length: cidr.length });
  if (first !== formatCidr(cidr)) refuse(`invalid subnet ${subnet}: it should be ${first}`);
  const within = (text: string, what: string): string => {
    const address = parseIp(text);
    if (!address) return refuse(`invalid ${what} ${text}: it is no IP address`);
    if (!contains(cidr, address)) refuse(`no matching subnet for ${what} ${text}`, `The subnet is ${first}.`);
    return canonicalIp(text) ?? text;
  };
  if (gateway !== undefined) checkGateway(gateway, cidr);
  return {
    subnet: first,
    ...(gateway === undefined ? {} : { gateway: within(gateway, "gateway") }),
    ...(range === undefined ? {} : { range: checkRange(range, cidr) }),
    ...(auxiliary === undefined
      ? {}
      : {
          auxiliary: Object.fromEntries(
            Object.entries(auxiliary).map(([name, address]) => [name, within(address, "aux-address")]),
          ),
        }),
  };
}

/** Of a subnet that has room for more than its ends these are nobody's: the one is the subnet itself, the other everybody on it. */
function checkGateway(text: string, { address, length }: Cidr): void {
  const bits = address.length * 8;
  if (bits !== 32 || bits - length < 2) return;
  const gateway = canonicalIp(text);
  for (const end of [edge({ address, length }), edge({ address, length }, true)])
    if (gateway === formatIp(end))
      throw new SampanError("conflict", `failed to allocate gateway (${text}): Address already in use`, {
        hint: `It is an end of ${formatCidr({ address, length })}.`,
      });
}

function checkRange(text: string, subnet: Cidr): string {
  const range = parseCidr(text);
  if (!range) return refuse(`invalid ip-range ${text}: it is no prefix such as 10.5.0.128/25`);
  if (!contains(subnet, range.address, range.length))
    refuse(`no matching subnet for range ${text}`, `The subnet is ${formatCidr(subnet)}.`);
  return formatCidr({ address: edge(range), length: range.length });
}

/** Each is somebody else's: not the gateway's, and not another's of them. */
function checkAuxiliary(subnet: Subnet): Subnet {
  const taken = new Set([subnet.gateway]);
  for (const [name, address] of Object.entries(subnet.auxiliary ?? {})) {
    if (taken.has(address))
      throw new SampanError(
        "conflict",
        `failed to allocate secondary ip address (${name}:${address}): Address already in use`,
        {
          hint: `It is ${address === subnet.gateway ? "the gateway" : "another auxiliary address"} of ${subnet.subnet}.`,
        },
      );
    taken.add(address);
  }
  return subnet;
}

/** Its subnets with their gateways; those that were left out are chosen. */
function choose(config: NetworkConfig, others: readonly Network[], engine: string): Subnet[] {
  const subnets: Subnet[] = [];
  for (const subnet of config.subnets) {
    const cidr = parseCidr(subnet.subnet);
    for (const other of subnetsOf(others))
      if (cidr && overlap(cidr, other))
        throw new SampanError(
          "forbidden",
          "invalid pool request: Pool overlaps with other one on this address space",
          { hint: `${subnet.subnet} overlaps ${formatCidr(other)} of network ${other.network.name}.` },
        );
    subnets.push(checkAuxiliary(withGateway(subnet)));
  }
  const has = (version: 4 | 6): boolean =>
    subnets.some(({ subnet }) => subnet.includes(":") === (version === 6));
  const routes = hostRoutes();
  if (config.ipv4 && !has(4))
    subnets.unshift(withGateway({ subnet: chooseSubnet(4, others, routes, engine) }));
  if (config.ipv6 && !has(6)) subnets.push(withGateway({ subnet: chooseSubnet(6, others, routes, engine) }));
  return subnets;
}

/** Whether its bridge is there already; a name is one network's alone. */
function checkBridge(place: Place, network: Network, others: readonly Network[]): true | undefined {
  const name = bridgeOf(network);
  for (const other of others)
    if (other.driver === "bridge" && bridgeOf(other) === name)
      throw new SampanError(
        "forbidden",
        `cannot create network ${network.id} (${name}): conflicts with network ${other.id} (${name}): networks have same bridge name`,
        { hint: `It is the bridge of network ${other.name}.` },
      );
  if (!interfaces().has(name)) return undefined;
  // The kernel is asked, since /sys may show the interfaces of another network namespace.
  if (!launchNow([route((w) => asBridge(w, name))], place.paths.root).ok)
    throw new SampanError("forbidden", `existing interface ${name} is not a bridge`, {
      hint: "Choose a name that no interface has, or a bridge's: `ip link show type bridge` lists those of this machine.",
    });
  return true;
}
