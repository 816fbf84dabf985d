/** A network's data: what was asked for, what it is, and which container has which address on it. Types only. */

/** `null` is what `none` is made of. */
export type NetworkDriver = "bridge" | "macvlan" | "ipvlan" | "host" | "null";

/** One address range of a network. Addresses and ranges are canonical text: `172.18.0.0/16`, `fd00::/64`. */
export interface Subnet {
  readonly subnet: string;
  /** Absent only where the network has no way out of its own (macvlan and ipvlan may do without). */
  readonly gateway?: string;
  /** Containers get addresses of this part alone. */
  readonly range?: string;
  /** Addresses that are somebody else's, by their names. */
  readonly auxiliary?: Readonly<Record<string, string>>;
}

export interface NetworkConfig {
  readonly name: string;
  readonly driver: NetworkDriver;
  /** No way out and none in. */
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** At most one of each family. What was not asked for is chosen when the network is made. */
  readonly subnets: readonly Subnet[];
  /** `com.docker.network.…` */
  readonly options: Readonly<Record<string, string>>;
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** No network at all but a template for others: its driver is null, and what it says was only asked for. */
  readonly configOnly?: true;
  /** The name of the template that it was made from. */
  readonly configFrom?: string;
  /** The interface that its containers are on, of a macvlan or an ipvlan, is made for it and goes with it (see parents.ts). */
  readonly ownParent?: true;
  /** Its bridge was there before it, so it outlives it. */
  readonly foreign?: true;
  /** That bridge had route_localnet, so it keeps it. */
  readonly routeLocalnet?: true;
}

export interface Network extends NetworkConfig {
  /** 64 hex digits. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** What was asked for a container on one network. */
export interface EndpointConfig {
  /** By name or id. */
  readonly network: string;
  /** Further names on this network. */
  readonly aliases?: readonly string[];
  /** Fixed addresses. */
  readonly ipv4?: string;
  readonly ipv6?: string;
  /** Further addresses of the interface, which nobody else on the network is kept from. */
  readonly linkLocal?: readonly string[];
  /** Six pairs of hex digits with colons, lower case. */
  readonly mac?: string;
  /** The default route is that of the network with the highest; absent: 0. */
  readonly gatewayPriority?: number;
  /** `CONTAINER:ALIAS`, as `--link` takes it. */
  readonly links?: readonly string[];
  readonly driverOptions?: Readonly<Record<string, string>>;
}

/** A container on a network: what was asked for and, while it is active, what it has. */
export interface Endpoint {
  readonly container: string;
  readonly network: Network;
  readonly asked: EndpointConfig;
  /** Its container runs, or is about to. What it has below is set then. */
  readonly active: boolean;
  readonly interface: string | undefined;
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly mac: string | undefined;
}

/** An endpoint with the name of its container: what a network shows, and what names lead to. */
export interface Member extends Endpoint {
  readonly containerName: string;
}

export type Protocol = "tcp" | "udp" | "sctp";

/** `-p` as asked. */
export interface PortBinding {
  readonly protocol: Protocol;
  /** Of the container. */
  readonly target: number;
  /** An address of the host; empty: all of them, of both families. */
  readonly address: string;
  /** Of the host: the first and the last of those that may be taken; 0, 0: any free one. */
  readonly first: number;
  readonly last: number;
}

/** A port of the host that is a container's now. */
export interface PublishedPort {
  readonly protocol: Protocol;
  /** `0.0.0.0`, `::`, or an address of the host. */
  readonly address: string;
  readonly port: number;
  readonly container: string;
  readonly target: number;
  /** The container's address that it leads to. */
  readonly destination: string;
}

/** What a container's /etc/hosts and /etc/resolv.conf have to say of where it is. */
export interface Surroundings {
  /** Its own, in the order of its networks. */
  readonly addresses: readonly string[];
  /** This host, as the container sees it; absent: it does not. */
  readonly gateway?: string;
  /** `--link`: other containers under names that were chosen for this one alone. */
  readonly links: readonly {
    readonly address: string;
    readonly names: readonly string[];
    readonly alias: string;
    /** Its ID. */
    readonly container: string;
  }[];
  /** Whom to ask for names; absent: the host's servers. */
  readonly server?: string;
  /** That server is the engine's own responder, which asks others in the container's name. */
  readonly named?: boolean;
}
