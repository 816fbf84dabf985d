/** What this machine is and what this engine makes of it: the facts behind `docker info` and `docker version`. */
import { existsSync, readFileSync } from "node:fs";
import { release } from "../kernel/version.ts";
import { hasAppArmor, hasSELinux, readCgroupHost } from "../runtime/index.ts";
import type { Containers } from "./containers.ts";
import type { Context } from "./context.ts";
import { memoryOfMachine } from "./stats.ts";

export interface Info {
  readonly containers: { readonly running: number; readonly paused: number; readonly stopped: number };
  readonly images: number;
  readonly root: string;
  readonly run: string;
  readonly storageDriver: "overlay2";
  /** Of the filesystem beneath the state folder. */
  readonly backingFilesystem: string;
  readonly loggingDrivers: readonly string[];
  readonly cgroup: {
    readonly version: "1" | "2";
    readonly kind: string;
    readonly driver: "cgroupfs" | "none";
  };
  readonly securityOptions: readonly string[];
  readonly rootless: boolean;
  readonly kernel: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  readonly architecture: string;
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
  readonly hostname: string;
  /** What does not work here, and why. */
  readonly warnings: readonly string[];
}

export interface Version {
  readonly kernel: string;
  readonly os: "linux";
  /** As images call it: amd64, arm64. */
  readonly architecture: string;
  readonly bun: string;
}

export const architecture = (): string => (process.arch === "x64" ? "amd64" : process.arch);

const MACHINES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

function osRelease(): Map<string, string> {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    if (!existsSync(path)) continue;
    const lines = readFileSync(path, "utf8").split("\n");
    return new Map(
      lines.map((line) => {
        const [key = "", value = ""] = line.split("=", 2);
        return [key, value.replace(/^"(.*)"$/, "$1")];
      }),
    );
  }
  return new Map();
}

/** The type of the mount that a path lies on. */
function filesystemOf(path: string): string {
  let best = "";
  let type = "unknown";
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const point = before.split(" ")[4] ?? "";
    if (point.length < best.length || (point !== "/" && path !== point && !path.startsWith(`${point}/`)))
      continue;
    best = point;
    type = after.split(" ")[0] ?? "unknown";
  }
  return type;
}

function securityOptions(rootless: boolean): string[] {
  const options: string[] = [];
  if (hasAppArmor()) options.push("name=apparmor");
  options.push("name=seccomp,profile=builtin");
  if (hasSELinux()) options.push("name=selinux");
  if (rootless) options.push("name=rootless");
  options.push("name=cgroupns");
  return options;
}

export function info({ paths, images }: Context, containers: Containers): Info {
  const host = readCgroupHost();
  const os = osRelease();
  const rootless = process.getuid?.() !== 0;
  return {
    containers: containers.counts(),
    images: images.list().length,
    ...paths,
    storageDriver: "overlay2",
    backingFilesystem: filesystemOf(paths.root),
    loggingDrivers: ["json-file", "local", "none"],
    cgroup: {
      version: host.kind === "v2" ? "2" : "1",
      kind: host.kind,
      driver: host.kind === "none" ? "none" : "cgroupfs",
    },
    securityOptions: securityOptions(rootless),
    rootless,
    kernel: release(),
    operatingSystem: os.get("PRETTY_NAME") ?? "Linux",
    osVersion: os.get("VERSION_ID") ?? "",
    architecture: MACHINES[process.arch] ?? process.arch,
    cpus: navigator.hardwareConcurrency,
    memory: memoryOfMachine(),
    hostname: readFileSync("/proc/sys/kernel/hostname", "latin1").trim(),
    warnings: host.note === undefined ? [] : [host.note],
  };
}

export const version = (): Version => ({
  kernel: release(),
  os: "linux",
  architecture: architecture(),
  bun: Bun.version,
});
