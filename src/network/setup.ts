/**
 * What networks need of the kernel beside their containers: bridges, two switches of IP forwarding, and the engine's table.
 * Nobody makes it beforehand: the first start that misses something has it all made here, from what the store says, and so
 * it comes back after a reboot or after somebody removed it. One process at a time does this.
 */

import { type Cidr, parseCidr, parseIp } from "../common/ip.ts";
import { readFileSync, writeFileSync } from "../kernel/fs.ts";
import { NETLINK, NetlinkWriter } from "../kernel/netlink.ts";
import {
  beginBatch,
  deleteTable,
  type Element,
  elements,
  endBatch,
  ensureTable,
  fillTable,
} from "../kernel/nftables.ts";
import { addAddress, linkUp, newBridge } from "../kernel/rtnetlink.ts";
import { launchNow, type Step } from "../launch/index.ts";
import type { Place } from "./attach.ts";
import { networkElements } from "./elements.ts";
import { macBytes, macOf } from "./endpoints.ts";
import { finishLeaving } from "./leaving.ts";
import { bridgeOf, mtuOf, tableName } from "./names.ts";
import { parentSteps } from "./parents.ts";
import { kernelMark } from "./release.ts";
import { NetworkRows } from "./rows.ts";
import { table } from "./ruleset.ts";
import { alone, interfaces, outside, perform, route, sysctl } from "./shared.ts";
import { CHUNK, elementsOf, publishSteps } from "./steps.ts";
import type { Network, PublishedPort } from "./types.ts";

/** The addresses that a bridge has: its networks' gateways. */
export function gatewaysOf({ subnets }: Network): Cidr[] {
  const found: Cidr[] = [];
  for (const { subnet, gateway } of subnets) {
    const cidr = parseCidr(subnet);
    const address = gateway && parseIp(gateway);
    if (cidr && address) found.push({ address, length: cidr.length });
  }
  return found;
}

/** The kernel asks for neighbours from a link-local address, and its own takes a second or two to be sure of itself. */
const LINK_LOCAL: Cidr = { address: Uint8Array.fromHex(`fe80${"00".repeat(13)}01`), length: 64 };

/** A bridge with its addresses, up. One that was there before keeps what is its own. */
function bridgeSteps(network: Network, there: boolean): Step[] {
  const name = bridgeOf(network);
  const gateways = gatewaysOf(network);
  const addresses = network.ipv6 ? [...gateways, LINK_LOCAL] : gateways;
  const mac = macBytes(macOf(gateways[0]?.address ?? Uint8Array.fromHex(network.id.slice(0, 8))));
  return [
    route((w) => (there ? linkUp(w, name) : newBridge(w, name, mac, mtuOf(network)))),
    ...(addresses.length > 0
      ? [route((w) => ({ links: addresses.map((each) => ({ at: addAddress(w, each), name })) }))]
      : []),
    // Lets connections to 127.0.0.1 leave by the bridge; the table drops what comes the other way.
    sysctl(`ipv4/conf/${name}/route_localnet`, "1"),
  ];
}

function forwardingSteps(networks: readonly Network[]): Step[] {
  const steps: Step[] = [];
  const is = (name: string): boolean => {
    try {
      return readFileSync(`/proc/sys/net/${name}`, "latin1").trim() !== "0";
    } catch {
      return true;
    }
  };
  if (!is("ipv4/ip_forward")) steps.push(sysctl("ipv4/ip_forward", "1"));
  if (networks.some(({ ipv6 }) => ipv6) && !is("ipv6/conf/all/forwarding"))
    steps.push(sysctl("ipv6/conf/all/forwarding", "1"));
  return steps;
}

/** The whole table in one transaction: nobody ever sees half of it. */
function tableStep(name: string, networks: readonly Network[], ports: readonly PublishedPort[]): Step {
  const w = new NetlinkWriter(16 * 1024);
  beginBatch(w);
  ensureTable(w, name);
  deleteTable(w, name);
  ensureTable(w, name);
  fillTable(w, table(name));
  // The kernel answers each message, and its answers must find room: so few messages, however many networks.
  const sets = new Map<string, { readonly list: Element[]; readonly concatenated: boolean }>();
  for (const network of networks)
    for (const [set, list, concatenated] of networkElements(network)) {
      const all = sets.get(set);
      if (all) all.list.push(...list);
      else sets.set(set, { list: [...list], concatenated });
    }
  for (const [set, { list, concatenated }] of sets)
    for (let from = 0; from < list.length; from += CHUNK)
      elements(w, "add", name, set, list.slice(from, from + CHUNK), concatenated);
  for (const [map, list] of elementsOf(ports)) elements(w, "add", name, map, list);
  endBatch(w);
  return outside({ call: "netlink", protocol: NETLINK.netfilter, messages: w.done() });
}

/** How many of a batch's elements still go with the table itself. */
const WITH_TABLE = 500;

/** Makes all that is missing, for all containers. */
export function setUp(place: Place): void {
  alone(place, () => {
    finishLeaving(place);
    const rows = new NetworkRows(place.store);
    const inUse = rows.inUse();
    const there = interfaces();
    // One that nobody has started on yet has nothing in the kernel, and needs nothing taken down.
    const all = rows.all();
    const networks = all.filter(
      (each) => each.driver === "bridge" && (inUse.has(each.id) || there.has(bridgeOf(each))),
    );
    const used = all.filter(({ id }) => inUse.has(id));
    writeFileSync(kernelMark(place.paths), "");
    perform(place, parentSteps(used, there, place.paths.root), "a parent interface could not be made");
    if (networks.length === 0) return;
    // A keeper may take its ports out of the table that is about to be replaced: the record of its end looks again.
    const portsNow = (): PublishedPort[] =>
      place.store.transaction(() => {
        rows.unplan();
        return rows.ports();
      });
    const ports = portsNow();
    const name = tableName(place.paths);
    const steps = forwardingSteps(networks);
    for (const network of networks)
      if (inUse.has(network.id)) steps.push(...bridgeSteps(network, there.has(bridgeOf(network))));
    steps.push(tableStep(name, networks, ports.slice(0, WITH_TABLE)));
    steps.push(...publishSteps({ table: name, ports: ports.slice(WITH_TABLE), repair: [] }, "add"));
    perform(place, steps, "the network could not be set up");
    // Whoever took a port while the table was made may have added it to the one before.
    const known = new Set(ports.map(keyOf));
    const now = portsNow();
    // And whoever gave one back meanwhile, perhaps to another container, took it out of that one.
    const kept = new Set(now.map(keyOf));
    takeOut(
      place,
      ports.filter((port) => !kept.has(keyOf(port))),
    );
    const late = now.filter((port) => !known.has(keyOf(port)));
    perform(place, publishSteps({ table: name, ports: late, repair: [] }, "add"), "publishing ports");
  });
}

const keyOf = ({ protocol, address, port, container, destination, target }: PublishedPort): string =>
  `${protocol} ${address} ${port} ${container} ${destination} ${target}`;

/** Takes the ports of a container whose end is recorded out of the table, which nobody replaces meanwhile. */
export function unpublish(place: Place, container: string): void {
  alone(place, () => takeOut(place, new NetworkRows(place.store).ports(container)));
}

/** Without a table there is nothing to take out; what another container has by now stays. */
function takeOut(place: Place, ports: readonly PublishedPort[]): void {
  const table = tableName(place.paths);
  const steps = publishSteps({ table, ports, repair: [] }, "delete");
  if (steps.length > 0)
    launchNow(
      steps.map((step) => ({ ...step, column: "outside", optional: true })),
      place.paths.root,
    );
}
