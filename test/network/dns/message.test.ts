/** DNS messages beside an independent implementation, and with anything at all in them. */
import { describe, expect, test } from "bun:test";
import packet from "dns-packet";
import * as fc from "fast-check";
import {
  type Answer,
  answers,
  isRefusal,
  type Question,
  RCODE,
  read,
  refuse,
  reply,
  reverseOf,
  TYPE,
  udpLimit,
} from "../../../src/network/dns/message.ts";

const question = (
  name: string,
  type: packet.RecordType = "A",
  additionals: packet.Packet["additionals"] = [],
) =>
  packet.encode({
    type: "query",
    id: 4711,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type, name }],
    additionals,
  });

function asked(bytes: Uint8Array): Question {
  const found = read(bytes);
  if (!found || isRefusal(found)) throw new Error("no question");
  return found;
}

const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const address = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe("a question", () => {
  test("is read as another implementation writes it", () => {
    fc.assert(
      fc.property(
        name,
        fc.constantFrom("A", "AAAA", "PTR", "TXT", "MX"),
        fc.boolean(),
        (name, type, edns) => {
          const opt = {
            type: "OPT",
            name: ".",
            udpPayloadSize: 1400,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          } as const;
          const found = asked(question(name, type as packet.RecordType, edns ? [opt as never] : []));
          expect(found.name).toBe(name.toLowerCase());
          expect(found.id).toBe(4711);
          expect(found.recursion).toBe(true);
          expect(found.edns).toBe(edns ? 1400 : undefined);
        },
      ),
    );
  });

  test("with a dot within a label, with none, of another class: it has no name of ours", () => {
    const odd = Uint8Array.from(question("a-b.c"));
    odd[14] = 0x2e;
    expect(asked(odd).name).toBeUndefined();
    expect(asked(question(".")).name).toBe("");
  });

  test("may be any bytes: it is read, refused or passed over, and what comes of it can be answered", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      // A real one with some bytes changed and its end cut off.
      fc
        .tuple(name, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }), fc.nat(80))
        .map(([name, changes, cut]) => {
          const real = Uint8Array.from(question(name));
          for (const [at, value] of changes) if (at < real.length) real[at] = value;
          return real.slice(0, Math.max(0, real.length - (cut > 40 ? 0 : cut)));
        }),
    );
    fc.assert(
      fc.property(bytes, (bytes) => {
        const found = read(bytes);
        if (!found) return;
        if (isRefusal(found)) {
          expect(refuse(found)).toHaveLength(12);
          return;
        }
        const answer: Answer = { type: TYPE.A, address: Uint8Array.of(1, 2, 3, 4) };
        const said = reply(found, { rcode: 0, answers: [answer], ttl: 1 }, udpLimit(found));
        expect(said.length).toBeLessThanOrEqual(udpLimit(found));
        expect(answers(said, found.id, found.section)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  test("that is none is refused by the code for it", () => {
    expect(read(new Uint8Array(11))).toBeUndefined();
    const answered = Uint8Array.from(question("a"));
    answered[2] = 0x81;
    expect(read(answered)).toBeUndefined();
    const update = Uint8Array.from(question("a"));
    update[2] = 5 << 3;
    expect(read(update)).toEqual({ id: 4711, rcode: RCODE.notImplemented });
    const two = Uint8Array.from(question("a"));
    two[5] = 2;
    expect(read(two)).toEqual({ id: 4711, rcode: RCODE.formatError });
    const pointer = Uint8Array.from([...question("a").subarray(0, 12), 0xc0, 12, 0, 1, 0, 1]);
    expect(read(pointer)).toEqual({ id: 4711, rcode: RCODE.formatError });
  });
});

describe("an answer", () => {
  test("is read by another implementation as it was meant", () => {
    fc.assert(
      fc.property(
        name,
        fc.array(address(4), { maxLength: 8 }),
        fc.array(address(16), { maxLength: 8 }),
        (name, four, six) => {
          const given: Answer[] = [
            ...four.map((address): Answer => ({ type: TYPE.A, address })),
            ...six.map((address): Answer => ({ type: TYPE.AAAA, address })),
          ];
          const said = packet.decode(
            Buffer.from(reply(asked(question(name)), { rcode: 0, answers: given, ttl: 5 }, 4096)),
          );
          expect(said.questions?.[0]?.name).toBe(name);
          expect(said.flag_aa && said.flag_qr && said.flag_ra && said.flag_rd && !said.flag_tc).toBe(true);
          const records = (said.answers ?? []) as { type: string; data: string; ttl: number }[];
          expect(records.map(({ type }) => type)).toEqual([...four.map(() => "A"), ...six.map(() => "AAAA")]);
          expect(records.filter(({ type }) => type === "A").map(({ data }) => data)).toEqual(
            four.map((bytes) => bytes.join(".")),
          );
        },
      ),
    );
  });

  test("that does not fit says so and keeps to the limit; by TCP it is whole", () => {
    const given = Array.from(
      { length: 100 },
      (_, i): Answer => ({ type: TYPE.A, address: Uint8Array.of(10, 0, 0, i) }),
    );
    const found = asked(question("many"));
    const short = packet.decode(
      Buffer.from(reply(found, { rcode: 0, answers: given, ttl: 5 }, udpLimit(found))),
    );
    expect(short.flag_tc).toBe(true);
    expect(short.answers?.length).toBe(30);
    const whole = packet.decode(Buffer.from(reply(found, { rcode: 0, answers: given, ttl: 5 }, 65535)));
    expect(whole.flag_tc).toBe(false);
    expect(whole.answers).toHaveLength(100);
  });

  test("to a question backwards is a name", () => {
    const found = asked(question("2.0.9.10.in-addr.arpa", "PTR"));
    const said = reply(found, { rcode: 0, answers: [{ type: TYPE.PTR, target: "web.front" }], ttl: 5 }, 512);
    expect(packet.decode(Buffer.from(said)).answers?.[0]).toMatchObject({ type: "PTR", data: "web.front" });
  });
});

test("names that stand for addresses", () => {
  expect(reverseOf("2.0.9.10.in-addr.arpa")).toEqual(Uint8Array.of(10, 9, 0, 2));
  expect(reverseOf("02.0.9.10.in-addr.arpa")).toBeUndefined();
  expect(reverseOf("256.0.9.10.in-addr.arpa")).toBeUndefined();
  expect(reverseOf("9.10.in-addr.arpa")).toBeUndefined();
  const zeros = "0.".repeat(31);
  expect(reverseOf(`1.${zeros}ip6.arpa`)?.[15]).toBe(1);
  expect(reverseOf(`g.${zeros}ip6.arpa`)).toBeUndefined();
});
