/**
 * The end of what networks have in the kernel. Deleting a bridge waits 40 ms there, which nobody need wait for: it is noted, and
 * whoever next changes what all containers share makes sure that it was done.
 */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from "../kernel/fs.ts";
import { NETLINK, NetlinkWriter } from "../kernel/netlink.ts";
import { beginBatch, deleteTable, elements, endBatch, ensureTable } from "../kernel/nftables.ts";
import { deleteLink } from "../kernel/rtnetlink.ts";
import { launch, launchNow, NO_KEEPER, type Step } from "../launch/index.ts";
import type { Place } from "./attach.ts";
import { networkElements } from "./elements.ts";
import { bridgeOf, OPTION, ownLink, tableName } from "./names.ts";
import { kernelMark } from "./release.ts";
import { NetworkRows } from "./rows.ts";
import { interfaces, outside, perform, route, sysctl } from "./shared.ts";
import type { Network } from "./types.ts";

const file = ({ paths }: Place): string => `${paths.root}/network.leaving`;

/** Before its row is deleted. */
export function noteLeaving(place: Place, network: Network): void {
  const fd = openSync(file(place), "a", 0o600);
  writeSync(fd, `${JSON.stringify(network)}\n`);
  closeSync(fd);
}

/** After its row is deleted. */
export function leave(place: Place, network: Network): void {
  const steps = takeDownSteps(place, [network]);
  // The next network may have a bridge of the same name, if somebody chose it.
  if (network.options[OPTION.bridge]) return perform(place, steps, "a bridge could not be removed");
  void launch({ steps, keeper: NO_KEEPER }).then(
    (connection) => connection.close(),
    () => {},
  );
}

/** Under the lock: what was to go is gone. */
export function finishLeaving(place: Place): void {
  if (!existsSync(file(place))) return;
  const there = interfaces();
  const rows = new NetworkRows(place.store);
  const left: Network[] = [];
  for (const line of readFileSync(file(place), "utf8").split("\n")) {
    if (!line.endsWith("}")) continue;
    const network = JSON.parse(line) as Network;
    // One that still has its row was not removed after all.
    if (hasLink(network, there) && !rows.has(network.id)) left.push(network);
  }
  if (left.length > 0) perform(place, takeDownSteps(place, left), "a bridge could not be removed");
  rmSync(file(place), { force: true });
}

/** Whether anything in the kernel is this network's. */
export function hasLink(network: Network, there: ReadonlySet<string>): boolean {
  const link = network.driver === "bridge" ? bridgeOf(network) : ownLink(network);
  return link !== undefined && there.has(link);
}

/** Takes networks' elements and links away. Of what is not there nothing has to go. */
function takeDownSteps({ paths, store }: Place, networks: readonly Network[]): Step[] {
  const name = tableName(paths);
  const there = interfaces();
  const steps: Step[] = [];
  // A VLAN that was made for one network may be another's parent too.
  const shared = new Set<string | undefined>();
  for (const other of new NetworkRows(store).all())
    if (!networks.some(({ id }) => id === other.id)) shared.add(ownLink(other));
  for (const network of networks) {
    const link = ownLink(network);
    if (link !== undefined && there.has(link) && !shared.has(link))
      steps.push(route((each) => deleteLink(each, link), true));
    if (network.driver !== "bridge") continue;
    steps.push(...restoreSteps(network));
    const w = new NetlinkWriter();
    beginBatch(w);
    for (const [set, list, concatenated] of networkElements(network)) {
      elements(w, "add", name, set, list, concatenated);
      elements(w, "delete", name, set, list, concatenated);
    }
    endBatch(w);
    steps.push(outside({ call: "netlink", protocol: NETLINK.netfilter, messages: w.done() }, true));
  }
  return steps;
}

/** A bridge that stays leads to this host's loopback no longer once the rule that guards it goes: so before that. */
const restoreSteps = (network: Network): Step[] =>
  network.foreign && !network.routeLocalnet
    ? [sysctl(`ipv4/conf/${bridgeOf(network)}/route_localnet`, "0", true)]
    : [];

/**
 * Where no container is on any network, the table and all bridges go. The transaction keeps everybody from starting meanwhile:
 * whoever comes after it finds nothing and has it made again.
 */
export function takeDownAll(place: Place): void {
  const rows = new NetworkRows(place.store);
  place.store.transaction(() => {
    if (rows.inUse().size > 0) return;
    const w = new NetlinkWriter();
    beginBatch(w);
    ensureTable(w, tableName(place.paths));
    deleteTable(w, tableName(place.paths));
    endBatch(w);
    const there = interfaces();
    const steps = rows.all().flatMap(restoreSteps);
    steps.push(outside({ call: "netlink", protocol: NETLINK.netfilter, messages: w.done() }, true));
    for (const link of new Set(rows.all().map(ownLink)))
      if (link !== undefined && there.has(link)) steps.push(route((each) => deleteLink(each, link), true));
    if (launchNow(steps, place.paths.root).ok) rmSync(kernelMark(place.paths), { force: true });
  });
}
