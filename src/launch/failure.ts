/**
 * A step that failed, said in words: what was to be done, on what, why the kernel refused, what to do about it. The finer
 * diagnosis of a program that cannot be executed needs the container's files and is made above, by container/.
 */
import { readFileSync } from "node:fs";
import { type ErrorCode, SampanError } from "../common/error.ts";
import { errnoName, errnoText } from "../kernel/errno.ts";
import { doctorRows } from "./doctor-row.ts";
import type { Plan, Report } from "./plan.ts";
import { CLONE, type Step } from "./step.ts";

const EPERM = 1;
const ENOENT = 2;
const ESRCH = 3;
const ENOEXEC = 8;
const ENOMEM = 12;
const EACCES = 13;
const EROFS = 30;
const ENODEV = 19;
const ENOTDIR = 20;
const EINVAL = 22;
const ENOSPC = 28;
const EBADMSG = 74;
const EPROTONOSUPPORT = 93;
const EOPNOTSUPP = 95;
const ETIMEDOUT = 110;
const ECONNREFUSED = 111;
const EHOSTUNREACH = 113;

/** By their numbers of setrlimit(2). */
const LIMITS =
  "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime";

/** What a step does, and on what: the subject of the sentence. */
function doing(step: Step): { readonly words: string; readonly path?: string } {
  switch (step.call) {
    case "clone":
      return { words: "making the container's process" };
    case "join":
      return { words: `joining the namespaces of process ${step.pid}` };
    case "setns":
      return { words: `joining the namespace ${step.path}`, path: step.path };
    case "unshare":
      return { words: "making a namespace" };
    case "barrier":
      return { words: "waiting for the other side" };
    case "companion":
    case "spawn":
      return { words: `running ${step.argv[0]}`, ...(step.argv[0] ? { path: step.argv[0] } : {}) };
    case "ask":
      return { words: `asking ${step.socket}`, path: step.socket };
    case "write":
      return { words: `writing ${step.path}`, path: step.path };
    case "mkdir":
      return { words: `making the folder ${step.path}`, path: step.path };
    case "propagation":
      return { words: "making mounts private" };
    case "overlay":
      return { words: `mounting the image's ${step.lower.length} layers`, path: step.target };
    case "root":
      return { words: `opening the root filesystem ${step.path}`, path: step.path };
    case "mount":
      return { words: `mounting ${ofServer(step)}${step.fstype} on ${step.target}`, path: step.target };
    case "bind":
      if (step.base !== undefined) return { words: `mounting on ${step.target}`, path: step.target };
      return { words: `binding ${step.source} on ${step.target}`, path: step.source };
    case "attributes":
      return { words: `changing the mount ${step.target}`, path: step.target };
    case "mask":
      return { words: `masking ${step.target}`, path: step.target };
    case "readonly":
      return { words: `making ${step.target} read-only`, path: step.target };
    case "mknod":
      return { words: `making the device ${step.target}`, path: step.target };
    case "symlink":
      return { words: `making the link ${step.target}`, path: step.target };
    case "console":
      return { words: "making the terminal" };
    case "pivot":
      return { words: "changing the root" };
    case "chroot":
      return { words: "changing the root" };
    case "setsid":
      return { words: "starting a session" };
    case "stdio":
      return { words: "setting up stdin, stdout and stderr" };
    case "hostname":
      return { words: `setting the host name to ${step.name}` };
    case "domainname":
      return { words: `setting the domain name to ${step.name}` };
    case "proc":
      return { words: `writing "${step.data}" to /proc/${step.path}`, path: `/proc/${step.path}` };
    case "rlimit": {
      const limit = LIMITS.split(" ")[step.resource] ?? step.resource;
      return { words: `setting the limit ${limit} to ${step.soft}:${step.hard}` };
    }
    case "keyring":
      return { words: "making a session keyring" };
    case "bounding":
    case "capabilities":
      return { words: "setting capabilities" };
    case "user":
      return { words: `becoming user ${step.uid}:${step.gid}` };
    case "no_new_privs":
      return { words: "setting no_new_privs" };
    case "pdeathsig":
      return { words: "setting the parent-death signal" };
    case "umask":
      return { words: "setting the umask" };
    case "chdir":
      return { words: `changing to the working directory ${step.path}`, path: step.path };
    case "seccomp":
      return { words: "installing the seccomp filter" };
    case "init":
      return { words: "starting init" };
    case "execve":
      return {
        words: `executing ${step.argv[0]}`,
        ...(step.candidates[0] ? { path: step.candidates[0] } : {}),
      };
    case "netlink":
      return { words: "setting up the network" };
    case "hold":
      return { words: "taking a port of the host" };
    case "bpf_device":
      return { words: `attaching the device program to ${step.cgroup}`, path: step.cgroup };
    case "kill":
      return { words: `killing the processes of ${step.path}`, path: step.path };
    case "read":
      return { words: `reading ${step.path}`, path: step.path };
    case "rmdir":
      return { words: `removing ${step.path}`, path: step.path };
    case "apply":
      return {
        words: `${step.remove ? "removing" : "writing"} ${step.folder}${step.path}`,
        path: `${step.folder}${step.path}`,
      };
    case "copy":
      return { words: `copying ${step.base ?? ""}${step.path} into ${step.target}`, path: step.target };
  }
}

/** Of a filesystem that speaks with a server: what is asked of which server. An NFS volume says that in its options alone. */
function ofServer({ abroad, source, data }: Step & { call: "mount" }): string {
  if (!abroad) return "";
  const server = source.startsWith(":") ? (/(?:^|,)addr=([^,]+)/.exec(data)?.[1] ?? "") : "";
  return `${server}${source} as `;
}

/** Docker's sentence for a program that cannot be executed; its clients read exit code 126 or 127 from it. */
function execFailure(step: Step & { call: "execve" }, errno: number, path: string): SampanError {
  const name = step.argv[0] ?? path;
  const kernel = { syscall: "execve", errno: errnoName(errno), path };
  const searched = !name.includes("/");
  if (errno === ENOENT)
    return new SampanError(
      "command-not-found",
      searched
        ? `exec: "${name}": executable file not found in $PATH`
        : `exec: "${name}": stat ${name}: no such file or directory`,
      { kernel, hint: "The program is looked for in the container's files, not in this machine's." },
    );
  if (errno === EACCES)
    return new SampanError("not-executable", `exec: "${name}": permission denied`, { kernel });
  if (errno === ENOEXEC)
    return new SampanError("not-executable", `exec: "${name}": exec format error`, { kernel });
  return new SampanError("not-executable", `exec: "${name}": ${errnoText(errno)}`, { kernel });
}

const SILENT = "The server does not answer: is its address right, and does it serve there?";
/** What it means that a filesystem could not be had from a server. */
const SERVER: Readonly<Record<number, string>> = {
  [EACCES]:
    "The server refuses it: does it export that to this machine, and for SMB are username= and password= in o=… right?",
  [ENOENT]: "The server answers, and has no such folder or share.",
  [EPROTONOSUPPORT]:
    "The server or this kernel does not speak that version: for NFS say o=…,nfsvers=4, for SMB o=…,vers=3.1.1.",
  [ETIMEDOUT]: SILENT,
  [ECONNREFUSED]: SILENT,
  [EHOSTUNREACH]: SILENT,
};

function hintFor(step: Step, errno: number): string | undefined {
  if (errno === ENOSPC)
    return step.call === "clone" || step.call === "unshare"
      ? "The host's limit on namespaces is reached: see /proc/sys/user/max_*_namespaces."
      : "The disk is full.";
  if (step.call === "clone" && (errno === EPERM || errno === EINVAL))
    return "This host does not let this caller make these namespaces: `sampan doctor` says what is in the way.";
  if (step.call === "bind" && step.idmap && errno === EINVAL)
    return `The filesystem of ${step.source} cannot map ids on this kernel: ext4, xfs and btrfs can, tmpfs from Linux 6.3 on, those of servers cannot.`;
  if (step.call === "mount" && step.abroad && SERVER[errno] !== undefined) return SERVER[errno];
  if (step.call === "proc" && step.why === "--security-opt label")
    return "SELinux does not let this caller give a process that label: `ausearch -m avc` shows the rule that is missing.";
  if (step.call === "bind" && (errno === EINVAL || errno === ENOTDIR))
    return "A folder can only be mounted on a folder, and a file on a file.";
  if (errno === ENODEV && step.call === "mount")
    return `This kernel has no filesystem ${step.fstype}: /proc/filesystems lists those it has, and \`modprobe ${step.fstype}\` loads it where it is a module.`;
  if (errno === EOPNOTSUPP && step.call === "netlink")
    return "This kernel cannot do that: `sampan doctor` tries what networks need of it; where it has them as modules, modprobe loads veth, bridge, macvlan, ipvlan, dummy or 8021q.";
  if (errno === EPERM && step.call === "rlimit")
    return "Only a caller with CAP_SYS_RESOURCE raises a hard limit (`ulimit -H -a` shows them), and nofile never above fs.nr_open.";
  if (errno === ENOENT && step.call === "proc" && step.path.startsWith("self/attr/"))
    return "No such profile is loaded: apparmor_parser -r FILE loads one, /sys/kernel/security/apparmor/profiles lists them.";
  if (errno === EPERM && step.call === "proc")
    return "This host does not let this caller change that value; leave the option out.";
  return undefined;
}

/** Settings that let nobody, or only root, make a user namespace: how they stand then, and how they are lifted. */
const SHUT = [
  ["user.max_user_namespaces", "0", "15000"],
  ["kernel.unprivileged_userns_clone", "0", "1"],
  ["kernel.apparmor_restrict_unprivileged_userns", "1", "0"],
] as const;

function setting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "latin1").trim();
  } catch {
    return undefined;
  }
}

/** The kernel's errno for this says little: ENOSPC, where a limit is meant. */
function noUserNamespace(step: Step & { call: "clone" | "unshare" }, errno: number): SampanError {
  const kernel = { syscall: step.call, errno: errnoName(errno) };
  for (const [name, shut, open] of SHUT)
    if (setting(name) === shut)
      return new SampanError("refused", `this host does not allow user namespaces: ${name} is ${shut}`, {
        kernel,
        hint: `As root: sysctl -w ${name}=${open}`,
      });
  return new SampanError("refused", `making a user namespace: ${errnoText(errno)}`, {
    kernel,
    hint: "`sampan doctor` says what is in the way.",
  });
}

/** No step of the plan failed, but what the keeper does for itself: its lock, its log, its socket. */
function withoutStep(detail: string, errno: number): SampanError {
  if (errno === EBADMSG) return new SampanError("system", `the launcher refused the plan: ${detail}`);
  // The child was gone: the detail says it all.
  if (errno === ESRCH) return new SampanError("system", detail);
  return new SampanError("system", `${detail}: ${errnoText(errno)}`, {
    kernel: { syscall: "open", errno: errnoName(errno) },
  });
}

/** What this caller may not do is a row of the check-up, which says why and what helps. */
function withRow(hint: string | undefined, step: Step, errno: number): string | undefined {
  const abroad = step.call === "mount" && step.abroad;
  const row = !abroad && [EPERM, EACCES, EROFS].includes(errno) ? doctorRows(step)[0] : undefined;
  if (row === undefined) return hint;
  const leads = `The row "${row}" of \`sampan doctor\` says what is in the way.`;
  return hint === undefined
    ? leads
    : `${hint.replace(": `sampan doctor` says what is in the way.", ".")} ${leads}`;
}

/** The error that names the step, its object and the cause. */
export function explainFailure(plan: Plan, report: Report): SampanError {
  const errno = report.errno ?? 0;
  const step = report.failed === undefined ? undefined : plan.steps[report.failed];
  if (!step) return withoutStep(report.detail ?? "the launcher", errno);
  if (step.call === "execve") return execFailure(step, errno, report.detail ?? step.candidates[0] ?? "");
  if ((step.call === "clone" || step.call === "unshare") && step.flags & CLONE.user && errno !== ENOMEM)
    return noUserNamespace(step, errno);
  const { words, path } = doing(step);
  const detail = report.detail ? ` (${report.detail})` : "";
  const code: ErrorCode = errno === EPERM ? "refused" : "system";
  const hint = withRow(hintFor(step, errno), step, errno);
  return new SampanError(code, `${words}: ${errnoText(errno)}${detail}, asked for by ${step.why}`, {
    kernel: { syscall: step.call, errno: errnoName(errno), ...(path === undefined ? {} : { path }) },
    ...(hint === undefined ? {} : { hint }),
  });
}
