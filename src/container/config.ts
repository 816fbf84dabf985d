/**
 * What was asked for: one container's configuration, as flags, the Engine API and the library all say it.
 * It is stored as it was given; what it means on this host is decided when the container starts.
 * Sizes are bytes, durations milliseconds, pids and ids numbers of the host unless said otherwise.
 */
import type { NamespaceName } from "../launch/step.ts";
import type { EndpointConfig, PortBinding } from "../network/types.ts";

/** Own (`private`), the host's, or those of another container, by id. `shareable` (ipc) may be joined by others. */
export type NamespaceMode =
  | { readonly mode: "private" | "host" | "none" | "shareable" }
  | { readonly mode: "container"; readonly container: string }
  | { readonly mode: "path"; readonly path: string };

export interface Mount {
  readonly type: "bind" | "tmpfs" | "volume" | "image";
  /** Host path, volume name or image; empty for tmpfs and anonymous volumes. */
  readonly source: string;
  readonly target: string;
  readonly readonly?: boolean;
  /** With readonly, only this mount, not those below it (bind-recursive=writable); `disabled`: bind without submounts. */
  readonly recursive?: "enabled" | "disabled" | "writable" | "readonly";
  readonly propagation?: "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave";
  /** Files written here belong to the caller, whoever writes them inside. */
  readonly idmap?: "match-user";
  /** The caller's ids for `match-user`. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** `-v` makes a missing host folder, `--mount` refuses. */
  readonly createSource?: boolean;
  readonly tmpfsSize?: number;
  readonly tmpfsMode?: number;
  /** Further tmpfs options as `--tmpfs` takes them, such as `noexec`. */
  readonly tmpfsOptions?: readonly string[];
  /** `z`, `Z`: its files get the label of all containers, or of this one alone. */
  readonly relabel?: "shared" | "private";
  /** Of a new volume: without the image's content at its place. */
  readonly noCopy?: boolean;
  /** Part of a volume or an image; it never leads out of it. */
  readonly subpath?: string;
  /** Of a volume that has to be made: `local`, its options and its labels. */
  readonly driver?: string;
  readonly driverOptions?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** A bind whose folder stays as it is: what is written goes into a layer of the container's own. */
  readonly overlay?: boolean;
  /** It came by `-v`, which Docker shows in another place than `--mount`. */
  readonly short?: boolean;
  /** Of an image: its id when the container was made, whatever its name means later. */
  readonly imageId?: string;
  /** A volume that was given no name: it goes with `rm -v` and with `--rm`. */
  readonly anonymous?: boolean;
}

export interface Device {
  readonly host: string;
  readonly container: string;
  /** Any of r, w, m. */
  readonly permissions: string;
}

export interface DeviceWeight {
  readonly path: string;
  /** 10 to 1000; 0: none of its own. */
  readonly weight: number;
}

export interface DeviceRate {
  readonly path: string;
  readonly rate: number;
}

/** Limits; an absent one is not set. -1 means unlimited where Docker takes it so. */
export interface Resources {
  readonly memory?: number;
  readonly memorySwap?: number;
  readonly memoryReservation?: number;
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  readonly nanoCpus?: number;
  readonly cpuShares?: number;
  readonly cpuQuota?: number;
  readonly cpuPeriod?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: number;
  readonly blkioWeight?: number;
  readonly blkioWeightDevice?: readonly DeviceWeight[];
  readonly deviceReadBps?: readonly DeviceRate[];
  readonly deviceWriteBps?: readonly DeviceRate[];
  readonly deviceReadIops?: readonly DeviceRate[];
  readonly deviceWriteIops?: readonly DeviceRate[];
}

export interface Ulimit {
  /** Without RLIMIT_, lower case: nofile. */
  readonly name: string;
  /** -1: unlimited. */
  readonly soft: number;
  readonly hard: number;
}

export interface Healthcheck {
  /** ["NONE"], ["CMD", …] or ["CMD-SHELL", line]; absent: the image's. */
  readonly test?: readonly string[];
  readonly interval?: number;
  readonly timeout?: number;
  readonly startPeriod?: number;
  readonly startInterval?: number;
  readonly retries?: number;
}

export interface RestartPolicy {
  readonly name: "no" | "always" | "unless-stopped" | "on-failure";
  readonly maximumRetryCount: number;
}

export interface SecurityOptions {
  /** A path, `unconfined`, `builtin`, or the profile's JSON text itself (starts with `{`). */
  readonly seccomp?: string;
  readonly noNewPrivileges?: boolean;
  readonly apparmor?: string;
  /** SELinux label options: user:, role:, type:, level:, disable. */
  readonly label?: readonly string[];
  /** `unconfined`: no masked and no read-only paths. */
  readonly systempaths?: "unconfined";
}

export interface ContainerConfig {
  /** The image as the caller named it; empty with `rootfs`. */
  readonly image: string;
  /** `--rootfs DIR` and `DIR:O`. */
  readonly rootfs?: { readonly path: string; readonly copyOnWrite: boolean };
  readonly platform?: string;
  /** The command's words; absent: the image's. */
  readonly command?: readonly string[];
  /** Absent: the image's; empty: none. */
  readonly entrypoint?: readonly string[];
  readonly env: readonly string[];
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly workdir?: string;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly tty: boolean;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  /** Which streams `run` attaches to; empty: detached. */
  readonly attach: readonly ("stdin" | "stdout" | "stderr")[];
  readonly detachKeys?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly stopSignal?: string;
  /** Milliseconds; absent: 10 s. */
  readonly stopTimeout?: number;
  readonly healthcheck?: Healthcheck;
  /** A kind that is absent has Docker's default. */
  readonly namespaces: Readonly<Partial<Record<NamespaceName, NamespaceMode>>>;
  /** `--namespaces`: exactly these are own, all others the host's. */
  readonly exactly?: readonly NamespaceName[];
  readonly resources: Resources;
  readonly cgroupParent?: string;
  readonly devices: readonly Device[];
  readonly deviceCgroupRules: readonly string[];
  readonly mounts: readonly Mount[];
  readonly volumesFrom: readonly string[];
  readonly shmSize?: number;
  readonly readonlyRootfs: boolean;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly privileged: boolean;
  readonly security: SecurityOptions;
  readonly ulimits: readonly Ulimit[];
  readonly oomScoreAdj?: number;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly init: boolean;
  readonly restart: RestartPolicy;
  readonly autoRemove: boolean;
  /** Milliseconds after which the container is killed. */
  readonly timeout?: number;
  readonly log: { readonly driver: string; readonly options: Readonly<Record<string, string>> };
  /** Networks in the order of eth0, eth1 …; empty: the default one, where `namespaces.net` does not say otherwise. */
  readonly networks: readonly EndpointConfig[];
  /** `--link` beside `--network none`: those containers have to be there, and nothing leads to them. */
  readonly links?: readonly string[];
  /** `-p`: one entry a port, ranges spread out. */
  readonly ports: readonly PortBinding[];
  /** `-P`: every exposed port at a free port of the host. */
  readonly publishAll: boolean;
  /** Ports beside the image's, each with its protocol: `80/tcp`. */
  readonly expose: readonly string[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** `name:address` */
  readonly extraHosts: readonly string[];
}

/** A configuration with everything at its default; faces change what the caller named. */
export const DEFAULTS: ContainerConfig = {
  image: "",
  env: [],
  tty: false,
  openStdin: false,
  stdinOnce: false,
  attach: [],
  labels: {},
  annotations: {},
  namespaces: {},
  resources: {},
  devices: [],
  deviceCgroupRules: [],
  mounts: [],
  volumesFrom: [],
  readonlyRootfs: false,
  capAdd: [],
  capDrop: [],
  privileged: false,
  security: {},
  ulimits: [],
  sysctls: {},
  init: false,
  restart: { name: "no", maximumRetryCount: 0 },
  autoRemove: false,
  log: { driver: "json-file", options: {} },
  networks: [],
  ports: [],
  publishAll: false,
  expose: [],
  dns: [],
  dnsSearch: [],
  dnsOptions: [],
  extraHosts: [],
};
