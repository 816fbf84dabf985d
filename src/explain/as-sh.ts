/**
 * A container as a shell script that makes it once more: the plan of its last start, each step in the words of util-linux, and
 * what no shell can do (the end of it, from pivot_root to execve) in a few lines of perl, which every Debian has. A script
 * is to be read: it keeps the order of the planks rather than the plan's.
 */
import { readFileSync } from "node:fs";
import { MS } from "../kernel/flags.ts";
import { CLONE, type NamespaceName, type Step } from "../launch/index.ts";
import { RLIMITS } from "../runtime/index.ts";
import { quote } from "./as-run.ts";
import { comment, endOf, program } from "./sh-program.ts";

export interface ShInput {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Beneath the mount of each hierarchy, as `/sampan/ID`. */
  readonly cgroupPath: string;
  /** The engine's own folder of files that are bound in: what they hold is written into the script. */
  readonly run: string;
}

export function asSh(input: ShInput): string {
  const { name, steps } = input;
  const count = steps.filter(({ column }) => column !== "after").length;
  const inside = `# ---- From here on it is inside: process 1 of its own world, which still looks like the machine's.
${rootfs(input)}
${settings(steps)}
${program(steps)}`;
  const end = endOf(inside, "INSIDE");
  return `#!/bin/sh
${comment(
  `The container ${name} once more, by hand: what the engine does in ${count} steps, done by a shell, util-linux and perl. ` +
    `Run it as root. Its changes to the root filesystem lie in memory and go when it ends.`,
)}set -eu
dir=$(mktemp -d)

${cgroups(input)}trap leave EXIT
trap 'exit 143' INT TERM

${namespaces(steps, end)}
${inside}${end}
exit "$code"
`;
}

const heading = (plank: string, aside: string): string => `# ---- ${plank}: ${aside}\n`;

/** A comment at the end of a line, and never beyond it: some of what is said there others have chosen. */
const aside = (why: string): string => `  # ${why.replaceAll("\n", " ")}`;

const of = <C extends Step["call"]>(steps: readonly Step[], call: C) =>
  steps.filter((step): step is Extract<Step, { call: C }> => step.call === call);

// ---- cgroups

function cgroups({ steps, cgroupPath }: ShInput): string {
  const mine = (path: string): boolean => path.endsWith(cgroupPath) || path.includes(`${cgroupPath}/`);
  const folders = of(steps, "mkdir").filter(
    ({ column, path }) => column === "outside" && path.endsWith(cgroupPath),
  );
  if (folders.length === 0)
    return '# ---- Cgroups: it has none of its own.\nenter() { :; }\nleave() { rmdir "$dir"; }\n';
  const mounts = folders.map(({ path }) => path.slice(0, -cgroupPath.length));
  const parent = cgroupPath.slice(0, cgroupPath.lastIndexOf("/"));
  const there = (path: string): string => {
    const mount = mounts.find((each) => path.startsWith(`${each}${cgroupPath}`));
    return mount === undefined
      ? quote(path)
      : `${mount}$cgroup${path.slice(mount.length + cgroupPath.length)}`;
  };
  const lines = [
    `${heading("Cgroups", "what it may use. A folder in each tree, and a file for each limit")}cgroup=${quote(parent)}/by-hand-$$`,
    `trees="${mounts.map((mount) => mount.replace(/^\/sys\/fs\/cgroup\//, "")).join(" ")}"; cd /sys/fs/cgroup`,
    'for tree in $trees; do mkdir -p "$tree$cgroup"; done',
  ];
  const writes = of(steps, "write").filter(({ column }) => column === "outside");
  for (let at = 0; at < writes.length; ) {
    const { path, data, why } = writes[at] as (typeof writes)[number];
    const same = writes.slice(at).findIndex((each) => each.path !== path || each.why !== why);
    const run = writes
      .slice(at, same < 0 ? undefined : at + same)
      .map((each) => quote(String(each.data).trim()));
    at += run.length;
    if (!mine(path) && !path.startsWith("/sys/fs/cgroup/")) continue;
    lines.push(
      run.length === 1
        ? `echo ${quote(String(data).trim())} > ${there(path)}${aside(why)}`
        : `for rule in ${wrap(run, 2)}; do echo "$rule" > ${there(path)}; done${aside(why)}`,
    );
  }
  if (of(steps, "bpf_device").length > 0)
    lines.push(
      "# Which devices may be opened is judged by an eBPF program, which no shell can load: all may here.",
    );
  lines.push(
    "# A process that writes 0 into cgroup.procs moves itself; whatever it starts is then there too.",
    'enter() { for tree in $trees; do echo 0 > "$tree$cgroup/cgroup.procs"; done; cd /; }',
    'leave() { for tree in $trees; do rmdir "$tree$cgroup"; done; rmdir "$dir"; }',
  );
  return `${lines.join("\n")}\n`;
}

// ---- namespaces

const LONG: Readonly<Record<NamespaceName, string>> = {
  mnt: "mount",
  pid: "pid",
  net: "net",
  uts: "uts",
  ipc: "ipc",
  cgroup: "cgroup",
  user: "user",
  time: "time",
};

const names = (flags: number): NamespaceName[] =>
  (Object.keys(LONG) as NamespaceName[]).filter((name) => (flags & CLONE[name]) !== 0);

function namespaces(steps: readonly Step[], end: string): string {
  let flags = 0;
  const joins: string[] = [];
  for (const step of steps) {
    if (step.column === "after") continue;
    if (step.call === "clone" || step.call === "unshare") flags |= step.flags;
    if (step.call === "join")
      joins.push(
        `--target ${step.pid} ${names(step.flags)
          .map((name) => `--${LONG[name]}`)
          .join(" ")}`,
      );
    if (step.call === "setns") joins.push(`--${LONG[names(step.flags)[0] ?? "mnt"]}=${quote(step.path)}`);
  }
  const own = names(flags);
  const pid = own.includes("pid") ? " --fork --kill-child" : "";
  const unshare = `unshare ${own.map((name) => `--${LONG[name]}`).join(" ")}${own.includes("mnt") ? " --propagation unchanged" : ""}${pid}`;
  return (
    `${heading("Namespaces", "what it sees. The script goes on in new ones, with the text below as its program")}code=0\n` +
    `( enter && exec ${joins.map((join) => `nsenter ${join} -- `).join("")}${own.length > 0 ? `${unshare} ` : ""}\\\n` +
    `  env dir="$dir" sh -eu /dev/fd/3 ) 3<<'${end}' || code=$?\n`
  );
}

// ---- the root filesystem

const FLAGS = ["rdonly", "nosuid", "nodev", "noexec", "noatime", "strictatime", "nosymfollow"] as const;

/** As mount(8) takes them. */
const mountFlags = (flags: number): string[] =>
  FLAGS.filter((name) => flags & MS[name]).map((name) => (name === "rdonly" ? "ro" : name));

/** MOUNT_ATTR_* has the same first four bits as MS_*. */
const attributeFlags = (set: number): string => mountFlags(set & 0xf).join(",");

const HELPERS = `# A new filesystem: its type, options, path.
new() { mkdir -p "$root$3"; mount -t "$1" -o "$2" "$1" "$root$3"; }
# A file or folder of this machine at a path of the container, which is made if need be.
bind() {
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root$(dirname "$2")"; [ -e "$root$2" ] || : > "$root$2"; fi
  mount "--\${3:-rbind}" "$1" "$root$2"
}
# Mounts with further flags: those that are there stay.
again() { mount -o "remount,bind,$(findmnt -no VFS-OPTIONS "$1" | tail -n 1),$2" "$1"; }
# Nothing can be seen there any more: an empty folder over folders, /dev/null over files.
mkdir "$dir/empty"; mount -t tmpfs -o nosuid,nodev,noexec,size=0k,nr_inodes=2,mode=755 tmpfs "$dir/empty"
mask() {
  if [ -d "$root$1" ]; then mount --bind "$dir/empty" "$root$1"; again "$root$1" ro
  elif [ -e "$root$1" ]; then mount --bind /dev/null "$root$1"; fi
}
fixed() { if [ -e "$root$1" ]; then mount --bind "$root$1" "$root$1"; again "$root$1" ro; fi; }`;

function rootfs({ steps, run }: ShInput): string {
  const inside = steps.filter(({ column }) => column === "inside");
  const root = of(inside, "root")[0]?.path ?? "/";
  const lines = [
    `${heading("Root filesystem", "where it lives. Made in a mount namespace of its own, so the machine never sees it")}exec 3<&-`,
  ];
  const overlay = of(inside, "overlay").find(({ target }) => target === root);
  if (of(inside, "propagation").length > 0) lines.push(...of(inside, "propagation").map(propagation));
  if (overlay)
    lines.push(
      'mount -t tmpfs -o mode=700 tmpfs "$dir"',
      'mkdir -p "$dir/upper" "$dir/work" "$dir/root"; root=$dir/root',
      `mount -t overlay -o lowerdir=${quote(overlay.lower.join(":"))},upperdir="$dir/upper",workdir="$dir/work" overlay "$root"`,
    );
  else if (root === "/") lines.push("root=  # the machine's own");
  else
    lines.push(
      'mount -t tmpfs -o mode=700 tmpfs "$dir"',
      `root=${quote(root)}; mount --rbind ${quote(of(inside, "bind").find(({ at }) => at === "host")?.source ?? root)} "$root"`,
    );
  lines.push(HELPERS);
  const rest = inside.filter(
    (step) => !(step.call === "overlay" || (step.call === "bind" && step.at === "host")),
  );
  for (let at = 0; at < rest.length; at++) {
    const step = rest[at] as Step;
    if (step.call === "mknod" || step.call === "mask" || step.call === "readonly") {
      const run: Step[] = [];
      while (rest[at]?.call === step.call) run.push(rest[at++] as Step);
      at--;
      lines.push(many(step.call, run));
    } else if (step.call === "mount" && step.fstype === "cgroup") {
      const run: Mount[] = [];
      for (let next = rest[at]; next?.call === "mount" && next.fstype === "cgroup"; next = rest[++at])
        run.push(next);
      at--;
      lines.push(...trees(run));
    } else lines.push(...fileLines(step, run));
  }
  return `${lines.join("\n")}\n`;
}

type Mount = Extract<Step, { call: "mount" }>;
type Bind = Extract<Step, { call: "bind" }>;

/** Steps that are alike, in one loop. */
function many(call: "mknod" | "mask" | "readonly", run: readonly Step[]): string {
  if (call !== "mknod") {
    const targets = run.map((step) =>
      step.call === "mask" || step.call === "readonly" ? quote(step.target) : "",
    );
    return `for path in ${wrap(targets, 4)}; do ${call === "mask" ? "mask" : "fixed"} "$path"; done${aside(run[0]?.why ?? "")}`;
  }
  const kind = (mode: number): string => ({ 0o020000: "c", 0o060000: "b" })[mode & 0o170000] ?? "p";
  return run
    .flatMap((step) => {
      if (step.call !== "mknod") return [];
      const { mode, target, major, minor, uid, gid } = step;
      const numbers = kind(mode) === "p" ? "" : ` ${major} ${minor}`;
      const owner = uid + gid > 0 ? `; chown ${uid}:${gid} ${within(target)}` : "";
      const parent = target.slice(0, target.lastIndexOf("/"));
      const deep = parent === "/dev" ? "" : `mkdir -p ${within(parent)}; `;
      return [
        `${deep}mknod -m ${(mode & 0o7777).toString(8)} ${within(target)} ${kind(mode)}${numbers}${owner}`,
      ];
    })
    .join("\n");
}

const wrap = (words: readonly string[], indent: number): string => {
  let line = "";
  let text = "";
  for (const word of words) {
    if (line.length + word.length > 90) {
      text += `${line}\\\n${" ".repeat(indent)}`;
      line = "";
    }
    line += `${word} `;
  }
  return (text + line).trimEnd();
};

/** A path of the container. */
const within = (path: string): string => `"$root"${quote(path)}`;

function propagation({ flags, path }: Extract<Step, { call: "propagation" }>): string {
  const kind = flags & MS.slave ? "slave" : flags & MS.shared ? "shared" : "private";
  return `mount --make-${flags & MS.rec ? "r" : ""}${kind} ${quote(path ?? "/")}`;
}

function fileLines(step: Step, run: string): string[] {
  switch (step.call) {
    case "mount":
      return [mounted(step)];
    case "bind":
      return bind(step, run);
    case "attributes": {
      const flags = attributeFlags(step.set);
      return [
        ...(flags === ""
          ? []
          : [`again ${step.target === "/" ? '"$root"' : within(step.target)} ${flags}${aside(step.why)}`]),
        ...propagated(step.propagation, step.target),
      ];
    }
    case "symlink":
      return [`[ -L ${within(step.target)} ] || ln -s ${quote(step.to)} ${within(step.target)}`];
    case "mkdir":
      return [`mkdir -p ${step.at === "root" ? within(step.path) : quote(step.path)}${aside(step.why)}`];
    case "console":
      return ["# --tty: the engine gives it a terminal of its own; here it has that of the script."];
    default:
      return [];
  }
}

const asked = (why: string): string => (why.startsWith("-") ? aside(why) : "");

function propagated(flags: number, target: string): string[] {
  if (flags === 0 || flags & MS.private) return [];
  return [
    propagation({ call: "propagation", column: "inside", why: "", flags, path: "" }).replace(
      /''$/,
      within(target),
    ),
  ];
}

/** The trees of cgroup v1, most of which are called like their one controller. */
function trees(run: readonly Mount[]): string[] {
  const [first] = run;
  if (!first) return [];
  const flags = mountFlags(first.flags).join(",");
  const plain = run.filter(({ target, data }) => target === `/sys/fs/cgroup/${data}`).map(({ data }) => data);
  return [
    ...(plain.length > 0
      ? [`for tree in ${plain.join(" ")}; do new cgroup "${flags},$tree" "/sys/fs/cgroup/$tree"; done`]
      : []),
    ...run.filter(({ data }) => !plain.includes(data)).map(mounted),
  ];
}

const optionsOf = ({ flags, data }: Mount): string =>
  [...mountFlags(flags), ...(data === "" ? [] : [data])].join(",") || "rw";

function mounted(step: Mount): string {
  const { fstype, source, target, why } = step;
  if (source === fstype) return `new ${fstype} ${quote(optionsOf(step))} ${quote(target)}${asked(why)}`;
  return `mkdir -p ${within(target)}; mount -t ${fstype} -o ${quote(optionsOf(step))} ${quote(source)} ${within(target)}${asked(why)}`;
}

function bind(step: Bind, run: string): string[] {
  const { target, set, idmap } = step;
  const own = step.source.startsWith(`${run}/`);
  const { source, lines } = own ? written(step.source) : { source: quote(step.source), lines: [] };
  const from = step.from === "root" ? within(step.source) : source;
  const flags = attributeFlags(set);
  return [
    ...lines,
    `bind ${from} ${quote(target)}${step.recursive ? "" : " bind"}${own ? "" : asked(step.why)}`,
    ...(flags === ""
      ? []
      : step.recursiveAttributes
        ? [`findmnt -Rno TARGET -r ${within(target)} | while read -r at; do again "$at" ${flags}; done`]
        : [`again ${within(target)} ${flags}`]),
    ...propagated(step.propagation, target),
    ...(idmap
      ? [
          "# Its owners were mapped (id-mapped mount), which mount(8) does from util-linux 2.39 on: X-mount.idmap.",
        ]
      : []),
  ];
}

/** A file of the engine's own, such as /etc/hosts, with what it holds now. */
function written(path: string): { source: string; lines: string[] } {
  const name = path.slice(path.lastIndexOf("/") + 1);
  let text = "";
  try {
    // A shell passes over NUL bytes as it reads: with them a line would not look like the one that it is.
    text = readFileSync(path, "utf8").replaceAll("\0", "");
  } catch {
    // It lies where the container runs no more: it is made anew at each start.
  }
  const rest = text === "" || text.endsWith("\n") ? "" : "\n";
  const end = endOf(text, "END");
  return { source: `"$dir/${name}"`, lines: [`cat > "$dir/${name}" <<'${end}'\n${text}${rest}${end}`] };
}

// ---- what a shell can still do for the process

const LIMITS = new Map(Object.entries(RLIMITS).map(([name, number]) => [number, name]));

function settings(steps: readonly Step[]): string {
  const lines = [heading("Process", "what it is called and what it may have").trimEnd()];
  if (steps.some(({ call, column }) => call === "netlink" && column === "outside"))
    lines.push(
      "# Of its network it has the loopback here; the link to the bridge and published ports are not repeated.",
    );
  for (const step of steps) {
    if (step.column !== "inside") continue;
    switch (step.call) {
      case "hostname":
        lines.push(`echo ${quote(step.name)} > /proc/sys/kernel/hostname`);
        break;
      case "domainname":
        lines.push(`echo ${quote(step.name)} > /proc/sys/kernel/domainname`);
        break;
      case "proc":
        // The script's container has no link to a network, only its loopback.
        if (step.why === "--network") break;
        lines.push(
          step.path.includes("attr/")
            ? `# Its label would be: ${comment(step.data).slice(2).trimEnd()}`
            : `echo ${quote(step.data)} > ${quote(`/proc/${step.path}`)}${aside(step.why)}`,
        );
        break;
      case "rlimit": {
        const say = (value: bigint): string => (value === 2n ** 64n - 1n ? "unlimited" : String(value));
        const set = (range: string): string =>
          `prlimit --pid $$ --${LIMITS.get(step.resource) ?? "nofile"}=${range}`;
        lines.push(
          `${set(`${say(step.soft)}:${say(step.hard)}`)}${step.nearest ? ` 2>/dev/null || ${set('"$(ulimit -Hn):$(ulimit -Hn)"')}  # or the most that is allowed` : ""}`,
        );
        break;
      }
      case "umask":
        lines.push(`umask ${step.mask.toString(8).padStart(4, "0")}`);
        break;
    }
  }
  return lines.join("\n");
}
