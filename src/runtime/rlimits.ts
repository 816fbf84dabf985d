/** Resource limits: names of setrlimit(2) and their numbers, which are the same on x86_64 and aarch64. */
import { SampanError } from "../common/error.ts";
import type { Step } from "../launch/index.ts";
import type { SpecRlimit } from "./spec.ts";

export const RLIMITS: Readonly<Record<string, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
};

const INFINITY = 0xffffffffffffffffn;
/** JSON numbers above 2^63 have lost their last digits: all of them mean no limit. */
const value = (n: number): bigint => (n < 0 || n >= 2 ** 63 ? INFINITY : BigInt(n));

export function rlimitSteps(limits: readonly SpecRlimit[] | undefined): Step[] {
  const steps: Step[] = [];
  for (const limit of limits ?? []) {
    const name = limit.type.toLowerCase().replace("rlimit_", "");
    const resource = RLIMITS[name];
    if (resource === undefined) throw new SampanError("invalid", `invalid ulimit type: ${name}`);
    const soft = value(limit.soft);
    const hard = value(limit.hard);
    if (soft > hard)
      throw new SampanError("invalid", `ulimit soft limit must be less than or equal to hard limit: ${name}`);
    steps.push({
      call: "rlimit",
      column: "inside",
      why: limit.nearest ? `default ulimit ${name}` : `--ulimit ${name}`,
      resource,
      soft,
      hard,
      ...(limit.nearest ? { nearest: true } : {}),
    });
  }
  return steps;
}
