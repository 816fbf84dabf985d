/** pids: how many tasks. */
import type { Controller } from "./controller.ts";
import { put } from "./controller.ts";

export const pids: Controller = {
  name: "pids",
  v1: "pids",
  v2: "pids",
  limits: (place, { pids: r }) =>
    r === undefined || r.limit === 0
      ? []
      : [put(place, "pids", "pids.max", r.limit < 0 ? "max" : r.limit, "--pids-limit")],
};
