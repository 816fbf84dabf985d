/** The flags of `run` and `create` → what was asked for. What a flag says wrong is refused here, by the flag's name. */
import { given, mapped } from "../../common/loops.ts";
import {
  type ContainerConfig,
  DEFAULTS,
  type Mount,
  type NamespaceMode,
  type Resources,
} from "../../container/index.ts";
import type { PortBinding } from "../../network/types.ts";
import { UsageError, type Values } from "../flags.ts";
import { complain } from "../output.ts";
import { readDevice } from "./devices.ts";
import type { CONTAINER_FLAGS } from "./flags.ts";
import { platformOf } from "./image.ts";
import { fromFiles, toMap } from "./labels.ts";
import { readTmpfs, readVolume } from "./mount.ts";
import { readMode } from "./namespaces.ts";
import { readNetworking } from "./network.ts";
import { readExpose, readPublish } from "./ports.ts";
import { readHealth, readRestart } from "./process.ts";
import { readSecurity } from "./security.ts";

export type ContainerFlags = Values<typeof CONTAINER_FLAGS>;

/** `words` are the image (unless `--rootfs`), then the command's. */
export function configure(flags: ContainerFlags, words: readonly string[], detach = false): ContainerConfig {
  const rootfs = flags.rootfs ? readRootfs(flags.rootfs) : undefined;
  const [image = "", ...rest] = rootfs ? ["", ...words] : words;
  const exactly = flags.namespaces[flags.namespaces.length - 1];
  const { mode, networks, links } = readNetworking({
    ...flags,
    "network-alias": [...flags["network-alias"], ...flags["net-alias"]],
  });
  const ports = readPorts(flags, mode?.mode);
  if (flags.rm && flags.restart && flags.restart !== "no")
    throw new UsageError("conflicting options: cannot specify both --restart and --rm");
  checkPull(flags.pull);
  const swappiness = flags["memory-swappiness"];
  if (swappiness !== undefined && swappiness !== -1 && (swappiness < 0 || swappiness > 100))
    throw new UsageError(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);

  return {
    ...DEFAULTS,
    ...streams(flags, detach),
    ...given({
      rootfs,
      platform: platformOf(flags.platform, image),
      command: rest.length > 0 ? rest : undefined,
      entrypoint:
        flags.entrypoint === undefined ? undefined : flags.entrypoint === "" ? [] : [flags.entrypoint],
      user: flags.user,
      workdir: flags.workdir,
      hostname: flags.hostname,
      domainname: flags.domainname,
      stopSignal: flags["stop-signal"],
      stopTimeout:
        flags["stop-timeout"] === undefined ? undefined : Math.max(flags["stop-timeout"] * 1000, -1),
      healthcheck: readHealth(flags),
      exactly,
      cgroupParent: flags["cgroup-parent"],
      shmSize: flags["shm-size"],
      oomScoreAdj: flags["oom-score-adj"],
      timeout: flags.timeout,
    }),
    ...(flags["group-add"].length > 0 ? { groups: flags["group-add"] } : {}),
    image,
    env: fromFiles(flags["env-file"], "env", flags.env),
    labels: toMap(fromFiles(flags["label-file"], "label", flags.label)),
    annotations: toMap(flags.annotation),
    namespaces: namespaces(flags, mode),
    networks,
    ...(links ? { links } : {}),
    ports,
    publishAll: flags["publish-all"] ?? false,
    resources: resources(flags),
    devices: mapped(flags.device, readDevice),
    deviceCgroupRules: flags["device-cgroup-rule"],
    mounts: mounts(flags),
    volumesFrom: flags["volumes-from"],
    readonlyRootfs: flags["read-only"] ?? false,
    capAdd: flags["cap-add"],
    capDrop: flags["cap-drop"],
    privileged: flags.privileged ?? false,
    security: readSecurity(flags["security-opt"]),
    ulimits: flags.ulimit,
    sysctls: toMap(flags.sysctl),
    init: flags.init ?? false,
    restart: readRestart(flags.restart),
    autoRemove: flags.rm ?? false,
    log: { driver: flags["log-driver"] ?? "json-file", options: toMap(flags["log-opt"]) },
    expose: flags.expose.length > 0 ? [...new Set(flags.expose.flatMap(readExpose))] : [],
    dns: flags.dns,
    dnsSearch: flags["dns-search"],
    dnsOptions: [...flags["dns-opt"], ...flags["dns-option"]],
    extraHosts: flags["add-host"],
  };
}

/** Each once; with `-i` stdin is among them, whatever was said. */
const asked = (streams: ContainerConfig["attach"], openStdin: boolean): ContainerConfig["attach"] => [
  ...new Set(openStdin ? ["stdin" as const, ...streams] : streams),
];

/** Nothing said: stdout and stderr, and stdin with `-i`. */
function streams(
  flags: ContainerFlags,
  detach: boolean,
): Pick<ContainerConfig, "tty" | "openStdin" | "stdinOnce" | "attach"> {
  const openStdin = flags.interactive ?? false;
  const tty = flags.tty ?? false;
  if (detach) return { tty, openStdin, stdinOnce: false, attach: [] };
  const usual: ContainerConfig["attach"] = openStdin ? ["stdin", "stdout", "stderr"] : ["stdout", "stderr"];
  const attach = flags.attach.length > 0 ? asked(flags.attach, openStdin) : usual;
  return { tty, openStdin, stdinOnce: openStdin && attach.includes("stdin"), attach };
}

function readRootfs(text: string): { path: string; copyOnWrite: boolean } {
  const copyOnWrite = text.endsWith(":O");
  const path = copyOnWrite ? text.slice(0, -2) : text;
  return { path: path.startsWith("/") ? path : `${process.cwd()}/${path}`, copyOnWrite };
}

function namespaces(flags: ContainerFlags, net: NamespaceMode | undefined): ContainerConfig["namespaces"] {
  return given<Record<"pid" | "net" | "ipc" | "uts" | "user" | "cgroup", NamespaceMode | undefined>>({
    pid: readMode("pid", flags.pid),
    net,
    ipc: readMode("ipc", flags.ipc),
    uts: readMode("uts", flags.uts),
    user: readMode("userns", flags.userns),
    cgroup: readMode("cgroupns", flags.cgroupns),
  });
}

/** The limits among the flags; `update` has the same ones. */
export function resources(flags: Partial<ContainerFlags>): Resources {
  const rates = (name: "device-read-bps" | "device-write-bps" | "device-read-iops" | "device-write-iops") =>
    flags[name] && flags[name].length > 0 ? flags[name] : undefined;
  return given({
    memory: flags.memory,
    memorySwap: flags["memory-swap"],
    memoryReservation: flags["memory-reservation"],
    memorySwappiness: flags["memory-swappiness"] === -1 ? undefined : flags["memory-swappiness"],
    oomKillDisable: flags["oom-kill-disable"],
    nanoCpus: flags.cpus,
    cpuShares: flags["cpu-shares"],
    cpuQuota: flags["cpu-quota"],
    cpuPeriod: flags["cpu-period"],
    cpusetCpus: flags["cpuset-cpus"],
    cpusetMems: flags["cpuset-mems"],
    pidsLimit: flags["pids-limit"],
    blkioWeight: flags["blkio-weight"],
    blkioWeightDevice: flags["blkio-weight-device"]?.length ? flags["blkio-weight-device"] : undefined,
    deviceReadBps: rates("device-read-bps"),
    deviceWriteBps: rates("device-write-bps"),
    deviceReadIops: rates("device-read-iops"),
    deviceWriteIops: rates("device-write-iops"),
  });
}

const mounts = (flags: ContainerFlags): Mount[] => [
  ...flags.mount,
  ...mapped(flags.volume, readVolume),
  ...tmpfs(flags.tmpfs),
];

/** Docker keeps them by their target: one that is said twice is what was said last. */
const tmpfs = (texts: readonly string[]): Mount[] => {
  const byTarget: Record<string, Mount> = {};
  for (const text of texts) {
    const mount = readTmpfs(text);
    byTarget[mount.target] = mount;
  }
  return Object.values(byTarget);
};

/** On the host's network there is nothing to publish: Docker says so and goes on. */
function readPorts(flags: ContainerFlags, mode: NamespaceMode["mode"] | undefined): PortBinding[] {
  const ports: PortBinding[] = [];
  for (const text of flags.publish) ports.push(...readPublish(text));
  const any = ports.length > 0 || flags["publish-all"] === true;
  if (any && mode === "container")
    throw new UsageError("conflicting options: port publishing and the container type network mode");
  if (any && mode === "host") {
    complain("WARNING: Published ports are discarded when using host network mode");
    return [];
  }
  return ports;
}

function checkPull(pull: string | undefined): void {
  if (pull !== undefined && !["", "always", "missing", "never"].includes(pull))
    throw new UsageError(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`);
}
