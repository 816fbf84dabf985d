/** The network's part of the script, in the words of ip(8): links to bridges, addresses, the way out. */
import { NETLINK } from "../kernel/netlink.ts";
import { type LinkChange, readLinkChanges } from "../kernel/rtnetlink-read.ts";
import type { Step } from "../launch/index.ts";
import { quote } from "./as-run.ts";
import { comment, of } from "./sh-words.ts";

/** The address that the script takes: this one, or another if it is somebody's now, the original's own for one. */
export type Instead = (address: string) => string;

const changes = (steps: readonly Step[], column: Step["column"]): LinkChange[] =>
  of(steps, "netlink")
    .filter((step) => step.column === column && step.protocol === NETLINK.route)
    .flatMap(({ messages, fill }) => readLinkChanges(messages, fill?.links));

/** What is done from outside, with `$pid` the first process in the new namespace. */
export function linksText(steps: readonly Step[], instead: Instead): string[] {
  const lines: string[] = [];
  const all = changes(steps, "outside");
  // A copy beside the original: two of one hardware address on one network would take each other's packets.
  const copy = changes(steps, "inside").some(
    (change) => change.kind === "address" && instead(change.address) !== change.address,
  );
  const hardware = (mac: string): string => (mac === "" || copy ? "" : ` address ${mac}`);
  const size = (mtu: number | undefined): string => (mtu === undefined ? "" : ` mtu ${mtu}`);
  const here = new Map<string, string>();
  for (const change of all)
    switch (change.kind) {
      case "veth": {
        const name = `"veth$pid-${here.size}"`;
        here.set(change.name, name);
        lines.push(
          `ip link add ${name}${size(change.mtu)} type veth peer name ${change.peer}${hardware(change.mac)}${size(change.mtu)} netns "$pid"`,
          `ip link set ${name} master ${quote(change.bridge)} up`,
        );
        break;
      }
      case "macvlan":
        lines.push(
          `ip link add link ${quote(change.parent)} name ${change.name}${hardware(change.mac)}${size(change.mtu)} netns "$pid" type macvlan mode ${change.mode}`,
        );
        break;
      case "ipvlan":
        lines.push(
          `ip link add link ${quote(change.parent)} name ${change.name}${size(change.mtu)} netns "$pid" type ipvlan mode ${change.mode} ${change.flag}`,
        );
        break;
      case "port":
        lines.push(
          `ip link set ${here.get(change.name) ?? ""} type bridge_slave hairpin ${change.hairpin ? "on" : "off"} isolated ${change.isolated ? "on" : "off"}`,
        );
        break;
    }
  return lines;
}

/** What is done inside, while the machine's programs are still there. */
export function addressesText(steps: readonly Step[], instead: Instead): string[] {
  const lines: string[] = [];
  for (const change of changes(steps, "inside"))
    switch (change.kind) {
      case "up":
        lines.push(`ip link set ${change.name} up`);
        break;
      case "address": {
        const { link, length } = change;
        const address = instead(change.address);
        const version = address.includes(":") ? " nodad" : "";
        if (address !== change.address)
          lines.push(
            comment(`${change.address} is taken, by the original if it runs: this one is free.`).trimEnd(),
          );
        lines.push(`ip address add ${address}/${length} dev ${link}${version}`);
        break;
      }
      case "route":
        lines.push(`ip route add default via ${change.gateway}`);
        break;
      case "out":
        lines.push(`ip ${change.version === 6 ? "-6 " : ""}route add default dev ${change.link}`);
        break;
    }
  return lines;
}

/** What only the engine does, and keeps doing while the container runs. */
export function onlyEngine(steps: readonly Step[]): string {
  const carried = of(steps, "companion").some(({ argv }) =>
    argv.some((word, index) => ["-t", "-u"].includes(argv[index - 1] ?? "") && word !== "none"),
  );
  const published = carried || steps.some(({ why, column }) => why === "--publish" && column === "outside");
  const names = of(steps, "netlink").some(
    ({ column, protocol }) => column === "inside" && protocol === NETLINK.netfilter,
  );
  const said = [
    ...(published
      ? [
          "Its published ports stay the original's: the engine leads them in, and one port leads to one container.",
        ]
      : []),
    ...(names
      ? [
          "Names of other containers are answered by the engine (127.0.0.11), to which nothing leads from here.",
        ]
      : []),
  ];
  return said.length > 0 ? comment(said.join(" ")) : "";
}
