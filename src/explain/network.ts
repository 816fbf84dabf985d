/**
 * What is plugged into the process's network: interfaces, addresses and the way out, read from /proc/PID/net, which shows the
 * namespace of that process to anybody. Which port of the machine leads in only the engine knows that published it.
 */
import type { ContainerRecord, KeptPlan } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import type { Look } from "./look.ts";
import type { Interface, Network, PublishedPort } from "./types.ts";

/** 0100007F: an IPv4 address as the kernel prints it, its least byte first. */
const dotted = (hex: string): string =>
  [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(".");

const number = (address: string): number =>
  address.split(".").reduce((all, part) => all * 256 + Number(part), 0);

interface Route {
  readonly interface: string;
  readonly destination: string;
  readonly gateway: string;
  readonly bits: number;
}

function routes(text: string): Route[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line): Route[] => {
      const [name = "", destination = "", gateway = "", , , , , mask = ""] = line.split(/\s+/);
      if (mask === "") return [];
      const bits = number(dotted(mask)).toString(2).replaceAll("0", "").length;
      return [{ interface: name, destination: dotted(destination), gateway: dotted(gateway), bits }];
    });
}

/** Leaves of the trie that are addresses of its own. */
function localAddresses(trie: string): string[] {
  const found = new Set<string>();
  let last = "";
  for (const line of trie.split("\n")) {
    last = /\|-- ([\d.]+)/.exec(line)?.[1] ?? last;
    if (line.includes("/32 host LOCAL")) found.add(last);
  }
  return [...found];
}

/** `fd00000000000000000000000000002` in groups, shortened. */
function colons(hex: string): string {
  const groups = (hex.match(/.{4}/g) ?? []).map((group) => group.replace(/^0{1,3}/, "")).join(":");
  const zeros = groups.match(/(?:^|:)0(?::0)+(?:$|:)/g) ?? [];
  const longest = zeros.reduce((a, b) => (b.length > a.length ? b : a), "");
  return longest === "" ? groups : groups.replace(longest, "::");
}

export function interfacesOf(files: {
  readonly dev: string;
  readonly route: string;
  readonly trie: string;
  readonly inet6: string;
}): Interface[] {
  const ways = routes(files.route);
  const addresses = localAddresses(files.trie);
  const six = files.inet6.split("\n").map((line) => line.trim().split(/\s+/));
  return files.dev
    .split("\n")
    .slice(2)
    .flatMap((line): Interface[] => {
      const [name = "", rest = ""] = line.split(":").map((part) => part.trim());
      if (name === "") return [];
      const counters = rest.split(/\s+/).map(Number);
      const nets = ways.filter((way) => way.interface === name && way.gateway === "0.0.0.0");
      const inside = (address: string, { destination, bits }: Route): boolean =>
        bits > 0 &&
        Math.floor(number(address) / 2 ** (32 - bits)) === Math.floor(number(destination) / 2 ** (32 - bits));
      const four = addresses.flatMap((address) => {
        if (name === "lo") return address.startsWith("127.") ? [`${address}/8`] : [];
        const net = nets.find((each) => inside(address, each));
        return net ? [`${address}/${net.bits}`] : [];
      });
      const gateway = ways.find((way) => way.interface === name && way.bits === 0)?.gateway;
      return [
        {
          name,
          addresses: [
            ...four,
            ...six.flatMap(([hex = "", , bits = "", , , of]) =>
              of === name ? [`${colons(hex)}/${Number.parseInt(bits, 16)}`] : [],
            ),
          ],
          ...(gateway === undefined || gateway === "0.0.0.0" ? {} : { gateway }),
          received: counters[0] ?? 0,
          sent: counters[8] ?? 0,
        },
      ];
    });
}

export async function network(
  engine: Engine,
  pid: number,
  container: ContainerRecord | undefined,
  kept: KeptPlan | undefined,
  look: Look,
): Promise<Network> {
  const text = (name: string): string => look.text(`/proc/${pid}/net/${name}`, "network") ?? "";
  const interfaces = interfacesOf({
    dev: text("dev"),
    route: text("route"),
    trie: text("fib_trie"),
    inet6: text("if_inet6"),
  });
  if (!container || container.config.namespaces.net) return { interfaces, networks: [], published: [] };
  const attached = (await engine.networks.attached(container.id)).get(container.id);
  const companion = kept?.steps.find(({ call }) => call === "companion");
  const carrier = companion?.call === "companion" ? companion.argv[0]?.replace(/^.*\//, "") : undefined;
  return {
    interfaces,
    ...(carrier === undefined ? {} : { carrier }),
    networks: (attached?.endpoints ?? []).map((endpoint) => ({
      name: endpoint.network.name,
      driver: endpoint.network.driver,
      ...(endpoint.interface === undefined ? {} : { interface: endpoint.interface }),
    })),
    published: (attached?.ports ?? []).map(
      ({ protocol, address, port, target, destination }): PublishedPort => ({
        protocol,
        address,
        port,
        target,
        destination,
        ...(isCarried(address, destination) ? { carried: true } : {}),
      }),
    ),
  };
}

/** The kernel leads nobody from `::1` into a container, nor from IPv6 to one that has none. */
const isCarried = (address: string, destination: string): boolean =>
  address.includes(":") && (address === "::1" || !destination.includes(":"));
