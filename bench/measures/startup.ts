/** What a command costs before it does anything: each executable, and of sampan's the runtime alone. */
import { compare, contender } from "../sample.ts";
import type { Measure } from "./measure.ts";

export const startup: Measure = {
  name: "startup",
  async rows({ peers, samples, signal }) {
    const programs = peers.map(({ name, program }) => contender(name, [program, "--version"]));
    const runtime = [contender("sampan", [process.execPath, "--eval", "0"])];
    return [
      {
        title: "`--version`",
        unit: "ms",
        values: await compare(programs, { samples, signal }),
        samples,
        budgets: [],
      },
      {
        title: "an empty program in Bun",
        unit: "ms",
        values: await compare(runtime, { samples, signal }),
        samples,
        budgets: [],
      },
    ];
  },
};
