/** A step of a plan in a few words: the system call and what it is done to, as one would type it. */
import { MS } from "../kernel/flags.ts";
import { CLONE, type Step } from "../launch/index.ts";
import { capabilityNames, RLIMITS } from "../runtime/index.ts";

export type Plank = "namespaces" | "cgroups" | "root filesystem" | "process";

export function plankOf(step: Step): Plank {
  switch (step.call) {
    case "clone":
    case "join":
    case "setns":
    case "unshare":
    case "barrier":
    case "spawn":
    case "companion":
    case "ask":
    case "netlink":
    case "hold":
    case "hostname":
    case "domainname":
      return "namespaces";
    case "write":
      return step.path.startsWith("/proc/") ? "namespaces" : "cgroups";
    case "proc":
      return step.path.startsWith("sys/") ? "namespaces" : "process";
    case "mkdir":
      return step.column === "outside" ? "cgroups" : "root filesystem";
    case "bpf_device":
    case "kill":
    case "read":
    case "rmdir":
      return "cgroups";
    case "propagation":
    case "overlay":
    case "root":
    case "mount":
    case "bind":
    case "attributes":
    case "mask":
    case "readonly":
    case "mknod":
    case "symlink":
    case "console":
    case "pivot":
    case "chroot":
    case "copy":
    case "apply":
      return "root filesystem";
    default:
      return "process";
  }
}

/** Names of the bits of MS_* or MOUNT_ATTR_* that say something. */
function mountFlags(flags: number): string {
  return (["rdonly", "nosuid", "nodev", "noexec", "noatime", "strictatime"] as const)
    .filter((name) => flags & MS[name])
    .map((name) => (name === "rdonly" ? "ro" : name))
    .join(",");
}

/** MOUNT_ATTR_* has the same first four bits. */
const attributes = (set: number): string => mountFlags(set & 0xf);

const namespaceNames = (flags: number): string =>
  Object.entries(CLONE)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name)
    .join(" ");

/** Of a cgroup's file its hierarchy and name; of an id twelve digits: whoever reads this knows the rest. */
function short(path: string): string {
  const [, cgroup] = /^\/sys\/fs\/cgroup\/(.+)$/.exec(path) ?? [];
  if (cgroup === undefined) return path.replace(/([0-9a-f]{12})[0-9a-f]{52}/g, "$1…");
  const parts = cgroup.split("/");
  const id = parts.findIndex((part) => /[0-9a-f]{64}/.test(part));
  if (id < 0) return cgroup;
  return [...(id > 1 ? parts.slice(0, 1) : []), "…", ...parts.slice(id + 1)].join("/");
}

const text = (data: string | Uint8Array): string =>
  typeof data === "string" ? data.trim().replaceAll("\n", "; ") : `${data.length} bytes`;

const RLIMIT_NAMES = new Map(Object.entries(RLIMITS).map(([name, number]) => [number, name]));
const INFINITY = 2n ** 64n - 1n;
const limit = (value: bigint): string => (value === INFINITY ? "unlimited" : String(value));

const KINDS: Readonly<Record<number, string>> = { 0o020000: "c", 0o060000: "b", 0o010000: "p" };

export function phrase(step: Step): string {
  switch (step.call) {
    case "clone": {
      const names = namespaceNames(step.flags);
      return `clone3${names === "" ? "" : ` ${names}`}${step.cgroup ? " into its cgroup" : ""}`;
    }
    case "join":
      return `setns ${namespaceNames(step.flags)} of process ${step.pid}`;
    case "setns":
      return `setns ${step.path}`;
    case "unshare":
      return `unshare ${namespaceNames(step.flags)}`;
    case "barrier":
      return "wait for the other column";
    case "ask":
      return `ask ${short(step.socket)} ${step.text}`;
    case "spawn":
    case "companion":
      return step.argv.join(" ");
    case "write":
      return `write ${text(step.data)} > ${short(step.path)}`;
    case "mkdir":
      return `mkdir ${short(step.path)}`;
    case "propagation":
      return `mount --make-${step.flags & MS.rec ? "r" : ""}${step.flags & MS.slave ? "slave" : "private"} ${step.path ?? "/"}`;
    case "overlay": {
      const count = step.lower.length;
      return `overlay of ${count} layer${count === 1 ? "" : "s"}${step.upper ? " and upper" : ""} on ${step.target}`;
    }
    case "root":
      return `open ${step.path} as the root`;
    case "mount":
      return `mount ${step.fstype} on ${step.target} ${[mountFlags(step.flags), step.data].filter(Boolean).join(" ")}`.trim();
    case "bind":
      return `bind ${short(step.base === undefined ? step.source : `${step.base}${step.source === "/" ? "" : step.source}`)} on ${step.target} ${attributes(step.set)}${step.idmap ? " id-mapped" : ""}`.trim();
    case "attributes":
      return `mount_setattr ${step.target} ${attributes(step.set)}`.trim();
    case "mask":
      return `mask ${step.target}`;
    case "readonly":
      return `read-only ${step.target}`;
    case "mknod":
      return `mknod ${step.target} ${KINDS[step.mode & 0o170000] ?? ""} ${step.major} ${step.minor}`;
    case "symlink":
      return `symlink ${step.target} to ${step.to}`;
    case "console":
      return `open a pty of ${step.rows} × ${step.columns}`;
    case "pivot":
      return "pivot_root";
    case "chroot":
      return "chroot";
    case "setsid":
      return "setsid";
    case "stdio":
      return "dup2 its standard streams";
    case "hostname":
      return `sethostname ${step.name}`;
    case "domainname":
      return `setdomainname ${step.name}`;
    case "proc":
      return `write ${step.data} > /proc/${step.path}`;
    case "rlimit":
      return `setrlimit ${(RLIMIT_NAMES.get(step.resource) ?? String(step.resource)).replace("RLIMIT_", "").toLowerCase()} ${limit(step.soft)}${step.hard === step.soft ? "" : ` ${limit(step.hard)}`}`;
    case "keyring":
      return "a session keyring of its own";
    case "bounding":
      return `drop all capabilities but ${capabilityNames(step.mask).length}`;
    case "user":
      return `setresuid ${step.uid}, setresgid ${step.gid}, setgroups ${step.groups.join(" ")}`.trim();
    case "capabilities":
      return `capset: ${capabilityNames(step.effective).length} effective, ${capabilityNames(step.permitted).length} permitted`;
    case "no_new_privs":
      return "prctl no_new_privs";
    case "pdeathsig":
      return step.signal === 0 ? "outlive the keeper" : "die with the keeper";
    case "umask":
      return `umask ${step.mask.toString(8).padStart(4, "0")}`;
    case "chdir":
      return `chdir ${step.path}`;
    case "seccomp":
      return `seccomp: a filter of ${step.program.length / 8} instructions`;
    case "init":
      return "fork: the parent stays as init";
    case "execve":
      return `execve ${step.argv.join(" ")}`;
    case "netlink":
      return netlinkText(step);
    case "hold":
      return `bind port ${((step.address[2] ?? 0) << 8) | (step.address[3] ?? 0)} of the host`;
    case "bpf_device":
      return `bpf: ${step.program.length / 8} instructions judge devices`;
    case "kill":
      return `kill all of ${short(step.path)}`;
    case "read":
      return `read ${short(step.path)}`;
    case "rmdir":
      return `rmdir ${short(step.path)}`;
    case "apply":
      return `${step.remove ? "remove" : "replace"} ${step.folder}${step.path}`;
    case "copy":
      return `copy ${short(`${step.base ?? ""}${step.path}`)} into ${short(step.target)}`;
  }
}

/** What a netlink step is for; the messages themselves are the kernel's to read. */
function netlinkText(step: Step & { readonly call: "netlink" }): string {
  if (step.protocol === 12) {
    if (step.why === "--publish")
      return `netlink: published ports ${step.column === "after" ? "out of" : "into"} nf_tables`;
    return step.column === "inside"
      ? "netlink: nf_tables lead 127.0.0.11 to who answers for names"
      : "netlink: are the rules in nf_tables?";
  }
  if (step.column === "outside" && !step.fill?.pid) return "netlink: is the bridge up, with its address?";
  if (step.column === "outside") return "netlink: a link into the container's namespace";
  return step.messages.length === 32 ? "netlink: lo up" : "netlink: lo up, addresses, routes";
}
