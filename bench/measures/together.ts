/** Many containers started at one moment, each by a command of its own: what queues, and behind what. */
import { concurrently } from "../command.ts";
import { Containers } from "../containers.ts";
import { type Medians, median, milliseconds } from "../sample.ts";
import { atMostPart, type Measure } from "./measure.ts";

export const together: Measure = {
  name: "together",
  async rows({ peers, slowSamples, scale, signal }) {
    const count = 100 / scale;
    const values: Medians = {};
    for (const { name, background } of peers) {
      if (!background) continue;
      const times: number[] = [];
      for (let sample = 0; sample < slowSamples; sample++) {
        signal.throwIfAborted();
        using containers = Containers.named(background, count);
        times.push(await milliseconds(() => concurrently(containers.commands())));
      }
      values[name] = median(times) / 1000;
    }
    const budgets = [atMostPart(8, "docker")];
    return [{ title: `${count} × \`run -d\` at once`, unit: "s", values, samples: slowSamples, budgets }];
  },
};
