/** Networks as rows of `docker network ls`, as objects of `docker network inspect`, and which of them a filter means. */
import { SampanError } from "../common/error.ts";
import type { Endpoint, Member, Network } from "../network/types.ts";
import { withAbsent } from "./absent.ts";
import { booleanOf, checkFilters, type Filters, matchLabel, pattern, pruneFilter } from "./filters.ts";
import { goTime, shortId } from "./human.ts";

const BUILTIN = ["bridge", "host", "none"];

export class NetworkRow {
  readonly #network: Network;
  readonly #truncate: boolean;
  constructor(network: Network, truncate: boolean) {
    this.#network = network;
    this.#truncate = truncate;
  }
  get ID(): string {
    return this.#truncate ? shortId(this.#network.id) : this.#network.id;
  }
  get Name(): string {
    return this.#network.name;
  }
  get Driver(): string {
    return this.#network.driver;
  }
  get Scope(): string {
    return "local";
  }
  get IPv4(): string {
    return String(this.#network.ipv4);
  }
  get IPv6(): string {
    return String(this.#network.ipv6);
  }
  get Internal(): string {
    return String(this.#network.internal);
  }
  get Labels(): string {
    return Object.entries(this.#network.labels)
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(",");
  }
  Label(name: string): string {
    return Object.hasOwn(this.#network.labels, name) ? (this.#network.labels[name] ?? "") : "";
  }
  get CreatedAt(): string {
    return goTime(this.#network.created);
  }
}

export const NETWORK_COLUMNS = {
  type: "*formatter.networkContext",
  fields: ["CreatedAt", "Driver", "ID", "IPv4", "IPv6", "Internal", "Labels", "Name", "Scope"],
  headers: {
    ID: "NETWORK ID",
    Name: "NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    IPv4: "IPV4",
    IPv6: "IPV6",
    Internal: "INTERNAL",
    Labels: "LABELS",
    CreatedAt: "CREATED AT",
  },
} as const;

const prefixOf = ({ subnets }: Network, version: 4 | 6): string =>
  subnets.find(({ subnet }) => subnet.includes(":") === (version === 6))?.subnet.split("/")[1] ?? "";

const withPrefix = (address: string | undefined, network: Network, version: 4 | 6): string =>
  address ? `${address}/${prefixOf(network, version)}` : "";

/** Docker gives each endpoint an id of its own; here it is made of the two that it joins. */
export const endpointId = ({
  container,
  network,
}: Pick<Endpoint, "container"> & { readonly network: Pick<Network, "id"> }): string =>
  new Bun.CryptoHasher("sha256").update(`${network.id} ${container}`).digest("hex");

/** Nobody has asked anything for these. */
const PREDEFINED: readonly string[] = ["bridge", "host", "none"];

/** As `docker network inspect` prints it and the Engine API answers it. */
export const inspectNetwork = (network: Network, members: readonly Member[]) => ({
  Name: network.name,
  Id: network.id,
  Created: new Date(network.created).toISOString().replace(/Z$/, "000000Z"),
  Scope: "local",
  Driver: network.driver,
  EnableIPv4: network.ipv4,
  EnableIPv6: network.ipv6,
  IPAM: {
    Driver: "default",
    Options: PREDEFINED.includes(network.name) ? null : network.ipamOptions,
    Config: network.subnets.map(({ subnet, range, gateway, auxiliary = {} }) =>
      withAbsent(
        {
          Subnet: subnet,
          ...(range ? { IPRange: range } : {}),
          ...(gateway ? { Gateway: gateway } : {}),
          ...(Object.keys(auxiliary).length > 0 ? { AuxiliaryAddresses: auxiliary } : {}),
        },
        // Go's own name of the last is another.
        { IPRange: "", Gateway: "", AuxAddress: auxiliary },
      ),
    ),
  },
  Internal: network.internal,
  Attachable: network.attachable,
  Ingress: false,
  ConfigFrom: { Network: network.configFrom ?? "" },
  ConfigOnly: network.configOnly ?? false,
  Containers: Object.fromEntries(
    members
      .filter(({ active }) => active)
      .map((member) => [
        member.container,
        {
          Name: member.containerName,
          EndpointID: endpointId(member),
          MacAddress: member.mac ?? "",
          IPv4Address: withPrefix(member.ipv4, network, 4),
          IPv6Address: withPrefix(member.ipv6, network, 6),
        },
      ]),
  ),
  Options: network.options,
  Labels: network.labels,
});

/** Which networks `network ls --filter` shows. `used`: the ids of those that a running container is on. */
export function networkFilter(filters: Filters, used: ReadonlySet<string>): (network: Network) => boolean {
  checkFilters(filters, ["dangling", "driver", "id", "label", "name", "scope", "type"]);
  const dangling = filters["dangling"]?.map((value) => booleanOf("dangling", value));
  const { driver, scope, type, label = [] } = filters;
  for (const value of type ?? [])
    if (value !== "builtin" && value !== "custom")
      throw new SampanError("invalid", `invalid filter: 'type'='${value}'`, {
        hint: "It takes builtin or custom.",
      });
  const ids = filters["id"]?.map(pattern);
  const names = filters["name"]?.map(pattern);
  return (network) =>
    (dangling?.includes(!used.has(network.id) && !BUILTIN.includes(network.name)) ?? true) &&
    (driver?.includes(network.driver) ?? true) &&
    (ids?.some((match) => match(network.id)) ?? true) &&
    (names?.some((match) => match(network.name)) ?? true) &&
    (scope?.includes("local") ?? true) &&
    (type?.includes(BUILTIN.includes(network.name) ? "builtin" : "custom") ?? true) &&
    label.every((wanted) => matchLabel(network.labels, wanted));
}

/** What `network prune --filter` chooses among those that nothing uses. */
export const networkPruneFilter = (filters: Filters): ((network: Network) => boolean) => pruneFilter(filters);
