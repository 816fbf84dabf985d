/** What this engine's things in the kernel are called. Two engines on one machine, each with a state folder, never meet. */
import type { Paths } from "../common/paths.ts";
import type { Network } from "./types.ts";

const STANDARD = "/var/lib/sampan";

/** 32 bits of FNV-1a, as eight hex digits. */
function digest(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** The nf_tables table. */
export const tableName = ({ root }: Paths): string =>
  root === STANDARD ? "sampan" : `sampan-${digest(root)}`;

/** The default network's bridge. */
export const defaultBridge = ({ root }: Paths): string =>
  root === STANDARD ? "sampan0" : `sampan-${digest(root)}`;

export const OPTION = {
  bridge: "com.docker.network.bridge.name",
  defaultBridge: "com.docker.network.bridge.default_bridge",
  icc: "com.docker.network.bridge.enable_icc",
  masquerade: "com.docker.network.bridge.enable_ip_masquerade",
  binding: "com.docker.network.bridge.host_binding_ipv4",
  mtu: "com.docker.network.driver.mtu",
  parent: "parent",
  macvlanMode: "macvlan_mode",
  ipvlanMode: "ipvlan_mode",
  ipvlanFlag: "ipvlan_flag",
} as const;

/** The interface that stands for a network of driver bridge. */
export const bridgeOf = (network: Network): string =>
  network.options[OPTION.bridge] || `br-${network.id.slice(0, 12)}`;

/** The one that containers of a macvlan or an ipvlan are on: `dm-` is Docker's name for one that leads nowhere. */
export const parentOf = ({ id, internal, options }: Network): string =>
  (internal ? "" : options[OPTION.parent]) || `dm-${id.slice(0, 12)}`;

/** The interface that was made for a network and goes with it. */
export function ownLink(network: Network): string | undefined {
  if (network.driver === "bridge") return network.foreign ? undefined : bridgeOf(network);
  return network.ownParent ? parentOf(network) : undefined;
}

export const mtuOf = ({ options }: Network): number | undefined => {
  const mtu = options[OPTION.mtu];
  return mtu ? Number(mtu) : undefined;
};

const isOn = (value: string | undefined): boolean => value === undefined || value === "true" || value === "1";
/** Whether its containers may speak with each other. */
export const hasIcc = ({ options }: Network): boolean => isOn(options[OPTION.icc]);
/** Whether the world sees this host's address instead of its containers'. */
export const hasMasquerade = ({ options }: Network): boolean => isOn(options[OPTION.masquerade]);
