/**
 * The second plank, as the kernel has it: where the process is in each hierarchy, what bounds it there and how near it is
 * to that. Every line names its file, so that one can go and look.
 */

import type { ContainerConfig } from "../container/index.ts";
import { readdirSync, readFileSync } from "../kernel/fs.ts";
import { parseCgroup, procFile } from "../kernel/proc.ts";
import { type CgroupHost, parseCgroupMounts } from "../runtime/index.ts";
import type { CgroupPlace, Cgroups, LimitLine, Pressure } from "./types.ts";

/** The caller's rights play no part in reading: all that is mounted counts. */
export const readMounts = (): CgroupHost => parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));

export function cgroupPlaces(pid: number, host: CgroupHost): CgroupPlace[] {
  return parseCgroup(procFile(pid, "cgroup") ?? "").flatMap(({ controllers, path }): CgroupPlace[] => {
    if (controllers.length === 0)
      return host.unified === undefined ? [] : [{ hierarchy: "v2", path, folder: join(host.unified, path) }];
    const mounted = host.hierarchies.find((each) =>
      controllers.every((name) => each.controllers.includes(name)),
    );
    return mounted ? [{ hierarchy: controllers.join(","), path, folder: join(mounted.mount, path) }] : [];
  });
}

const join = (mount: string, path: string): string => (path === "/" ? mount : mount + path);

const text = (path: string): string | undefined => {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return undefined;
  }
};

/** `max`, `-1` and v1's number near 2^63 are all no limit. */
function limitOf(value: string): number | null {
  const number = Number.parseInt(value, 10);
  return Number.isNaN(number) || number < 0 || number >= 2 ** 62 ? null : number;
}

const numberIn = (path: string): number | undefined => {
  const value = Number.parseInt(text(path) ?? "", 10);
  return Number.isNaN(value) ? undefined : value;
};

/** The value of `key` in a file of `key value` lines. */
function field(content: string | undefined, key: string): number | undefined {
  const found = new RegExp(`^${key} (\\d+)$`, "m").exec(content ?? "")?.[1];
  return found === undefined ? undefined : Number(found);
}

type Resources = ContainerConfig["resources"];

/** One limit in each version: its file, where the present value and the peak are, and the flag that sets it. */
interface Kind {
  readonly what: string;
  readonly unit: LimitLine["unit"];
  readonly v1?: readonly [controller: string, file: string, now?: string, peak?: string];
  readonly v2?: readonly [file: string, now?: string, peak?: string];
  readonly flag: string;
  readonly asked: (resources: Resources) => unknown;
  /** Shown also where nothing is limited. */
  readonly always?: true;
}

const KINDS: readonly Kind[] = [
  {
    what: "memory",
    unit: "bytes",
    v1: ["memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes"],
    v2: ["memory.max", "memory.current", "memory.peak"],
    flag: "--memory",
    asked: (r) => r.memory,
    always: true,
  },
  {
    what: "memory and swap",
    unit: "bytes",
    v1: [
      "memory",
      "memory.memsw.limit_in_bytes",
      "memory.memsw.usage_in_bytes",
      "memory.memsw.max_usage_in_bytes",
    ],
    flag: "--memory-swap",
    asked: (r) => r.memorySwap ?? r.memory,
  },
  {
    what: "swap",
    unit: "bytes",
    v2: ["memory.swap.max", "memory.swap.current", "memory.swap.peak"],
    flag: "--memory-swap",
    asked: (r) => r.memorySwap ?? r.memory,
  },
  {
    what: "memory, wanted",
    unit: "bytes",
    v1: ["memory", "memory.soft_limit_in_bytes"],
    flag: "--memory-reservation",
    asked: (r) => r.memoryReservation,
  },
  { what: "memory, slowed at", unit: "bytes", v2: ["memory.high"], flag: "", asked: () => undefined },
  {
    what: "processes",
    unit: "count",
    v1: ["pids", "pids.max", "pids.current", "pids.peak"],
    v2: ["pids.max", "pids.current", "pids.peak"],
    flag: "--pids-limit",
    asked: (r) => r.pidsLimit,
    always: true,
  },
];

/** The flag that somebody gave, where another one's file was written for it as well. */
export function askedBy(flag: string, { memorySwap, nanoCpus, cpuQuota, cpuPeriod }: Resources): string {
  if (flag === "--memory-swap") return memorySwap === undefined ? "--memory" : flag;
  if (flag === "--cpu-period" && cpuPeriod !== undefined) return flag;
  if (flag !== "--cpus" && flag !== "--cpu-period") return flag;
  return nanoCpus === undefined && cpuQuota !== undefined ? "--cpu-quota" : "--cpus";
}

export function cgroups(places: readonly CgroupPlace[], resources: Resources | undefined): Cgroups {
  const v2 = places.find(({ hierarchy }) => hierarchy === "v2")?.folder;
  const v1 = (controller: string): string | undefined =>
    places.find(({ hierarchy }) => hierarchy.split(",").includes(controller))?.folder;
  const flag = (name: string, asked: unknown): { flag?: string } =>
    name !== "" && asked !== undefined && asked !== 0 && asked !== ""
      ? { flag: askedBy(name, resources ?? {}) }
      : {};

  const limits: LimitLine[] = [];
  for (const kind of KINDS) {
    const old = kind.v1 && v1(kind.v1[0]);
    const [folder, file, now, peak] =
      old !== undefined && kind.v1
        ? [old, kind.v1[1], kind.v1[2], kind.v1[3]]
        : kind.v2
          ? [v2, ...kind.v2]
          : [undefined];
    if (folder === undefined || file === undefined) continue;
    const value = text(`${folder}/${file}`);
    const used = now === undefined ? undefined : numberIn(`${folder}/${now}`);
    const most = peak === undefined ? undefined : numberIn(`${folder}/${peak}`);
    // The root of a tree has no limit, but may say what is used.
    if (value === undefined && (used === undefined || !kind.always)) continue;
    const limit = limitOf(value ?? "max");
    if (limit === null && !kind.always) continue;
    limits.push({
      what: kind.what,
      unit: kind.unit,
      limit,
      ...(used === undefined ? {} : { now: used }),
      ...(most === undefined ? {} : { peak: most }),
      file: `${folder}/${value === undefined ? now : file}`,
      ...(limit === null ? {} : flag(kind.flag, resources && kind.asked(resources))),
    });
  }
  const cpu = v1("cpu") ?? v2;
  limits.push(
    ...cpuLimits(cpu, v1("cpu") !== undefined, v1("cpuacct"), (name, asked) =>
      flag(name, resources && asked(resources)),
    ),
  );
  const cpuset = v1("cpuset") ?? v2;
  if (cpuset !== undefined)
    for (const [what, name, asked] of [
      ["processors", "cpus", resources?.cpusetCpus],
      ["memory nodes", "mems", resources?.cpusetMems],
    ] as const) {
      const set = text(`${cpuset}/cpuset.${name}`);
      const effective =
        text(`${cpuset}/cpuset.${name}.effective`) ?? text(`${cpuset}/cpuset.effective_${name}`);
      if (!set || (name === "mems" && !asked)) continue;
      limits.push({
        what,
        unit: "list",
        limit: set,
        ...(effective ? { now: effective } : {}),
        file: `${cpuset}/cpuset.${name}`,
        ...flag(`--cpuset-${name}`, asked),
      });
    }
  limits.push(...hugeLimits(v1("hugetlb"), v2));
  limits.push(...ioLimits(v1("blkio"), v2, resources ?? {}, flag));

  const stat = cpu === undefined ? undefined : text(`${cpu}/cpu.stat`);
  const periods = field(stat, "nr_periods");
  return {
    places,
    limits,
    ...(periods !== undefined && limits.some(({ what, limit }) => what === "cpu time" && limit !== null)
      ? {
          throttling: {
            periods,
            throttled: field(stat, "nr_throttled") ?? 0,
            time: field(stat, "throttled_usec") ?? Math.round((field(stat, "throttled_time") ?? 0) / 1000),
            file: `${cpu}/cpu.stat`,
          },
        }
      : {}),
    pressure: v2 === undefined ? [] : pressures(v2),
    events: events(v1("memory"), v1("pids"), v2),
    frozen:
      (v2 !== undefined && text(`${v2}/cgroup.freeze`) === "1") ||
      text(`${v1("freezer") ?? "/dev/null"}/freezer.state`) === "FROZEN",
  };
}

/** In processors: a quota of 50,000 in periods of 100,000 microseconds is half a one. The use is seconds of CPU time. */
function cpuLimits(
  folder: string | undefined,
  old: boolean,
  accounts: string | undefined,
  flag: (name: string, asked: (r: Resources) => unknown) => { flag?: string },
): LimitLine[] {
  if (folder === undefined) return [];
  const lines: LimitLine[] = [];
  const file = `${folder}/${old ? "cpu.cfs_quota_us" : "cpu.max"}`;
  const value = text(file);
  const [quota = "", period = "100000"] = old
    ? [value ?? "", text(`${folder}/cpu.cfs_period_us`) ?? ""]
    : (value ?? "").split(" ");
  const limit = limitOf(quota);
  const used =
    (accounts !== undefined ? (numberIn(`${accounts}/cpuacct.usage`) ?? 0) / 1000 : undefined) ??
    field(text(`${folder}/cpu.stat`), "usage_usec");
  if (value !== undefined || used !== undefined)
    lines.push({
      what: "cpu time",
      unit: "cpus",
      limit: limit === null ? null : limit / Number(period),
      ...(used === undefined ? {} : { now: `${(used / 1e6).toFixed(used < 1e5 ? 3 : 1)} s` }),
      file: value === undefined ? `${accounts ?? folder}/${accounts ? "cpuacct.usage" : "cpu.stat"}` : file,
      ...(limit === null ? {} : flag("--cpus", (r) => r.nanoCpus ?? r.cpuQuota)),
    });
  const weight = `${folder}/${old ? "cpu.shares" : "cpu.weight"}`;
  const share = text(weight);
  if (share !== undefined && share !== (old ? "1024" : "100"))
    lines.push({
      what: "cpu weight",
      unit: "weight",
      limit: Number(share),
      file: weight,
      ...flag("--cpu-shares", (r) => r.cpuShares),
    });
  return lines;
}

/** Huge pages have a limit for each of their sizes; only a specification sets one. */
function hugeLimits(v1: string | undefined, v2: string | undefined): LimitLine[] {
  const folder = v1 ?? v2;
  if (folder === undefined) return [];
  const [max, current, peak] =
    v1 === undefined
      ? ["max", "current", "peak"]
      : ["limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes"];
  return pageSizes().flatMap((size): LimitLine[] => {
    const file = (what: string): string => `${folder}/hugetlb.${size}.${what}`;
    const value = text(file(max));
    const limit = limitOf(value ?? "max");
    const now = numberIn(file(current));
    if (value === undefined || (limit === null && !now)) return [];
    const most = numberIn(file(peak));
    return [
      {
        what: `huge pages of ${size}`,
        unit: "bytes",
        limit,
        ...(now === undefined ? {} : { now }),
        ...(most === undefined ? {} : { peak: most }),
        file: file(max),
      },
    ];
  });
}

/** As cgroups call them: `2MB` where the kernel's folder is `hugepages-2048kB`. */
function pageSizes(): string[] {
  const sizes: string[] = [];
  try {
    for (const name of readdirSync("/sys/kernel/mm/hugepages")) {
      const kilobytes = Number.parseInt(name.slice("hugepages-".length), 10);
      const power = kilobytes >= 1 << 20 ? 2 : kilobytes >= 1 << 10 ? 1 : 0;
      sizes.push(`${kilobytes / 1024 ** power}${["KB", "MB", "GB"][power]}`);
    }
  } catch {
    // A kernel without them.
  }
  return sizes;
}

const THROTTLES = [
  ["read_bps_device", "rbps", "disk, read", "--device-read-bps", "deviceReadBps"],
  ["write_bps_device", "wbps", "disk, write", "--device-write-bps", "deviceWriteBps"],
  ["read_iops_device", "riops", "disk reads", "--device-read-iops", "deviceReadIops"],
  ["write_iops_device", "wiops", "disk writes", "--device-write-iops", "deviceWriteIops"],
] as const;

function ioLimits(
  blkio: string | undefined,
  v2: string | undefined,
  resources: Resources,
  flag: (name: string, asked: unknown) => { flag?: string },
): LimitLine[] {
  const lines: LimitLine[] = [];
  const folder = blkio ?? v2;
  if (folder === undefined) return lines;
  for (const [old, key, what, name, member] of THROTTLES) {
    const file = blkio === undefined ? `${folder}/io.max` : `${folder}/blkio.throttle.${old}`;
    for (const line of (text(file) ?? "").split("\n")) {
      const [device = "", ...rest] = line.split(" ");
      const value =
        blkio === undefined
          ? rest.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1)
          : rest[0];
      if (device === "" || value === undefined || value === "max") continue;
      lines.push({
        what: `${what} ${device}`,
        unit: "rate",
        limit: `${value}/s`,
        file,
        ...flag(name, resources[member]),
      });
    }
  }
  return lines;
}

function pressures(folder: string): Pressure[] {
  return (["cpu", "memory", "io"] as const).flatMap((resource): Pressure[] => {
    const file = `${folder}/${resource}.pressure`;
    const content = text(file);
    const average = (kind: string): number | undefined => {
      const found = new RegExp(`^${kind} avg10=([\\d.]+)`, "m").exec(content ?? "")?.[1];
      return found === undefined ? undefined : Number(found);
    };
    const some = average("some");
    const full = average("full");
    return some === undefined ? [] : [{ resource, some, ...(full === undefined ? {} : { full }), file }];
  });
}

function events(
  memory: string | undefined,
  pids: string | undefined,
  v2: string | undefined,
): Cgroups["events"] {
  const found: { what: string; count: number; file: string }[] = [];
  const add = (what: string, count: number | undefined, file: string): void => {
    if (count !== undefined) found.push({ what, count, file });
  };
  if (memory !== undefined) {
    const control = `${memory}/memory.oom_control`;
    add("processes killed for want of memory", field(text(control), "oom_kill"), control);
    add("times at the memory limit", numberIn(`${memory}/memory.failcnt`), `${memory}/memory.failcnt`);
  } else if (v2 !== undefined) {
    const file = `${v2}/memory.events`;
    const content = text(file);
    add("processes killed for want of memory", field(content, "oom_kill"), file);
    add("times at the memory limit", field(content, "max"), file);
    add("times slowed down for memory", field(content, "high"), file);
  }
  const forks = pids ?? v2;
  if (forks !== undefined)
    add(
      "forks refused by the process limit",
      field(text(`${forks}/pids.events`), "max"),
      `${forks}/pids.events`,
    );
  return found;
}
