/** What looks at the whole machine, on one with many processes. No peer has anything like it. */
import { readdirSync } from "node:fs";
import { Containers } from "../containers.ts";
import { compare, contender } from "../sample.ts";
import { atMost, type Measure, type Row } from "./measure.ts";

const PROCESSES = 1000;

export const explain: Measure = {
  name: "explain",
  async rows(bench) {
    const { peers, scale, signal } = bench;
    const own = peers.find(({ name }) => name === "sampan");
    if (!own?.background) return [];
    const { program, background } = own;
    using stack = new DisposableStack();
    const [name = ""] = stack.use(await Containers.idle(background, 1, signal)).names;
    const count = PROCESSES / scale;
    stack.use(crowd(count - processes()));
    while (processes() < count) await Bun.sleep(10);
    const row = async (command: string[], title: string, budget: Row["budgets"][number]): Promise<Row> => {
      const { samples } = bench;
      const values = await compare([contender("sampan", [program, ...command])], { samples, signal });
      return { title, unit: "ms", values, samples, budgets: [budget] };
    };
    return [
      await row(["explain", name], `\`explain\` of a container, ${count} processes`, atMost(40, "ms")),
      await row(["doctor"], "`doctor`", atMost(1000, "ms")),
    ];
  },
};

/** Those that this process sees: the bench has a pid namespace of its own. */
const processes = (): number => readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length;

/** So many processes that do nothing, until the end of the scope. */
function crowd(count: number): Disposable {
  const sleepers = `i=0; while [ $i -lt ${count - 1} ]; do sleep 1000000 & i=$((i+1)); done; wait`;
  const child = Bun.spawn(["sh", "-c", sleepers], { stdio: ["ignore", "ignore", "inherit"], detached: true });
  return { [Symbol.dispose]: () => process.kill(-child.pid, "SIGKILL") };
}
