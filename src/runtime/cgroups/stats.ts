/** What a container used, in one form for v1 and v2: bytes, nanoseconds, counts. */
import { readFileSync } from "../../kernel/fs.ts";
import { type CgroupHost, hierarchyOf, unifiedFolder } from "./host.ts";
import { field } from "./memory.ts";

export interface IoEntry {
  readonly major: number;
  readonly minor: number;
  readonly op: "read" | "write";
  readonly bytes: number;
  readonly operations: number;
}

export interface CgroupStats {
  readonly cpu: {
    readonly total: number;
    readonly user: number;
    readonly system: number;
    readonly perCpu?: readonly number[];
    readonly throttling: { readonly periods: number; readonly throttled: number; readonly time: number };
  };
  /** The whole machine's CPU time since boot, and how many CPUs are online. */
  readonly host: { readonly cpu: number; readonly cpus: number };
  readonly memory: {
    /** As the kernel counts it, page cache included. */
    readonly usage: number;
    /** The least needed part of the cache; `docker stats` shows usage without it. */
    readonly inactiveFile: number;
    /** -1: none. */
    readonly limit: number;
    readonly max: number;
    readonly failures: number;
    /** memory.stat as it is. */
    readonly stat: Readonly<Record<string, number>>;
  };
  readonly pids: { readonly current: number /** -1: none. */; readonly limit: number };
  readonly io: readonly IoEntry[];
}

const text = (path: string): string => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};
const number = (path: string): number => {
  const value = Number.parseInt(text(path), 10);
  return Number.isNaN(value) ? 0 : value;
};
const limit = (path: string): number => {
  const value = Number.parseInt(text(path), 10);
  // v1 says "no limit" with a number near 2^63, rounded down to pages.
  return Number.isNaN(value) || value >= 2 ** 62 ? -1 : value;
};

function pairs(content: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of content.split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) found[line.slice(0, space)] = Number(line.slice(space + 1));
  }
  return found;
}

/** USER_HZ is 100 in every ABI that Linux has here. */
const TICK = 10_000_000;

function hostCpu(): { cpu: number; cpus: number } {
  const stat = text("/proc/stat");
  const first = stat.slice(0, stat.indexOf("\n")).split(" ").filter(Boolean).slice(1, 9);
  let cpus = 0;
  for (let at = stat.indexOf("\ncpu"); at >= 0; at = stat.indexOf("\ncpu", at + 1)) cpus++;
  return { cpu: first.reduce((sum, ticks) => sum + Number(ticks), 0) * TICK, cpus: cpus || 1 };
}

export function readStats(host: CgroupHost, path: string): CgroupStats {
  const v1 = (controller: string): string | undefined => {
    const found = hierarchyOf(host, controller);
    return found && found.mount + path;
  };
  // Without a cgroup all of these are files that are not there.
  const unified = unifiedFolder(host, path) ?? "/dev/null";
  return {
    cpu: readCpu(v1("cpuacct"), v1("cpu"), unified),
    host: hostCpu(),
    memory: readMemory(v1("memory"), unified),
    pids: readPids(v1("pids") ?? unified),
    io: readIo(v1("blkio"), unified),
  };
}

function readCpu(cpuacct: string | undefined, cpu: string | undefined, unified: string): CgroupStats["cpu"] {
  const stat = pairs(text(`${cpu ?? unified}/cpu.stat`));
  const periods = stat["nr_periods"] ?? 0;
  const throttled = stat["nr_throttled"] ?? 0;
  if (cpuacct) {
    const ticks = pairs(text(`${cpuacct}/cpuacct.stat`));
    return {
      total: number(`${cpuacct}/cpuacct.usage`),
      user: (ticks["user"] ?? 0) * TICK,
      system: (ticks["system"] ?? 0) * TICK,
      perCpu: text(`${cpuacct}/cpuacct.usage_percpu`).trim().split(" ").filter(Boolean).map(Number),
      throttling: { periods, throttled, time: stat["throttled_time"] ?? 0 },
    };
  }
  return {
    total: (stat["usage_usec"] ?? 0) * 1000,
    user: (stat["user_usec"] ?? 0) * 1000,
    system: (stat["system_usec"] ?? 0) * 1000,
    throttling: { periods, throttled, time: (stat["throttled_usec"] ?? 0) * 1000 },
  };
}

function readMemory(v1: string | undefined, unified: string): CgroupStats["memory"] {
  if (v1) {
    const stat = pairs(text(`${v1}/memory.stat`));
    return {
      usage: number(`${v1}/memory.usage_in_bytes`),
      inactiveFile: stat["total_inactive_file"] ?? 0,
      limit: limit(`${v1}/memory.limit_in_bytes`),
      max: number(`${v1}/memory.max_usage_in_bytes`),
      failures: number(`${v1}/memory.failcnt`),
      stat,
    };
  }
  const stat = pairs(text(`${unified}/memory.stat`));
  return {
    usage: number(`${unified}/memory.current`),
    inactiveFile: stat["inactive_file"] ?? 0,
    limit: limit(`${unified}/memory.max`),
    max: number(`${unified}/memory.peak`),
    failures: field(text(`${unified}/memory.events`), "max") ?? 0,
    stat,
  };
}

const readPids = (folder: string): CgroupStats["pids"] => ({
  current: number(`${folder}/pids.current`),
  limit: limit(`${folder}/pids.max`),
});

function readIo(v1: string | undefined, unified: string): IoEntry[] {
  const entries: IoEntry[] = [];
  if (v1) {
    const operations = new Map<string, number>();
    const file = (name: string): string[] => text(`${v1}/blkio.throttle.${name}_recursive`).split("\n");
    for (const line of file("io_serviced")) {
      const [device, op, value] = line.split(" ");
      operations.set(`${device} ${op}`, Number(value));
    }
    for (const line of file("io_service_bytes")) {
      const [device = "", op, value] = line.split(" ");
      if (op !== "Read" && op !== "Write") continue;
      const [major = 0, minor = 0] = device.split(":").map(Number);
      const name = op === "Read" ? "read" : "write";
      entries.push({
        major,
        minor,
        op: name,
        bytes: Number(value),
        operations: operations.get(`${device} ${op}`) ?? 0,
      });
    }
    return entries;
  }
  for (const line of text(`${unified}/io.stat`).split("\n")) {
    const [device = "", ...rest] = line.split(" ");
    if (!device.includes(":")) continue;
    const [major = 0, minor = 0] = device.split(":").map(Number);
    const values: Record<string, number> = {};
    for (const word of rest) {
      const [key = "", value] = word.split("=");
      values[key] = Number(value);
    }
    entries.push({ major, minor, op: "read", bytes: values["rbytes"] ?? 0, operations: values["rios"] ?? 0 });
    entries.push({
      major,
      minor,
      op: "write",
      bytes: values["wbytes"] ?? 0,
      operations: values["wios"] ?? 0,
    });
  }
  return entries;
}

/** The files that the after column reads, from a container that still lives: for OOM detection at any time. */
export function readEvents(host: CgroupHost, path: string): Record<string, string> {
  const v1 = hierarchyOf(host, "memory");
  const folder = v1 ? v1.mount + path : unifiedFolder(host, path);
  const name = v1 ? "memory.oom_control" : "memory.events";
  return folder === undefined ? {} : { [name]: text(`${folder}/${name}`) };
}
