/**
 * Questions about the world go to the host's resolvers, from the host's own network: so one on the host's loopback can be
 * asked too. Each question has a socket and an id of its own, which an answer from elsewhere would have to guess.
 */
import { readFileSync } from "node:fs";
import { answers, type Question, RCODE, rcodeOf } from "./message.ts";

const PORT = 53;
/** Milliseconds that one server has; the usual asker tries again after five seconds. */
const PATIENCE = 2000;
const MOST_SERVERS = 3;
/** Questions under way; more are refused, so that a flood ends here. */
const MOST = 1024;
let under = 0;

/** The servers of a resolv.conf, in its order. */
export function serversOf(resolv: string): string[] {
  const found: string[] = [];
  for (const line of resolv.split("\n")) {
    const match = /^\s*nameserver\s+(\S+)/.exec(line);
    if (match?.[1]) found.push(match[1]);
  }
  return found;
}

export function hostServers(path = "/etc/resolv.conf"): string[] {
  try {
    return serversOf(readFileSync(path, "utf8"));
  } catch {
    return [];
  }
}

export type Way = "udp" | "tcp";

/** The first useful answer of the servers, as it came but for the id; undefined: there was none. */
export async function forward(
  question: Question,
  message: Uint8Array,
  way: Way,
  servers: readonly string[],
  port = PORT,
): Promise<Uint8Array | undefined> {
  if (under >= MOST) return undefined;
  under++;
  let last: Uint8Array | undefined;
  try {
    for (const server of servers.slice(0, MOST_SERVERS)) {
      const answer = await ask(question, message, way, server, port);
      if (!answer) continue;
      last = answer;
      // Another server may know better than one that failed or does not serve us.
      const rcode = rcodeOf(answer);
      if (rcode === RCODE.noError || rcode === RCODE.nameError) break;
    }
    return last;
  } finally {
    under--;
  }
}

async function ask(
  question: Question,
  message: Uint8Array,
  way: Way,
  server: string,
  port: number,
): Promise<Uint8Array | undefined> {
  const [id = 0] = crypto.getRandomValues(new Uint16Array(1));
  const sent = Uint8Array.from(message);
  new DataView(sent.buffer).setUint16(0, id);
  const answer = await (way === "udp" ? askUdp : askTcp)(sent, server, port, (bytes) =>
    answers(bytes, id, question.section),
  ).catch(() => undefined);
  if (!answer) return undefined;
  new DataView(answer.buffer, answer.byteOffset).setUint16(0, question.id);
  return answer;
}

type Fits = (bytes: Uint8Array) => boolean;

async function askUdp(
  message: Uint8Array,
  hostname: string,
  port: number,
  fits: Fits,
): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const socket = await Bun.udpSocket({
    connect: { hostname, port },
    socket: {
      data: (_, data) => {
        if (fits(data)) resolve(Uint8Array.from(data));
      },
      error: () => resolve(undefined),
    },
  });
  const timer = setTimeout(() => resolve(undefined), PATIENCE);
  try {
    if (!socket.send(message)) return undefined;
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

async function askTcp(
  message: Uint8Array,
  hostname: string,
  port: number,
  fits: Fits,
): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  let held = new Uint8Array(0);
  const socket = await Bun.connect({
    hostname,
    port,
    socket: {
      data: (_, data) => {
        held = joined(held, data);
        const whole = frame(held);
        if (whole) resolve(fits(whole.message) ? Uint8Array.from(whole.message) : undefined);
      },
      close: () => resolve(undefined),
      error: () => resolve(undefined),
    },
  });
  const timer = setTimeout(() => resolve(undefined), PATIENCE);
  try {
    socket.write(framed(message));
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.end();
  }
}

// ---- DNS over TCP: each message has its length in front, two bytes (RFC 7766)

export function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(message.length + 2);
  new DataView(bytes.buffer).setUint16(0, message.length);
  bytes.set(message, 2);
  return bytes;
}

export function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

/** A copy of the first whole message of a stream, and what is behind it, in place: copying that too for each is quadratic. */
export function frame(
  bytes: Uint8Array<ArrayBuffer>,
): { readonly message: Uint8Array; readonly rest: Uint8Array<ArrayBuffer> } | undefined {
  if (bytes.length < 2) return undefined;
  const length = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  if (bytes.length < 2 + length) return undefined;
  return { message: bytes.slice(2, 2 + length), rest: bytes.subarray(2 + length) };
}
