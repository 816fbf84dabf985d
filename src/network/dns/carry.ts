/** Carries what comes to a published port from where the kernel's rules cannot lead it (see ../carried.ts). */
import { createSocket, type Socket } from "node:dgram";
import { connect, createServer } from "node:net";
import { type Carried, carriedTo } from "../carried.ts";

/** What ends the carrying; undefined: the port could not be had. */
export type End = (() => void) | undefined;

/** Listens and carries both ways, each to its end. */
export function carryConnections(address: string, port: Carried): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const inside = connect({ ...carriedTo(port), allowHalfOpen: true });
    client.pipe(inside);
    inside.pipe(client);
    client.on("error", () => inside.destroy());
    inside.on("error", () => client.destroy());
  });
  server.on("error", () => resolve(undefined));
  server.listen({ host: address, port: port.port, ipv6Only: true }, () => resolve(() => void server.close()));
  return promise;
}

/** Who sends datagrams never says that he has done: milliseconds of silence for which he is known, as with Docker. */
const SILENCE = 90_000;
/** So many at once; from others nothing is carried meanwhile. */
const MOST = 1024;

interface Sender {
  readonly inside: Socket;
  heard: number;
}

/** Each sender has a socket of his own towards the container, by which its answers find back to him. */
export function carryDatagrams(address: string, port: Carried): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>();
  const senders = new Map<string, Sender>();
  const outside = createSocket({ type: "udp6", ipv6Only: true });
  const to = carriedTo(port);
  const meet = (from: string, number: number): Sender => {
    const inside = createSocket(to.host.includes(":") ? "udp6" : "udp4");
    inside.on("message", (answer) => outside.send(answer, number, from));
    // Nobody listens there (yet).
    inside.on("error", () => {});
    return { inside, heard: 0 };
  };
  outside.on("message", (datagram, { address: from, port: number }) => {
    const key = `${from} ${number}`;
    let sender = senders.get(key);
    if (!sender) {
      if (senders.size >= MOST) return;
      senders.set(key, (sender = meet(from, number)));
    }
    sender.heard = Date.now();
    sender.inside.send(datagram, to.port, to.host);
  });
  const forget = (silence: number): void => {
    for (const [key, { inside, heard }] of senders) {
      if (Date.now() - heard < silence) continue;
      senders.delete(key);
      inside.close();
    }
  };
  const sweep = setInterval(() => forget(SILENCE), SILENCE / 3);
  const end = (): void => {
    clearInterval(sweep);
    outside.close();
    forget(0);
  };
  outside.on("error", () => {
    end();
    resolve(undefined);
  });
  outside.bind(port.port, address, () => resolve(end));
  return promise;
}
