/** The columns of ps(1): what each is called and how it is made of what /proc says. */
import { namespaceId, type ProcStat, procFile } from "../kernel/proc.ts";

/** A process, or one of its threads. */
export interface Process {
  readonly stat: ProcStat;
  /** The thread; the process's own pid where threads are not told apart. */
  readonly thread: number;
  /** /proc/PID/status */
  readonly status: ReadonlyMap<string, string>;
  /** Its command line; empty for a zombie. */
  readonly words: readonly string[];
}

export interface Machine {
  /** Seconds since 1970. */
  readonly boot: number;
  readonly now: number;
  /** Bytes. */
  readonly memory: number;
  readonly userName: (uid: number) => string;
  readonly groupName: (gid: number) => string;
}

export interface Column {
  readonly title: string;
  readonly value: (process: Process, machine: Machine) => string;
}

/** USER_HZ: 100 in every ABI that Linux has here. */
const TICKS = 100;
const PAGE = 4096;

const two = (n: number): string => String(Math.floor(n)).padStart(2, "0");
const ids = (process: Process, key: "Uid" | "Gid"): number[] =>
  (process.status.get(key) ?? "").split(/\s+/).map(Number);
const cpuSeconds = ({ stat }: Process): number => Math.floor((stat.utime + stat.stime) / TICKS);
const startOf = ({ stat }: Process, machine: Machine): number => machine.boot + Number(stat.start) / TICKS;
const ageOf = (process: Process, machine: Machine): number =>
  Math.max(0, machine.now - startOf(process, machine));

function cpuShare(process: Process, machine: Machine): number {
  const age = ageOf(process, machine);
  return age > 0 ? ((process.stat.utime + process.stat.stime) / TICKS / age) * 100 : 0;
}

/** DD-HH:MM:SS; `short` leaves leading zeros of hours out, as elapsed time has it. */
function clock(seconds: number, short = false): string {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  const rest = `${two((seconds % 3600) / 60)}:${two(seconds % 60)}`;
  if (days > 0) return `${days < 10 && short ? `0${days}` : days}-${two(hours)}:${rest}`;
  return short && hours === 0 ? rest : `${two(hours)}:${rest}`;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const DAYS = "Sun Mon Tue Wed Thu Fri Sat".split(" ");

/** The time of day for what began today, the day for what began this year, else the year. */
function startText(process: Process, machine: Machine): string {
  const start = new Date(startOf(process, machine) * 1000);
  const now = new Date(machine.now * 1000);
  if (start.getFullYear() !== now.getFullYear()) return String(start.getFullYear());
  if (start.getMonth() === now.getMonth() && start.getDate() === now.getDate())
    return `${two(start.getHours())}:${two(start.getMinutes())}`;
  return `${MONTHS[start.getMonth()]}${two(start.getDate())}`;
}

function longStart(process: Process, machine: Machine): string {
  const d = new Date(startOf(process, machine) * 1000);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return `${DAYS[d.getDay()]} ${MONTHS[d.getMonth()]} ${String(d.getDate()).padStart(2)} ${time} ${d.getFullYear()}`;
}

/** From the device number of its controlling terminal (proc_pid_stat(5), tty_nr). */
function terminal({ stat }: Process): string {
  if (stat.tty === 0) return "?";
  const major = (stat.tty >> 8) & 0xfff;
  const minor = (stat.tty & 0xff) | ((stat.tty >> 12) & 0xfff00);
  if (major >= 136 && major <= 143) return `pts/${(major - 136) * 256 + minor}`;
  if (major === 4) return minor < 64 ? `tty${minor}` : `ttyS${minor - 64}`;
  return major === 5 && minor === 1 ? "console" : "?";
}

function command({ stat, words }: Process): string {
  if (words.length > 0) return words.join(" ");
  return stat.state === "Z" ? `[${stat.comm}] <defunct>` : `[${stat.comm}]`;
}

/** The state with ps's marks: priority, locked pages, session leader, threads, foreground. */
function stateText({ stat, status }: Process): string {
  let text = stat.state;
  if (stat.nice < 0) text += "<";
  if (stat.nice > 0) text += "N";
  if (!(status.get("VmLck") ?? "0").startsWith("0")) text += "L";
  if (stat.session === stat.pid) text += "s";
  if (stat.threads > 1) text += "l";
  if (stat.tpgid === stat.pgrp && stat.tty !== 0) text += "+";
  return text;
}

const column = (title: string, value: Column["value"]): Column => ({ title, value });
const number = (title: string, value: (process: Process) => number): Column =>
  column(title, (process) => String(value(process)));
const namespace = (title: string, name: string): Column =>
  column(title, ({ stat }) => /\d+/.exec(namespaceId(stat.pid, name) ?? "")?.[0] ?? "-");

const args = column("COMMAND", command);
const comm = column("COMMAND", ({ stat }) => (stat.state === "Z" ? `${stat.comm} <defunct>` : stat.comm));
const user = column("USER", (p, m) => m.userName(ids(p, "Uid")[1] ?? 0));
const uid = number("UID", (p) => ids(p, "Uid")[1] ?? 0);
const gid = number("GID", (p) => ids(p, "Gid")[1] ?? 0);
const tty = column("TTY", terminal);
const time = column("TIME", (p) => clock(cpuSeconds(p)));
const start = column("STIME", startText);
const vsz = number("VSZ", ({ stat }) => Math.floor(stat.vsize / 1024));
const rss = number("RSS", ({ stat }) => (stat.rss * PAGE) / 1024);
const pcpu = column("%CPU", (p, m) => cpuShare(p, m).toFixed(1));
const pmem = column("%MEM", ({ stat }, m) => ((stat.rss * PAGE * 100) / m.memory).toFixed(1));
const state = column("S", ({ stat }) => stat.state);
const processGroup = number("PGID", ({ stat }) => stat.pgrp);
const lwp = (title: string): Column => number(title, ({ thread }) => thread);
const group = column("GROUP", (p, m) => m.groupName(ids(p, "Gid")[1] ?? 0));
/** By the number of the scheduling policy. */
const CLASSES = ["TS", "FF", "RR", "B", "ISO", "IDL", "DLN"];
const scheduling = column("CLS", ({ stat }) => CLASSES[stat.policy] ?? "?");
const session = number("SID", ({ stat }) => stat.session);

/** By the names that `ps -o` takes. */
export const COLUMNS: Readonly<Record<string, Column>> = {
  pid: number("PID", ({ stat }) => stat.pid),
  tgid: number("TGID", ({ stat }) => stat.pid),
  ppid: number("PPID", ({ stat }) => stat.ppid),
  pgid: processGroup,
  pgrp: processGroup,
  lwp: lwp("LWP"),
  spid: lwp("SPID"),
  tid: lwp("TID"),
  sid: session,
  sess: session,
  user,
  euser: user,
  uname: user,
  ruser: column("RUSER", (p, m) => m.userName(ids(p, "Uid")[0] ?? 0)),
  uid,
  euid: uid,
  ruid: number("RUID", (p) => ids(p, "Uid")[0] ?? 0),
  gid,
  egid: gid,
  rgid: number("RGID", (p) => ids(p, "Gid")[0] ?? 0),
  group,
  egroup: column("EGROUP", group.value),
  rgroup: column("RGROUP", (p, m) => m.groupName(ids(p, "Gid")[0] ?? 0)),
  comm,
  ucmd: column("CMD", comm.value),
  ucomm: comm,
  args,
  command: args,
  cmd: column("CMD", command),
  tty,
  tt: column("TT", terminal),
  tname: tty,
  time,
  cputime: time,
  bsdtime: column("TIME", (p) => `${Math.floor(cpuSeconds(p) / 60)}:${two(cpuSeconds(p) % 60)}`),
  etime: column("ELAPSED", (p, m) => clock(Math.floor(ageOf(p, m)), true)),
  etimes: column("ELAPSED", (p, m) => String(Math.floor(ageOf(p, m)))),
  stime: start,
  start_time: column("START", startText),
  start: column("STARTED", startText),
  bsdstart: column("START", startText),
  lstart: column("STARTED", longStart),
  c: column("C", (p, m) => String(Math.min(99, Math.floor(cpuShare(p, m))))),
  pcpu,
  "%cpu": pcpu,
  pmem,
  "%mem": pmem,
  vsz,
  vsize: vsz,
  rss,
  rssize: rss,
  sz: number("SZ", ({ stat }) => Math.floor(stat.vsize / PAGE)),
  stat: column("STAT", stateText),
  s: state,
  state,
  f: column("F", ({ stat }) => String((stat.flags >> 6) & 7)),
  flag: column("F", ({ stat }) => String((stat.flags >> 6) & 7)),
  ni: number("NI", ({ stat }) => stat.nice),
  nice: number("NI", ({ stat }) => stat.nice),
  pri: number("PRI", ({ stat }) => 39 - stat.priority),
  psr: number("PSR", ({ stat }) => stat.processor),
  cls: scheduling,
  class: scheduling,
  rtprio: column("RTPRIO", ({ stat }) => (stat.realtimePriority > 0 ? String(stat.realtimePriority) : "-")),
  tpgid: number("TPGID", ({ stat }) => stat.tpgid),
  label: column(
    "LABEL",
    ({ stat }) => (procFile(stat.pid, "attr/current") ?? "").replace(/[\0\n]+$/, "") || "-",
  ),
  nlwp: number("NLWP", ({ stat }) => stat.threads),
  thcount: number("THCNT", ({ stat }) => stat.threads),
  addr: column("ADDR", () => "-"),
  wchan: column("WCHAN", ({ stat }) => (procFile(stat.pid, "wchan") ?? "").replace(/^0?$/, "-")),
  cgroup: column("CGROUP", ({ stat }) => (procFile(stat.pid, "cgroup") ?? "").trim().replaceAll("\n", ",")),
  pidns: namespace("PIDNS", "pid"),
  mntns: namespace("MNTNS", "mnt"),
  netns: namespace("NETNS", "net"),
  ipcns: namespace("IPCNS", "ipc"),
  utsns: namespace("UTSNS", "uts"),
  userns: namespace("USERNS", "user"),
  cgroupns: namespace("CGROUPNS", "cgroup"),
  timens: namespace("TIMENS", "time"),
  // ps -f calls a user's name UID.
  uid_name: column("UID", user.value),
};
