/** What a user waits for most often: one short program in a new container, from the command line. */
import { compare, contender } from "../sample.ts";
import { atMostPart, atMostTimes, type Measure } from "./measure.ts";

const PAUSE = 60;

export const run: Measure = {
  name: "run",
  async rows({ peers, samples, signal }) {
    const contenders = peers.flatMap(({ name, run }) => (run ? [contender(name, run())] : []));
    const budgets = [atMostTimes(1.5, "crun"), atMostPart(15, "docker")];
    const busy = await compare(contenders, { samples, signal });
    const idle = await compare(contenders, { samples, signal, pause: PAUSE });
    return [
      { title: "`run --rm busybox true`", unit: "ms", values: busy, samples, budgets },
      { title: `the same, ${PAUSE} ms apart`, unit: "ms", values: idle, samples, budgets },
    ];
  },
};
