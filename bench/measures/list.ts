/** `ps` with many containers that run. */
import { Containers } from "../containers.ts";
import { compare, contender } from "../sample.ts";
import { atMost, type Bench, type Measure, type Row } from "./measure.ts";

/** All engines are asked at the first size; only sampan at the second, which takes the others minutes to set up. */
const COMMON = 200;
const LARGE = 500;
const BUDGET_MS = 12;

export const list: Measure = {
  name: "ps",
  async rows(bench) {
    return [
      await row(bench, COMMON / bench.scale, [atMost(BUDGET_MS, "ms")]),
      await row(
        { ...bench, peers: bench.peers.filter(({ name }) => name === "sampan") },
        LARGE / bench.scale,
        [],
      ),
    ];
  },
};

async function row(bench: Bench, count: number, budgets: Row["budgets"]): Promise<Row> {
  const { peers, samples, signal } = bench;
  using stack = new DisposableStack();
  const contenders = [];
  for (const { name, background, books } of peers) {
    if (!background || !books) continue;
    stack.use(await Containers.idle(background, count, signal));
    contenders.push(contender(name, books.list()));
  }
  const values = await compare(contenders, { samples, signal });
  return { title: `\`ps\` with ${count} containers`, unit: "ms", values, samples, budgets };
}
