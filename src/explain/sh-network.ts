/** The network's part of the script, in the words of ip(8) and nft(8): links to bridges, addresses, the way out, published ports. */
import { formatIp } from "../common/ip.ts";
import { NETLINK } from "../kernel/netlink.ts";
import { readAddedElements } from "../kernel/nftables-read.ts";
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

const PROTOCOLS: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp", 132: "sctp" };

/** Words of four bytes side by side: an address, and two bytes of a port. */
const place = (bytes: Uint8Array): { address: string; port: number } => ({
  address: bytes.length > 4 ? formatIp(bytes.subarray(0, bytes.length - 4)) : "",
  port: ((bytes.at(-4) ?? 0) << 8) | (bytes.at(-3) ?? 0),
});

/** Published ports as the elements that they are, such as `inet TABLE any4 { tcp . 8080 : 10.0.0.2 . 80 }`. */
export function publishedElements(steps: readonly Step[], instead: Instead): string[] {
  return of(steps, "netlink")
    .filter(
      ({ column, why, protocol }) =>
        column === "outside" && why === "--publish" && protocol === NETLINK.netfilter,
    )
    .flatMap(({ messages }) => readAddedElements(messages))
    .flatMap(({ table, set, elements }) =>
      elements.map(({ key, data = new Uint8Array(4) }) => {
        const from = place(key.subarray(4));
        const to = place(data);
        const host = from.address === "" ? "" : `${from.address} . `;
        const where = `${PROTOCOLS[key[0] ?? 0] ?? key[0]} . ${host}${from.port}`;
        return `inet ${table} ${set} { ${where} : ${instead(to.address)} . ${to.port} }`;
      }),
    );
}

export const PUBLISH = `# A published port is an element of a map of the engine's. One that leads elsewhere already, to the
# original if that runs, stays as it is.
publish() {
  if nft "add element $1" 2> /dev/null; then echo "$1" >> "$dir/ports"
  else echo "not published, it leads elsewhere or there is no nft: $1" >&2; fi
}
`;

/** When it ends; what was added is still there, or leads elsewhere by now and then nothing of this is done. */
export const UNPUBLISH = `  if [ -e "$dir/ports" ]; then
    while read -r port; do nft "add element $port; delete element $port" || :; done < "$dir/ports" 2> /dev/null
  fi
`;

/** What only the engine does, and keeps doing while the container runs. */
export function onlyEngine(steps: readonly Step[]): string {
  const carried = of(steps, "companion").some(({ argv }) =>
    argv.some((word, index) => ["-t", "-u"].includes(argv[index - 1] ?? "") && word !== "none"),
  );
  const names = of(steps, "netlink").some(
    ({ column, protocol }) => column === "inside" && protocol === NETLINK.netfilter,
  );
  const said = [
    ...(carried
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
