/** A container's NetworkSettings as `docker inspect` shows them: each endpoint, and what the default network's says once more. */
import type { ContainerRecord } from "../container/record.ts";
import type { Endpoint } from "../network/types.ts";
import type { Place } from "./inspect.ts";
import { endpointId } from "./networks.ts";
import { publishedPorts } from "./ports.ts";
import { NEVER, networkNames } from "./ps.ts";

const NO_ENDPOINT = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: "",
  DriverOpts: null,
  GwPriority: 0,
  NetworkID: "",
  EndpointID: "",
  Gateway: "",
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
};

function addressing(endpoint: Endpoint) {
  const { network, ipv4, ipv6, active } = endpoint;
  const of = (address: string | undefined, six: boolean) => {
    const subnet = network.subnets.find((each) => each.subnet.includes(":") === six);
    if (!active || !address || !subnet) return { address: "", length: 0, gateway: "" };
    return {
      address,
      length: Number(subnet.subnet.split("/")[1]),
      gateway: network.internal ? "" : (subnet.gateway ?? ""),
    };
  };
  const four = of(ipv4, false);
  const six = of(ipv6, true);
  return {
    EndpointID: active ? endpointId(endpoint) : "",
    Gateway: four.gateway,
    IPAddress: four.address,
    IPPrefixLen: four.length,
    IPv6Gateway: six.gateway,
    GlobalIPv6Address: six.address,
    GlobalIPv6PrefixLen: six.length,
    MacAddress: active ? (endpoint.mac ?? "") : "",
  };
}

function endpointObject(endpoint: Endpoint, { id, name, hostname }: ContainerRecord) {
  const { asked, network } = endpoint;
  const fixed = {
    ...(asked.ipv4 ? { IPv4Address: asked.ipv4 } : {}),
    ...(asked.ipv6 ? { IPv6Address: asked.ipv6 } : {}),
    ...(asked.linkLocal ? { LinkLocalIPs: asked.linkLocal } : {}),
  };
  const names = [name, ...(asked.aliases ?? []), id.slice(0, 12), hostname];
  return {
    ...NO_ENDPOINT,
    IPAMConfig: Object.keys(fixed).length > 0 ? fixed : null,
    Links: asked.links ?? null,
    Aliases: asked.aliases ?? null,
    DriverOpts: asked.driverOptions ?? null,
    GwPriority: asked.gatewayPriority ?? 0,
    NetworkID: network.id,
    ...addressing(endpoint),
    // Docker resolves no names on the default network.
    DNSNames: network.name === "bridge" ? null : [...new Set(names)],
  };
}

/** On host and none there is nothing to have; Docker says which network that was since the first start, and now or not. */
function bareEndpoint({ id, state }: ContainerRecord, network: string | undefined) {
  const started = network !== undefined && state.startedAt !== NEVER;
  return {
    ...NO_ENDPOINT,
    NetworkID: started ? network : "",
    EndpointID: started && state.pid > 0 ? endpointId({ container: id, network: { id: network } }) : "",
  };
}

export function networkSettings(record: ContainerRecord, { attached, uplink, ids }: Place) {
  const { config, state, exposedPorts } = record;
  const endpoints = attached?.endpoints ?? [];
  const runs = state.pid > 0;
  const first = endpoints.find(({ network }) => network.name === "bridge");
  const { EndpointID, Gateway, MacAddress, ...rest } = first ? addressing(first) : NO_SUMMARY;
  const [name = ""] = networkNames(config, undefined, uplink);
  return {
    Bridge: "",
    SandboxID: "",
    SandboxKey: runs ? `/proc/${state.pid}/ns/net` : "",
    Ports: attached && runs ? publishedPorts(attached.ports, exposedPorts) : {},
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID,
    Gateway,
    GlobalIPv6Address: rest.GlobalIPv6Address,
    GlobalIPv6PrefixLen: rest.GlobalIPv6PrefixLen,
    IPAddress: rest.IPAddress,
    IPPrefixLen: rest.IPPrefixLen,
    IPv6Gateway: rest.IPv6Gateway,
    MacAddress,
    Networks:
      endpoints.length > 0
        ? Object.fromEntries(
            endpoints.map((endpoint) => [endpoint.network.name, endpointObject(endpoint, record)]),
          )
        : name === ""
          ? {}
          : { [name]: bareEndpoint(record, ids?.[name]) },
  };
}

const NO_SUMMARY = {
  EndpointID: "",
  Gateway: "",
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  MacAddress: "",
};
