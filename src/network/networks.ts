/** Networks: what the command line, an API and users of the library call. Everything is loaded when it is called. */
import type { Attached, Place } from "./attach.ts";
import type { NetworkWish } from "./create.ts";
import type { Endpoint, Member, Network, PublishedPort } from "./types.ts";

export interface NetworkEvent {
  readonly action: "create" | "destroy";
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export class Networks {
  readonly #place: Place;
  readonly #tell: (event: NetworkEvent) => void;

  constructor(place: Place, tell: (event: NetworkEvent) => void) {
    this.#place = place;
    this.#tell = tell;
  }

  async #rows() {
    const { NetworkRows } = await import("./rows.ts");
    return new NetworkRows(this.#place.store);
  }

  #note(action: NetworkEvent["action"], { id, name, driver }: Network): void {
    this.#tell({ action, id, attributes: { name, type: driver } });
  }

  /** Makes a network. Its subnets are chosen where none are given. */
  async create(wish: NetworkWish): Promise<Network> {
    const { createNetwork } = await import("./create.ts");
    const network = createNetwork(this.#place, wish);
    this.#note("create", network);
    return network;
  }

  /** By name, id or the beginning of an id. */
  async get(reference: string): Promise<Network> {
    const [rows, { allPredefined, PREDEFINED }] = await Promise.all([
      this.#rows(),
      import("./predefined.ts"),
    ]);
    const name = reference === "default" ? "bridge" : reference;
    if (!PREDEFINED.some((one) => one === name)) return rows.find(reference);
    const { store, paths } = this.#place;
    return allPredefined(store, rows, paths).find((network) => network.name === name) ?? rows.find(name);
  }

  /** All of them, by name, the three predefined ones too. */
  async list(): Promise<Network[]> {
    const [rows, { allPredefined }] = await Promise.all([this.#rows(), import("./predefined.ts")]);
    const predefined = allPredefined(this.#place.store, rows, this.#place.paths);
    const all = rows.all();
    const unwritten = predefined.filter(({ id }) => !all.some((network) => network.id === id));
    return [...all, ...unwritten].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The containers that are on a network, by name; also those that do not run now. */
  async members(network: Network): Promise<Member[]> {
    return (await this.#rows()).membersOf(network);
  }

  /** The networks that a container is on, and what it has on each. */
  async endpoints(container: string): Promise<Endpoint[]> {
    return (await this.#rows()).endpointsOf(container);
  }

  /** What containers have of networks, by their ids: one, or all that have any. */
  async attached(container?: string): Promise<ReadonlyMap<string, Attached>> {
    const rows = await this.#rows();
    const found = new Map<string, { endpoints: Endpoint[]; ports: PublishedPort[] }>();
    const of = (id: string) => {
      let one = found.get(id);
      if (!one) found.set(id, (one = { endpoints: [], ports: [] }));
      return one;
    };
    const endpoints = container === undefined ? rows.endpoints() : rows.endpointsOf(container);
    for (const endpoint of endpoints) of(endpoint.container).endpoints.push(endpoint);
    for (const port of rows.ports(container)) of(port.container).ports.push(port);
    return found;
  }

  /** Ports of the host that lead to a container, or all of them. */
  async ports(container?: string): Promise<PublishedPort[]> {
    return (await this.#rows()).ports(container);
  }

  /** Removes a network that no container is on. */
  async remove(reference: string): Promise<void> {
    const { removeNetwork } = await import("./remove.ts");
    this.#note("destroy", removeNetwork(this.#place, reference));
  }

  /** Removes those that no running container is on; returns their names. */
  async prune(wanted: (network: Network) => boolean = () => true): Promise<string[]> {
    const { pruneNetworks } = await import("./remove.ts");
    return pruneNetworks(this.#place, wanted);
  }
}
