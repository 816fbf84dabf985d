/** Changes of what all containers share: one process at a time, by plans that have no container. */

import { SampanError } from "../common/error.ts";
import { errnoName, errnoText } from "../kernel/errno.ts";
import { flock, LOCK_EX } from "../kernel/flock.ts";
import { closeSync, openSync, readFileSync } from "../kernel/fs.ts";
import { NETLINK, NetlinkWriter } from "../kernel/netlink.ts";
import { launchNow, type Step } from "../launch/index.ts";
import type { Place } from "./attach.ts";

/** One process at a time changes what all containers share. */
export function alone<T>({ paths }: Place, work: () => T): T {
  const fd = openSync(`${paths.root}/network.lock`, "a", 0o600);
  try {
    return flock(fd, LOCK_EX, work);
  } finally {
    closeSync(fd);
  }
}

/** Interfaces of this network namespace. /sys/class/net shows that of whoever mounted it. */
export function interfaces(): Set<string> {
  const found = new Set<string>();
  for (const line of readFileSync("/proc/net/dev", "latin1").split("\n").slice(2)) {
    const name = line.slice(0, line.indexOf(":")).trim();
    if (name !== "") found.add(name);
  }
  return found;
}

/** A step of such a plan. */
export const outside = (call: object, optional = false): Step =>
  ({ ...call, column: "outside", why: "network", ...(optional ? { optional } : {}) }) as Step;

/** One that sets a switch of the network's, below /proc/sys/net. */
export const sysctl = (name: string, data: string, optional = false): Step =>
  outside({ call: "write", path: `/proc/sys/net/${name}`, data }, optional);

/** One that sends what `write` writes to rtnetlink; what it returns the launcher fills in. */
export const route = (write: (w: NetlinkWriter) => object | void, optional = false): Step => {
  const w = new NetlinkWriter();
  const fill = write(w);
  const call = { call: "netlink", protocol: NETLINK.route, messages: w.done() };
  return outside(fill ? { ...call, fill } : call, optional);
};

/** Runs steps that only change the kernel; the first that failed is an error that says what it was. */
export function perform(place: Place, steps: readonly Step[], what: string): void {
  if (steps.length === 0) return;
  const report = launchNow(steps, place.paths.root);
  if (report.ok) return;
  const errno = report.errno ?? 0;
  const detail = report.detail ? ` (${report.detail})` : "";
  throw new SampanError(
    "refused",
    `${what}: ${describe(steps[report.failed ?? -1])}: ${errnoText(errno)}${detail}`,
    {
      kernel: { syscall: steps[report.failed ?? -1]?.call ?? "launcher", errno: errnoName(errno) },
      hint: "`sampan doctor` tries what networks need of this kernel, part by part.",
    },
  );
}

function describe(step: Step | undefined): string {
  if (step?.call === "write") return `writing ${step.path}`;
  if (step?.call !== "netlink") return "the launcher";
  return step.protocol === NETLINK.netfilter ? "the nf_tables table" : "an interface";
}
