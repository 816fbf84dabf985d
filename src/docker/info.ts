/** `docker info` and `docker version`: their text and their JSON. There is no daemon; client and server are one program. */
import { VERSION } from "../common/version.ts";
import type { Info, Version } from "../container/index.ts";
import { bytesSize } from "./human.ts";

/** The API's Info, as far as it means something here. */
export function infoJson(info: Info) {
  const { running, paused, stopped } = info.containers;
  return {
    ID: "",
    Containers: running + paused + stopped,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: stopped,
    Images: info.images,
    Driver: info.storageDriver,
    DriverStatus: [["Backing Filesystem", info.backingFilesystem]],
    Plugins: { Volume: [], Network: ["host", "null"], Authorization: null, Log: info.loggingDrivers },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    OomKillDisable: info.cgroup.version === "1",
    Debug: false,
    SystemTime: new Date().toISOString(),
    LoggingDriver: "json-file",
    CgroupDriver: info.cgroup.driver,
    CgroupVersion: info.cgroup.version,
    KernelVersion: info.kernel,
    OperatingSystem: info.operatingSystem,
    OSVersion: info.osVersion,
    OSType: "linux",
    Architecture: info.architecture,
    NCPU: info.cpus,
    MemTotal: info.memory,
    DockerRootDir: info.root,
    Name: info.hostname,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: VERSION,
    Runtimes: { sampan: { path: "sampan-launcher" } },
    DefaultRuntime: "sampan",
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "sampan-launcher",
    SecurityOptions: info.securityOptions,
    Warnings: info.warnings,
    ClientInfo: { Debug: false, Version: VERSION, Context: "default", Plugins: [], Warnings: null },
  };
}

export function infoText(info: Info): string {
  const { running, paused, stopped } = info.containers;
  const cgroup = info.cgroup.kind === "hybrid" ? `${info.cgroup.version} (hybrid)` : info.cgroup.version;
  const security = info.securityOptions.map((option) => {
    const [name = "", ...rest] = option.split(",").map((pair) => pair.split("=")[1] ?? "");
    return `  ${name}${rest.map((profile) => `\n   Profile: ${profile}`).join("")}`;
  });
  return `Client:
 Version:    ${VERSION}
 Debug Mode: false

Server:
 Containers: ${running + paused + stopped}
  Running: ${running}
  Paused: ${paused}
  Stopped: ${stopped}
 Images: ${info.images}
 Server Version: ${VERSION}
 Storage Driver: ${info.storageDriver}
  Backing Filesystem: ${info.backingFilesystem}
 Logging Driver: json-file
 Cgroup Driver: ${info.cgroup.driver}
 Cgroup Version: ${cgroup}
 Plugins:
  Network: host null
  Log: ${info.loggingDrivers.join(" ")}
 Runtimes: sampan
 Default Runtime: sampan
 Security Options:
${security.join("\n")}
 Kernel Version: ${info.kernel}
 Operating System: ${info.operatingSystem}
 OSType: linux
 Architecture: ${info.architecture}
 CPUs: ${info.cpus}
 Total Memory: ${bytesSize(info.memory)}
 Name: ${info.hostname}
 Docker Root Dir: ${info.root}
 Rootless: ${info.rootless}
`;
}

export function versionJson({ kernel, os, architecture, bun }: Version) {
  const common = { Version: VERSION, Os: os, Arch: architecture };
  return {
    Client: { ...common, Context: "default" },
    Server: {
      Platform: { Name: "Sampan" },
      Components: [
        { Name: "Engine", Version: VERSION, Details: { Arch: architecture, KernelVersion: kernel, Os: os } },
        { Name: "bun", Version: bun },
      ],
      ...common,
      KernelVersion: kernel,
    },
  };
}

export const versionText = ({ kernel, os, architecture, bun }: Version): string => `Client:
 Version:         ${VERSION}
 Bun version:     ${bun}
 OS/Arch:         ${os}/${architecture}

Server: (the same program: there is no daemon)
 Engine:
  Version:        ${VERSION}
  Kernel version: ${kernel}
  OS/Arch:        ${os}/${architecture}
`;
