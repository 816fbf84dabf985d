/**
 * A container on its networks, from its making to its end. What is called inside a transaction says so. This is what a
 * container with networks loads; one without (`--network none`, `host`) loads nothing of this room.
 */
import { SampanError } from "../common/error.ts";
import { formatIp } from "../common/ip.ts";
import type { Paths } from "../common/paths.ts";
import { enginePath, type LaunchError, type Step } from "../launch/index.ts";
import type { Store } from "../store/index.ts";
import { carriedKey, isCourtesy, LOOPBACK } from "./carried.ts";
import { postsOf, standing, wake } from "./dns/posts.ts";
import { resolverOf, SERVER } from "./dns/rules.ts";
import { WITHIN } from "./dns/whom.ts";
import { activate, join, subnetOf } from "./endpoints.ts";
import { OPTION, tableName } from "./names.ts";
import { allExposed, portInUse, spoken, takePorts } from "./ports.ts";
import { PREDEFINED, predefined } from "./predefined.ts";
import { releaseRows } from "./release.ts";
import { NetworkRows } from "./rows.ts";
import { gatewayOf, type NetworkSteps, networkSteps, type Wiring } from "./steps.ts";
import type {
  Endpoint,
  EndpointConfig,
  Network,
  PortBinding,
  Protocol,
  PublishedPort,
  Surroundings,
} from "./types.ts";

export interface Place {
  readonly paths: Paths;
  readonly store: Store;
}

/** What a container that runs, or is about to, has. */
export interface Attached {
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
}

export interface Wishes {
  readonly ports: readonly PortBinding[];
  readonly publishAll: boolean;
  /** `80/tcp` */
  readonly exposed: readonly string[];
  /** Its ports lead by a user's uplink. */
  readonly uplink?: true;
  /** The networks that it is to be on. */
  readonly networks: readonly EndpointConfig[];
}

/** A network by what the caller called it; the predefined ones are there for whoever asks. In a transaction. */
export function findNetwork({ paths, store }: Place, reference: string): Network {
  const rows = new NetworkRows(store);
  const name = reference === "default" ? "bridge" : reference;
  for (const known of PREDEFINED) if (known === name) return predefined(rows, paths, known);
  return rows.find(name);
}

/** What containers and templates of networks have to do with each other. */
export const configurationOnly = ({ name }: Network): SampanError =>
  new SampanError("forbidden", "cannot create endpoint on configuration-only network", {
    hint: `Make a network from it: sampan network create --config-from ${name} NAME`,
  });

/**
 * Writes down which networks a new container is on; `starting`: with the addresses that it takes. In the transaction that makes
 * it.
 */
export function joinAll(
  place: Place,
  container: string,
  asked: readonly EndpointConfig[],
  starting: boolean,
): Endpoint[] {
  const rows = new NetworkRows(place.store);
  const joined = new Set<string>();
  const endpoints: Endpoint[] = [];
  for (const one of asked) {
    const network = findNetwork(place, one.network);
    if (network.configOnly) throw configurationOnly(network);
    if (network.driver === "host" || network.driver === "null")
      throw new SampanError(
        "invalid",
        "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
        { hint: `${network.name} can only be the one network of a container.` },
      );
    if (joined.has(network.id))
      throw new SampanError("invalid", `network ${network.name} is given twice`, {
        hint: "A container has one address on a network; --network-alias gives it more names there.",
      });
    joined.add(network.id);
    const position = endpoints.length;
    endpoints.push(join(rows, container, network, one, position, starting ? `eth${position}` : undefined));
  }
  return endpoints;
}

/** A new container that starts at once joins its networks and takes addresses and ports. In the transaction that makes it. */
export function enterAll(place: Place, container: string, wishes: Wishes): Attached {
  const endpoints = joinAll(place, container, wishes.networks, true);
  return { endpoints, ports: portsFor(new NetworkRows(place.store), container, wishes, endpoints) };
}

/** Takes addresses and ports for a container that is about to start. In a transaction. */
export function takeAll(place: Place, container: string, wishes: Wishes): Attached {
  const rows = new NetworkRows(place.store);
  // What a start that was interrupted has left.
  releaseRows(place.store, container);
  let joined = rows.endpointsOf(container);
  if (joined.length < wishes.networks.length) {
    rejoin(place, container, joined, wishes.networks);
    joined = rows.endpointsOf(container);
  }
  const endpoints: Endpoint[] = [];
  for (const [number, endpoint] of joined.entries()) endpoints.push(activate(rows, endpoint, `eth${number}`));
  return { endpoints, ports: portsFor(rows, container, wishes, endpoints) };
}

function portsFor(
  rows: NetworkRows,
  container: string,
  wishes: Wishes,
  endpoints: readonly Endpoint[],
): PublishedPort[] {
  const bindings = wishes.publishAll ? allExposed(wishes.exposed, wishes.ports) : wishes.ports;
  if (bindings.length === 0) return [];
  return takePorts(rows, { ...targetOf(wishes, endpoints), container, bindings, planned: true });
}

/** A network was removed while the container was stopped: one of the same name takes its place, or the start fails. */
function rejoin(
  place: Place,
  container: string,
  joined: readonly Endpoint[],
  asked: readonly EndpointConfig[],
): void {
  const rows = new NetworkRows(place.store);
  for (const one of asked) {
    const network = findNetwork(place, one.network);
    if (!joined.some((endpoint) => endpoint.network.id === network.id))
      join(rows, container, network, one, rows.nextPosition(container));
  }
}

const targetOf = ({ uplink }: Wishes, endpoints: readonly Endpoint[]): ReturnType<typeof portTarget> =>
  uplink ? { ipv4: LOOPBACK, ipv6: undefined, binding: "" } : portTarget(endpoints);

/** Where published ports lead: by the way that the container's answers take. */
export function portTarget(endpoints: readonly Endpoint[]): {
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly binding: string;
} {
  const way4 = gatewayOf(endpoints, 4);
  const way6 = gatewayOf(endpoints, 6);
  return {
    ipv4: way4?.network.driver === "bridge" ? way4.ipv4 : undefined,
    ipv6: way6?.network.driver === "bridge" ? way6.ipv6 : undefined,
    binding: way4?.network.options[OPTION.binding] ?? "",
  };
}

/** What the container's files say of where it is. */
export function surroundingsOf({ store }: Place, { endpoints }: Attached): Surroundings {
  const rows = new NetworkRows(store);
  const addresses: string[] = [];
  for (const { ipv4, ipv6 } of endpoints) {
    if (ipv4) addresses.push(ipv4);
    if (ipv6) addresses.push(ipv6);
  }
  const gateway = hostAddress(endpoints);
  const links: Links[number][] = [];
  for (const { network, asked } of endpoints)
    if (asked.links && network.name === "bridge") links.push(...linksOf(rows, network, asked.links));
  const server = resolverOf(endpoints);
  return {
    addresses,
    ...(gateway === undefined ? {} : { gateway }),
    links,
    ...(server === undefined ? {} : { server: SERVER, named: true }),
  };
}

/** The address of this host on the container's way out; an internal network is the last choice. */
function hostAddress(endpoints: readonly Endpoint[]): string | undefined {
  let network: Network | undefined;
  for (const endpoint of endpoints)
    if (
      endpoint.network.driver === "bridge" &&
      (!network || (network.internal && !endpoint.network.internal))
    )
      network = endpoint.network;
  return network && (subnetOf(network, 4) ?? subnetOf(network, 6))?.gateway;
}

type Links = Surroundings["links"];

/** Of the default network, which has no names: others stand in the container's own file. */
function linksOf(rows: NetworkRows, network: Network, links: readonly string[]): Links {
  const members = rows.membersOf(network);
  return links.map((link) => {
    const colon = link.indexOf(":");
    const reference = colon < 0 ? link : link.slice(0, colon);
    const alias = colon < 0 ? link : link.slice(colon + 1);
    const member = members.find(
      ({ container, containerName }) => containerName === reference || container.startsWith(reference),
    );
    if (!member?.active || !member.ipv4)
      throw new SampanError("conflict", `Cannot link to a non running container: ${reference}`, {
        hint: `It has to run on the network ${network.name}: sampan start ${reference}`,
      });
    const names = new Set([alias, member.container.slice(0, 12), member.containerName]);
    return { address: member.ipv4, names: [...names], alias, container: member.container };
  });
}

/**
 * Makes sure that somebody answers for names, and carries ports that the kernel cannot, before anybody can notice. False: the
 * bridge, or the container, is not there yet, so that this has to be asked once more when it is.
 */
export async function ensureResponder({ paths }: Place, { endpoints, ports }: Attached): Promise<boolean> {
  const wanted: string[] = [];
  const whom = resolverOf(endpoints);
  if (whom !== undefined) wanted.push(whom === WITHIN ? (endpoints[0]?.container ?? "") : whom);
  for (const port of ports) {
    const key = carriedKey(port);
    if (key !== undefined && !isCourtesy(port, ports)) wanted.push(key);
  }
  if (wanted.length === 0) return true;
  const serves = (): boolean => standing(postsOf(paths), wanted) === "listens";
  if (serves()) return true;
  await (await import("./dns/start.ts")).startResponder(paths, wanted);
  return serves();
}

/**
 * Has carried what nobody waits for, once the container runs: after `patience` milliseconds, since for one that ends at once
 * nobody need begin with it.
 */
export function carrySoon({ paths }: Place, { ports }: Attached, patience: number): void {
  let any = false;
  for (const port of ports) any ||= isCourtesy(port, ports);
  if (!any) return;
  if (patience > 0) setTimeout(() => wake(paths), patience).unref();
  else wake(paths);
}

/** What is there now, for a reader. */
export function attached({ store }: Place, container: string): Attached {
  const rows = new NetworkRows(store);
  return { endpoints: rows.endpointsOf(container), ports: rows.ports(container) };
}

export const wiringOf = ({ paths }: Place, { endpoints, ports }: Attached): Wiring => ({
  table: tableName(paths),
  endpoints,
  ports,
  repair: [enginePath(), "repair", paths.root, paths.run],
  names: postsOf(paths).socket,
});

export const stepsOf = (place: Place, attached: Attached): NetworkSteps =>
  networkSteps(wiringOf(place, attached));

const PROTOCOLS: Readonly<Record<number, Protocol>> = { 6: "tcp", 17: "udp", 132: "sctp" };

/** A port that could not be bound: who has it, or that no interface has its address. */
export function explainHold(step: Step & { readonly call: "hold" }, error: LaunchError): SampanError {
  const bytes = step.address;
  const protocol = PROTOCOLS[step.protocol] ?? "tcp";
  const address = formatIp(bytes.length === 16 ? bytes.subarray(4, 8) : bytes.subarray(8, 24));
  const port = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  if (error.kernel?.errno === "EADDRINUSE") return portInUse({ protocol, address, port });
  if (error.kernel?.errno !== "EADDRNOTAVAIL") return error;
  return new SampanError(
    "invalid",
    `failed to bind host port ${spoken({ address, port })}/${protocol}: cannot assign requested address`,
    { hint: `No interface of this machine has the address ${address}.` },
  );
}
