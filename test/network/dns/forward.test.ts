/** Questions that go on to other servers: here on addresses of the loopback, as a resolver of the host may be. */
import { afterEach, describe, expect, test } from "bun:test";
import packet from "dns-packet";
import { forward, framed, serversOf, type Way } from "../../../src/network/dns/forward.ts";
import { isRefusal, type Question, read } from "../../../src/network/dns/message.ts";

const PORT = 20054;
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const message = packet.encode({ type: "query", id: 77, questions: [{ type: "A", name: "example.org" }] });
const asked = read(message);
if (!asked || isRefusal(asked)) throw new Error("no question");
const question: Question = asked;

type Behaviour = (query: packet.DecodedPacket) => Buffer[];

const reply = (query: packet.Packet, address: string, more: packet.Packet = {}): Buffer =>
  packet.encode({
    type: "response",
    id: query.id ?? 0,
    questions: query.questions ?? [],
    answers: [{ type: "A", name: "example.org", ttl: 1, data: address }],
    ...more,
  });

async function udpServer(hostname: string, behaviour: Behaviour): Promise<void> {
  const socket = await Bun.udpSocket({
    hostname,
    port: PORT,
    socket: {
      data(socket, data, port, address) {
        for (const answer of behaviour(packet.decode(data))) socket.send(answer, port, address);
      },
    },
  });
  closing.push(() => socket.close());
}

async function ask(servers: readonly string[], way: Way = "udp"): Promise<packet.DecodedPacket | undefined> {
  const answer = await forward(question, message, way, servers, PORT);
  return answer && packet.decode(Buffer.from(answer));
}

const addressOf = (answer: packet.DecodedPacket | undefined): unknown =>
  (answer?.answers?.[0] as { data?: unknown } | undefined)?.data;

describe("by UDP", () => {
  test("the answer comes back with the asker's id, and went out with another", async () => {
    const ids: number[] = [];
    await udpServer("127.0.0.1", (query) => {
      ids.push(query.id ?? 0);
      return [reply(query, "1.1.1.1")];
    });
    const answers = [await ask(["127.0.0.1"]), await ask(["127.0.0.1"])];
    expect(answers.map((answer) => answer?.id)).toEqual([77, 77]);
    expect(ids[0]).not.toBe(ids[1]);
  });

  test("another server is asked where one fails, serves nobody, or is not there", async () => {
    await udpServer("127.0.0.1", (query) => [reply(query, "0.0.0.0", { flags: 2, answers: [] })]);
    await udpServer("127.0.0.2", (query) => [reply(query, "0.0.0.0", { flags: 5, answers: [] })]);
    await udpServer("127.0.0.4", (query) => [reply(query, "4.4.4.4")]);
    expect(addressOf(await ask(["127.0.0.1", "127.0.0.2", "127.0.0.4"]))).toBe("4.4.4.4");
    expect(addressOf(await ask(["127.0.0.3", "127.0.0.4"]))).toBe("4.4.4.4");
    // What the last one said is better than nothing.
    expect(await ask(["127.0.0.2"])).toHaveProperty("rcode", "REFUSED");
  });

  test("that a name does not exist is an answer", async () => {
    await udpServer("127.0.0.1", (query) => [reply(query, "0.0.0.0", { flags: 3, answers: [] })]);
    await udpServer("127.0.0.2", (query) => [reply(query, "2.2.2.2")]);
    expect(await ask(["127.0.0.1", "127.0.0.2"])).toHaveProperty("rcode", "NXDOMAIN");
  });

  test("what answers another question, or with another id, is not heard", async () => {
    await udpServer("127.0.0.1", (query) => [
      reply({ ...query, id: ((query.id ?? 0) + 1) & 0xffff }, "6.6.6.6"),
      reply({ ...query, questions: [{ type: "A", name: "evil.example" }] }, "6.6.6.6"),
      Buffer.from([1, 2, 3]),
      reply(query, "1.1.1.1"),
    ]);
    expect(addressOf(await ask(["127.0.0.1"]))).toBe("1.1.1.1");
  });
});

test("by TCP an answer may be large and come in pieces", async () => {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: PORT,
    socket: {
      async data(socket, data) {
        const query = packet.decode(data.subarray(2));
        const answers = Array.from({ length: 500 }, (_, i) => ({
          type: "TXT" as const,
          name: "example.org",
          ttl: 1,
          data: `number ${i}`,
        }));
        const bytes = framed(reply(query, "", { answers }));
        socket.write(bytes.subarray(0, 1));
        socket.flush();
        await Bun.sleep(5);
        socket.write(bytes.subarray(1, 3000));
        socket.flush();
        await Bun.sleep(5);
        socket.write(bytes.subarray(3000));
      },
    },
  });
  closing.push(() => server.stop(true));
  expect((await ask(["127.0.0.1"], "tcp"))?.answers).toHaveLength(500);
  expect(await ask(["127.0.0.2"], "tcp")).toBeUndefined();
});

test("the servers of a resolv.conf", () => {
  expect(
    serversOf("# nameserver 9.9.9.9\nsearch a\nnameserver 127.0.0.53\n nameserver\t::1 # local\n"),
  ).toEqual(["127.0.0.53", "::1"]);
});
