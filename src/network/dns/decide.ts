/** A question and who asks it → an answer, or whom to ask instead. Docker's rules, but that what is known never leaves. */
import { type Answer, isInternet, type Question, RCODE, type Reply, reverseOf, TYPE } from "./message.ts";
import { type Asker, addressesOf, ownerOf } from "./zone.ts";

/** Seconds. A container that starts again may have another address. */
const TTL = 5;

export type Decision = { readonly reply: Reply } | "forward";

const say = (rcode: number, answers: readonly Answer[] = []): Decision => ({
  reply: { rcode, answers, ttl: TTL },
});

/** `turn` counts questions: who shares a name is named first in turns. `ndots`: single words are not for the world. */
export function decide(question: Question, asker: Asker, turn: number, ndots: () => boolean): Decision {
  const { name, type } = question;
  // Nobody of ours is called so, whatever it is. But it is a question, which may be the way out for what it says.
  const elsewhere = asker.leadsOut ? "forward" : say(RCODE.serverFailure);
  if (name === undefined || !isInternet(question)) return elsewhere;
  const found = addressesOf(asker, name);
  if (found) return say(RCODE.noError, answersOf(found, type, turn));
  const address = type === TYPE.PTR ? reverseOf(name) : undefined;
  const owner = address && ownerOf(asker, address);
  if (owner !== undefined) return say(RCODE.noError, [{ type: TYPE.PTR, target: owner }]);
  const single = (type === TYPE.A || type === TYPE.AAAA) && !name.includes(".");
  if (single && ndots()) return say(RCODE.noError);
  return elsewhere;
}

/** A name that exists has no other records than addresses; those of the other family are no error. */
function answersOf(
  found: readonly { readonly ipv4: Uint8Array | undefined; readonly ipv6: Uint8Array | undefined }[],
  type: number,
  turn: number,
): Answer[] {
  const answers: Answer[] = [];
  for (let i = 0; i < found.length; i++) {
    const each = found[(i + turn) % found.length];
    if (each?.ipv4 && (type === TYPE.A || type === TYPE.ANY))
      answers.push({ type: TYPE.A, address: each.ipv4 });
    if (each?.ipv6 && (type === TYPE.AAAA || type === TYPE.ANY))
      answers.push({ type: TYPE.AAAA, address: each.ipv6 });
  }
  return answers;
}
