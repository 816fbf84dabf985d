/**
 * The tables of networks, of who is on them and of published ports. Everything here is one statement or is called inside a
 * transaction of the caller's: an address or a port is unique in its table, so two processes never hand one out twice.
 */
import { SampanError } from "../common/error.ts";
import type { Store } from "../store/index.ts";
import type { Endpoint, EndpointConfig, Member, Network, NetworkConfig, PublishedPort } from "./types.ts";

interface NetworkRow {
  readonly id: string;
  readonly name: string;
  readonly created: number;
  readonly record: string;
}

interface EndpointRow {
  readonly container: string;
  readonly network: string;
  readonly asked: string;
  readonly active: number;
  readonly interface: string | null;
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  readonly mac: string | null;
}

const NETWORK = "id, name, created, record";
const ENDPOINT = "e.container, e.network, e.asked, e.active, e.interface, e.ipv4, e.ipv6, e.mac";
const JOINED = `SELECT ${ENDPOINT}, n.name, n.created, n.record FROM endpoints e JOIN networks n ON n.id = e.network`;
const PORT = "protocol, address, port, container, target, destination";

type JoinedRow = EndpointRow & Omit<NetworkRow, "id">;

const parseNetwork = (row: NetworkRow): Network => ({
  ...(JSON.parse(row.record) as Omit<NetworkConfig, "name">),
  id: row.id,
  name: row.name,
  created: row.created,
});

const parseEndpoint = (row: EndpointRow, network: Network): Endpoint => ({
  container: row.container,
  network,
  asked: JSON.parse(row.asked) as EndpointConfig,
  active: row.active === 1,
  interface: row.interface ?? undefined,
  ipv4: row.ipv4 ?? undefined,
  ipv6: row.ipv6 ?? undefined,
  mac: row.mac ?? undefined,
});

export class NetworkRows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  // ---- networks

  insert(network: Network): void {
    const { id, name, created, ...record } = network;
    this.#store.db
      .query("INSERT INTO networks (id, name, created, record) VALUES (?, ?, ?, ?)")
      .run(id, name, created, JSON.stringify(record));
  }

  delete(id: string): void {
    this.#store.db.query("DELETE FROM networks WHERE id = ?").run(id);
  }

  /** By id, name or the unambiguous beginning of an id, in Docker's order. */
  find(reference: string): Network {
    const network =
      (reference.length === 64 ? this.#network("id = ?", reference) : undefined) ??
      this.byName(reference) ??
      this.#byPrefix(reference);
    if (network) return network;
    throw new SampanError("not-found", `network ${reference} not found`, {
      hint: "`sampan network ls` lists those that exist, `sampan network create` makes one.",
    });
  }

  has(id: string): boolean {
    return this.#network("id = ?", id) !== undefined;
  }

  byName(name: string): Network | undefined {
    return this.#network("name = ?", name);
  }

  #network(where: string, value: string): Network | undefined {
    const row = this.#store.db
      .query<NetworkRow, [string]>(`SELECT ${NETWORK} FROM networks WHERE ${where}`)
      .get(value);
    return row ? parseNetwork(row) : undefined;
  }

  #byPrefix(prefix: string): Network | undefined {
    if (!/^[0-9a-f]{1,64}$/.test(prefix)) return undefined;
    const rows = this.#store.db
      .query<NetworkRow, [string, string]>(`SELECT ${NETWORK} FROM networks WHERE id >= ? AND id < ? LIMIT 2`)
      .all(prefix, `${prefix}g`);
    if (rows.length > 1)
      throw new SampanError("invalid", `network ${prefix} is ambiguous (2 matches found on ID prefix)`, {
        hint: "Give more digits of the id, or the network's name.",
      });
    return rows[0] && parseNetwork(rows[0]);
  }

  /** All of them, by name. */
  all(): Network[] {
    const found: Network[] = [];
    const rows = this.#store.db.query<NetworkRow, []>(`SELECT ${NETWORK} FROM networks ORDER BY name`).all();
    for (const row of rows) found.push(parseNetwork(row));
    return found;
  }

  // ---- who is on them

  /** Of one container, in the order in which they were asked for. */
  endpointsOf(container: string): Endpoint[] {
    return this.#joined(
      this.#store.db
        .query<JoinedRow, [string]>(`${JOINED} WHERE e.container = ? ORDER BY e.position`)
        .all(container),
    );
  }

  /** Of all containers. */
  endpoints(): Endpoint[] {
    return this.#joined(
      this.#store.db.query<JoinedRow, []>(`${JOINED} ORDER BY e.container, e.position`).all(),
    );
  }

  #joined(rows: readonly JoinedRow[]): Endpoint[] {
    const networks = new Map<string, Network>();
    const found: Endpoint[] = [];
    for (const row of rows) {
      let network = networks.get(row.network);
      if (!network) networks.set(row.network, (network = parseNetwork({ ...row, id: row.network })));
      found.push(parseEndpoint(row, network));
    }
    return found;
  }

  /** On one network, by the names of their containers. */
  membersOf(network: Network): Member[] {
    const rows = this.#store.db
      .query<EndpointRow & { readonly name: string }, [string]>(
        `SELECT ${ENDPOINT}, c.name FROM endpoints e JOIN containers c ON c.id = e.container
         WHERE e.network = ? ORDER BY c.name`,
      )
      .all(network.id);
    const found: Member[] = [];
    for (const row of rows) found.push({ ...parseEndpoint(row, network), containerName: row.name });
    return found;
  }

  insertEndpoint(endpoint: Endpoint, position: number): void {
    this.#store.db
      .query(
        "INSERT INTO endpoints (container, network, position, asked, active, interface, ipv4, ipv6, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      )
      .run(
        endpoint.container,
        endpoint.network.id,
        position,
        JSON.stringify(endpoint.asked),
        endpoint.active ? 1 : 0,
        endpoint.interface ?? null,
        endpoint.ipv4 ?? null,
        endpoint.ipv6 ?? null,
        endpoint.mac ?? null,
      );
  }

  nextPosition(container: string): number {
    return (
      this.#store.db
        .query<{ n: number }, [string]>(
          "SELECT coalesce(max(position), -1) + 1 AS n FROM endpoints WHERE container = ?",
        )
        .get(container)?.n ?? 0
    );
  }

  deleteEndpoint(container: string, network: string): void {
    this.#store.db.query("DELETE FROM endpoints WHERE container = ? AND network = ?").run(container, network);
  }

  setActive({ container, network, interface: name, ipv4, ipv6, mac }: Endpoint): void {
    this.#store.db
      .query(
        "UPDATE endpoints SET active = 1, interface = ?, ipv4 = ?, ipv6 = ?, mac = ? WHERE container = ? AND network = ?",
      )
      .run(name ?? null, ipv4 ?? null, ipv6 ?? null, mac ?? null, container, network.id);
  }

  /** All that are taken on a network. */
  addresses(network: string, version: 4 | 6): string[] {
    const column = version === 4 ? "ipv4" : "ipv6";
    const rows = this.#store.db
      .query<{ a: string }, [string]>(
        `SELECT ${column} AS a FROM endpoints WHERE network = ? AND ${column} IS NOT NULL`,
      )
      .all(network);
    const found: string[] = [];
    for (const { a } of rows) found.push(a);
    return found;
  }

  /** The name of the container that has an address. */
  holderOf(network: string, address: string): string | undefined {
    const column = address.includes(":") ? "ipv6" : "ipv4";
    return this.#store.db
      .query<{ name: string }, [string, string]>(
        `SELECT c.name FROM endpoints e JOIN containers c ON c.id = e.container WHERE e.network = ? AND e.${column} = ?`,
      )
      .get(network, address)?.name;
  }

  /** Ids of networks that some container uses now. */
  inUse(): Set<string> {
    const rows = this.#store.db
      .query<{ network: string }, []>("SELECT DISTINCT network FROM endpoints WHERE active = 1")
      .all();
    return new Set(rows.map(({ network }) => network));
  }

  // ---- published ports

  insertPort(port: PublishedPort, planned: boolean): void {
    this.#store.db
      .query(
        "INSERT INTO ports (protocol, address, port, container, target, destination, planned) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(
        port.protocol,
        port.address,
        port.port,
        port.container,
        port.target,
        port.destination,
        planned ? 1 : 0,
      );
  }

  /**
   * From here on no keeper's plan is relied on to take the ports out of the kernel: of one container, or of all. The record
   * of an end does it instead.
   */
  unplan(container?: string): void {
    if (container === undefined) this.#store.db.query("UPDATE ports SET planned = 0").run();
    else this.#store.db.query("UPDATE ports SET planned = 0 WHERE container = ?").run(container);
  }

  deletePort({ protocol, address, port }: PublishedPort): void {
    this.#store.db
      .query("DELETE FROM ports WHERE protocol = ? AND address = ? AND port = ?")
      .run(protocol, address, port);
  }

  /** Those who have a port of the host, whatever the address. */
  holdersOf(protocol: string, port: number): { address: string; container: string }[] {
    return this.#store.db
      .query<{ address: string; container: string }, [string, number]>(
        "SELECT address, container FROM ports WHERE protocol = ? AND port = ?",
      )
      .all(protocol, port);
  }

  nameOf(container: string): string {
    return (
      this.#store.db
        .query<{ name: string }, [string]>("SELECT name FROM containers WHERE id = ?")
        .get(container)?.name ?? ""
    );
  }

  /** Of one container, or of all. */
  ports(container?: string): PublishedPort[] {
    const order = "ORDER BY target, protocol, address, port";
    return container === undefined
      ? this.#store.db.query<PublishedPort, []>(`SELECT ${PORT} FROM ports ${order}`).all()
      : this.#store.db
          .query<PublishedPort, [string]>(`SELECT ${PORT} FROM ports WHERE container = ? ${order}`)
          .all(container);
  }
}
