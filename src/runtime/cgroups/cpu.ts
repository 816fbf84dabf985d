/** cpu: shares (weight), quota and period (bandwidth). v2 names: kernel's cgroup-v2.rst, "CPU". */
import type { Controller, Write } from "./controller.ts";
import { put } from "./controller.ts";

/**
 * Shares 2…262144 → weight 1…10000. The curve goes through (2, 1), (1024, 100) and (262144, 10000), so that the
 * default of one is the default of the other; the straight line of earlier runtimes made 1024 shares a weight of 39.
 */
export function weightOfShares(shares: number): number {
  if (shares === 0) return 0;
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const l = Math.log2(shares);
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34));
}

export const cpu: Controller = {
  name: "cpu",
  v1: "cpu",
  v2: "cpu",
  limits(place, { cpu: r }) {
    const writes: Write[] = [];
    if (r === undefined) return writes;
    const add = (file: string, data: string | number, flag: string): void => {
      writes.push(put(place, "cpu", file, data, flag));
    };
    if (place.version === 2) {
      if (r.idle !== undefined) add("cpu.idle", r.idle, "cpu.idle");
      if (r.shares) add("cpu.weight", weightOfShares(r.shares), "--cpu-shares");
      if (r.quota !== undefined || r.period) {
        const quota = r.quota !== undefined && r.quota > 0 ? r.quota : "max";
        add("cpu.max", `${quota} ${r.period || 100000}`, r.quota === undefined ? "--cpu-period" : "--cpus");
      }
      if (r.burst !== undefined) add("cpu.max.burst", r.burst, "cpu.burst");
      return writes;
    }
    if (r.shares) add("cpu.shares", r.shares, "--cpu-shares");
    if (r.idle !== undefined) add("cpu.idle", r.idle, "cpu.idle");
    // The period first: a quota that a parent allows may be too much for the old period.
    if (r.period) add("cpu.cfs_period_us", r.period, r.quota ? "--cpus" : "--cpu-period");
    if (r.quota) add("cpu.cfs_quota_us", r.quota, "--cpus");
    if (r.burst !== undefined) add("cpu.cfs_burst_us", r.burst, "cpu.burst");
    if (r.realtimePeriod) add("cpu.rt_period_us", r.realtimePeriod, "--cpu-rt-period");
    if (r.realtimeRuntime) add("cpu.rt_runtime_us", r.realtimeRuntime, "--cpu-rt-runtime");
    return writes;
  },
};
