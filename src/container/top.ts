/**
 * A container's processes, read from /proc, in the columns that ps would show for the same options. No ps is executed:
 * the options that people give `docker top` are understood here, any other is refused by name.
 */
import { readdirSync, readFileSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { namespaceId, parseStatus, procFile, readStat } from "../kernel/proc.ts";
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

const choose = (names: readonly string[]): Chosen[] =>
  names.map((each) => {
    const [name = "", title] = each.split("=", 2);
    const column = COLUMNS[name];
    if (!column) throw new SampanError("invalid", `top: unknown ps column "${name}"`, { hint: KNOWN });
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
const BSD = ["pid", "tty", "stat", "bsdtime=TIME", "args"];
const PLAIN = ["pid", "tty", "time", "ucmd=CMD"];

const KNOWN = `Options are -e -A -f -l -o LIST and aux; columns are ${Object.keys(COLUMNS)
  .filter((name) => !name.includes("_"))
  .join(" ")}.`;

const unknown = (option: string): never => {
  throw new SampanError("invalid", `top: unsupported ps option "${option}"`, { hint: KNOWN });
};

/** The columns that ps options ask for; none: Docker's `-ef`. */
export function parsePsOptions(options: readonly string[]): Chosen[] {
  const words = options.flatMap((option) => option.split(/\s+/)).filter((word) => word !== "");
  if (words.length === 0) return choose(FULL);
  const lists: string[] = [];
  let style: "plain" | "bsd" | "user" = "plain";
  let full = false;
  let long = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const list = /^(?:--format=?|--?o|o)(.*)$/s.exec(word);
    if (list && !/^-?o[a-z]*x$/.test(word)) {
      const given = list[1] || words[++at];
      if (given === undefined) return unknown(word);
      lists.push(...given.replace(/^=/, "").split(","));
      continue;
    }
    if (word.startsWith("--")) return unknown(word);
    const dashed = word.startsWith("-");
    const letters = dashed ? word.slice(1) : word;
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i] ?? "";
      // -eo pid,comm: what follows an o, in this word or as the next, is its list.
      if (dashed && letter === "o") {
        lists.push(...(letters.slice(i + 1) || (words[++at] ?? unknown(word))).split(","));
        break;
      }
      if (dashed && (letter === "e" || letter === "A" || letter === "w" || letter === "H" || letter === "a"))
        continue;
      if (dashed && letter === "f") full = true;
      else if (dashed && letter === "l") long = true;
      else if (
        !dashed &&
        (letter === "a" || letter === "x" || letter === "w" || letter === "e" || letter === "f")
      )
        style = style === "plain" ? "bsd" : style;
      else if (!dashed && letter === "u") style = "user";
      else return unknown(word);
    }
  }
  if (lists.length > 0) return choose(lists.filter((name) => name !== ""));
  if (style !== "plain") return choose(style === "user" ? USER : BSD);
  return choose(full && long ? FULL_LONG : full ? FULL : long ? LONG : PLAIN);
}

/** Where no cgroup is the container's own: those that are in its pid namespace. */
function pidsInNamespace(pid: number): number[] {
  const own = namespaceId(pid, "pid");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && namespaceId(Number(name), "pid") === own)
    .map(Number);
}

function users(): (uid: number) => string {
  const names = new Map<number, string>();
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name = "", , uid = ""] = line.split(":");
    if (uid !== "" && !names.has(Number(uid))) names.set(Number(uid), name);
  }
  return (uid) => names.get(uid) ?? String(uid);
}

function machine(): Machine {
  const boot = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "latin1"))?.[1] ?? 0);
  return { boot, now: Date.now() / 1000, memory: memoryOfMachine(), userName: users() };
}

function readProcess(pid: number): Process | undefined {
  const stat = readStat(pid);
  const status = procFile(pid, "status");
  if (!stat || !status) return undefined;
  const words = (procFile(pid, "cmdline") ?? "").split("\0");
  if (words.at(-1) === "") words.pop();
  return { stat, status: parseStatus(status), words };
}

export function top(container: ContainerRecord, options: readonly string[]): ProcessTable {
  const { status, pid } = container.state;
  if (status === "restarting")
    throw new SampanError(
      "conflict",
      `Container ${container.id} is restarting, wait until the container is running`,
    );
  if (status !== "running" && status !== "paused")
    throw new SampanError("conflict", `container ${container.id} is not running`);
  const chosen = parsePsOptions(options);
  const found = cgroupPids(readCgroupHost(), cgroupOf(container));
  const pids = found.length > 0 ? found : pidsInNamespace(pid);
  const host = machine();
  const processes = pids
    .map(readProcess)
    .filter((process) => process !== undefined)
    .map((process) => chosen.map(({ column }) => column.value(process, host)));
  return { titles: chosen.map(({ title }) => title), processes };
}
