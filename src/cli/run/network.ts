/**
 * `--network` and what belongs to it: names and addresses on a network, in the short form (flags of their own, for the one or
 * the first network) and in the long one (`name=…,alias=…`); texts as the docker CLI's.
 */
import { canonicalIp } from "../../common/ip.ts";
import type { NamespaceMode } from "../../container/config.ts";
import type { EndpointConfig } from "../../network/types.ts";
import { UsageError } from "../flags.ts";

type Draft = { -readonly [K in keyof EndpointConfig]: EndpointConfig[K] };

export interface NetworkFlags {
  readonly network: readonly string[];
  readonly net: readonly string[];
  readonly "network-alias": readonly string[];
  readonly link: readonly string[];
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  readonly "link-local-ip": readonly string[];
  readonly "mac-address": string | undefined;
}

export interface Networking {
  readonly mode?: NamespaceMode;
  readonly networks: readonly EndpointConfig[];
  /** Where there is no network for them. */
  readonly links?: readonly string[];
}

const refuse = (message: string): never => {
  throw new UsageError(message);
};

/** Who is no network: none, host and other processes' namespaces. */
function modeOf(name: string): NamespaceMode | undefined {
  if (name === "none" || name === "host") return { mode: name };
  if (name.startsWith("container:")) {
    if (name.length === 10) refuse("--network: invalid network mode: it takes container:NAME|ID");
    return { mode: "container", container: name.slice(10) };
  }
  return name.startsWith("ns:/") ? { mode: "path", path: name.slice(3) } : undefined;
}

export function readNetworking(flags: NetworkFlags): Networking {
  const given = flags.network.length > 0 ? flags.network : flags.net;
  const networks: Draft[] = [];
  let mode: NamespaceMode | undefined;
  for (const text of given) {
    const network = readNetwork(text);
    const other = modeOf(network.network);
    if (other) mode = other;
    else networks.push(network);
  }
  if (mode && given.length > 1)
    refuse("conflicting options: cannot attach both user-defined and non-user-defined network-modes");
  const first = networks[0] ?? { network: "bridge" };
  const named = addShort(first, flags);
  if (mode) {
    if (named) refuseOnNone(first, mode.mode);
    return { mode, networks: [], ...(first.links ? { links: first.links } : {}) };
  }
  if (named && networks.length === 0) networks.push(first);
  return { networks };
}

/** Where there is no network, nothing can be asked of it. */
function refuseOnNone(asked: Draft, mode: NamespaceMode["mode"]): void {
  const { ipv4, ipv6, linkLocal, aliases, mac, links } = asked;
  if (ipv4 ?? ipv6 ?? linkLocal)
    refuse("user specified IP address is supported on user defined networks only");
  if (aliases) refuse("network-scoped aliases are only supported for user-defined networks");
  if (mac && mode !== "none") refuse("conflicting options: mac-address and the network mode");
  if (links && mode !== "none")
    refuse(
      `conflicting options: ${mode === "host" ? "host type networking" : "container type network"} can't be used with links. This would result in undefined behavior`,
    );
}

/** The flags that mean the first network; whether there were any. */
function addShort(first: Draft, flags: NetworkFlags): boolean {
  const { ip, ip6, link, "network-alias": aliases, "mac-address": mac } = flags;
  let any = false;
  const once = (flag: string, spoken: string, present: boolean): void => {
    if (present) refuse(`conflicting options: cannot specify both ${flag} and per-network ${spoken}`);
    any = true;
  };
  if (aliases.length > 0) {
    once("--network-alias", "alias", first.aliases !== undefined);
    first.aliases = aliases;
  }
  if (link.length > 0) {
    any = true;
    first.links = link;
  }
  if (ip !== undefined) {
    once("--ip", "IPv4 address", first.ipv4 !== undefined);
    first.ipv4 = readIp(ip, 4);
  }
  if (ip6 !== undefined) {
    once("--ip6", "IPv6 address", first.ipv6 !== undefined);
    first.ipv6 = readIp(ip6, 6);
  }
  if (flags["link-local-ip"].length > 0) {
    once("--link-local-ip", "link-local IP addresses", first.linkLocal !== undefined);
    first.linkLocal = flags["link-local-ip"].map((text) => readLinkLocal(text));
  }
  if (mac !== undefined) {
    once("--mac-address", "MAC address", first.mac !== undefined);
    first.mac = readMac(mac);
  }
  return any;
}

/** `wrong`: how what is none is refused. */
export function readIp(text: string, version: 4 | 6, wrong: (message: string) => never = refuse): string {
  const address = canonicalIp(text);
  if (address === undefined || address.includes(":") !== (version === 6))
    return wrong(`invalid IPv${version} address: ${text}`);
  return address;
}

export const readLinkLocal = (text: string, wrong: (message: string) => never = refuse): string =>
  canonicalIp(text) ?? wrong(`invalid link-local IP address: ${text}`);

export function readMac(text: string): string {
  if (!/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text))
    refuse(`${text} is not a valid mac address`);
  const mac = text.toLowerCase().replaceAll("-", ":");
  if (Number.parseInt(mac.slice(0, 2), 16) & 1)
    refuse(`${text} is not a valid mac address: it is one of a group`);
  return mac;
}

/** `NAME`, or fields of which one is `name=`. */
function readNetwork(text: string): Draft {
  if (!text.includes("=")) return { network: text };
  const network: Draft = { network: "" };
  const options: Record<string, string> = {};
  const aliases: string[] = [];
  const linkLocal: string[] = [];
  for (const field of text.split(",")) {
    const equals = field.indexOf("=");
    if (equals <= 0) refuse(`invalid field ${field}`);
    const key = field.slice(0, equals).trim().toLowerCase();
    const value = field.slice(equals + 1).trim();
    switch (key) {
      case "name":
        network.network = value;
        break;
      case "alias":
        aliases.push(value);
        break;
      case "ip":
        network.ipv4 = readIp(value, 4);
        break;
      case "ip6":
        network.ipv6 = readIp(value, 6);
        break;
      case "link-local-ip":
        linkLocal.push(readLinkLocal(value));
        break;
      case "mac-address":
        network.mac = readMac(value);
        break;
      case "gw-priority":
        if (!/^-?\d+$/.test(value)) refuse(`invalid gw-priority: ${value}: it takes a number`);
        network.gatewayPriority = Number(value);
        break;
      case "driver-opt": {
        const at = value.indexOf("=");
        if (at <= 0) refuse("invalid key value pair format in driver options");
        options[value.slice(0, at)] = value.slice(at + 1);
        break;
      }
      default:
        refuse(`invalid field key ${key}`);
    }
  }
  if (network.network === "") refuse("network name/id is not specified");
  if (aliases.length > 0) network.aliases = aliases;
  if (linkLocal.length > 0) network.linkLocal = linkLocal;
  if (Object.keys(options).length > 0) network.driverOptions = options;
  return network;
}
