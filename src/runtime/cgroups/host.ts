/**
 * Which cgroup hierarchies this host has and where they are mounted, as the kernel says it. Three kinds of host:
 * v1 (one mount for each controller, or a few together), v2 (one mount for all), and hybrid: v1 with a v2 mount beside
 * it, mostly without controllers. On a hybrid host a container has a folder in the v2 tree too: the process is born
 * into it at no cost (CLONE_INTO_CGROUP), and cgroup.kill and cgroup.freeze work there as they do on v2.
 */

import { SampanError } from "../../common/error.ts";
import { accessSync, constants, filesystemType, readFileSync } from "../../kernel/fs.ts";

/** One v1 hierarchy. `controllers` are its co-mounted ones, or one `name=…`. */
export interface Hierarchy {
  readonly mount: string;
  readonly controllers: readonly string[];
}

export interface CgroupHost {
  readonly kind: "v1" | "v2" | "hybrid" | "none";
  readonly hierarchies: readonly Hierarchy[];
  /** Where the v2 tree is mounted. */
  readonly unified?: string;
  /** The host's /sys/fs/cgroup is the v2 tree, whatever this caller may do there. */
  readonly pure?: boolean;
  /** Why the caller can use less than the host has, or nothing at all. */
  readonly note?: string;
  /** What a caller without root puts before its paths in the v2 tree: the folder that was delegated to it. */
  readonly delegated?: string;
}

const CGROUP2_MAGIC = 0x63677270;
const KNOWN =
  " cpuset cpu cpuacct blkio memory devices freezer net_cls perf_event net_prio hugetlb pids rdma misc ";

let cached: CgroupHost | undefined;

/** Of this host; read once a process. */
export function readCgroupHost(): CgroupHost {
  if (cached) return cached;
  let pure = false;
  try {
    pure = filesystemType("/sys/fs/cgroup") === CGROUP2_MAGIC;
  } catch {
    // No such folder: mountinfo will say so too.
  }
  // A v2 host needs no look at a mount table that can be long.
  cached = pure
    ? { kind: "v2", hierarchies: [], unified: "/sys/fs/cgroup", pure: true }
    : parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
  if (process.getuid?.() !== 0)
    cached = forCaller(cached, readFileSync("/proc/self/cgroup", "utf8"), writable);
  return cached;
}

/** The cgroup mounts in a mountinfo text. A hierarchy that is mounted twice counts once. */
export function parseCgroupMounts(mountinfo: string): CgroupHost {
  const hierarchies: Hierarchy[] = [];
  const seen: string[] = [];
  let unified: string | undefined;
  let at = 0;
  while ((at = mountinfo.indexOf(" - cgroup", at)) >= 0) {
    const begin = mountinfo.lastIndexOf("\n", at) + 1;
    let end = mountinfo.indexOf("\n", at);
    if (end < 0) end = mountinfo.length;
    const mount = mountinfo.slice(begin, at).split(" ")[4] ?? "";
    const [type, , options = ""] = mountinfo.slice(at + 3, end).split(" ");
    at = end;
    if (type === "cgroup2") unified ??= mount;
    else if (type === "cgroup") {
      const controllers: string[] = [];
      for (const word of options.split(","))
        if (word.startsWith("name=") || KNOWN.includes(` ${word} `)) controllers.push(word);
      const key = controllers.join(",");
      if (key === "" || seen.includes(key)) continue;
      seen.push(key);
      hierarchies.push({ mount, controllers });
    }
  }
  const kind = hierarchies.length === 0 ? (unified ? "v2" : "none") : unified ? "hybrid" : "v1";
  return { kind, hierarchies, ...(unified ? { unified } : {}), ...(kind === "v2" ? { pure: true } : {}) };
}

const writable = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * Without root: only the v2 tree, from the highest folder that was delegated to the caller. `own` is /proc/self/cgroup:
 * a process may be moved only below a folder whose cgroup.procs its mover may write (cgroups(7), delegation).
 */
export function forCaller(host: CgroupHost, own: string, may: (path: string) => boolean): CgroupHost {
  const line = own.split("\n").find((entry) => entry.startsWith("0::"));
  let folder = line?.slice(3) ?? "";
  let delegated: string | undefined;
  while (host.unified && folder !== "" && folder !== "/" && may(`${host.unified}${folder}/cgroup.procs`)) {
    delegated = folder;
    folder = folder.slice(0, folder.lastIndexOf("/"));
  }
  if (host.unified && delegated && host.kind === "v2") return { ...host, delegated };
  const { pure } = host;
  return {
    kind: "none",
    hierarchies: [],
    note: "no cgroup is delegated to this user",
    ...(pure ? { pure } : {}),
  };
}

/** The v1 hierarchy that has this controller. */
export function hierarchyOf(host: CgroupHost, controller: string): Hierarchy | undefined {
  for (const hierarchy of host.hierarchies) if (hierarchy.controllers.includes(controller)) return hierarchy;
  return undefined;
}

/** Every folder that a container with this path has, the v2 one first: it is where kill and freeze work best. */
export function cgroupFolders(host: CgroupHost, path: string): string[] {
  const folders: string[] = [];
  const unified = unifiedFolder(host, path);
  if (unified !== undefined) folders.push(unified);
  for (const { mount } of host.hierarchies) folders.push(mount + path);
  return folders;
}

export const unifiedFolder = (host: CgroupHost, path: string): string | undefined =>
  host.unified === undefined ? undefined : host.unified + (host.delegated ?? "") + path;

/**
 * `/sampan/<id>`, or below another parent. Absolute in the hierarchy; `..` is refused, and so is what could not be
 * one folder's name.
 */
export function cgroupPath(id: string, parent = "/sampan"): string {
  const parts: string[] = [];
  for (const part of parent.split("/")) if (part !== "" && part !== ".") parts.push(part);
  if (parts.includes("..") || parent.includes("\0") || parent.includes("\n"))
    throw new SampanError("invalid", `invalid cgroup parent "${parent}": a path without ".." is needed`);
  return `/${[...parts, id].join("/")}`;
}
