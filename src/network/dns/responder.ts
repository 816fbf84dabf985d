/**
 * The responder: one process for all of an engine's networks. It listens on the bridges' own addresses, where a question's
 * source says which container asks, and is led there from 127.0.0.11 by rules in the container's network namespace
 * (see rules.ts). So it may die and come back at any time: containers notice no more than a question that has to be put again.
 */
import { closeSync, mkdirSync, openSync, renameSync, rmSync, watch, writeFileSync } from "node:fs";
import type { Socket, TCPSocketListener, udp } from "bun";
import { LOCK_EX, tryFlock } from "../../kernel/flock.ts";
import type { Store } from "../../store/index.ts";
import { type Carried, carriedAddress, carriedKey } from "../carried.ts";
import { decide } from "./decide.ts";
import { forward, frame, framed, hostServers, joined, type Way } from "./forward.ts";
import { isRefusal, type Question, RCODE, read, refuse, reply, udpLimit } from "./message.ts";
import { PORT, type Posts } from "./posts.ts";
import { Names } from "./zone.ts";

/** A container that opens connections and says nothing holds so many, so long (seconds). */
const MOST_CONNECTIONS = 256;
const PATIENCE = 10;
const MOST_TCP = 0xffff;
/** Bytes of answers that wait for one who asks and does not read, beyond what the kernel takes. */
const MOST_OWED = 0x10000;
/** Milliseconds between a change in the store and the look at it, and between looks that nothing has asked for. */
const SETTLE = 50;
const LOOK = 30_000;

interface Peer {
  held: Uint8Array<ArrayBuffer>;
  owed: Uint8Array;
}

type Udp = udp.Socket<"buffer">;
interface Listener {
  readonly udp: Udp;
  readonly tcp: TCPSocketListener<Peer>;
}

export class Responder {
  readonly #names: Names;
  readonly #posts: Posts;
  readonly #listeners = new Map<string, Listener>();
  readonly #carried = new Map<string, { readonly port: Carried; end(): void }>();
  #refreshing: Promise<unknown> = Promise.resolve();
  #turn = 0;
  #connections = 0;

  constructor(store: Store, posts: Posts) {
    this.#names = new Names(store);
    this.#posts = posts;
  }

  /** Listens where somebody may ask or connect and nowhere else, and says so; at how many places. One at a time. */
  refresh(): Promise<number> {
    const next = this.#refreshing.then(() => this.#refresh());
    this.#refreshing = next;
    return next;
  }

  async #refresh(): Promise<number> {
    const wanted = new Set(this.#names.gateways());
    for (const [address, { udp, tcp }] of this.#listeners) {
      if (wanted.has(address)) continue;
      udp.close();
      tcp.stop(true);
      this.#listeners.delete(address);
    }
    for (const address of wanted)
      if (!this.#listeners.has(address)) {
        const listener = await this.#listen(address);
        if (listener) this.#listeners.set(address, listener);
      }
    const carried = await this.#refreshCarried();
    const temporary = `${this.#posts.ready}.new`;
    writeFileSync(temporary, [...this.#listeners.keys(), ...this.#carried.keys(), ""].join("\n"));
    renameSync(temporary, this.#posts.ready);
    return wanted.size + carried;
  }

  async #refreshCarried(): Promise<number> {
    const wanted = new Map(this.#names.carried().map((port) => [carriedKey(port) ?? "", port]));
    for (const [key, { port, end }] of this.#carried) {
      const now = wanted.get(key);
      if (now?.destination === port.destination && now.target === port.target) continue;
      end();
      this.#carried.delete(key);
    }
    for (const [key, port] of wanted) {
      if (this.#carried.has(key)) continue;
      const { carry } = await import("./carry.ts");
      const end = await carry(carriedAddress(port) ?? "", port);
      if (end) this.#carried.set(key, { port, end });
    }
    return wanted.size;
  }

  /** undefined: the bridge is not there (yet). */
  async #listen(address: string): Promise<Listener | undefined> {
    try {
      const tcp = Bun.listen<Peer>({
        hostname: address,
        port: PORT,
        socket: {
          open: (socket) => this.#open(socket),
          data: (socket, data) => this.#tcp(address, socket, data),
          drain: (socket) => pay(socket),
          close: () => {
            this.#connections--;
          },
          timeout: (socket) => void socket.end(),
        },
      });
      try {
        const udp = await Bun.udpSocket({
          hostname: address,
          port: PORT,
          socket: {
            data: (socket, data, port, source) => this.#udp(address, socket, data, port, source),
          },
        });
        return { udp, tcp };
      } catch {
        tcp.stop(true);
        return undefined;
      }
    } catch {
      return undefined;
    }
  }

  // ---- by UDP

  #udp(gateway: string, socket: Udp, message: Uint8Array, port: number, source: string): void {
    const answer = this.#answer(gateway, source, message, "udp");
    if (answer instanceof Uint8Array) socket.send(answer, port, source);
    else
      void answer?.then((late) => {
        if (!socket.closed) socket.send(late, port, source);
      });
  }

  // ---- by TCP

  #open(socket: Socket<Peer>): void {
    this.#connections++;
    socket.data = { held: new Uint8Array(0), owed: new Uint8Array(0) };
    if (this.#connections > MOST_CONNECTIONS) socket.end();
    else socket.timeout(PATIENCE);
  }

  #tcp(gateway: string, socket: Socket<Peer>, data: Uint8Array): void {
    const peer = socket.data;
    peer.held = joined(peer.held, data);
    for (let next = frame(peer.held); next; next = frame(peer.held)) {
      peer.held = next.rest;
      const answer = this.#answer(gateway, socket.remoteAddress, next.message, "tcp");
      if (answer instanceof Uint8Array) {
        if (!owe(socket, answer)) return;
      } else if (answer) void answer.then((late) => owe(socket, late));
      else socket.end();
    }
    // What is left is little, and holds on to all that has come.
    peer.held = peer.held.slice();
  }

  // ---- answers

  #answer(
    gateway: string,
    source: string,
    message: Uint8Array,
    way: Way,
  ): Uint8Array | Promise<Uint8Array> | undefined {
    const question = read(message);
    if (!question) return undefined;
    const asker = this.#names.asker(gateway, source);
    // Nobody of ours: a stranger on the bridge, or one that has ended.
    if (!asker) return undefined;
    if (isRefusal(question)) return refuse(question);
    const configuration = () => this.#names.configuration(asker.container);
    const decision = decide(question, asker, this.#turn++, () => configuration().ndots);
    const limit = way === "udp" ? udpLimit(question) : MOST_TCP;
    return decision === "forward"
      ? this.#forward(question, message, way, configuration().servers)
      : reply(question, decision.reply, limit);
  }

  async #forward(
    question: Question,
    message: Uint8Array,
    way: Way,
    own: readonly string[],
  ): Promise<Uint8Array> {
    // A server on the container's own loopback is not to be found from here.
    const servers = own.length > 0 ? own.filter((server) => !/^(127\.|::1$)/.test(server)) : hostServers();
    const answer = await forward(question, message, way, servers);
    const none = { rcode: RCODE.serverFailure, answers: [], ttl: 0 };
    return answer ?? reply(question, none, udpLimit(question));
  }
}

/** Sends what it can at once, the rest when the peer has taken that. False: it takes nothing, and is left. */
function owe(socket: Socket<Peer>, message: Uint8Array): boolean {
  if (socket.data.owed.length > MOST_OWED) {
    socket.terminate();
    return false;
  }
  socket.data.owed = joined(socket.data.owed, framed(message));
  pay(socket);
  return true;
}

function pay(socket: Socket<Peer>): void {
  const sent = socket.write(socket.data.owed);
  if (sent > 0) socket.data.owed = socket.data.owed.slice(sent);
}

/**
 * Runs the responder until no container needs it. False: another one does already. What tells the starter that it may go is
 * whatever `ready` does.
 */
export async function serve(store: Store, posts: Posts, ready: () => void): Promise<boolean> {
  mkdirSync(posts.folder, { recursive: true, mode: 0o700 });
  const lock = openSync(posts.lock, "a", 0o600);
  if (!tryFlock(lock, LOCK_EX)) {
    closeSync(lock);
    return false;
  }
  const responder = new Responder(store, posts);
  rmSync(posts.socket, { force: true });
  // Whoever connects is answered when what they have written down has been seen.
  Bun.listen({
    unix: posts.socket,
    socket: { open: (socket) => void responder.refresh().then(() => socket.end("ready\n")), data() {} },
  });
  await responder.refresh();
  ready();
  await lastContainer(responder, posts);
  return true;
}

/** Resolves when nobody is left who could ask; told by the store's own file, of which every change is an event. */
async function lastContainer(responder: Responder, posts: Posts): Promise<void> {
  for (;;) {
    if ((await responder.refresh()) === 0) {
      // In this order whoever starts a container either keeps us here by its row or finds us gone.
      rmSync(posts.ready, { force: true });
      if ((await responder.refresh()) === 0) return rmSync(posts.ready, { force: true });
    }
    await change(posts.store);
  }
}

async function change(file: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, LOOK);
  let watcher: ReturnType<typeof watch> | undefined;
  try {
    watcher = watch(file, () => setTimeout(resolve, SETTLE));
    watcher.on("error", () => {});
  } catch {
    // It is made again by the next writer; until then nothing changes.
  }
  await promise;
  watcher?.close();
  clearTimeout(timer);
}
