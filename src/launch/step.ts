/**
 * A plan is a typed list of steps in one total order and three columns. `outside` steps run in the keeper, in the
 * host's namespaces; `inside` steps run in the child that will become the container's process, before its execve;
 * `after` steps run in the keeper when that process has ended. A column runs in order; the columns meet at barriers.
 *
 * TypeScript decides, the launcher acts: every policy is in this list, the launcher knows none. `why` names the flag
 * or the spec field that asked for a step; it never reaches the launcher, `explain` and the errors use it.
 */

export type Column = "outside" | "inside" | "after";

/** Linux namespace flags (CLONE_NEW*), as clone3, unshare and setns take them. */
export const CLONE = {
  time: 0x00000080,
  mnt: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  net: 0x40000000,
} as const;
export type NamespaceName = keyof typeof CLONE;

/** What every step carries beside its call. */
export interface StepBase {
  readonly column: Column;
  /** The flag or spec field that asked for it, such as `--read-only` or `rootfs`. */
  readonly why: string;
  /** A failure is noted in the report and the plan goes on. */
  readonly optional?: boolean;
}

/** Where a path is looked up: on the host, or beneath the container's root (openat2, RESOLVE_IN_ROOT). */
export type At = "host" | "root";
/** What to make at a mount target that does not exist: a folder, an empty file, or nothing. */
export type Create = "dir" | "file" | "none";

/** Places in netlink messages (byte offsets) for what only the launcher knows when it sends them. */
export interface Fill {
  /** The child's pid as the host sees it: 32 bits. */
  readonly pid?: readonly number[];
  /** The same as seven decimal digits, within a name. */
  readonly digits?: readonly number[];
  /** The number of an interface of the namespace where the step runs, by its name: 32 bits. */
  readonly links?: readonly { readonly at: number; readonly name: string }[];
}

export type Call =
  // ---- processes and namespaces
  /**
   * outside: clone3 makes the child whose column is `inside`, with these CLONE_NEW* flags; `cgroup` clones straight
   * into that cgroup v2 folder. inside: the child is replaced by a sibling born with these flags (CLONE_PARENT), as
   * joining a pid namespace needs. `inside` steps before the outside clone are an error.
   */
  | { readonly call: "clone"; readonly flags: number; readonly cgroup?: string }
  /**
   * setns through a pidfd of `pid`, whose start time (field 22 of /proc/PID/stat) must be `start`. In a health plan
   * pid 0 is the container's own process.
   */
  | { readonly call: "join"; readonly pid: number; readonly start: bigint; readonly flags: number }
  /** setns to a namespace by its file. */
  | { readonly call: "setns"; readonly path: string; readonly flags: number }
  | { readonly call: "unshare"; readonly flags: number }
  /** The column named waits here until the other one has done everything above this line. */
  | { readonly call: "barrier"; readonly waits: "inside" | "outside" }
  /** Executes a host program and waits for it: newuidmap and its like only. `{pid}` alone as an argument is the child's pid. */
  | { readonly call: "spawn"; readonly argv: readonly string[] }
  /**
   * Starts a host program that serves the container as long as its process lives, and waits until it is ready: until it
   * has written the file `ready`, or a byte to fd 3. It ends with the process, and with the keeper. `{pid}` as in `spawn`.
   */
  | { readonly call: "companion"; readonly argv: readonly string[]; readonly ready?: string }
  /**
   * Says `text` on the unix socket of a companion or of the responder and waits some seconds for an answer; one with `"error"` in it is a
   * failure. `{pid}` in it is the child's pid as the host sees it.
   */
  | { readonly call: "ask"; readonly socket: string; readonly text: string }
  // ---- files of the host
  /**
   * Writes `data` to an existing file with one write(2). With `pid`, `{pid}` in path and data is the child's pid as the
   * host sees it. `create` makes it 0644 and replaces what was there.
   */
  | {
      readonly call: "write";
      readonly path: string;
      readonly data: string | Uint8Array;
      readonly pid?: boolean;
      readonly create?: boolean;
    }
  /** Makes a folder and missing parents; one that exists is fine. */
  | {
      readonly call: "mkdir";
      readonly at: At;
      readonly path: string;
      readonly mode: number;
      readonly uid?: number;
      readonly gid?: number;
    }
  // ---- the root filesystem
  /** mount(2) with only propagation flags on `/` (or the host path `path`) of the new mount namespace: MS_REC|MS_PRIVATE or MS_REC|MS_SLAVE. */
  | { readonly call: "propagation"; readonly flags: number; readonly path?: string }
  /**
   * Overlay on the host path `target`; `lower` top-most first. Without `upper` it is read-only.
   * Uses fsconfig `lowerdir+` where the kernel has it, /proc/self/fd names otherwise, so the number of layers is
   * limited by the kernel alone. `options` are further ones, such as `userxattr` and `volatile`.
   */
  | {
      readonly call: "overlay";
      readonly target: string;
      readonly lower: readonly string[];
      readonly upper?: string;
      readonly work?: string;
      readonly options: readonly string[];
    }
  /** Takes the host folder as the container's root: from here on `at: "root"` paths resolve beneath it. */
  | { readonly call: "root"; readonly path: string }
  /** A new filesystem mounted at `target` beneath the root. `flags` are MS_*. `copyUp`: fill a tmpfs from what lay there. */
  | {
      readonly call: "mount";
      readonly fstype: string;
      readonly source: string;
      readonly target: string;
      readonly flags: number;
      readonly data: string;
      readonly create: Create;
      readonly copyUp?: boolean;
      /** Data to use when the first is refused with EINVAL or EPERM (older kernels, user namespaces). */
      readonly fallback?: string;
      /** Made in the keeper's network namespace, for a filesystem that speaks with a server. */
      readonly abroad?: boolean;
    }
  /**
   * A clone of the host mount at `source` (open_tree) moved to `target` beneath the root, or to the host path `target`
   * with `at: "host"`. `set`/`clear` are MOUNT_ATTR_*, applied with mount_setattr before it is moved; AT_RECURSIVE for both
   * with `recursiveAttributes`. `idmap` takes /proc/PID/uid_map text of a throw-away user namespace.
   */
  | {
      readonly call: "bind";
      readonly at: At;
      readonly source: string;
      readonly target: string;
      readonly recursive: boolean;
      readonly set: number;
      readonly clear: number;
      readonly recursiveAttributes?: boolean;
      readonly create: Create;
      /** MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE, with MS_REC: applied after the move. 0: leave. */
      readonly propagation: number;
      readonly idmap?: { readonly uid: string; readonly gid: string };
      /** The source is taken beneath the root too: a path bound onto another of the same container. */
      readonly from?: At;
      /**
       * The source is looked up below this host folder and cannot leave it (openat2, RESOLVE_BENEATH). What it is, a folder
       * or a file, is then what is made at the target.
       */
      readonly base?: string;
    }
  /** mount_setattr on the mount at `target` beneath the root. `propagation` as in `bind`. */
  | {
      readonly call: "attributes";
      readonly target: string;
      readonly set: number;
      readonly clear: number;
      readonly recursive: boolean;
      readonly propagation: number;
    }
  /** /dev/null (verified, char 1:3) over a file, one shared empty read-only folder over a folder; absent is fine. */
  | { readonly call: "mask"; readonly target: string }
  /** Bound onto itself, read-only; absent is fine. */
  | { readonly call: "readonly"; readonly target: string }
  | {
      readonly call: "mknod";
      readonly target: string;
      /** S_IFCHR, S_IFBLK or S_IFIFO, and the permissions; the umask is not applied. */
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
      readonly uid: number;
      readonly gid: number;
    }
  /** A symbolic link at `target` that says `to`. One that exists is left. */
  | { readonly call: "symlink"; readonly target: string; readonly to: string }
  /**
   * A pty from the container's own devpts; its master goes to the keeper. Where a `root` was taken the slave is bound
   * onto /dev/console; without one (an exec, a container on the host's root) it is only opened.
   */
  | { readonly call: "console"; readonly rows: number; readonly columns: number }
  /** pivot_root(".", "."), the old root detached, chdir "/". */
  | { readonly call: "pivot" }
  | { readonly call: "chroot" }
  // ---- network and devices, by programs and messages that TypeScript encoded
  /**
   * Sends netlink messages at once on a socket of this protocol, in the namespace where the step runs; the acks that they ask
   * for must all come. `repair` is a program of the host that is executed if the answer is that something is missing or in
   * the way (ENODEV, ENOENT, EEXIST, EBUSY); the messages are then sent once more.
   */
  | {
      readonly call: "netlink";
      readonly protocol: number;
      readonly messages: Uint8Array;
      readonly fill?: Fill;
      readonly repair?: readonly string[];
    }
  /**
   * Binds a socket of this type and protocol to an address (a struct sockaddr) and keeps it until the process has ended: a
   * port of the host that nobody else can take meanwhile.
   */
  | {
      readonly call: "hold";
      readonly type: number;
      readonly protocol: number;
      readonly address: Uint8Array;
    }
  /** Loads an eBPF program (BPF_PROG_TYPE_CGROUP_DEVICE, an array of struct bpf_insn) and attaches it to the cgroup v2 folder. */
  | { readonly call: "bpf_device"; readonly cgroup: string; readonly program: Uint8Array }
  /**
   * What is in the folder `path` (beneath the root, or below the host folder `base`) goes into the existing host folder
   * `target`, with owners, modes, times, attributes, links and holes, and the folder's own. With `volume`, the folder that
   * holds the target, only into an empty target, one process at a time; a copy that was broken off is taken up again. A
   * path beneath the root that is no folder gives nothing.
   */
  | {
      readonly call: "copy";
      readonly base?: string;
      readonly path: string;
      readonly volume?: string;
      readonly target: string;
    }
  /**
   * One change of an overlay done to its lower folder: what `upper` has at `path` takes its place in `folder`, whole and by
   * a rename, of a folder only what it is itself; or with `remove` what is there goes. No link is followed below either.
   */
  | {
      readonly call: "apply";
      readonly upper: string;
      readonly folder: string;
      readonly path: string;
      readonly remove?: boolean;
    }
  // ---- the process
  | { readonly call: "setsid" }
  /** fds 0, 1, 2 become the pipes or the pty that the keeper made; with a pty it becomes the controlling terminal. */
  | { readonly call: "stdio" }
  | { readonly call: "hostname"; readonly name: string }
  | { readonly call: "domainname"; readonly name: string }
  /** Writes `data` to a file of a procfs whose superblock was checked, such as `sys/net/core/somaxconn` or `self/oom_score_adj`. */
  | { readonly call: "proc"; readonly path: string; readonly data: string }
  /** Soft and hard limit; RLIM_INFINITY is 2^64-1. With `nearest`, one that may not be raised becomes the highest allowed. */
  | {
      readonly call: "rlimit";
      readonly resource: number;
      readonly soft: bigint;
      readonly hard: bigint;
      readonly nearest?: boolean;
    }
  /** A new session keyring, so that the container does not see the caller's. */
  | { readonly call: "keyring"; readonly name: string }
  /** Drops every capability that is not in the mask from the bounding set. */
  | { readonly call: "bounding"; readonly mask: bigint }
  /** setgroups, setresgid, setresuid with capabilities kept (PR_SET_KEEPCAPS); the parent-death signal is set again. */
  | { readonly call: "user"; readonly uid: number; readonly gid: number; readonly groups: readonly number[] }
  | {
      readonly call: "capabilities";
      readonly effective: bigint;
      readonly permitted: bigint;
      readonly inheritable: bigint;
      readonly ambient: bigint;
    }
  | { readonly call: "no_new_privs" }
  /** The parent-death signal; 0 clears it. */
  | { readonly call: "pdeathsig"; readonly signal: number }
  | { readonly call: "umask"; readonly mask: number }
  /** chdir, after which the raw getcwd must begin with "/" (CVE-2024-21626). */
  | { readonly call: "chdir"; readonly path: string }
  /** A classic BPF program: an array of struct sock_filter. `flags` are SECCOMP_FILTER_FLAG_*. */
  | { readonly call: "seccomp"; readonly program: Uint8Array; readonly flags: number }
  /** Forks: the parent stays as pid 1, forwards signals and reaps; the child goes on with the plan. */
  | { readonly call: "init" }
  /**
   * Tries each candidate in turn: ENOENT and ENOTDIR go on to the next, EACCES is remembered, anything else ends it.
   * Every fd but 0 to 2 is closed first.
   */
  | {
      readonly call: "execve";
      readonly candidates: readonly string[];
      readonly argv: readonly string[];
      readonly env: readonly string[];
    }
  // ---- after the process has ended (and wherever else they serve)
  /** Kills every process of a cgroup: cgroup.kill on v2; on v1 freeze, signal all of cgroup.procs, thaw. Those beneath too. */
  | { readonly call: "kill"; readonly path: string }
  /** The file's text, at most 4,096 bytes, goes into the exit record's `readings` under `key`. Absent is fine.
   * A line `oom_kill N` with N above 0 in it makes the keeper note an oom event. */
  | { readonly call: "read"; readonly path: string; readonly key: string }
  /** Removes a cgroup's folder and those beneath it; absent is fine. EBUSY is tried again for a moment. */
  | { readonly call: "rmdir"; readonly path: string };

export type Step = StepBase & Call;
export type CallName = Call["call"];
