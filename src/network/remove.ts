/** The end of a network: noted, then without a row, so that nobody starts on it any more, then without a bridge. */
import { SampanError } from "../common/error.ts";
import type { Place } from "./attach.ts";
import { isPredefined } from "./endpoints.ts";
import { finishLeaving, hasLink, leave, noteLeaving, takeDownAll } from "./leaving.ts";
import { NetworkRows } from "./rows.ts";
import { alone, interfaces } from "./shared.ts";
import type { Network } from "./types.ts";

export function removeNetwork(place: Place, reference: string): Network {
  const rows = new NetworkRows(place.store);
  if (isPredefined(reference))
    throw new SampanError("forbidden", `${reference} is a pre-defined network and cannot be removed`);
  const network = rows.find(reference);
  if (isPredefined(network.name))
    throw new SampanError("forbidden", `${network.name} is a pre-defined network and cannot be removed`);
  alone(place, () => {
    finishLeaving(place);
    assertUnused(rows, network);
    const made = hasLink(network, interfaces());
    if (made) noteLeaving(place, network);
    place.store.transaction(() => {
      assertUnused(rows, network);
      // A stopped container keeps the name: its start says that the network is gone.
      for (const { container } of rows.membersOf(network)) rows.deleteEndpoint(container, network.id);
      rows.delete(network.id);
    }, true);
    if (made) leave(place, network);
  });
  return network;
}

function assertUnused(rows: NetworkRows, network: Network): void {
  if (network.configOnly) {
    const made = rows.all().filter(({ configFrom }) => configFrom === network.name);
    if (made.length === 0) return;
    throw new SampanError(
      "forbidden",
      `error while removing network: configuration network ${JSON.stringify(network.name)} is in use`,
      { hint: `Made from it: ${made.map(({ name }) => name).join(", ")}.` },
    );
  }
  const active = rows.membersOf(network).filter((member) => member.active);
  if (active.length === 0) return;
  const names = active.map(({ containerName }) => containerName).join(", ");
  throw new SampanError(
    "forbidden",
    `error while removing network: network ${network.name} id ${network.id} has active endpoints`,
    {
      hint: `Containers on it: ${names}. Stop them, or \`sampan network disconnect ${network.name} CONTAINER\`.`,
    },
  );
}

/** Removes networks that no running container is on, and no templates. `wanted` chooses among them. The names, in order. */
export function pruneNetworks(place: Place, wanted: (network: Network) => boolean): string[] {
  const rows = new NetworkRows(place.store);
  const removed: string[] = [];
  for (const network of rows.all()) {
    if (
      isPredefined(network.name) ||
      network.configOnly ||
      !wanted(network) ||
      rows.membersOf(network).some(({ active }) => active)
    )
      continue;
    try {
      removeNetwork(place, network.id);
      removed.push(network.name);
    } catch (error) {
      // Somebody was quicker.
      if (!(error instanceof SampanError)) throw error;
    }
  }
  // With nobody left the default network's bridge and the table go too.
  alone(place, () => {
    finishLeaving(place);
    takeDownAll(place);
  });
  return removed;
}
