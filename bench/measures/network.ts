/**
 * Networks: what a bridge and a published port add to `run`, what making and removing one costs, fifty containers on one at
 * the same moment, how fast bytes go, and how many questions for names are answered. Programs that measure run in the
 * containers' network namespaces, so that every engine meets the same ones.
 */
import { Engine } from "../../src/engine.ts";
import { type Command, concurrently, sh, silently } from "../command.ts";
import type { Connected, Networks, Peer, PeerName } from "../peers/peer.ts";
import { type Medians, median, milliseconds } from "../sample.ts";
import { atLeast, atMost, type Bench, type Measure, type Row } from "./measure.ts";

const NETWORK = "bench-net";
const FLOOD = new URL("../flood.ts", import.meta.url).pathname;
const FOREVER: Command = ["sleep", "1000000"];
const PORT = 5201;
/** podman's answer, where docker's proxy gives 7.4. */
const LOOPBACK_BUDGET = 9.2;

interface Connecting extends Peer {
  readonly networks: Networks;
  run(): Command;
}

export const network: Measure = {
  name: "network",
  async rows(bench) {
    const peers = bench.peers.filter(
      (peer): peer is Connecting => peer.networks !== undefined && peer.run !== undefined,
    );
    return [
      ...(await added(peers, bench)),
      ...(await making(peers, bench)),
      ...(await makingInside(bench)),
      await fifty(peers, bench),
      ...(await traffic(peers, bench)),
    ];
  },
};

/** Rounds in which engines take turns. */
const ROUNDS = 4;
/** In a round, so often each kind of run; that of a peer whose run takes half a second once: all is to take a few minutes. */
const ROUND = 15;
/** The kernel takes 30 to 40 ms to remove the link of the run before, and makes no new one meanwhile. */
const PAUSE = 60;

const isSlow = ({ name }: Peer): boolean => name !== "sampan";

/**
 * What a bridge and a port add: three kinds of run in turns, and the medians of how much more the other two take than the first, which
 * was a moment ago: what else the machine does is in all three.
 */
async function added(peers: readonly Connecting[], { samples, signal }: Bench): Promise<Row[]> {
  const round = Math.min(ROUND, samples);
  const none = new Map<PeerName, number[]>();
  const bridge = new Map<PeerName, number[]>();
  const port = new Map<PeerName, number[]>();
  const timed = async (command: Command): Promise<number> => {
    await Bun.sleep(PAUSE);
    signal.throwIfAborted();
    return milliseconds(() => silently(command));
  };
  const note = (into: Map<PeerName, number[]>, { name }: Peer, time: number): void => {
    into.set(name, [...(into.get(name) ?? []), time]);
  };
  for (let rounds = 0; rounds < Math.min(ROUNDS, samples); rounds++)
    // The first pays for what the engine before left behind.
    for (const peer of peers)
      for (let turn = 0; turn <= (isSlow(peer) ? 1 : round); turn++) {
        const alone = await timed(peer.run());
        const bridged = await timed(peer.networks.run({}));
        const published = await timed(peer.networks.run({ publish: "8080:80" }));
        if (turn === 0) continue;
        note(none, peer, alone);
        note(bridge, peer, bridged - alone);
        note(port, peer, published - alone);
      }
  const row = (title: string, values: ReadonlyMap<PeerName, readonly number[]>, budget?: number): Row => ({
    title,
    unit: "ms",
    values: Object.fromEntries([...values].map(([name, times]) => [name, median(times)])),
    samples: Math.min(ROUNDS, samples) * round,
    budgets: budget === undefined ? [] : [atMost(budget, "ms")],
  });
  return [
    row(`\`run --network none\`, ${PAUSE} ms apart`, none),
    row("a bridge adds to it", bridge),
    row("a bridge and a published port", port, 3),
  ];
}

async function making(peers: readonly Connecting[], { samples, slowSamples, signal }: Bench): Promise<Row[]> {
  const made: Medians = {};
  const removed: Medians = {};
  for (const peer of peers) {
    const { name, networks } = peer;
    const times: [number[], number[]] = [[], []];
    for (let sample = 0; sample < (isSlow(peer) ? slowSamples : samples); sample++) {
      signal.throwIfAborted();
      times[0].push(await milliseconds(() => silently(networks.create(NETWORK))));
      times[1].push(await milliseconds(() => silently(networks.delete(NETWORK))));
    }
    made[name] = median(times[0]);
    removed[name] = median(times[1]);
  }
  const budgets = [atMost(5, "ms")];
  return [
    { title: "`network create`", unit: "ms", values: made, samples, budgets },
    { title: "`network rm`", unit: "ms", values: removed, samples, budgets },
  ];
}

/** The same from a program: what is left when no process has to be started for it. */
async function makingInside({ folder, samples, signal }: Bench): Promise<Row[]> {
  const engine = Engine.open({ root: `${folder}/networks`, run: "/run/networks" });
  const times: [number[], number[]] = [[], []];
  for (let sample = 0; sample < samples; sample++) {
    signal.throwIfAborted();
    times[0].push(await milliseconds(async () => void (await engine.networks.create({ name: NETWORK }))));
    times[1].push(await milliseconds(() => engine.networks.remove(NETWORK)));
  }
  engine.close();
  const row = (title: string, values: readonly number[]): Row => ({
    title,
    unit: "ms",
    values: { sampan: median(values) },
    samples,
    budgets: [atMost(5, "ms")],
  });
  return [
    row("`networks.create` through `Engine`", times[0]),
    row("`networks.remove` through `Engine`", times[1]),
  ];
}

/** All start at once; each has an address of its own, and each is found by its name. */
async function fifty(peers: readonly Connecting[], { scale, signal }: Bench): Promise<Row> {
  const count = 50 / scale;
  const values: Medians = {};
  for (const peer of peers) {
    signal.throwIfAborted();
    await using place = await Place.make(peer);
    const names = Array.from({ length: count }, (_, i) => `bench-${i}`);
    place.expect(names);
    const time = await milliseconds(() =>
      concurrently(names.map((name) => peer.networks.start(name, FOREVER, { network: NETWORK }))),
    );
    values[peer.name] = time / 1000;
    const asking = place.inside(names[0] ?? "");
    const server = place.server(names[0] ?? "");
    const found = names.map((name) => sh(...asking, "dig", "+short", "+search", `@${server}`, name));
    if (new Set(found).size !== count || found.includes(""))
      throw new Error(`${peer.name}: ${count} containers have the addresses ${found.join(" ")}`);
  }
  return {
    title: `${count} containers on one network at once`,
    unit: "s",
    values,
    samples: 1,
    budgets: [],
  };
}

// ---- bytes and questions

async function traffic(peers: readonly Connecting[], { slowSamples, scale, signal }: Bench): Promise<Row[]> {
  const samples = Math.min(slowSamples, 3);
  const seconds = scale === 1 ? 2 : 1;
  const into: Medians = {};
  const between: Medians = {};
  const published: Medians = {};
  const questions: Medians = {};
  for (const peer of peers) {
    await using place = await Place.make(peer);
    place.start("bench-server", { network: NETWORK, publish: `${PORT}:${PORT}` });
    place.start("bench-client", { network: NETWORK });
    const address = place.address("bench-server");
    await using _ = await serve(place.inside("bench-server"));
    const several = async (values: Medians, once: () => number): Promise<void> => {
      const found: number[] = [];
      for (let sample = 0; sample < samples; sample++) {
        signal.throwIfAborted();
        found.push(once());
        await Bun.sleep(100);
      }
      values[peer.name] = median(found);
    };
    const client = place.inside("bench-client");
    await several(into, () => iperf([], address, seconds));
    await several(between, () => iperf(client, address, seconds));
    await several(published, () => iperf([], "127.0.0.1", seconds));
    const server = place.server("bench-client");
    const asked = peer.name === "podman" ? "bench-server.dns.podman" : "bench-server";
    const flood = [...client, process.execPath, FLOOD, server, "53", asked, String(seconds * 1000)];
    await several(questions, () => Number(sh(...flood)) / 1000);
  }
  const row = (title: string, values: Medians): Row => ({
    title,
    unit: "Gbit/s",
    values,
    samples,
    budgets: [],
  });
  return [
    row("iperf3, host to container", into),
    row("iperf3, container to container", between),
    {
      ...row("iperf3, through a published port on 127.0.0.1", published),
      budgets: [atLeast(LOOPBACK_BUDGET, "Gbit/s")],
    },
    {
      title: "questions for names answered",
      unit: "1,000/s",
      values: questions,
      samples,
      budgets: [],
    },
  ];
}

/** iperf3 as a server, until the scope ends; it says when it listens. */
async function serve(inside: Command): Promise<AsyncDisposable> {
  const server = Bun.spawn([...inside, "iperf3", "--server", "--port", String(PORT), "--forceflush"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await server.stdout.getReader().read();
  return {
    async [Symbol.asyncDispose]() {
      server.kill();
      await server.exited;
    },
  };
}

/** Gbit/s that arrived. */
function iperf(inside: Command, address: string, seconds: number): number {
  const words = ["iperf3", "--json", "--client", address, "--port", String(PORT), "--time", String(seconds)];
  const said = JSON.parse(sh(...inside, ...words)) as {
    readonly end: { readonly sum_received: { readonly bits_per_second: number } };
  };
  return said.end.sum_received.bits_per_second / 1e9;
}

/** A network, and the containers on it, which go with the scope. */
class Place implements AsyncDisposable {
  readonly #peer: Connecting;
  readonly #names: string[] = [];

  private constructor(peer: Connecting) {
    this.#peer = peer;
  }

  static async make(peer: Connecting): Promise<Place> {
    silently(peer.networks.create(NETWORK));
    return new Place(peer);
  }

  expect(names: readonly string[]): void {
    this.#names.push(...names);
  }

  start(name: string, connected: Connected): void {
    this.expect([name]);
    silently(this.#peer.networks.start(name, FOREVER, connected));
  }

  /** What puts a command into the container's network namespace. */
  inside(name: string): Command {
    return ["nsenter", "--target", sh(...this.#peer.networks.pid(name)), "--net"];
  }

  address(name: string): string {
    const said = sh(...this.inside(name), "ip", "-4", "-json", "address", "show", "scope", "global");
    const [link] = JSON.parse(said) as { readonly addr_info: readonly { readonly local: string }[] }[];
    return link?.addr_info[0]?.local ?? "";
  }

  /** Whom the container asks for names. */
  server(name: string): string {
    const pid = sh(...this.#peer.networks.pid(name));
    const text = sh("cat", `/proc/${pid}/root/etc/resolv.conf`);
    return /^nameserver\s+(\S+)/m.exec(text)?.[1] ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#peer.background && this.#names.length > 0) silently(this.#peer.background.remove(this.#names));
    silently(this.#peer.networks.delete(NETWORK));
  }
}
