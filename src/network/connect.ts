/** A network more or less for a container: the rows, inside the caller's transaction, and the steps for one that runs. */
import { SampanError } from "../common/error.ts";
import { NETLINK, NetlinkWriter } from "../kernel/netlink.ts";
import { deleteLink } from "../kernel/rtnetlink.ts";
import type { Step } from "../launch/index.ts";
import { findNetwork, type Place, wiringOf } from "./attach.ts";
import { activate, join } from "./endpoints.ts";
import { NetworkRows } from "./rows.ts";
import { insideSteps, linkSteps } from "./steps.ts";
import type { Endpoint, EndpointConfig } from "./types.ts";

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
  inside: insideSteps([endpoint], all, false),
});

export function disconnectSteps(endpoint: Endpoint, rest: readonly Endpoint[]): Both {
  const w = new NetlinkWriter(64);
  deleteLink(w, endpoint.interface ?? "");
  return {
    outside: [],
    inside: [
      {
        call: "netlink",
        column: "inside",
        why: "--network",
        protocol: NETLINK.route,
        messages: w.done(),
      },
      ...insideSteps([], rest, false),
    ],
  };
}
