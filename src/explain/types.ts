/**
 * What an explanation says, as data: the text is one rendering of it, `--json` another. Everything is read from the
 * kernel at this moment; a member that is absent could not be read, and `notes` says why. Sizes are bytes.
 */
import type { NamespaceName } from "../launch/index.ts";

export type Maker =
  | "sampan"
  | "docker"
  | "podman"
  | "containerd"
  | "cri-o"
  | "lxc"
  | "nspawn"
  /** No engine known: a process like any other. */
  | "none";

export interface Target {
  readonly maker: Maker;
  /** What it was called: a container's name, or its short id, or the pid. */
  readonly name: string;
  readonly id?: string;
  readonly image?: string;
  readonly pid: number;
  readonly comm: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly paused?: boolean;
  /** A thread of the kernel's own. */
  readonly kernel?: boolean;
  /** It has ended, and its parent has not asked for its exit code. */
  readonly zombie?: boolean;
}

/** A user or process as it is called by the reader, and as it calls itself. */
export interface Both<T> {
  readonly outside: T;
  readonly inside?: T;
}

export interface ProcessLine {
  readonly pid: Both<number>;
  readonly uid: Both<number>;
  readonly user: Both<string>;
  readonly parent: number;
  /** How deep in the tree; the parent of the target, where it is shown, is at 0. */
  readonly depth: number;
  readonly state: string;
  readonly command: string;
  /** `parent` is not of the container: its keeper, a shim, a shell. */
  readonly role: "target" | "parent" | "member";
}

export interface NamespaceLine {
  readonly name: NamespaceName;
  /** The inode, which names the namespace. */
  readonly inode: Both<number>;
  /** Own: not the reader's. */
  readonly own?: boolean;
  /** Other containers whose processes are in it. */
  readonly containers: readonly string[];
  /** Other processes in it that belong to no container. Only counted where it is not the reader's. */
  readonly processes: readonly number[];
}

export interface CgroupPlace {
  /** `v2`, or the v1 controllers that share a tree. */
  readonly hierarchy: string;
  readonly path: string;
  /** Where it is as files. */
  readonly folder: string;
}

export interface LimitLine {
  readonly what: string;
  readonly unit: "bytes" | "count" | "cpus" | "weight" | "list" | "rate";
  /** null: no limit. */
  readonly limit: number | string | null;
  readonly now?: number | string;
  readonly peak?: number;
  /** The file that says the limit. */
  readonly file: string;
  /** The flag that set it, where the engine knows. */
  readonly flag?: string;
}

export interface Pressure {
  readonly resource: "cpu" | "memory" | "io";
  /** Percent of the last 10 s in which some, or all, of its processes waited. */
  readonly some: number;
  readonly full?: number;
  readonly file: string;
}

export interface Cgroups {
  readonly places: readonly CgroupPlace[];
  readonly limits: readonly LimitLine[];
  /** Of its CPU quota; times in microseconds. */
  readonly throttling?: {
    readonly periods: number;
    readonly throttled: number;
    readonly time: number;
    readonly file: string;
  };
  readonly pressure: readonly Pressure[];
  readonly events: readonly { readonly what: string; readonly count: number; readonly file: string }[];
  readonly frozen: boolean;
}

export interface Layer {
  readonly path: string;
  readonly size?: number;
  /** The instruction that made it. */
  readonly madeBy?: string;
}

export interface Changes {
  readonly path: string;
  /** Files, links and devices; folders are counted only where they hide or replace. Absent: may not be read. */
  readonly changed?: number;
  readonly deleted?: number;
  /** There are more: the count was ended. */
  readonly more?: boolean;
}

export interface MountLine {
  readonly target: string;
  readonly fstype: string;
  /** The host's path for a bind, otherwise the filesystem's own name. */
  readonly source: string;
  readonly flags: readonly string[];
  readonly propagation: readonly string[];
}

export interface Rootfs {
  readonly fstype: string;
  readonly source: string;
  readonly readonly: boolean;
  /** The mount namespace is the reader's: what follows is the machine's. */
  readonly host: boolean;
  /** Lowest first. */
  readonly layers: readonly Layer[];
  readonly upper?: Changes;
  readonly mounts: readonly MountLine[];
  readonly masked: readonly string[];
  readonly readonlyPaths: readonly string[];
}

export interface ProcessLimit {
  readonly name: string;
  /** null: unlimited. */
  readonly soft: number | null;
  readonly hard: number | null;
}

export interface Port {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  readonly pid?: number;
}

export interface Capabilities {
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly inheritable: readonly string[];
  readonly bounding: readonly string[];
  readonly ambient: readonly string[];
  /** What root on this machine has and this process can never get. */
  readonly dropped: readonly string[];
}

/** What a seccomp filter says to the system calls of this machine. */
export interface Refusals {
  /** System calls of this machine that are answered with an error, or with death. */
  readonly refused: number;
  readonly of: number;
  /** What is refused, by family: `mounting`, `modules`, … */
  readonly families: Readonly<Record<string, readonly string[]>>;
  /** Allowed or refused by their arguments. */
  readonly depends: readonly string[];
}

export interface Rights {
  readonly program?: string;
  readonly folder?: string;
  readonly words: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly capabilities: Capabilities;
  readonly seccomp: {
    readonly mode: "off" | "strict" | "filter";
    readonly filters: number;
    /** Of a filter that this engine made: the kernel shows no filter to others. */
    readonly refusals?: Refusals;
  };
  readonly noNewPrivileges: boolean;
  /** AppArmor's or SELinux's. */
  readonly label?: string;
  readonly oomScoreAdjust: number;
  readonly limits: readonly ProcessLimit[];
  /** Lines of uid_map and gid_map: id inside, id outside, how many. */
  readonly uidMap: readonly (readonly [inside: number, outside: number, count: number])[];
  readonly gidMap: readonly (readonly [inside: number, outside: number, count: number])[];
  /** That it listens on; absent: whose sockets those of its network are cannot be told. */
  readonly ports?: readonly Port[];
}

export interface Interface {
  readonly name: string;
  /** With the length of the network's part: `172.17.0.2/16`. */
  readonly addresses: readonly string[];
  /** Where its default route leads. */
  readonly gateway?: string;
  /** Bytes. */
  readonly received: number;
  readonly sent: number;
}

/** A port of the machine that leads to the container: its packets are readdressed by the engine's rules in nf_tables, or carried. */
export interface PublishedPort {
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  readonly target: number;
  /** The container's address. */
  readonly destination: string;
  /** What no rule can lead is carried in by the engine's process that answers for names. */
  readonly carried?: true;
}

export interface Network {
  readonly interfaces: readonly Interface[];
  /** The program of the machine that carries the packets of a user's container in and out: `pasta`, `slirp4netns`. */
  readonly carrier?: string;
  /** The engine's networks that it is on. */
  readonly networks: readonly {
    readonly name: string;
    readonly driver: string;
    readonly interface?: string;
  }[];
  readonly published: readonly PublishedPort[];
}

export interface Explanation {
  /** In sentences. */
  readonly summary: string;
  readonly target: Target;
  readonly processes: readonly ProcessLine[];
  readonly namespaces: readonly NamespaceLine[];
  readonly cgroups: Cgroups;
  readonly rootfs?: Rootfs;
  readonly process: Rights;
  /** Absent: the network is the reader's own. */
  readonly network?: Network;
  /** What could not be read and why, and what only its own engine knows. */
  readonly notes: readonly string[];
}
