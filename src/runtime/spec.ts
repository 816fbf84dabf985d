/**
 * The OCI runtime specification 1.2, config.json, as this engine reads it: https://github.com/opencontainers/runtime-spec
 * Only Linux, and only members that have a meaning here. Unknown members are ignored, as the specification asks.
 */

export interface Spec {
  readonly ociVersion: string;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly root?: { readonly path: string; readonly readonly?: boolean };
  readonly process?: SpecProcess;
  readonly mounts?: readonly SpecMount[];
  readonly hooks?: Readonly<Record<string, readonly object[]>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: SpecLinux;
}

export interface SpecProcess {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: SpecUser;
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly cwd: string;
  readonly capabilities?: SpecCapabilities;
  readonly rlimits?: readonly SpecRlimit[];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  /** Not of the specification: a profile to take if the kernel has AppArmor and the profile is loaded. */
  readonly apparmorDefault?: string;
  readonly selinuxLabel?: string;
  readonly oomScoreAdj?: number;
}

export interface SpecUser {
  readonly uid: number;
  readonly gid: number;
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
}

/** Capability names with CAP_, upper case. */
export interface SpecCapabilities {
  readonly bounding?: readonly string[];
  readonly effective?: readonly string[];
  readonly permitted?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly ambient?: readonly string[];
}

export interface SpecRlimit {
  /** With RLIMIT_, upper case. */
  readonly type: string;
  /** -1, or anything from 2^64-1 upward as JSON has it: no limit. */
  readonly soft: number;
  readonly hard: number;
  /** Not of the specification: a default, not a wish; the nearest that the kernel allows will do. */
  readonly nearest?: boolean;
}

export interface SpecMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly SpecIdMapping[];
  readonly gidMappings?: readonly SpecIdMapping[];
  /** Not of the specification: the source is looked up below this folder and never leaves it. */
  readonly beneath?: string;
  /** Not of the specification: what asked for it, for errors and `explain`. */
  readonly why?: string;
}

export interface SpecIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export type SpecNamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time";

export interface SpecNamespace {
  readonly type: SpecNamespaceType;
  readonly path?: string;
}

export interface SpecDevice {
  readonly path: string;
  /** c, u (as c), b or p (FIFO). */
  readonly type: string;
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface SpecDeviceRule {
  readonly allow: boolean;
  /** a, c or b; absent: a. */
  readonly type?: string;
  /** Absent: any. */
  readonly major?: number;
  readonly minor?: number;
  /** Of r, w, m; absent: all. */
  readonly access?: string;
}

export interface SpecWeightDevice {
  readonly major: number;
  readonly minor: number;
  readonly weight?: number;
}

export interface SpecThrottleDevice {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

/** Limits as cgroup v1 names them; on v2 they are converted. -1: unlimited. */
export interface SpecResources {
  readonly devices?: readonly SpecDeviceRule[];
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    /** Memory and swap together. */
    readonly swap?: number;
    readonly swappiness?: number;
    readonly disableOOMKiller?: boolean;
  };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly period?: number;
    readonly burst?: number;
    readonly idle?: number;
    readonly realtimeRuntime?: number;
    readonly realtimePeriod?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly pids?: { readonly limit: number };
  readonly blockIO?: {
    readonly weight?: number;
    readonly weightDevice?: readonly SpecWeightDevice[];
    readonly throttleReadBpsDevice?: readonly SpecThrottleDevice[];
    readonly throttleWriteBpsDevice?: readonly SpecThrottleDevice[];
    readonly throttleReadIOPSDevice?: readonly SpecThrottleDevice[];
    readonly throttleWriteIOPSDevice?: readonly SpecThrottleDevice[];
  };
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number }[];
  readonly network?: {
    readonly classID?: number;
    readonly priorities?: readonly { readonly name: string; readonly priority: number }[];
  };
  /** Files of cgroup v2, by name, with what to write. */
  readonly unified?: Readonly<Record<string, string>>;
}

export type SeccompAction =
  | "SCMP_ACT_KILL"
  | "SCMP_ACT_KILL_THREAD"
  | "SCMP_ACT_KILL_PROCESS"
  | "SCMP_ACT_TRAP"
  | "SCMP_ACT_ERRNO"
  | "SCMP_ACT_TRACE"
  | "SCMP_ACT_ALLOW"
  | "SCMP_ACT_LOG"
  | "SCMP_ACT_NOTIFY";

export type SeccompOperator =
  | "SCMP_CMP_NE"
  | "SCMP_CMP_LT"
  | "SCMP_CMP_LE"
  | "SCMP_CMP_EQ"
  | "SCMP_CMP_GE"
  | "SCMP_CMP_GT"
  | "SCMP_CMP_MASKED_EQ";

export interface SeccompArg {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: SeccompOperator;
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[];
}

export interface SpecSeccomp {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly syscalls?: readonly SeccompRule[];
}

export interface SpecLinux {
  readonly namespaces?: readonly SpecNamespace[];
  readonly uidMappings?: readonly SpecIdMapping[];
  readonly gidMappings?: readonly SpecIdMapping[];
  readonly timeOffsets?: Readonly<Record<string, { readonly secs?: number; readonly nanosecs?: number }>>;
  readonly devices?: readonly SpecDevice[];
  readonly cgroupsPath?: string;
  readonly resources?: SpecResources;
  readonly rootfsPropagation?: string;
  readonly seccomp?: SpecSeccomp;
  readonly sysctl?: Readonly<Record<string, string>>;
  /** Not of the specification, by paths beneath /proc/sys: for a network namespace of the container's own, where this kernel takes them. */
  readonly sysctlDefault?: Readonly<Record<string, string>>;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly mountLabel?: string;
}
