/** The second plank: which hierarchies there are, whether a cgroup can be made in each, and which limits they offer. */
import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import {
  type CgroupHost,
  cgroupFolders,
  hierarchyOf,
  readCgroupHost,
  removeCgroup,
  unifiedFolder,
} from "../../runtime/index.ts";
import { attempt, isRootless, outside } from "./attempt.ts";
import { fact } from "./facts.ts";
import type { Finding } from "./types.ts";

interface Controller {
  readonly name: string;
  readonly v1: string;
  readonly v2: string;
  readonly costs: string;
}

const CONTROLLERS: readonly Controller[] = [
  { name: "memory", v1: "memory", v2: "memory", costs: "--memory, and the figure in stats" },
  { name: "cpu", v1: "cpu", v2: "cpu", costs: "--cpus, --cpu-shares" },
  { name: "pids", v1: "pids", v2: "pids", costs: "--pids-limit" },
  { name: "cpuset", v1: "cpuset", v2: "cpuset", costs: "--cpuset-cpus, --cpuset-mems" },
  { name: "io", v1: "blkio", v2: "io", costs: "--device-read-bps and its like, --blkio-weight" },
];

const WORDS = {
  v1: "version 1: a tree for each controller",
  v2: "version 2: one tree",
  hybrid: "version 1 with a tree of version 2 beside it",
  none: "none",
} as const;

function version(host: CgroupHost): Finding {
  const common = { area: "cgroups", name: "version" } as const;
  if (host.kind !== "none") return { ...common, state: "works", detail: WORDS[host.kind], needed: false };
  return {
    ...common,
    state: "no",
    detail: "no cgroup filesystem is mounted",
    fix: "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    costs: "every limit, stats, pause; containers run without",
    needed: false,
  };
}

/** The part of the v2 tree that a user was given. */
function delegation(host: CgroupHost): Finding[] {
  if (!isRootless()) return [];
  const common = { area: "cgroups", name: "delegation", needed: false } as const;
  if (host.delegated !== undefined) return [{ ...common, state: "works", detail: host.delegated }];
  return [
    {
      ...common,
      state: "no",
      detail: host.note ?? "no cgroup of the v2 tree belongs to this user",
      fix: "systemd-run --user --scope -p Delegate=yes sampan …, on a cgroup v2 host",
      costs: "every limit, stats, pause; containers run without",
    },
  ];
}

/** Where a container's controllers would come from. */
function controllers(host: CgroupHost): Finding[] {
  const root = unifiedFolder(host, "");
  const offered = (root === undefined ? undefined : fact(`${root}/cgroup.controllers`))?.split(" ") ?? [];
  return CONTROLLERS.map(({ name, v1, v2, costs }): Finding => {
    const common = { area: "cgroups", name, needed: false } as const;
    const old = hierarchyOf(host, v1);
    if (old || offered.includes(v2)) return { ...common, state: "works", detail: "" };
    return {
      ...common,
      state: "no",
      detail: host.delegated ? "not delegated to this user" : "not offered by this machine",
      fix: host.delegated
        ? `systemctl edit user@.service: [Service] Delegate=cpu cpuset io memory pids`
        : `a kernel with the ${name} controller, not disabled by cgroup_disable=`,
      costs,
    };
  });
}

/** A cgroup is made in every hierarchy and removed again. */
async function making(host: CgroupHost): Promise<Finding> {
  const common = { area: "cgroups", name: "making one", needed: !isRootless() } as const;
  const path = `/sampan-doctor-${process.pid}`;
  const folders = cgroupFolders(host, path);
  const made: string[] = [];
  try {
    for (const folder of folders) {
      mkdirSync(folder);
      made.push(folder);
    }
    const birth = unifiedFolder(host, path);
    if (birth !== undefined) {
      const refusal = await attempt([outside({ call: "clone", flags: 0, cgroup: birth })]);
      if (refusal)
        return {
          ...common,
          state: "no",
          detail: `a process cannot be born in ${birth}: ${refusal.message}`,
          costs: "all of run",
        };
    }
    return { ...common, state: "works", detail: `in ${made.length} ${made.length === 1 ? "tree" : "trees"}` };
  } catch (error) {
    const { code, path: where } = error as { code?: string; path?: string };
    return {
      ...common,
      state: "no",
      detail: `${where ?? path}: ${code ?? String(error)}`,
      fix: code === "EROFS" ? "mount -o remount,rw /sys/fs/cgroup" : "run as root, or in a delegated cgroup",
      costs: "all of run",
    };
  } finally {
    // The process that was born there may still be on its way out.
    for (let round = 0; round < 1000 && made.some((folder) => existsSync(folder)); round++) {
      if (round > 0) await Bun.sleep(1);
      removeCgroup(host, path);
    }
  }
}

const readable = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
};

function extras(host: CgroupHost): Finding[] {
  const memory = hierarchyOf(host, "memory");
  const swap = memory ? existsSync(`${memory.mount}/memory.memsw.usage_in_bytes`) : host.kind === "v2";
  const common = { area: "cgroups", needed: false } as const;
  return [
    swap
      ? { ...common, name: "swap limit", state: "works", detail: "" }
      : {
          ...common,
          name: "swap limit",
          state: "no",
          detail: "swap is not accounted",
          fix: "boot with swapaccount=1",
          costs: "--memory-swap",
        },
    readable("/proc/pressure/memory")
      ? { ...common, name: "pressure", state: "works", detail: "" }
      : {
          ...common,
          name: "pressure",
          state: "no",
          detail: "/proc/pressure is not there",
          fix: "boot with psi=1",
          costs: "the waiting times in explain",
        },
  ];
}

export async function cgroupFindings(): Promise<Finding[]> {
  const host = readCgroupHost();
  if (host.kind === "none") return [host.note ? [] : [version(host)], delegation(host)].flat();
  return [version(host), ...delegation(host), await making(host), ...controllers(host), ...extras(host)];
}
