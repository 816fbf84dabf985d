/** What is done to a living container's cgroup: freeze, kill, list, change its limits, remove what is left of it. */

import { SampanError } from "../../common/error.ts";
import { readdirSync, readFileSync, rmdirSync, writeFileSync } from "../../kernel/fs.ts";
import type { SpecResources } from "../spec.ts";
import { undelegated } from "./controller.ts";
import { type CgroupHost, cgroupFolders, hierarchyOf, unifiedFolder } from "./host.ts";
import { limitWrites } from "./steps.ts";

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
};

const code = (error: unknown): string => (error as { code?: string }).code ?? "";

/** The v2 folder if it can freeze (Linux 5.2), otherwise the v1 freezer's. A process frozen on v2 can still be killed. */
function freezer(host: CgroupHost, path: string): { file: string; v2: boolean } | undefined {
  const v2 = unifiedFolder(host, path);
  if (v2 !== undefined && read(`${v2}/cgroup.freeze`) !== undefined)
    return { file: `${v2}/cgroup.freeze`, v2: true };
  const v1 = hierarchyOf(host, "freezer");
  return v1 && { file: `${v1.mount}${path}/freezer.state`, v2: false };
}

/** Whether the container is frozen (or freezing). */
export function isFrozen(host: CgroupHost, path: string): boolean {
  const found = freezer(host, path);
  if (found === undefined) return false;
  const state = read(found.file)?.trim();
  return found.v2 ? state === "1" : state === "FROZEN" || state === "FREEZING";
}

const isGone = (error: unknown): boolean => code(error) === "ENOENT" || code(error) === "ENODEV";

/**
 * Freezes all of it and waits until it is; on any error it is thawed again. False: there is nothing in it any more, as when
 * somebody kills it meanwhile.
 */
export async function freeze(host: CgroupHost, path: string): Promise<boolean> {
  const found = freezer(host, path);
  if (found === undefined)
    throw host.note
      ? undelegated("pause", host.note)
      : new SampanError("refused", "pause: this host has no freezer cgroup", {
          hint: "Mount the freezer controller, or use a kernel with cgroup v2.",
        });
  const frozen = (): boolean =>
    found.v2
      ? (read(found.file.replace("cgroup.freeze", "cgroup.events")) ?? "").includes("frozen 1")
      : read(found.file)?.trim() === "FROZEN";
  try {
    writeFileSync(found.file, found.v2 ? "1" : "FROZEN");
    for (let waited = 0; !frozen(); waited++) {
      if (cgroupPids(host, path).length === 0) break;
      if (waited >= 1000)
        throw new SampanError("system", "pause: the processes did not freeze within 10 seconds");
      await Bun.sleep(waited < 10 ? 1 : 10);
      // v1 can stop half way when a process forks meanwhile: asking again goes on.
      if (!found.v2) writeFileSync(found.file, "FROZEN");
    }
    if (cgroupPids(host, path).length > 0) return true;
    thaw(host, path);
    return false;
  } catch (error) {
    thaw(host, path);
    if (isGone(error)) return false;
    throw error;
  }
}

export function thaw(host: CgroupHost, path: string): void {
  const found = freezer(host, path);
  if (found === undefined) return;
  try {
    writeFileSync(found.file, found.v2 ? "0" : "THAWED");
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Without zeroes: such a one is a process that this pid namespace does not see, and a signal to 0 is one to the sender's own group. */
const pidsIn = (folder: string): number[] =>
  (read(`${folder}/cgroup.procs`) ?? "").split("\n").map(Number).filter(Boolean);

/** A folder and all below it, deepest first. */
function tree(folder: string): string[] {
  try {
    const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...children.flatMap((entry) => tree(`${folder}/${entry.name}`)), folder];
  } catch {
    return [];
  }
}

/** Host pids of all its processes, those in cgroups that it made for itself too. */
export function cgroupPids(host: CgroupHost, path: string): number[] {
  const folders = cgroupFolders(host, path);
  // Any one hierarchy knows all of them; a process that the host moved away in one may still be in another.
  for (const folder of folders) {
    const found = tree(folder).flatMap(pidsIn);
    if (found.length > 0) return found.sort((a, b) => a - b);
  }
  return [];
}

/** Ends every process of it; returns when none is left, or false after `timeout` milliseconds. */
export async function killAll(host: CgroupHost, path: string, timeout = 5000): Promise<boolean> {
  const unified = unifiedFolder(host, path);
  const end = Date.now() + timeout;
  let byKernel = false;
  if (unified !== undefined && read(`${unified}/cgroup.events`) !== undefined)
    try {
      writeFileSync(`${unified}/cgroup.kill`, "1");
      byKernel = true;
    } catch {
      // Before Linux 5.14: one by one.
    }
  for (let round = 0; ; round++) {
    const left = cgroupPids(host, path);
    if (left.length === 0) return true;
    if (!byKernel || round > 20) {
      // Frozen while they are signalled, so that none can fork away; the signal works when they thaw.
      const v1 = hierarchyOf(host, "freezer");
      const state = v1 && `${v1.mount}${path}/freezer.state`;
      try {
        if (state) writeFileSync(state, "FROZEN");
        for (const pid of cgroupPids(host, path)) signal(pid);
      } catch (error) {
        if (code(error) !== "ENOENT") throw error;
      } finally {
        thaw(host, path);
        if (state && read(state) !== undefined) writeFileSync(state, "THAWED");
      }
    }
    if (Date.now() > end) return false;
    await Bun.sleep(round < 10 ? 1 : 10);
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (code(error) !== "ESRCH") throw error;
  }
}

/** Removes its folders and those that it made below them; what is still in use stays. */
export function removeCgroup(host: CgroupHost, path: string): void {
  for (const folder of cgroupFolders(host, path))
    for (const each of tree(folder))
      try {
        rmdirSync(each);
      } catch {
        // Busy: its last process is still on its way out; the next command that looks removes it.
      }
}

/** What `update` writes to a running container's cgroup, in order. */
export function limitUpdates(
  host: CgroupHost,
  path: string,
  resources: SpecResources,
): { path: string; data: string }[] {
  const writes = limitWrites(host, path, resources, true);
  const at = writes.findIndex((w) => w.path.endsWith("/memory.limit_in_bytes"));
  const next = writes[at + 1];
  const first = writes[at];
  // v1: memory may never exceed memory plus swap, so the larger one goes first when both grow.
  if (at >= 0 && first && next?.path.endsWith("/memory.memsw.limit_in_bytes")) {
    const now = Number(read(next.path) ?? 0);
    if (Number(first.data) < 0 || Number(first.data) > now) [writes[at], writes[at + 1]] = [next, first];
  }
  return writes.map((w) => ({ path: w.path, data: w.data }));
}
