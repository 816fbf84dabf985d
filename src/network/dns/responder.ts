/**
 * The responder: one process for all of an engine's networks. It listens on the bridges' own addresses, where a question's
 * source says which container asks, and is led there from 127.0.0.11 by rules in the container's network namespace
 * (see rules.ts). So it may die and come back at any time: containers notice no more than a question that has to be put again.
 * A container whose networks have no such address has it on its own loopback: by two sockets that were made in there.
 */
import { closeSync, mkdirSync, openSync, renameSync, rmSync, watch, writeFileSync } from "node:fs";
import type { Socket, TCPSocketListener, udp } from "bun";
import { LOCK_EX, tryFlock } from "../../kernel/flock.ts";
import { socketsIn } from "../../kernel/netns.ts";
import { isAlive, processStart } from "../../kernel/proc.ts";
import type { Store } from "../../store/index.ts";
import { type Carried, carriedAddress, carriedKey } from "../carried.ts";
import { decide } from "./decide.ts";
import { forward, frame, framed, hostServers, joined, type Way } from "./forward.ts";
import { isRefusal, type Question, RCODE, read, refuse, reply, udpLimit } from "./message.ts";
import { PORT, type Posts } from "./posts.ts";
import { SERVER_BYTES } from "./rules.ts";
import { parseSaid, type Said } from "./words.ts";
import { type Asker, Names } from "./zone.ts";

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

function end({ udp, tcp }: Listener): void {
  udp.close();
  tcp.stop(true);
}

/** A container's process, which a pid alone does not tell for ever. */
export interface Process {
  readonly pid: number;
  readonly start: bigint;
}
/** That of a container that runs. */
export type ProcessOf = (container: string) => Promise<Process | undefined>;

/** Where to listen: at an address of this host's, or by sockets that somebody has made. */
type Place = { readonly hostname: string } | { readonly udp: number; readonly tcp: number };
/** Who asks, by the address that he asks from. */
type Who = (source: string) => Asker | undefined;

export class Responder {
  readonly #names: Names;
  readonly #posts: Posts;
  readonly #listeners = new Map<string, Listener>();
  readonly #within = new Map<string, Listener & Process>();
  readonly #carried = new Map<string, { readonly port: Carried; end(): void }>();
  readonly #processOf: ProcessOf;
  #refreshing: Promise<unknown> = Promise.resolve();
  #turn = 0;
  #connections = 0;

  constructor(store: Store, posts: Posts, processOf: ProcessOf) {
    this.#names = new Names(store);
    this.#posts = posts;
    this.#processOf = processOf;
  }

  /** Does what is said on its socket. */
  hear(said: Said): Promise<unknown> {
    if (said.what === "look") return this.refresh();
    const next = this.#refreshing.then(() => this.#hear(said));
    this.#refreshing = next;
    return next;
  }

  async #hear(said: Exclude<Said, { what: "look" }>): Promise<void> {
    this.#leave(said.container);
    const start = said.what === "serve" ? processStart(said.pid) : undefined;
    if (said.what === "serve" && start !== undefined)
      await this.#enter(said.container, { pid: said.pid, start });
    this.#write();
  }

  /** Listens where somebody may ask or connect and nowhere else, and says so; at how many places. One at a time. */
  refresh(): Promise<number> {
    const next = this.#refreshing.then(() => this.#refresh());
    this.#refreshing = next;
    return next;
  }

  async #refresh(): Promise<number> {
    const wanted = new Set(this.#names.gateways());
    for (const [address, listener] of this.#listeners) {
      if (wanted.has(address)) continue;
      end(listener);
      this.#listeners.delete(address);
    }
    for (const address of wanted)
      if (!this.#listeners.has(address)) {
        const asker: Who = (source) => this.#names.asker(address, source);
        const listener = await this.#listen({ hostname: address }, asker);
        if (listener) this.#listeners.set(address, listener);
      }
    const within = await this.#refreshWithin();
    const carried = await this.#refreshCarried();
    this.#write();
    return wanted.size + within + carried;
  }

  /** Says where it listens. */
  #write(): void {
    const temporary = `${this.#posts.ready}.new`;
    const places = [...this.#listeners.keys(), ...this.#within.keys(), ...this.#carried.keys(), ""];
    writeFileSync(temporary, places.join("\n"));
    renameSync(temporary, this.#posts.ready);
  }

  // ---- within containers

  async #refreshWithin(): Promise<number> {
    const wanted = this.#names.within();
    // The namespace of one that has ended would stay, and in it an interface with its address.
    for (const [container, { pid, start }] of this.#within)
      if (!wanted.has(container) || !isAlive(pid, start)) this.#leave(container);
    for (const container of wanted.keys()) {
      if (this.#within.has(container)) continue;
      const process = await this.#processOf(container);
      if (process && isAlive(process.pid, process.start)) await this.#enter(container, process);
    }
    return wanted.size;
  }

  async #enter(container: string, process: Process): Promise<void> {
    const sockets = socketsIn(process.pid, SERVER_BYTES, PORT);
    const listener = sockets && (await this.#listen(sockets, () => this.#names.within().get(container)));
    if (listener) this.#within.set(container, { ...listener, ...process });
  }

  #leave(container: string): void {
    const listener = this.#within.get(container);
    if (listener) end(listener);
    this.#within.delete(container);
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
      const { carryConnections, carryDatagrams } = await import("./carry.ts");
      const carry = port.protocol === "udp" ? carryDatagrams : carryConnections;
      const end = await carry(carriedAddress(port) ?? "", port);
      if (end) this.#carried.set(key, { port, end });
    }
    return wanted.size;
  }

  /** undefined: the bridge is not there (yet). */
  async #listen(place: Place, who: Who): Promise<Listener | undefined> {
    const there = "hostname" in place ? { ...place, port: PORT } : undefined;
    try {
      const tcp = Bun.listen<Peer>({
        ...(there ?? adopted(place, "tcp")),
        socket: {
          open: (socket) => this.#open(socket),
          data: (socket, data) => this.#tcp(who, socket, data),
          drain: (socket) => pay(socket),
          close: () => {
            this.#connections--;
          },
          timeout: (socket) => void socket.end(),
        },
      });
      try {
        const udp = await Bun.udpSocket({
          ...(there ?? adopted(place, "udp")),
          socket: {
            data: (socket, data, port, source) => this.#udp(who, socket, data, port, source),
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

  #udp(who: Who, socket: Udp, message: Uint8Array, port: number, source: string): void {
    const answer = this.#answer(who(source), message, "udp");
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

  #tcp(who: Who, socket: Socket<Peer>, data: Uint8Array): void {
    const peer = socket.data;
    peer.held = joined(peer.held, data);
    for (let next = frame(peer.held); next; next = frame(peer.held)) {
      peer.held = next.rest;
      const answer = this.#answer(who(socket.remoteAddress), next.message, "tcp");
      if (answer instanceof Uint8Array) {
        if (!owe(socket, answer)) return;
      } else if (answer) void answer.then((late) => owe(socket, late));
      else socket.end();
    }
    // What is left is little, and holds on to all that has come.
    peer.held = peer.held.slice();
  }

  // ---- answers

  /** No asker: nobody of ours, a stranger on the bridge or one that has ended. */
  #answer(
    asker: Asker | undefined,
    message: Uint8Array,
    way: Way,
  ): Uint8Array | Promise<Uint8Array> | undefined {
    const question = asker && read(message);
    if (!question) return undefined;
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

/** Sockets that are there already; Bun's types do not know that it takes them over. */
const adopted = (place: Place, which: "udp" | "tcp"): { readonly hostname: string; readonly port: number } =>
  ({ fd: (place as { readonly udp: number; readonly tcp: number })[which] }) as never;

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
export async function serve(
  store: Store,
  posts: Posts,
  processOf: ProcessOf,
  ready: () => void,
): Promise<boolean> {
  mkdirSync(posts.folder, { recursive: true, mode: 0o700 });
  const lock = openSync(posts.lock, "a", 0o600);
  if (!tryFlock(lock, LOCK_EX)) {
    closeSync(lock);
    return false;
  }
  const responder = new Responder(store, posts, processOf);
  rmSync(posts.socket, { force: true });
  // Whoever says something is answered when what they have written down has been seen.
  Bun.listen({
    unix: posts.socket,
    allowHalfOpen: true,
    socket: {
      data: (socket, said) =>
        void responder.hear(parseSaid(said.toString())).then(() => socket.end("ready\n")),
    },
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
