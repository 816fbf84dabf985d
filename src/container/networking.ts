/**
 * Whether a container has networks, and what that means at its beginning and its end. Only one that has any loads the room of
 * networks.
 */
import {
  type Attached,
  type EndpointConfig,
  load,
  loadUplink,
  release,
  releaseRows,
  tidyLater,
  type Wishes,
} from "../network/index.ts";
import type { ContainerConfig } from "./config.ts";
import type { Context } from "./context.ts";
import type { StoredContainer } from "./rows.ts";
import { isRootless, joinsOthers } from "./spec.ts";

const DEFAULT_NETWORK: readonly EndpointConfig[] = [{ network: "bridge" }];
const NO_NETWORK: readonly EndpointConfig[] = [];

/** Whether this kind of container is connected to networks at all: its network namespace is its own, and it has root's rights. */
export function hasNetworks({ exactly, namespaces }: ContainerConfig): boolean {
  if (exactly || isRootless()) return false;
  const mode = namespaces.net?.mode;
  return mode === undefined || mode === "private";
}

/** Whose network it is that a container has: with the network go the files about it. */
export function networkOwner(context: Context, id: string): string {
  const net = context.rows.byId(id)?.config.namespaces.net;
  return net?.mode === "container" ? networkOwner(context, net.container) : id;
}

/** The networks that a new container joins. */
export function networksOf(config: ContainerConfig): readonly EndpointConfig[] {
  if (!hasNetworks(config)) return NO_NETWORK;
  // Once it was connected or disconnected by hand, none can mean none.
  const chosen = config.networks.length > 0 || config.namespaces.net !== undefined;
  return chosen ? config.networks : DEFAULT_NETWORK;
}

export type Network = Awaited<ReturnType<typeof load>>;

/**
 * Whether it is connected by a program of a user's (see src/network/uplink.ts): its network namespace is its own, in a user
 * namespace of its own.
 */
export function hasUplink(config: ContainerConfig): boolean {
  if (!isRootless() || config.exactly || joinsOthers(config)) return false;
  const mode = config.namespaces.net?.mode;
  return mode === undefined || mode === "private";
}

/** What connects the containers of a caller who is not root; undefined: nothing, or the caller is root. */
export const uplinkName = async (): Promise<string | undefined> =>
  isRootless() ? (await loadUplink()).uplinkName() : undefined;

/** Without networks it still has ports of the host. */
const publishesByUplink = (config: ContainerConfig): boolean =>
  (config.ports.length > 0 || config.publishAll) && hasUplink(config);

export const loadNetwork = (config: ContainerConfig): Promise<Network> | undefined =>
  hasNetworks(config) || publishesByUplink(config) ? load() : undefined;

type Asking = Pick<StoredContainer, "id" | "config" | "exposedPorts">;

const wishesOf = ({ config, exposedPorts }: Asking): Wishes => ({
  networks: networksOf(config),
  ports: config.ports,
  publishAll: config.publishAll,
  exposed: exposedPorts,
  ...(hasUplink(config) ? { uplink: true } : {}),
});

/** Addresses and ports for a container that is about to start; in a transaction. */
export const takeNetwork = (network: Network, context: Context, container: Asking): Attached =>
  network.takeAll(context, container.id, wishesOf(container));

/** The same for one that is only being made: it joins its networks too. */
export const enterNetwork = (network: Network, context: Context, container: Asking): Attached =>
  network.enterAll(context, container.id, wishesOf(container));

/** Gives addresses and ports back. `lost`: no keeper has taken its ports out of the kernel. `goes`: its row is removed next. */
export function releaseNetwork(
  context: Context,
  { id, config }: Pick<StoredContainer, "id" | "config">,
  lost: boolean,
  goes = config.autoRemove,
): void {
  if (hasNetworks(config)) release(context, id, lost, goes);
  // The program that had the ports is gone with the container.
  else if (!goes && publishesByUplink(config))
    context.store.transaction(() => releaseRows(context.store, id));
}

/** When its end is written down: it may have been the last that needed networks. */
export function leftNetworks(context: Context, { config }: Pick<StoredContainer, "config">): void {
  if (hasNetworks(config)) tidyLater(context);
}
