/** A network more or less for a container: the rows, inside the caller's transaction, and the steps for one that runs. */
import { SampanError } from "../common/error.ts";
import { NETLINK, NetlinkWriter } from "../kernel/netlink.ts";
import { deleteLink } from "../kernel/rtnetlink.ts";
import type { Step } from "../launch/index.ts";
import { configurationOnly, findNetwork, type Place, portTarget, wiringOf } from "./attach.ts";
import { newResolverSteps } from "./dns/rules.ts";
import { activate, join } from "./endpoints.ts";
import { tableName } from "./names.ts";
import { takePorts } from "./ports.ts";
import { NetworkRows } from "./rows.ts";
import { perform } from "./shared.ts";
import { holdOf, insideSteps, linkSteps, publishSteps } from "./steps.ts";
import type { Endpoint, EndpointConfig, PortBinding, PublishedPort } from "./types.ts";

/** The lowest number that no interface of the container has. */
function freeName(endpoints: readonly Endpoint[]): string {
  const taken = new Set(endpoints.map(({ interface: name }) => name));
  for (let number = 0; ; number++) if (!taken.has(`eth${number}`)) return `eth${number}`;
}

export function connect(
  place: Place,
  container: string,
  name: string,
  asked: EndpointConfig,
  runs: boolean,
): { readonly endpoint: Endpoint; readonly all: readonly Endpoint[] } {
  const rows = new NetworkRows(place.store);
  const network = findNetwork(place, asked.network);
  if (network.configOnly) throw configurationOnly(network);
  if (network.driver === "host" || network.driver === "null")
    throw new SampanError(
      "forbidden",
      network.driver === "host"
        ? "container cannot be connected to host network - already connected to another network"
        : "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    );
  const before = rows.endpointsOf(container);
  if (before.some((endpoint) => endpoint.network.id === network.id))
    throw new SampanError(
      "forbidden",
      `endpoint with name ${name} already exists in network ${network.name}`,
      { hint: `\`sampan network disconnect ${network.name} ${name}\` ends that.` },
    );
  join(rows, container, network, asked, rows.nextPosition(container));
  const made = rows.endpointsOf(container).find((endpoint) => endpoint.network.id === network.id);
  if (!made) throw new SampanError("system", `container ${name} could not join network ${network.name}`);
  const endpoint = runs ? activate(rows, made, freeName(before)) : made;
  return { endpoint, all: [...before, endpoint] };
}

export function connectedTo(
  place: Place,
  container: string,
  reference: string,
): { readonly endpoint: Endpoint; readonly rest: readonly Endpoint[] } {
  const network = findNetwork(place, reference);
  const all = new NetworkRows(place.store).endpointsOf(container);
  const endpoint = all.find((each) => each.network.id === network.id);
  if (!endpoint)
    throw new SampanError("forbidden", `container ${container} is not connected to network ${network.name}`, {
      hint: `It is on ${all.map((each) => each.network.name).join(", ") || "none"}.`,
    });
  return { endpoint, rest: all.filter((each) => each !== endpoint) };
}

export const disconnect = ({ store }: Place, container: string, network: string): void =>
  new NetworkRows(store).deleteEndpoint(container, network);

interface Both {
  readonly outside: readonly Step[];
  readonly inside: readonly Step[];
}

export const connectSteps = (place: Place, endpoint: Endpoint, all: readonly Endpoint[]): Both => ({
  outside: linkSteps(wiringOf(place, { endpoints: all, ports: [] }), endpoint, true),
  inside: [...insideSteps([endpoint], all, false), ...newResolverSteps(all)],
});

export const disconnectSteps = (endpoint: Endpoint, rest: readonly Endpoint[]): Both => ({
  outside: [],
  inside: [unlinkStep(endpoint), ...insideSteps([], rest, false), ...newResolverSteps(rest)],
});

/** Takes a namespace off all networks that its container was on. */
export const severSteps = (endpoints: readonly Endpoint[]): Both => ({
  outside: [],
  inside: [...endpoints.map(unlinkStep), ...newResolverSteps([])],
});

function unlinkStep({ interface: name = "" }: Endpoint): Step {
  const w = new NetlinkWriter(64);
  deleteLink(w, name);
  return {
    call: "netlink",
    column: "inside",
    why: "--network",
    protocol: NETLINK.route,
    messages: w.done(),
    // It may be gone, or never have come.
    optional: true,
  };
}

/** Steps of a plan that has no container: all of them the keeper's. */
const alone = (steps: readonly Step[]): Step[] => steps.map((step) => ({ ...step, column: "outside" }));

/** Takes ports that a running container publishes out of the kernel and out of the store; returns them. */
export function unpublishPorts(
  place: Place,
  container: string,
  which: (port: PublishedPort) => boolean,
): PublishedPort[] {
  const rows = new NetworkRows(place.store);
  const gone = rows.ports(container).filter(which);
  const steps = publishSteps({ table: tableName(place.paths), ports: gone, repair: [] }, "delete");
  perform(place, alone(steps), "a published port could not be removed");
  place.store.transaction(() => {
    for (const port of gone) rows.deletePort(port);
    // The keeper's batch takes all out or nothing, and one that is gone here may be another container's by then.
    if (gone.length > 0) rows.unplan(container);
  });
  return gone;
}

/** Publishes more ports of a running container. No keeper's plan knows them: they are taken away when its end is recorded. */
export function publishPorts(
  place: Place,
  container: string,
  bindings: readonly PortBinding[],
  keeper: number | undefined,
): PublishedPort[] {
  const rows = new NetworkRows(place.store);
  const target = portTarget(rows.endpointsOf(container));
  const ports = place.store.transaction(() =>
    takePorts(rows, { ...target, container, bindings, planned: false, ...(keeper ? { keeper } : {}) }),
  );
  const wiring = wiringOf(place, { endpoints: [], ports });
  try {
    perform(place, alone(publishSteps(wiring, "add")), "a port could not be published");
    return ports;
  } catch (error) {
    place.store.transaction(() => {
      for (const port of ports) rows.deletePort(port);
    });
    throw error;
  }
}

export { holdOf };

/** Ports lead where the container's way out is; when that is another network, they follow. */
export function followPorts(place: Place, container: string): void {
  const rows = new NetworkRows(place.store);
  const { ipv4, ipv6 } = portTarget(rows.endpointsOf(container));
  const strays = rows
    .ports(container)
    .filter(({ destination }) => destination !== ipv4 && destination !== ipv6);
  if (strays.length === 0) return;
  unpublishPorts(place, container, (port) =>
    strays.some(
      (stray) =>
        stray.port === port.port && stray.address === port.address && stray.protocol === port.protocol,
    ),
  );
  const moved = strays.flatMap((stray): PublishedPort[] => {
    const destination = stray.destination.includes(":") ? ipv6 : ipv4;
    return destination === undefined ? [] : [{ ...stray, destination }];
  });
  place.store.transaction(() => {
    for (const port of moved) rows.insertPort(port, false);
  });
  const wiring = wiringOf(place, { endpoints: [], ports: moved });
  perform(place, alone(publishSteps(wiring, "add")), "a port could not be published");
}
