/** The networks that are always there: bridge, host and none. Each is written down when somebody first asks for it. */

import { isDiskError } from "../common/error.ts";
import { edge, formatIp, ipFromNumber, ipNumber, parseCidr } from "../common/ip.ts";
import type { Paths } from "../common/paths.ts";
import type { Store } from "../store/index.ts";
import { defaultBridge, OPTION } from "./names.ts";
import { chooseSubnet, hostRoutes } from "./pools.ts";
import type { NetworkRows } from "./rows.ts";
import type { Network, NetworkConfig, Subnet } from "./types.ts";

export const PREDEFINED = ["bridge", "host", "none"] as const;

export const newNetworkId = (): string => crypto.getRandomValues(new Uint8Array(32)).toHex();

/** A subnet with the first of its addresses as gateway. */
export function withGateway(subnet: Subnet): Subnet {
  if (subnet.gateway) return subnet;
  const cidr = parseCidr(subnet.subnet);
  if (!cidr) return subnet;
  const whole = cidr.length >= cidr.address.length * 8 - 1;
  const first = ipNumber(edge(cidr)) + (whole ? 0n : 1n);
  return { ...subnet, gateway: formatIp(ipFromNumber(first, cidr.address.length)) };
}

function configOf(rows: NetworkRows, paths: Paths, name: (typeof PREDEFINED)[number]): NetworkConfig {
  const common = {
    name,
    internal: false,
    attachable: false,
    ipv4: true,
    ipv6: false,
    subnets: [],
    ipamOptions: {},
    labels: {},
  };
  if (name !== "bridge") return { ...common, driver: name === "none" ? "null" : "host", options: {} };
  const bridge = defaultBridge(paths);
  // Its own route, from before a database was lost, is no obstacle.
  const subnet = chooseSubnet(4, rows.all(), hostRoutes(new Set([bridge])), paths.root);
  return {
    ...common,
    driver: "bridge",
    subnets: [withGateway({ subnet })],
    options: {
      [OPTION.defaultBridge]: "true",
      [OPTION.icc]: "true",
      [OPTION.masquerade]: "true",
      [OPTION.binding]: "0.0.0.0",
      [OPTION.bridge]: bridge,
      [OPTION.mtu]: "1500",
    },
  };
}

const draft = (rows: NetworkRows, paths: Paths, name: (typeof PREDEFINED)[number]): Network => ({
  ...configOf(rows, paths, name),
  id: newNetworkId(),
  created: Date.now(),
});

/** The predefined network of this name; inside the caller's transaction. */
export function predefined(rows: NetworkRows, paths: Paths, name: (typeof PREDEFINED)[number]): Network {
  const known = rows.byName(name);
  if (known) return known;
  const network = draft(rows, paths, name);
  rows.insert(network);
  return network;
}

/** All three, for whoever only looks: where they cannot be written down, as they would be. In a transaction of its own, if any. */
export function allPredefined(store: Store, rows: NetworkRows, paths: Paths): Network[] {
  const known = PREDEFINED.flatMap((name) => rows.byName(name) ?? []);
  if (known.length === PREDEFINED.length) return known;
  try {
    return store.transaction(() => PREDEFINED.map((name) => predefined(rows, paths, name)));
  } catch (error) {
    if (!isDiskError(error)) throw error;
    return PREDEFINED.map((name) => rows.byName(name) ?? draft(rows, paths, name));
  }
}
