/**
 * The process tree, with the numbers and users that the processes have outside and inside. A container's processes are
 * those of its cgroup (an exec is no child of pid 1) and what the target has begotten, wherever that went.
 */
import { ENTRY, readFileSync, readNumbers, readTypes, statSync } from "../kernel/fs.ts";
import { parseStatus, procFile, readStat } from "../kernel/proc.ts";
import { type Look, userNames } from "./look.ts";
import type { CgroupPlace, ProcessLine, Target } from "./types.ts";

const STATES: Readonly<Record<string, string>> = {
  R: "running",
  S: "sleeping",
  D: "waits for i/o",
  T: "stopped",
  t: "traced",
  Z: "zombie",
  X: "dead",
  I: "idle",
};

function children(pid: number): number[] {
  try {
    return readNumbers(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "latin1").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** All of a cgroup's processes, those in cgroups beneath it too. */
function cgroupMembers(folder: string): number[] {
  try {
    const found = readFileSync(`${folder}/cgroup.procs`, "latin1").split("\n").filter(Boolean).map(Number);
    // A folder's own name, its "." and one ".." for each folder in it.
    if (statSync(folder).nlink > 2)
      for (const [name, type] of readTypes(folder))
        if (type === ENTRY.directory) found.push(...cgroupMembers(`${folder}/${name}`));
    return found;
  } catch {
    // Gone, or of a type that has no processes of its own.
    return [];
  }
}

/** Pids of the target and all that belongs to it. */
export function membersOf(target: Target, places: readonly CgroupPlace[]): Set<number> {
  const found = new Set([target.pid]);
  // A set grows while it is walked.
  for (const pid of found) for (const child of children(pid)) found.add(child);
  for (const place of places) {
    const own = ownFolder(place, target.id);
    if (own === undefined) continue;
    for (const pid of cgroupMembers(own)) found.add(pid);
    break;
  }
  return found;
}

/** The cgroup that is named after the container is all of it; its process may be in one beneath. */
function ownFolder({ path, folder }: CgroupPlace, id: string | undefined): string | undefined {
  const at = id === undefined ? -1 : path.indexOf(id);
  if (id === undefined || at < 0) return undefined;
  const end = path.indexOf("/", at + id.length);
  return end < 0 ? folder : folder.slice(0, folder.length - (path.length - end));
}

export interface IdMap {
  inside(outside: number): number | undefined;
}

/** Of lines `inside outside count`, where outside is as the reader sees it. */
export const idMap = (lines: readonly (readonly [number, number, number])[]): IdMap => ({
  inside(outside) {
    for (const [to, from, count] of lines)
      if (outside >= from && outside < from + count) return to + (outside - from);
    return undefined;
  },
});

interface One {
  readonly pid: number;
  readonly parent: number;
  readonly insidePid?: number;
  readonly uid: number;
  readonly state: string;
  readonly command: string;
}

function readOne(pid: number, level: number): One | undefined {
  const stat = readStat(pid);
  const text = procFile(pid, "status");
  if (!stat || !text) return undefined;
  const status = parseStatus(text);
  const inside = (status.get("NSpid") ?? "").split(/\s+/)[level];
  const words = (procFile(pid, "cmdline") ?? "").replace(/\0+$/, "").replaceAll("\0", " ");
  return {
    pid,
    parent: stat.ppid,
    ...(inside ? { insidePid: Number(inside) } : {}),
    uid: Number((status.get("Uid") ?? "").split(/\s+/)[1] ?? 0),
    state: STATES[stat.state] ?? stat.state,
    // A kernel thread and a zombie have no words.
    command: words === "" ? `[${stat.comm}]` : words,
  };
}

export interface TreeInput {
  readonly target: Target;
  readonly members: ReadonlySet<number>;
  readonly map: IdMap;
  /** The mount namespace is not the reader's: names of users are its own. */
  readonly ownFiles: boolean;
  /** The pid namespace is not the reader's. */
  readonly ownPids: boolean;
  readonly look: Look;
}

export function processTree({ target, members, map, ownFiles, ownPids, look }: TreeInput): ProcessLine[] {
  const level =
    (parseStatus(procFile(target.pid, "status") ?? "").get("NSpid") ?? "").split(/\s+/).length - 1;
  const found = new Map<number, One>();
  for (const pid of members) {
    const one = readOne(pid, level);
    if (one) found.set(pid, one);
  }
  const first = found.get(target.pid);
  if (!first) return [];
  const outside = userNames(look.text("/etc/passwd", "users") ?? "");
  const inside = ownFiles ? userNames(look.inside(target.pid, "etc/passwd") ?? "") : outside;
  const nameOf = (names: ReadonlyMap<number, string>, uid: number): string => names.get(uid) ?? String(uid);

  const lines: ProcessLine[] = [];
  const add = (one: One, depth: number, role: ProcessLine["role"]): void => {
    const uid = role === "parent" ? undefined : map.inside(one.uid);
    lines.push({
      pid: { outside: one.pid, ...(role !== "parent" && one.insidePid ? { inside: one.insidePid } : {}) },
      uid: { outside: one.uid, ...(uid === undefined ? {} : { inside: uid }) },
      user: {
        outside: nameOf(outside, one.uid),
        ...(uid === undefined ? {} : { inside: nameOf(inside, uid) }),
      },
      parent: one.parent,
      depth,
      state: one.state,
      command: one.command,
      role,
    });
  };
  const sorted = [...found.values()].sort((a, b) => a.pid - b.pid);
  const walk = (one: One, depth: number): void => {
    add(one, depth, one.pid === target.pid ? "target" : "member");
    for (const child of sorted) if (child.parent === one.pid && child.pid !== one.pid) walk(child, depth + 1);
  };
  const top = (one: One): void => {
    const parent =
      found.has(one.parent) || one.parent === 0 ? undefined : readOne(one.parent, ownPids ? -1 : level);
    if (parent) add(parent, 0, "parent");
    walk(one, parent ? 1 : 0);
  };
  top(first);
  // What came in by exec: its parent is another one.
  for (const one of sorted) if (!found.has(one.parent) && one.pid !== target.pid) top(one);
  return lines;
}
