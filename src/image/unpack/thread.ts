/** A thread of threads.ts: loads what its role needs, says that it is up, gets its task, answers with what came of it. */
import { SampanError } from "../../common/error.ts";
import { type Answer, type InflateTask, newRing, type Role, TAKERS, type Task } from "./threads.ts";

declare const self: Worker;

const answer = (what: Answer): void => postMessage(what);

self.addEventListener("message", async ({ data }: MessageEvent<Role | Task>) => {
  if (typeof data === "object") {
    answer(data.do === "hash" ? hash(data.memory) : await inflate(data));
    return;
  }
  if (data === "inflate") await import("./inflate.ts");
  answer({});
});

function hash(memory: SharedArrayBuffer): Answer {
  const sum = new Bun.CryptoHasher("sha256");
  for (const piece of newRing(memory).pieces(TAKERS.hash)) sum.update(piece);
  return { digest: `sha256:${sum.digest("hex")}` };
}

async function inflate(task: InflateTask): Promise<Answer> {
  const { inflateInto } = await import("./inflate.ts");
  const ring = newRing(task.memory);
  try {
    inflateInto(ring, task);
    ring.end();
    return {};
  } catch (error) {
    ring.end();
    const { message, hint } = error as SampanError;
    return { message, ...(hint !== undefined && { hint }) };
  }
}
