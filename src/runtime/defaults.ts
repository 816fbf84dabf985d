/** What a container has when nobody says otherwise, as the specification would say it: Docker's mounts, masks, namespaces. */
import { existsSync } from "../kernel/fs.ts";
import type { NamespaceName } from "../launch/index.ts";
import type { SpecMount, SpecNamespace, SpecNamespaceType } from "./spec.ts";

export const MASKED_PATHS: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

/** With the thermal counters of each CPU, which tell a neighbour's load (they exist on real hardware only). */
export function maskedPaths(): readonly string[] {
  const thermal = (cpu: number): string => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`;
  if (!existsSync(thermal(0))) return MASKED_PATHS;
  const found = [...MASKED_PATHS];
  for (let cpu = 0; existsSync(thermal(cpu)); cpu++) found.push(thermal(cpu));
  return found;
}

export const READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

export interface MountDefaults {
  readonly privileged?: boolean;
  /** Bytes; Docker's 64 MB if absent. */
  readonly shmSize?: number;
  /** A host folder to bind as /dev/shm instead: the host's own, or one shared with another container. */
  readonly shm?: string;
}

const SHM_SIZE = 67108864;

export function defaultMounts(o: MountDefaults = {}): SpecMount[] {
  const quiet = ["nosuid", "noexec", "nodev"];
  const guarded = o.privileged ? quiet : [...quiet, "ro"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: quiet },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: guarded },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: guarded },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
    o.shm === undefined
      ? {
          destination: "/dev/shm",
          type: "tmpfs",
          source: "shm",
          options: [...quiet, "mode=1777", `size=${o.shmSize || SHM_SIZE}`],
        }
      : { destination: "/dev/shm", type: "bind", source: o.shm, options: ["rbind", "rprivate", ...quiet] },
  ];
}

/**
 * Defaults and the user's mounts in one order: a user's mount takes the place of a default at the same target (and of
 * everything below /dev if it is /dev), and comes after the ones above it, by depth.
 */
export function orderMounts(defaults: readonly SpecMount[], own: readonly SpecMount[]): SpecMount[] {
  const targets: string[] = [];
  for (const { destination } of own) targets.push(destination);
  const all: SpecMount[] = [];
  for (const mount of defaults)
    if (
      !targets.includes(mount.destination) &&
      !(mount.destination.startsWith("/dev/") && targets.includes("/dev"))
    )
      all.push(mount);
  return [...all, ...[...own].sort((a, b) => depth(a) - depth(b))];
}

function depth({ destination }: SpecMount): number {
  let parts = 0;
  for (const part of destination.split("/")) if (part !== "") parts++;
  return parts;
}

const TYPES: Readonly<Record<NamespaceName, SpecNamespaceType>> = {
  mnt: "mount",
  net: "network",
  uts: "uts",
  pid: "pid",
  ipc: "ipc",
  cgroup: "cgroup",
  user: "user",
  time: "time",
};

/** The specification's list for namespaces that are the container's own. */
export function specNamespaces(own: readonly NamespaceName[]): SpecNamespace[] {
  const list: SpecNamespace[] = [];
  for (const name of own) list.push({ type: TYPES[name] });
  return list;
}
