/**
 * Who is called what, read from the store. A question costs one look at whether anybody has written since the last one; only
 * then is everything read anew. So a container resolves as soon as its start is written down, and no longer than its end is.
 */
import { parseIp } from "../../common/ip.ts";
import type { Store } from "../../store/index.ts";
import { type Carried, carriedKey } from "../carried.ts";
import { type Way, WITHIN, whomToAsk } from "./whom.ts";

interface MemberRow {
  readonly container: string;
  readonly network: string;
  readonly asked: string;
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  readonly name: string;
  readonly hostname: string | null;
}

interface NetworkRow {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly internal: number;
  readonly subnets: string;
}

interface Addresses {
  readonly ipv4: Uint8Array | undefined;
  readonly ipv6: Uint8Array | undefined;
}

/** One network, and what its members are called there. */
export interface NamedNetwork {
  readonly name: string;
  readonly internal: boolean;
  /** Lower case → all who are called so. */
  readonly names: Map<string, Addresses[]>;
  /** Address in hex → name of its container. */
  readonly owners: Map<string, string>;
}

/** A container that asks, at a gateway or on its own loopback. */
export interface Asker {
  readonly container: string;
  /**
   * Whether that is the gateway of a network with a way out: whoever has none has none by questions either (CVE-2024-29018),
   * nor by those in the name of a neighbour that has one. The neighbour itself asks elsewhere (see whomToAsk). On its own
   * loopback nobody else asks, and one way out is enough.
   */
  readonly leadsOut: boolean;
  /** In its own order. */
  readonly networks: NamedNetwork[];
  /** `--link CONTAINER:ALIAS`: alias, in lower case → name. */
  readonly links: Map<string, string>;
}

type Member = Omit<Asker, "leadsOut">;

interface Zone {
  readonly carried: Carried[];
  /** The IPv4 gateways on which questions arrive. */
  readonly gateways: string[];
  /** Gateway and the asker's address, with a space between. */
  readonly askers: Map<string, Asker>;
  /** Those that ask on their own loopback, by their ids. */
  readonly within: Map<string, Asker>;
}

/**
 * Nanoseconds for which a look at the store is good: under a flood of questions it would be a third of the work. What a start writes
 * down is older than this by the time that its process can ask.
 */
const RECENT = 1e6;

/** Docker's default bridge has no names, but may be the way out of who has some elsewhere. */
const DEFAULT_BRIDGE = "bridge";

function gateway4(subnets: string): string | undefined {
  for (const { gateway } of JSON.parse(subnets) as { readonly gateway?: string }[])
    if (gateway && !gateway.includes(":")) return gateway;
  return undefined;
}

function add(network: NamedNetwork, name: string, addresses: Addresses): void {
  const key = name.toLowerCase();
  const known = network.names.get(key);
  if (!known) network.names.set(key, [addresses]);
  else if (!known.includes(addresses)) known.push(addresses);
}

export class Names {
  readonly #store: Store;
  #version = -1;
  #looked = -RECENT;
  #zone: Zone = { carried: [], gateways: [], askers: new Map(), within: new Map() };

  constructor(store: Store) {
    this.#store = store;
  }

  /** On which addresses there is somebody who might ask. */
  gateways(): readonly string[] {
    return this.#current().gateways;
  }

  /** The containers that are to be answered on their own loopback. */
  within(): ReadonlyMap<string, Asker> {
    return this.#current().within;
  }

  /** Published ports that the kernel cannot lead to their containers. */
  carried(): readonly Carried[] {
    return this.#current().carried;
  }

  /** The container that asks at this gateway from this address. */
  asker(gateway: string, source: string): Asker | undefined {
    return this.#current().askers.get(`${gateway} ${source}`);
  }

  /** Servers that the container's own configuration names, and whether it sets ndots. */
  configuration(container: string): { readonly servers: readonly string[]; readonly ndots: boolean } {
    const row = this.#store.db
      .query<{ readonly dns: string | null; readonly options: string | null }, [string]>(
        "SELECT record -> '$.config.dns' AS dns, record -> '$.config.dnsOptions' AS options FROM containers WHERE id = ?",
      )
      .get(container);
    const list = (text: string | null | undefined): string[] => (text ? (JSON.parse(text) as string[]) : []);
    return {
      servers: list(row?.dns),
      ndots: list(row?.options).some((option) => option.startsWith("ndots:") && option !== "ndots:0"),
    };
  }

  #current(): Zone {
    const now = Bun.nanoseconds();
    if (now - this.#looked < RECENT) return this.#zone;
    this.#looked = now;
    const version =
      this.#store.db.query<{ data_version: number }, []>("PRAGMA data_version").get()?.data_version ?? 0;
    if (version !== this.#version) {
      this.#zone = this.#read();
      this.#version = version;
    }
    return this.#zone;
  }

  #read(): Zone {
    const { db } = this.#store;
    const members = db
      .query<MemberRow, []>(
        `SELECT e.container, e.network, e.asked, e.ipv4, e.ipv6, c.name, c.record ->> '$.hostname' AS hostname
         FROM endpoints e JOIN containers c ON c.id = e.container WHERE e.active = 1 ORDER BY e.container, e.position`,
      )
      .all();
    const networks = new Map<string, NamedNetwork>();
    const gateways = new Map<string, string>();
    const used = new Set(members.map(({ network }) => network));
    for (const row of db
      .query<NetworkRow, []>(
        `SELECT id, name, record ->> '$.driver' AS driver, record ->> '$.internal' AS internal,
         record -> '$.subnets' AS subnets FROM networks`,
      )
      .all()) {
      if (!used.has(row.id)) continue;
      networks.set(row.id, {
        name: row.name,
        internal: row.internal === 1,
        names: new Map(),
        owners: new Map(),
      });
      const gateway = row.driver === "bridge" ? gateway4(row.subnets) : undefined;
      if (gateway !== undefined) gateways.set(row.id, gateway);
    }
    const ports = db
      .query<Carried, []>(
        "SELECT protocol, address, port, destination, target FROM ports WHERE address LIKE '%:%'",
      )
      .all();
    const { askers, within } = this.#askers(members, networks, gateways);
    return {
      carried: ports.filter((port) => carriedKey(port) !== undefined),
      gateways: [...new Set([...askers.keys()].map((key) => key.slice(0, key.indexOf(" "))))],
      askers,
      within,
    };
  }

  #askers(
    members: readonly MemberRow[],
    networks: ReadonlyMap<string, NamedNetwork>,
    gateways: ReadonlyMap<string, string>,
  ): Pick<Zone, "askers" | "within"> {
    const byContainer = new Map<string, Member>();
    const askers = new Map<string, Asker>();
    const isNamed = ({ network }: MemberRow): boolean => networks.get(network)?.name !== DEFAULT_BRIDGE;
    // The others have no rules that lead a question here.
    const asking = new Set<string>();
    const ways = new Map<string, Way[]>();
    for (const row of members) {
      if (isNamed(row) && gateways.has(row.network)) asking.add(row.container);
      const way: Way = {
        named: isNamed(row),
        internal: networks.get(row.network)?.internal === true,
        gateway: row.ipv4 ? gateways.get(row.network) : undefined,
      };
      const list = ways.get(row.container);
      if (list) list.push(way);
      else ways.set(row.container, [way]);
    }
    for (const row of members) {
      const network = networks.get(row.network);
      if (!network || !(isNamed(row) || asking.has(row.container))) continue;
      const asked = JSON.parse(row.asked) as { aliases?: string[]; links?: string[] };
      const asker: Member = byContainer.get(row.container) ?? {
        container: row.container,
        networks: [],
        links: new Map(),
      };
      byContainer.set(row.container, asker);
      asker.networks.push(network);
      for (const link of asked.links ?? []) {
        const colon = link.indexOf(":");
        if (colon > 0) asker.links.set(link.slice(colon + 1).toLowerCase(), link.slice(0, colon));
      }
      const gateway = gateways.get(row.network);
      if (gateway !== undefined && row.ipv4)
        askers.set(`${gateway} ${row.ipv4}`, { ...asker, leadsOut: !network.internal });
      if (isNamed(row)) enter(network, row, asked.aliases ?? []);
    }
    const within = new Map<string, Asker>();
    for (const [container, list] of ways) {
      const asker = byContainer.get(container);
      if (asker && whomToAsk(list) === WITHIN)
        within.set(container, { ...asker, leadsOut: list.some(({ internal }) => !internal) });
    }
    return { askers, within };
  }
}

/** Everything that a member is called on one network. */
function enter(network: NamedNetwork, row: MemberRow, aliases: readonly string[]): void {
  const addresses = { ipv4: parseIp(row.ipv4 ?? ""), ipv6: parseIp(row.ipv6 ?? "") };
  const short = row.container.slice(0, 12);
  for (const name of [row.name, short, ...aliases, ...(row.hostname ? [row.hostname] : [])])
    add(network, name, addresses);
  for (const address of [addresses.ipv4, addresses.ipv6])
    if (address) network.owners.set(address.toHex(), row.name);
}

/** Addresses of all who are called so on the first of the asker's networks where anybody is; undefined: nobody. */
export function addressesOf(asker: Asker, name: string): Addresses[] | undefined {
  for (const network of asker.networks) {
    const found =
      network.names.get(asker.links.get(name)?.toLowerCase() ?? name) ??
      // web.backend: of one network among several.
      (name.endsWith(`.${network.name.toLowerCase()}`)
        ? network.names.get(name.slice(0, -network.name.length - 1))
        : undefined);
    if (found) return found;
  }
  return undefined;
}

/** `web.backend` for an address on one of the asker's networks. */
export function ownerOf(asker: Asker, address: Uint8Array): string | undefined {
  const key = address.toHex();
  for (const { name, owners } of asker.networks) {
    const owner = owners.get(key);
    if (owner !== undefined) return `${owner}.${name}`;
  }
  return undefined;
}
