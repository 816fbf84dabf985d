/** What /proc says of a process, parsed; a process that is gone is undefined, never an error. */
import { readdirSync, readFileSync, readlinkSync } from "./fs.ts";

/** Of /proc/PID/stat (proc_pid_stat(5)); times in clock ticks of 1/100 s. */
export interface ProcStat {
  readonly pid: number;
  readonly comm: string;
  readonly state: string;
  readonly ppid: number;
  readonly pgrp: number;
  readonly session: number;
  readonly tty: number;
  readonly tpgid: number;
  /** PF_* of linux/sched.h. */
  readonly flags: number;
  readonly utime: number;
  readonly stime: number;
  readonly priority: number;
  readonly nice: number;
  readonly threads: number;
  /** Since boot: with the pid it names one process for ever. */
  readonly start: bigint;
  readonly vsize: number;
  /** Pages. */
  readonly rss: number;
  /** The processor that it ran on last. */
  readonly processor: number;
  /** Of the real-time classes; 0 elsewhere. */
  readonly realtimePriority: number;
  /** SCHED_* of linux/sched.h. */
  readonly policy: number;
}

/** The file's text, or undefined if the process is gone. */
export function procFile(pid: number | "self", name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return undefined;
  }
}

export function parseStat(text: string): ProcStat {
  // The name is in parentheses and may hold anything, parentheses too: the last one ends it.
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const rest = text.slice(close + 2).split(" ");
  const n = (field: number): number => Number(rest[field - 3] ?? 0);
  return {
    pid: Number.parseInt(text, 10),
    comm: text.slice(open + 1, close),
    state: rest[0] ?? "",
    ppid: n(4),
    pgrp: n(5),
    session: n(6),
    tty: n(7),
    tpgid: n(8),
    flags: n(9),
    utime: n(14),
    stime: n(15),
    priority: n(18),
    nice: n(19),
    threads: n(20),
    start: BigInt(rest[22 - 3] ?? 0),
    vsize: n(23),
    rss: n(24),
    processor: n(39),
    realtimePriority: n(40),
    policy: n(41),
  };
}

export function readStat(pid: number): ProcStat | undefined {
  const text = procFile(pid, "stat");
  return text === undefined || text === "" ? undefined : parseStat(text);
}

/** Start time of a process, without parsing the rest. A zombie has one too. */
export function processStart(pid: number): bigint | undefined {
  const text = procFile(pid, "stat");
  if (!text) return undefined;
  return BigInt(text.slice(text.lastIndexOf(")") + 2).split(" ")[22 - 3] ?? 0);
}

/** Whether this very process still runs. A zombie does not. */
export function isAlive(pid: number, start: bigint): boolean {
  const stat = pid > 0 ? readStat(pid) : undefined;
  return stat !== undefined && stat.start === start && stat.state !== "Z" && stat.state !== "X";
}

/** Of /proc/PID/status: key → the rest of its line. */
export function parseStatus(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) found.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return found;
}

export interface CgroupEntry {
  /** 0: the v2 tree. */
  readonly hierarchy: number;
  readonly controllers: readonly string[];
  readonly path: string;
}

/** Of /proc/PID/cgroup (cgroups(7)). */
export function parseCgroup(text: string): CgroupEntry[] {
  const entries: CgroupEntry[] = [];
  for (const line of text.split("\n")) {
    const first = line.indexOf(":");
    const second = line.indexOf(":", first + 1);
    if (second < 0) continue;
    entries.push({
      hierarchy: Number(line.slice(0, first)),
      controllers: line
        .slice(first + 1, second)
        .split(",")
        .filter(Boolean),
      path: line.slice(second + 1),
    });
  }
  return entries;
}

export interface MountEntry {
  readonly id: number;
  readonly parent: number;
  readonly device: string;
  readonly root: string;
  readonly target: string;
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable` */
  readonly tags: readonly string[];
  readonly fstype: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** Blank, tab, newline and backslash are octal in mountinfo: `\040`. */
const unescape = (text: string): string =>
  text.includes("\\")
    ? text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    : text;

/** Of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export function parseMountinfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split("\n")) {
    const dash = line.indexOf(" - ");
    if (dash < 0) continue;
    const [id = "", parent = "", device = "", root = "", target = "", options = "", ...tags] = line
      .slice(0, dash)
      .split(" ");
    const [fstype = "", source = "", superOptions = ""] = line.slice(dash + 3).split(" ");
    entries.push({
      id: Number(id),
      parent: Number(parent),
      device,
      root: unescape(root),
      target: unescape(target),
      options: options.split(","),
      tags,
      fstype,
      source: unescape(source),
      superOptions: superOptions.split(","),
    });
  }
  return entries;
}

/** `pid:[4026531836]`: two processes with the same text share the namespace. */
export function namespaceId(pid: number | "self", name: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${name}`);
  } catch {
    return undefined;
  }
}

/** Who has a socket open, by its inode; undefined: nobody whom this caller may look at. */
export function processOfSocket(inode: string): Pick<ProcStat, "pid" | "comm"> | undefined {
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`))
        if (readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`)
          return { pid, comm: parseStat(procFile(pid, "stat") ?? "").comm };
    } catch {
      // It ended, or is another user's.
    }
  }
  return undefined;
}
