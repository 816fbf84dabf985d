/**
 * A container as `docker inspect` shows it and the Engine API answers it: the API's ContainerJSON, in its order and with
 * its nulls. What only Sampan knows (a timeout, a plain folder as root) stands beside it under names that Docker lacks.
 */

import { exposedPortsOf } from "../common/ports.ts";
import type { ContainerConfig, Healthcheck, Mount, NamespaceMode } from "../container/config.ts";
import type { ContainerRecord, ContainerState } from "../container/record.ts";
import type { NamespaceName } from "../launch/step.ts";
import type { Attached } from "../network/attach.ts";
import { canonicalCapabilities } from "../runtime/index.ts";
import { ABSENT_CONFIG, ABSENT_HOST_CONFIG, withAbsent } from "./absent.ts";
import { portBindings } from "./ports.ts";
import { networkSettings } from "./settings.ts";

/** What is known of a container's place on this host. */
export interface Place {
  /** The container's own folder. */
  readonly folder: string;
  /** Where the files are that it has in /etc; undefined: they are made when it starts. */
  readonly files?: string | undefined;
  /** The folder of all volumes. */
  readonly volumes: string;
  /** The image's layers, top-most first; undefined: there is no overlay of layers. */
  readonly lower?: readonly string[];
  /** What it has of networks, where it is on any. */
  readonly attached?: Attached | undefined;
  /** What connects it where there are no networks: see Containers.uplink. */
  readonly uplink?: string | undefined;
  /** The ids of the networks host and none, which have no endpoints. */
  readonly ids?: Readonly<Record<string, string>>;
}

const NS = 1e6;
const orNull = <T>(list: readonly T[]): readonly T[] | null => (list.length > 0 ? list : null);
const sorted = <T>(map: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));

const fileOf = ({ files }: Place, name: string): string => (files === undefined ? "" : `${files}/${name}`);

export function inspectContainer(record: ContainerRecord, place: Place) {
  const { config, state } = record;
  const { folder, volumes } = place;
  return {
    Id: record.id,
    Created: new Date(record.created).toISOString().replace(/Z$/, "000000Z"),
    Path: record.args[0] ?? "",
    Args: record.args.slice(1),
    State: withAbsent(inspectState(state), { Health: null }),
    Image: record.imageId,
    ResolvConfPath: fileOf(place, "resolv.conf"),
    HostnamePath: fileOf(place, "hostname"),
    HostsPath: fileOf(place, "hosts"),
    LogPath: config.log.driver === "none" ? "" : `${folder}/log`,
    Name: `/${record.name}`,
    RestartCount: state.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: record.selinux?.files ?? "",
    ProcessLabel: record.selinux?.process ?? "",
    AppArmorProfile: config.security.apparmor ?? "",
    ExecIDs: null,
    HostConfig: withAbsent(hostConfig(config, place), ABSENT_HOST_CONFIG),
    GraphDriver: {
      Data: graph(place),
      Name: "overlay2",
    },
    Mounts: mountsOf(record).map((mount) => mountPoint(mount, volumes)),
    Config: containerConfig(record),
    NetworkSettings: networkSettings(record, place),
  };
}

export function inspectState(state: ContainerState) {
  const { status } = state;
  return {
    Status: status,
    Running: status === "running" || status === "paused" || status === "restarting",
    Paused: status === "paused",
    Restarting: status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: status === "dead",
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    ...(state.timedOut ? { TimedOut: true } : {}),
    ...(state.health
      ? {
          Health: {
            Status: state.health.status,
            FailingStreak: state.health.failingStreak,
            Log: state.health.log.map(({ start, end, exitCode, output }) => ({
              Start: new Date(start).toISOString(),
              End: new Date(end).toISOString(),
              ExitCode: exitCode,
              Output: output,
            })),
          },
        }
      : {}),
  };
}

function graph({ folder, lower }: Place): Record<string, string> | null {
  if (!lower) return null;
  return {
    LowerDir: lower.join(":"),
    MergedDir: `${folder}/merged`,
    UpperDir: `${folder}/upper`,
    WorkDir: `${folder}/work`,
  };
}

/** `-v` and `--mount` ask for the same; Docker shows them in different places. */
const isBind = (mount: Mount): boolean => mount.short === true && mount.source !== "";
const isTmpfsFlag = (mount: Mount): boolean => mount.type === "tmpfs" && mount.tmpfsOptions !== undefined;
const isAnonymousFlag = (mount: Mount): boolean => mount.short === true && mount.source === "";

const RELABEL = { shared: "z", private: "Z" };

const modeOf = ({ readonly, relabel, propagation, noCopy }: Mount): string =>
  [
    ...(readonly ? ["ro"] : []),
    ...(relabel ? [RELABEL[relabel]] : []),
    ...(propagation ? [propagation] : []),
    ...(noCopy ? ["nocopy"] : []),
  ].join(",");

function bindText(mount: Mount): string {
  const mode = modeOf(mount);
  return `${mount.source}:${mount.target}${mode === "" ? "" : `:${mode}`}`;
}

/** Members that have something in them. */
const filled = (name: string, members: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const kept = Object.entries(members).filter(([, value]) => value !== undefined && value !== false);
  return kept.length > 0 ? { [name]: Object.fromEntries(kept) } : {};
};

/** A mount that came by `--mount`, as HostConfig.Mounts has it. */
function mountSpec(mount: Mount) {
  const { type, driver, driverOptions, labels } = mount;
  const hasDriver = driver !== undefined || driverOptions !== undefined;
  return {
    Type: type,
    ...(mount.source ? { Source: mount.source } : {}),
    Target: mount.target,
    ...(mount.readonly ? { ReadOnly: true } : {}),
    ...filled("BindOptions", {
      Propagation: mount.propagation,
      NonRecursive: mount.recursive === "disabled",
      CreateMountpoint: type === "bind" && mount.createSource === true,
      ReadOnlyNonRecursive: mount.recursive === "writable",
      ReadOnlyForceRecursive: mount.recursive === "readonly",
      Overlay: mount.overlay,
    }),
    ...filled("VolumeOptions", {
      NoCopy: type === "volume" && mount.noCopy,
      Labels: labels && sorted(labels),
      DriverConfig: hasDriver
        ? {
            ...(driver ? { Name: driver } : {}),
            ...(driverOptions ? { Options: sorted(driverOptions) } : {}),
          }
        : undefined,
      Subpath: type === "volume" ? mount.subpath : undefined,
    }),
    ...filled("ImageOptions", { Subpath: type === "image" ? mount.subpath : undefined }),
    ...filled("TmpfsOptions", { SizeBytes: mount.tmpfsSize, Mode: mount.tmpfsMode }),
  };
}

/** One member of `Mounts`: what is mounted, in one form for all flags. */
function mountPoint(mount: Mount, volumes: string) {
  const { type, source } = mount;
  const volume = type === "volume";
  // Docker's own default for a volume that has a name.
  const label = volume && !mount.anonymous ? "z" : "";
  return {
    Type: type,
    ...(volume ? { Name: source } : {}),
    Source: volume ? `${volumes}/${source}/_data` : source,
    Destination: mount.target,
    ...(volume ? { Driver: "local" } : {}),
    Mode: mount.short ? modeOf(mount) || label : label,
    RW: !mount.readonly && type !== "image",
    Propagation: type === "bind" ? (mount.propagation ?? "rprivate") : "",
  };
}

/** A namespace's mode as HostConfig has it: `""`, `host`, `private`, `container:ID`. */
function modeText(config: ContainerConfig, name: NamespaceName, absent = ""): string {
  const mode: NamespaceMode | undefined = config.namespaces[name];
  if (config.exactly) return config.exactly.includes(name) ? absent || "private" : "host";
  if (!mode) return absent;
  if (mode.mode === "container") return `container:${mode.container}`;
  return mode.mode === "path" ? `ns:${mode.path}` : mode.mode;
}

/** What was asked for: the first of its networks, or what stands in for one. */
function networkMode(config: ContainerConfig, { attached, uplink }: Place): string {
  const own = uplink ?? config.networks[0]?.network ?? (attached ? "bridge" : "none");
  return config.namespaces.net?.mode === "private" ? own : modeText(config, "net", own);
}

function securityOptions({ security }: ContainerConfig): readonly string[] | null {
  return orNull([
    ...(security.noNewPrivileges ? ["no-new-privileges"] : []),
    ...(security.seccomp ? [`seccomp=${security.seccomp}`] : []),
    ...(security.apparmor ? [`apparmor=${security.apparmor}`] : []),
    ...(security.label ?? []).map((label) => `label=${label}`),
    ...(security.systempaths ? [`systempaths=${security.systempaths}`] : []),
  ]);
}

const MASKED =
  "/proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap";
const READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger";

function hostConfig(config: ContainerConfig, place: Place) {
  const { resources: r } = config;
  const open = config.privileged || config.security.systempaths === "unconfined";
  const mounts = config.mounts.filter(
    (mount) => !isBind(mount) && !isTmpfsFlag(mount) && !isAnonymousFlag(mount),
  );
  const tmpfs = config.mounts.filter(isTmpfsFlag);
  const rates = (list: readonly { path: string; rate: number }[] | undefined) =>
    (list ?? []).map(({ path, rate }) => ({ Path: path, Rate: rate }));
  return {
    Binds: orNull(config.mounts.filter(isBind).map(bindText)),
    ContainerIDFile: "",
    LogConfig: { Type: config.log.driver, Config: sorted(config.log.options) },
    NetworkMode: networkMode(config, place),
    PortBindings: portBindings(config.ports),
    RestartPolicy: { Name: config.restart.name, MaximumRetryCount: config.restart.maximumRetryCount },
    AutoRemove: config.autoRemove,
    VolumeDriver: "",
    VolumesFrom: orNull(config.volumesFrom),
    ConsoleSize: [0, 0],
    ...(Object.keys(config.annotations).length > 0 ? { Annotations: sorted(config.annotations) } : {}),
    CapAdd: orNull(canonicalCapabilities(config.capAdd, "CapAdd")),
    CapDrop: orNull(canonicalCapabilities(config.capDrop, "CapDrop")),
    CgroupnsMode: modeText(config, "cgroup", "private"),
    Dns: config.dns,
    DnsOptions: config.dnsOptions,
    DnsSearch: config.dnsSearch,
    ExtraHosts: orNull(config.extraHosts),
    GroupAdd: orNull(config.groups ?? []),
    IpcMode: modeText(config, "ipc", "private"),
    Cgroup: "",
    Links: orNull(config.links ?? config.networks.flatMap(({ links }) => links ?? [])),
    OomScoreAdj: config.oomScoreAdj ?? 0,
    PidMode: modeText(config, "pid"),
    Privileged: config.privileged,
    PublishAllPorts: config.publishAll,
    ReadonlyRootfs: config.readonlyRootfs,
    SecurityOpt: securityOptions(config),
    ...(tmpfs.length > 0
      ? {
          Tmpfs: Object.fromEntries(
            tmpfs.map(({ target, tmpfsOptions }) => [target, (tmpfsOptions ?? []).join(",")]),
          ),
        }
      : {}),
    UTSMode: modeText(config, "uts"),
    UsernsMode: modeText(config, "user"),
    ShmSize: config.shmSize ?? 64 * 1024 * 1024,
    ...(Object.keys(config.sysctls).length > 0 ? { Sysctls: sorted(config.sysctls) } : {}),
    Runtime: "sampan",
    Isolation: "",
    CpuShares: r.cpuShares ?? 0,
    Memory: r.memory ?? 0,
    NanoCpus: r.nanoCpus ?? 0,
    CgroupParent: config.cgroupParent ?? "",
    BlkioWeight: r.blkioWeight ?? 0,
    BlkioWeightDevice: (r.blkioWeightDevice ?? []).map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: rates(r.deviceReadBps),
    BlkioDeviceWriteBps: rates(r.deviceWriteBps),
    BlkioDeviceReadIOps: rates(r.deviceReadIops),
    BlkioDeviceWriteIOps: rates(r.deviceWriteIops),
    CpuPeriod: r.cpuPeriod ?? 0,
    CpuQuota: r.cpuQuota ?? 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: r.cpusetCpus ?? "",
    CpusetMems: r.cpusetMems ?? "",
    Devices: config.devices.map(({ host, container, permissions }) => ({
      PathOnHost: host,
      PathInContainer: container,
      CgroupPermissions: permissions,
    })),
    DeviceCgroupRules: orNull(config.deviceCgroupRules),
    DeviceRequests: null,
    MemoryReservation: r.memoryReservation ?? 0,
    // Docker's rule: a limit that says nothing of swap allows as much of it again.
    MemorySwap: r.memorySwap ?? (r.memory ?? 0) * 2,
    MemorySwappiness: r.memorySwappiness ?? null,
    OomKillDisable: r.oomKillDisable ?? null,
    PidsLimit: r.pidsLimit ?? null,
    Ulimits: config.ulimits.map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    ...(mounts.length > 0 ? { Mounts: mounts.map(mountSpec) } : {}),
    MaskedPaths: open ? null : MASKED.split(" "),
    ReadonlyPaths: open ? null : READONLY.split(" "),
    ...(config.init ? { Init: true } : {}),
  };
}

const healthcheck = (health: Healthcheck) => ({
  ...(health.test ? { Test: health.test } : {}),
  ...(health.interval ? { Interval: health.interval * NS } : {}),
  ...(health.timeout ? { Timeout: health.timeout * NS } : {}),
  ...(health.startPeriod ? { StartPeriod: health.startPeriod * NS } : {}),
  ...(health.startInterval ? { StartInterval: health.startInterval * NS } : {}),
  ...(health.retries ? { Retries: health.retries } : {}),
});

/** Every mount there is; `--tmpfs` has a place of its own. */
const mountsOf = ({ mounts, config }: ContainerRecord): readonly Mount[] =>
  (mounts ?? config.mounts).filter((mount) => !isTmpfsFlag(mount));

/** Places of volumes that nobody named: the image's and those of `-v /path`. */
function configVolumes({ mounts = [], config }: ContainerRecord): Record<string, object> | null {
  const asked = new Set(config.mounts.filter((mount) => !isAnonymousFlag(mount)).map(({ target }) => target));
  const targets = mounts.filter(({ anonymous, target }) => anonymous && !asked.has(target));
  return targets.length === 0 ? null : sorted(Object.fromEntries(targets.map(({ target }) => [target, {}])));
}

function containerConfig(record: ContainerRecord) {
  const { config } = record;
  const entrypoint = config.entrypoint ?? [];
  const ownEntrypoint = entrypoint.length > 0 && entrypoint.every((word, i) => record.args[i] === word);
  const command = config.command ?? (ownEntrypoint ? record.args.slice(entrypoint.length) : record.args);
  const exposed = exposedPortsOf(record);
  const object = {
    Hostname: record.hostname,
    Domainname: config.domainname ?? "",
    User: record.user,
    AttachStdin: config.attach.includes("stdin"),
    AttachStdout: config.attach.includes("stdout"),
    AttachStderr: config.attach.includes("stderr"),
    ...(exposed.length > 0
      ? { ExposedPorts: sorted(Object.fromEntries(exposed.map((port) => [port, {}]))) }
      : {}),
    Tty: config.tty,
    OpenStdin: config.openStdin,
    StdinOnce: config.stdinOnce,
    Env: orNull(record.env),
    Cmd: orNull(command),
    ...(config.healthcheck ? { Healthcheck: healthcheck(config.healthcheck) } : {}),
    Image: config.image || (config.rootfs?.path ?? ""),
    Volumes: configVolumes(record),
    WorkingDir: record.workdir,
    Entrypoint: orNull(entrypoint),
    OnBuild: null,
    Labels: sorted(record.labels),
    ...(config.stopSignal ? { StopSignal: config.stopSignal } : {}),
    ...(config.stopTimeout === undefined ? {} : { StopTimeout: Math.ceil(config.stopTimeout / 1000) }),
  };
  return withAbsent(object, ABSENT_CONFIG);
}
