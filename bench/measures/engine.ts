/** A container through the library, with nothing to start but the container, against the fastest bare runtime. */
import { busyboxArchive } from "../../test/support/image.ts";
import { type Contender, compare, contender } from "../sample.ts";
import { atMostTimes, type Bench, type Measure } from "./measure.ts";

export const engine: Measure = {
  name: "engine",
  async rows(bench) {
    return [];
  },
};
