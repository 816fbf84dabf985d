/** A container's NetworkSettings as `docker inspect` shows them: each endpoint, and what the default network's says once more. */
import type { ContainerRecord } from "../container/record.ts";
import type { Attached } from "../network/attach.ts";
import type { Endpoint } from "../network/types.ts";
import { endpointId } from "./networks.ts";
import { publishedPorts } from "./ports.ts";
import { networkNames } from "./ps.ts";

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

export function networkSettings(record: ContainerRecord, attached: Attached | undefined) {
  const { config, state, exposedPorts } = record;
  const endpoints = attached?.endpoints ?? [];
  const runs = state.pid > 0;
  const first = endpoints.find(({ network }) => network.name === "bridge");
  const { EndpointID, Gateway, MacAddress, ...rest } = first ? addressing(first) : NO_SUMMARY;
  const [name = ""] = networkNames(config, undefined);
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
          : { [name]: NO_ENDPOINT },
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
