/** What is answered, what is sent on and what is not, to the letter of the message: a question is a way out too. */
import { expect, test } from "bun:test";
import { decide } from "../../../src/network/dns/decide.ts";
import { isRefusal, read } from "../../../src/network/dns/message.ts";

/** One label and `example`. */
function ask(label: number[], type: number, klass: number, leadsOut: boolean): number | "forward" {
  const name = [label.length, ...label, 7, ...Buffer.from("example"), 0];
  const question = read(Uint8Array.of(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name, 0, type, 0, klass));
  if (!question || isRefusal(question)) throw new Error("not a question");
  const asker = { container: "c", leadsOut, networks: [], links: new Map() };
  const decision = decide(question, asker, 0, () => false);
  return decision === "forward" ? decision : decision.reply.rcode;
}

const LOOT = [...Buffer.from("loot")];
const questions: [what: string, label: number[], type: number, klass: number][] = [
  ["another's address", LOOT, 1, 1],
  ["its text", LOOT, 16, 1],
  ["one of class CH", LOOT, 16, 3],
  ["one of any class", LOOT, 1, 255],
  ["a label with a dot", [0x6c, 0x2e, 0x74], 1, 1],
  ["a label with a NUL", [0x6c, 0, 0x74], 1, 1],
];
for (const [what, label, type, klass] of questions)
  test(`${what} is asked for whoever asks at a way out, and for nobody else`, () => {
    expect(ask(label, type, klass, true)).toBe("forward");
    expect(ask(label, type, klass, false)).toBe(2);
  });
