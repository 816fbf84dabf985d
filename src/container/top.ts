/**
 * A container's processes, read from /proc, in the columns that ps would show for the same options. No ps is executed:
 * the options that people give `docker top` are understood here, any other is refused by name.
 */
import { readdirSync, readFileSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { namespaceId, parseStat, parseStatus, procFile, readStat } from "../kernel/proc.ts";
import { cgroupPids, readCgroupHost } from "../runtime/index.ts";
import { cgroupOf } from "./keeper.ts";
import { COLUMNS, type Column, type Machine, type Process } from "./ps-columns.ts";
import type { ContainerRecord } from "./record.ts";
import { memoryOfMachine } from "./stats.ts";

export interface ProcessTable {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

interface Chosen {
  readonly title: string;
  readonly column: Column;
}

const columnOf = (name: string): Column => {
  const column = COLUMNS[name];
  if (!column) throw new SampanError("invalid", `top: unknown ps column "${name}"`, { hint: KNOWN });
  return column;
};

/** `user`, `user=WHO`; the width in `user:20` is nothing to a table that makes its own. */
const choose = (names: readonly string[]): Chosen[] =>
  names.map((each) => {
    const [name = "", title] = each.split("=", 2);
    const column = columnOf(name.replace(/:\d+$/, ""));
    return { title: title ?? column.title, column };
  });

const FULL = ["uid_name=UID", "pid", "ppid", "c", "stime", "tty", "time", "cmd"];
const USER = [
  "user",
  "pid",
  "pcpu",
  "pmem",
  "vsz",
  "rss",
  "tty",
  "stat",
  "bsdstart=START",
  "bsdtime=TIME",
  "args",
];
const LONG = [
  "f",
  "s",
  "uid",
  "pid",
  "ppid",
  "c",
  "pri",
  "ni",
  "addr",
  "sz",
  "wchan",
  "tty",
  "time",
  "ucmd=CMD",
];
const FULL_LONG = [
  "f",
  "s",
  "uid_name=UID",
  "pid",
  "ppid",
  "c",
  "pri",
  "ni",
  "addr",
  "sz",
  "wchan",
  "stime",
  "tty",
  "time",
  "cmd",
];
const EXTRA_FULL = ["uid_name=UID", "pid", "ppid", "c", "sz", "rss", "psr", "stime", "tty", "time", "cmd"];
const JOBS = ["pid", "pgid", "sid", "tty", "time", "ucmd=CMD"];
const PLAIN = ["pid", "tty", "time", "ucmd=CMD"];
const BSD = ["pid", "tty", "stat", "bsdtime=TIME", "args"];
const BSD_JOBS = ["ppid", "pid", "pgid", "sid", "tty", "tpgid", "stat", "uid", "bsdtime=TIME", "args"];
const BSD_LONG = [
  "f",
  "uid",
  "pid",
  "ppid",
  "pri",
  "ni",
  "vsz",
  "rss",
  "wchan",
  "stat",
  "tty",
  "bsdtime=TIME",
  "args",
];

const KNOWN = `Options are -e -A -f -F -l -j -L -o LIST --sort LIST and aux, l, j; columns are ${Object.keys(
  COLUMNS,
)
  .filter((name) => !name.includes("_"))
  .join(" ")}.`;

const unknown = (option: string): never => {
  throw new SampanError("invalid", `top: unsupported ps option "${option}"`, { hint: KNOWN });
};

interface Wanted {
  readonly chosen: readonly Chosen[];
  /** A line for each thread. */
  readonly threads: boolean;
  readonly sort: readonly { readonly column: Column; readonly descending: boolean }[];
}

/** Letters of ps that say nothing here: which processes, and how wide. */
const DASHED_IDLE = "eAwHa";
const BARE_IDLE = "axwef";
const BARE_STYLES: Readonly<Record<string, readonly string[]>> = { u: USER, j: BSD_JOBS, l: BSD_LONG };

/** What ps options ask for; none: Docker's `-ef`. */
export function parsePsOptions(options: readonly string[]): Wanted {
  const words = options.flatMap((option) => option.split(/\s+/)).filter((word) => word !== "");
  const lists: string[] = [];
  const sort: string[] = [];
  const dashes = new Set<string>();
  let bare: readonly string[] | undefined;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    /** What follows in this word, or the next word. */
    const list = (rest: string): string[] => (rest || (words[++at] ?? unknown(word))).split(",");
    const long = /^--(format|o|sort)=?(.*)$/s.exec(word);
    if (long) {
      (long[1] === "sort" ? sort : lists).push(...list(long[2] ?? ""));
      continue;
    }
    if (word.startsWith("--")) return unknown(word);
    const dashed = word.startsWith("-");
    const letters = dashed ? word.slice(1) : word;
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i] ?? "";
      // -eo pid,comm and axo pid,comm: what follows an o, in this word or as the next, is its list.
      if (letter === "o") {
        lists.push(...list(letters.slice(i + 1).replace(/^=/, "")));
        break;
      }
      if ((dashed ? DASHED_IDLE : BARE_IDLE).includes(letter)) bare ??= dashed ? undefined : BSD;
      else if (dashed && "fFljL".includes(letter)) dashes.add(letter);
      else if (!dashed && BARE_STYLES[letter]) bare = BARE_STYLES[letter];
      else return unknown(word);
    }
  }
  const threads = dashes.has("L");
  const names =
    lists.length > 0
      ? lists.filter((name) => name !== "")
      : (bare ?? withThreads(words.length === 0 ? FULL : dashedStyle(dashes), threads));
  return { chosen: choose(names), threads, sort: sort.filter(Boolean).map(sortKey) };
}

function dashedStyle(dashes: ReadonlySet<string>): readonly string[] {
  if (dashes.has("F")) return EXTRA_FULL;
  if (dashes.has("f")) return dashes.has("l") ? FULL_LONG : FULL;
  return dashes.has("l") ? LONG : dashes.has("j") ? JOBS : PLAIN;
}

/** -L: the thread comes before the processor's share, or before the terminal; -f also tells how many there are. */
function withThreads(names: readonly string[], threads: boolean): readonly string[] {
  if (!threads) return names;
  const share = names.indexOf("c");
  if (share < 0) return names.flatMap((name) => (name === "tty" ? ["lwp", name] : [name]));
  return names.flatMap((name) => (name === "c" ? ["lwp", name, "nlwp"] : [name]));
}

function sortKey(text: string): { readonly column: Column; readonly descending: boolean } {
  return { column: columnOf(text.replace(/^[+-]/, "")), descending: text.startsWith("-") };
}

/** Where no cgroup is the container's own: those that are in its pid namespace. */
function pidsInNamespace(pid: number): number[] {
  const own = namespaceId(pid, "pid");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && namespaceId(Number(name), "pid") === own)
    .map(Number);
}

/** Names by their numbers, of /etc/passwd or /etc/group: the host's, as ps has them. */
function namesIn(path: string): (id: number) => string {
  const names = new Map<number, string>();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const [name = "", , id = ""] = line.split(":");
    if (id !== "" && !names.has(Number(id))) names.set(Number(id), name);
  }
  return (id) => names.get(id) ?? String(id);
}

function machine(): Machine {
  const boot = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "latin1"))?.[1] ?? 0);
  return {
    boot,
    now: Date.now() / 1000,
    memory: memoryOfMachine(),
    userName: namesIn("/etc/passwd"),
    groupName: namesIn("/etc/group"),
  };
}

function readProcess(pid: number): Process | undefined {
  const stat = readStat(pid);
  const status = procFile(pid, "status");
  if (!stat || !status) return undefined;
  const words = (procFile(pid, "cmdline") ?? "").split("\0");
  if (words.at(-1) === "") words.pop();
  return { stat, thread: pid, status: parseStatus(status), words };
}

/** The threads of a process, each as a process of its own that shares the pid. */
function threadsOf(process: Process): Process[] {
  const { pid } = process.stat;
  let tasks: string[];
  try {
    tasks = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return tasks.flatMap((thread) => {
    const text = procFile(pid, `task/${thread}/stat`);
    return text ? [{ ...process, thread: Number(thread), stat: { ...parseStat(text), pid } }] : [];
  });
}

/** Numbers by their size, everything else by its letters. */
function compare(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  if (!Number.isNaN(difference)) return difference;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As ps has it: a process says what it is called, and must not write lines of its own or speak to the terminal of who looks. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, "?");

export function top(container: ContainerRecord, options: readonly string[]): ProcessTable {
  const { status, pid } = container.state;
  if (status === "restarting")
    throw new SampanError(
      "conflict",
      `Container ${container.id} is restarting, wait until the container is running`,
    );
  if (status !== "running" && status !== "paused")
    throw new SampanError("conflict", `container ${container.id} is not running`);
  const { chosen, threads, sort } = parsePsOptions(options);
  const members = cgroupPids(readCgroupHost(), cgroupOf(container));
  const pids = members.length > 0 ? members : pidsInNamespace(pid);
  const host = machine();
  const found = pids.map(readProcess).filter((process) => process !== undefined);
  const lines = threads ? found.flatMap(threadsOf) : found;
  for (const { column, descending } of sort.toReversed())
    lines.sort((a, b) => compare(column.value(a, host), column.value(b, host)) * (descending ? -1 : 1));
  return {
    titles: chosen.map(({ title }) => title),
    processes: lines.map((process) => chosen.map(({ column }) => printable(column.value(process, host)))),
  };
}
