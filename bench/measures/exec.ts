/** A second process in a container that runs. */
import { Containers } from "../containers.ts";
import { compare, contender } from "../sample.ts";
import { atMostPart, atMostTimes, type Measure } from "./measure.ts";

export const exec: Measure = {
  name: "exec",
  async rows({ peers, samples, signal }) {
    using stack = new DisposableStack();
    const contenders = [];
    for (const { name, background } of peers) {
      if (!background) continue;
      const [id = ""] = stack.use(await Containers.idle(background, 1, signal)).names;
      contenders.push(contender(name, background.exec(id)));
    }
    const values = await compare(contenders, { samples, signal });
    const budgets = [atMostTimes(1, "crun"), atMostPart(10, "docker")];
    return [{ title: "`exec … true`", unit: "ms", values, samples, budgets }];
  },
};
