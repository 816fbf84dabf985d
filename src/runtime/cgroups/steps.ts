/**
 * The second plank: what the process may use. A container's cgroup as plan steps: folders and limits before the
 * process is in them, the process put in, readings taken and folders removed when it has ended.
 *
 * How it gets in is speed. In a v2 tree it is born there (CLONE_INTO_CGROUP). On v1 somebody has to write, and to move
 * a process by its pid the kernel stops all forks of the machine, for which it waits an RCU grace period: about 10 ms,
 * longer than everything else takes. A thread that moves itself needs none of that: so the child, which has but one
 * thread, writes 0 into `tasks` (kernel/cgroup/cgroup.c, cgroup_procs_write_start).
 */

import { SampanError } from "../../common/error.ts";
import { existsSync, mkdirSync, readFileSync } from "../../kernel/fs.ts";
import { parseCgroup } from "../../kernel/proc.ts";
import type { Step } from "../../launch/index.ts";
import type { SpecResources } from "../spec.ts";
import type { Controller, Place, Write } from "./controller.ts";
import { refused, undelegated } from "./controller.ts";
import { cpu } from "./cpu.ts";
import { cpuset, inherit } from "./cpuset.ts";
import { deviceProgram, deviceState, deviceWrites } from "./devices.ts";
import { type CgroupHost, cgroupFolders, hierarchyOf, unifiedFolder } from "./host.ts";
import { hugetlb } from "./hugetlb.ts";
import { io } from "./io.ts";
import { memory } from "./memory.ts";
import { netCls, netPrio } from "./network.ts";
import { pids } from "./pids.ts";
import { unified } from "./unified.ts";

export const CONTROLLERS: readonly Controller[] = [
  cpuset,
  cpu,
  memory,
  pids,
  io,
  hugetlb,
  netCls,
  netPrio,
  unified,
];

/** Controllers that a container's v2 folder has whenever the host offers them, for limits set later and for stats. */
const WANTED_V2 = ["cpuset", "cpu", "io", "memory", "pids", "hugetlb"];

export interface CgroupSteps {
  /** v2: folder, limits and device program, before the clone that the process is born there by. */
  readonly before: readonly Step[];
  /** v1: folders and limits, made by the keeper while the child mounts; the child waits for them before it joins. */
  readonly beside: readonly Step[];
  /** The v2 folder that the process is born in. */
  readonly birth?: string;
  /** Inside: the process goes where it was not born, one write for each v1 hierarchy. */
  readonly join: readonly Step[];
  /** After its end: kill what is left, read what it used, remove the folders. */
  readonly after: readonly Step[];
}

const NONE: CgroupSteps = { before: [], beside: [], join: [], after: [] };
/** A place that has everything: asking it tells which flags want a controller that the host lacks. */
const IMAGINED: Place = { version: 1, folder: "", has: () => true };

const write = ({ path, data, why }: Write, optional = false): Step => ({
  call: "write",
  column: "outside",
  why,
  path,
  data,
  ...(optional ? { optional } : {}),
});

/** Where a controller keeps this container; undefined: the host does not have the controller. */
function placeOf(host: CgroupHost, controller: Controller, path: string, made: boolean): Place | undefined {
  const v1 = controller.v1 === undefined ? undefined : hierarchyOf(host, controller.v1);
  const place = (version: 1 | 2, mount: string): Place => {
    const folder = mount + path;
    return {
      version,
      folder,
      has(file) {
        if (made) return existsSync(`${folder}/${file}`);
        // The hierarchy's root lacks some files, so a folder next to the container's is asked; it is made if need be.
        const parent = folder.slice(0, folder.lastIndexOf("/"));
        mkdirSync(parent, { recursive: true });
        if (existsSync(`${parent}/${file}`)) return true;
        // A v2 folder shows a controller's files once its parent passes the controller on: until then nobody knows.
        return version === 2 && !words(`${parent}/cgroup.controllers`).includes(controller.v2 ?? "");
      },
    };
  };
  if (v1) return place(1, v1.mount);
  const root = unifiedFolder(host, "");
  if (root === undefined) return undefined;
  if (controller.v2 === undefined) return host.kind === "v2" ? place(2, root) : undefined;
  return available(root).includes(controller.v2) ? place(2, root) : undefined;
}

const words = (path: string): string[] => {
  try {
    return readFileSync(path, "latin1").trim().split(" ");
  } catch {
    return [];
  }
};
let asked: { root: string; controllers: string[] } | undefined;
function available(root: string): string[] {
  if (asked?.root !== root) asked = { root, controllers: words(`${root}/cgroup.controllers`) };
  return asked.controllers;
}

/** Most containers have none: nothing needs to be asked then. */
function hasLimits(resources: SpecResources): boolean {
  for (const name in resources)
    if (name !== "devices" && resources[name as keyof SpecResources] !== undefined) return true;
  return false;
}

/** What to write for limits. With `made` the folders exist already (`update`), otherwise they are about to be made. */
export function limitWrites(host: CgroupHost, path: string, resources: SpecResources, made = false): Write[] {
  const writes: Write[] = [];
  if (!hasLimits(resources)) return writes;
  for (const controller of CONTROLLERS) {
    const wish = controller.limits(IMAGINED, resources)[0];
    if (wish === undefined) continue;
    const place = placeOf(host, controller, path, made);
    if (place === undefined)
      throw host.note
        ? undelegated(wish.why, host.note)
        : refused(wish.why, controller.name, `this host has no ${controller.name} controller mounted`);
    writes.push(...controller.limits(place, resources));
  }
  return writes;
}

/** The folders on the way from a mount down to the container's own, both included. */
function way(mount: string, path: string): string[] {
  const folders = [mount];
  for (let at = path.indexOf("/", 1); at >= 0; at = path.indexOf("/", at + 1))
    folders.push(mount + path.slice(0, at));
  folders.push(mount + path);
  return folders;
}

/** v2: a controller works in a folder when every folder above has it in cgroup.subtree_control. */
function enableSteps(
  root: string,
  path: string,
  wanted: readonly string[],
  needed: readonly string[],
): Step[] {
  const steps: Step[] = [];
  if (wanted.length === 0) return steps;
  const offered = available(root).filter((name) => wanted.includes(name));
  for (const folder of way(root, path).slice(0, -1)) {
    const file = `${folder}/cgroup.subtree_control`;
    const enabled = words(file);
    for (const name of offered)
      if (!enabled.includes(name))
        steps.push(
          write({ path: file, data: `+${name}`, why: `${name} controller` }, !needed.includes(name)),
        );
  }
  return steps;
}

export function cgroupSteps(host: CgroupHost, path: string, resources: SpecResources): CgroupSteps {
  if (path.split("/").includes(".."))
    throw new SampanError("invalid", `invalid cgroup path "${path}": a path without ".." is needed`);
  const limits = limitWrites(host, path, resources);
  if (host.kind === "none") return NONE;
  const before: Step[] = [];
  const beside: Step[] = [];
  const join: Step[] = [];
  const mkdir = (folder: string): Step => ({
    call: "mkdir",
    column: "outside",
    why: "cgroup",
    at: "host",
    path: folder,
    mode: 0o755,
  });
  const birth = unifiedFolder(host, path);
  const root = unifiedFolder(host, "");
  if (birth !== undefined && root !== undefined) {
    const needed = limits.length > 0 ? controllersOf(host, resources) : [];
    const enable = enableSteps(root, path, host.kind === "v2" ? WANTED_V2 : needed, needed);
    if (enable.length > 0) before.push(mkdir(birth.slice(0, birth.lastIndexOf("/"))));
    before.push(...enable, mkdir(birth));
  }
  for (const { mount, controllers } of host.hierarchies) {
    beside.push(mkdir(mount + path));
    if (controllers.includes("cpuset")) {
      const { cpus, mems } = resources.cpu ?? {};
      const given = { ...(cpus ? { cpus } : {}), ...(mems ? { mems } : {}) };
      for (const each of inherit(way(mount, path), given)) beside.push(write(each));
    }
    join.push(enterStep(mount + path));
  }
  for (const limit of limits)
    (birth !== undefined && limit.path.startsWith(`${birth}/`) ? before : beside).push(write(limit));
  (hierarchyOf(host, "devices") ? beside : before).push(...deviceSteps(host, path, resources));
  return { before, beside, join, after: afterSteps(host, path), ...(birth === undefined ? {} : { birth }) };
}

/** The process that runs the step moves itself into a v1 folder. */
export const enterStep = (folder: string): Step => ({
  call: "write",
  column: "inside",
  why: "cgroup",
  path: `${folder}/tasks`,
  data: "0",
});

/**
 * Out of the cgroup that judges devices, into the one of who makes the container, and back: the process that mounts a disk opens it,
 * and what it mounts is not what the container may open. `joined`: it is in its v1 folders already.
 */
export function judgedAsMaker(host: CgroupHost, path: string, joined: boolean, steps: Step[]): Step[] {
  const v1 = hierarchyOf(host, "devices");
  const root = v1 ? v1.mount : host.kind === "v2" ? unifiedFolder(host, "") : undefined;
  if (root === undefined || (v1 && !joined)) return steps;
  const file = v1 ? "tasks" : "cgroup.procs";
  const own = parseCgroup(readFileSync("/proc/self/cgroup", "utf8")).find(({ hierarchy, controllers }) =>
    v1 ? controllers.includes("devices") : hierarchy === 0,
  );
  const enter = (folder: string): Step => ({
    call: "write",
    column: "inside",
    why: "devices",
    path: `${folder}/${file}`,
    data: "0",
  });
  return [enter(root + (own?.path ?? "")), ...steps, enter(root + path)];
}

/** The v2 controllers that these limits cannot do without. */
const controllersOf = (host: CgroupHost, resources: SpecResources): string[] =>
  CONTROLLERS.flatMap(({ v1, v2, limits }) =>
    v2 !== undefined && !(v1 && hierarchyOf(host, v1)) && limits(IMAGINED, resources).length > 0 ? [v2] : [],
  );

function deviceSteps(host: CgroupHost, path: string, resources: SpecResources): Step[] {
  if (resources.devices === undefined || resources.devices.length === 0) return [];
  const state = deviceState(resources.devices);
  if (state.allow && state.exceptions.length === 0) return [];
  const v1 = hierarchyOf(host, "devices");
  if (v1) {
    const steps: Step[] = [];
    for (const each of deviceWrites(v1.mount + path, state)) steps.push(write(each));
    return steps;
  }
  const cgroup = unifiedFolder(host, path);
  // Without root no eBPF program can be loaded; the user namespace keeps device nodes from working anyway.
  if (cgroup === undefined || host.kind !== "v2" || host.delegated !== undefined) return [];
  return [{ call: "bpf_device", column: "outside", why: "devices", cgroup, program: deviceProgram(state) }];
}

function afterSteps(host: CgroupHost, path: string): Step[] {
  const steps: Step[] = [];
  const kill = killFolders(host, path)[0];
  if (kill !== undefined) steps.push({ call: "kill", column: "after", why: "cgroup", path: kill });
  const reading = (folder: string, file: string): void => {
    steps.push({ call: "read", column: "after", why: "readings", path: `${folder}/${file}`, key: file });
  };
  const v1 = hierarchyOf(host, "memory");
  const birth = unifiedFolder(host, path);
  if (v1) {
    reading(v1.mount + path, "memory.oom_control");
    reading(v1.mount + path, "memory.max_usage_in_bytes");
  } else if (birth) {
    reading(birth, "memory.events");
    reading(birth, "memory.peak");
  }
  const cpuacct = hierarchyOf(host, "cpuacct");
  if (cpuacct) reading(cpuacct.mount + path, "cpuacct.usage");
  else if (birth) reading(birth, "cpu.stat");
  for (const folder of cgroupFolders(host, path))
    steps.push({ call: "rmdir", column: "after", why: "cgroup", path: folder, optional: true });
  return steps;
}

/** Where a whole-cgroup kill works, best first: cgroup.kill of the v2 tree, then the freezer. */
export function killFolders(host: CgroupHost, path: string): string[] {
  const folders: string[] = [];
  const unifiedOne = unifiedFolder(host, path);
  if (unifiedOne !== undefined) folders.push(unifiedOne);
  const freezer = hierarchyOf(host, "freezer");
  if (freezer) folders.push(freezer.mount + path);
  return folders.length > 0 ? folders : cgroupFolders(host, path).slice(0, 1);
}
