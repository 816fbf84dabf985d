/** The flags of `run` and `create`: Docker's, and those that only Sampan has. */
import { parseSizeOrUnlimited } from "../../common/sizes.ts";
import type { Flags } from "../flags.ts";
import { ABSENT_FLAGS } from "./absent.ts";
import { readDeviceRate, readDeviceRule, readWeightDevice } from "./devices.ts";
import { readAddress, readExtraHost, readSearchDomain } from "./hosts.ts";
import { readEnv, readLabel, readSysctl } from "./labels.ts";
import { readMount } from "./mount.ts";
import { readNamespaces } from "./namespaces.ts";
import { readStream, readTimeout, readUlimit } from "./process.ts";

export const CONTAINER_FLAGS = {
  ...ABSENT_FLAGS,
  "add-host": { type: "list", read: readExtraHost, help: "Add a custom host-to-IP mapping (host:ip)" },
  annotation: {
    type: "list",
    takes: "map",
    help: "Add an annotation to the container (passed through to the OCI runtime) (default map[])",
  },
  attach: { type: "list", short: "a", read: readStream, help: "Attach to STDIN, STDOUT or STDERR" },
  "blkio-weight": {
    type: "uint16",
    help: "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)",
  },
  "blkio-weight-device": {
    type: "list",
    read: readWeightDevice,
    help: "Block IO weight (relative device weight) (default [])",
  },
  "cap-add": { type: "list", help: "Add Linux capabilities" },
  "cap-drop": { type: "list", help: "Drop Linux capabilities" },
  "cgroup-parent": { type: "string", help: "Optional parent cgroup for the container" },
  cgroupns: {
    type: "string",
    help:
      "Cgroup namespace to use (host|private)\n" +
      "'host':    Run the container in the host's cgroup namespace\n" +
      "'private': Run the container in its own private cgroup namespace (default)",
  },
  cidfile: { type: "string", help: "Write the container ID to the file" },
  "cpu-period": { type: "int", help: "Limit CPU CFS (Completely Fair Scheduler) period" },
  "cpu-quota": { type: "int", help: "Limit CPU CFS (Completely Fair Scheduler) quota" },
  "cpu-shares": { type: "int", short: "c", help: "CPU shares (relative weight)" },
  cpus: { type: "decimal", help: "Number of CPUs" },
  "cpuset-cpus": { type: "string", help: "CPUs in which to allow execution (0-3, 0,1)" },
  "cpuset-mems": { type: "string", help: "MEMs in which to allow execution (0-3, 0,1)" },
  device: { type: "list", help: "Add a host device to the container" },
  "device-cgroup-rule": {
    type: "list",
    read: readDeviceRule,
    help: "Add a rule to the cgroup allowed devices list",
  },
  "device-read-bps": {
    type: "list",
    read: (text: string) => readDeviceRate(text, true),
    help: "Limit read rate (bytes per second) from a device (default [])",
  },
  "device-read-iops": {
    type: "list",
    read: (text: string) => readDeviceRate(text, false),
    help: "Limit read rate (IO per second) from a device (default [])",
  },
  "device-write-bps": {
    type: "list",
    read: (text: string) => readDeviceRate(text, true),
    help: "Limit write rate (bytes per second) to a device (default [])",
  },
  "device-write-iops": {
    type: "list",
    read: (text: string) => readDeviceRate(text, false),
    help: "Limit write rate (IO per second) to a device (default [])",
  },
  "disable-content-trust": { type: "bool", help: "Skip image verification (default true)", hidden: true },
  dns: { type: "list", read: readAddress, help: "Set custom DNS servers" },
  "dns-opt": { type: "list", help: "Set DNS options", hidden: true },
  "dns-option": { type: "list", help: "Set DNS options" },
  "dns-search": { type: "list", read: readSearchDomain, help: "Set custom DNS search domains" },
  domainname: { type: "string", help: "Container NIS domain name" },
  entrypoint: { type: "string", help: "Overwrite the default ENTRYPOINT of the image" },
  env: { type: "list", short: "e", read: readEnv, help: "Set environment variables" },
  "env-file": { type: "list", help: "Read in a file of environment variables" },
  expose: { type: "list", help: "Expose a port or a range of ports" },
  "group-add": { type: "list", help: "Add additional groups to join" },
  "health-cmd": { type: "string", help: "Command to run to check health" },
  "health-interval": { type: "duration", help: "Time between running the check (ms|s|m|h) (default 0s)" },
  "health-retries": { type: "int", help: "Consecutive failures needed to report unhealthy" },
  "health-start-interval": {
    type: "duration",
    help: "Time between running the check during the start period (ms|s|m|h) (default 0s)",
  },
  "health-start-period": {
    type: "duration",
    help: "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)",
  },
  "health-timeout": {
    type: "duration",
    help: "Maximum time to allow one check to run (ms|s|m|h) (default 0s)",
  },
  help: { type: "bool", help: "Print usage" },
  hostname: { type: "string", short: "h", help: "Container host name" },
  init: { type: "bool", help: "Run an init inside the container that forwards signals and reaps processes" },
  interactive: { type: "bool", short: "i", help: "Keep STDIN open even if not attached" },
  ip: { type: "string", help: "IPv4 address (e.g., 172.30.100.104)" },
  ip6: { type: "string", help: "IPv6 address (e.g., 2001:db8::33)" },
  ipc: { type: "string", help: "IPC mode to use" },
  label: { type: "list", short: "l", read: readLabel, help: "Set meta data on a container" },
  "label-file": { type: "list", help: "Read in a line delimited file of labels" },
  link: { type: "list", help: "Add link to another container" },
  "log-driver": { type: "string", help: "Logging driver for the container" },
  "log-opt": { type: "list", help: "Log driver options" },
  "mac-address": { type: "string", help: "Container MAC address (e.g., 92:d0:c6:0a:29:33)" },
  memory: { type: "bytes", short: "m", help: "Memory limit" },
  "memory-reservation": { type: "bytes", help: "Memory soft limit" },
  "memory-swap": {
    type: "bytes",
    read: parseSizeOrUnlimited,
    help: "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
  },
  "memory-swappiness": { type: "int", help: "Tune container memory swappiness (0 to 100) (default -1)" },
  mount: {
    type: "list",
    takes: "mount",
    read: readMount,
    help: "Attach a filesystem mount to the container",
  },
  name: { type: "string", help: "Assign a name to the container" },
  namespaces: {
    type: "list",
    read: readNamespaces,
    takes: "string",
    help: "Give the container exactly these namespaces of its own (mnt,pid,net,ipc,uts,user,cgroup,time), all others are the host's",
  },
  net: { type: "list", takes: "network", help: "Connect a container to a network", hidden: true },
  "net-alias": {
    type: "list",
    help: "Add network-scoped alias for the container",
    hidden: true,
  },
  network: { type: "list", takes: "network", help: "Connect a container to a network" },
  "network-alias": { type: "list", help: "Add network-scoped alias for the container" },
  "no-healthcheck": { type: "bool", help: "Disable any container-specified HEALTHCHECK" },
  "oom-kill-disable": { type: "bool", help: "Disable OOM Killer" },
  "oom-score-adj": { type: "int", help: "Tune host's OOM preferences (-1000 to 1000)" },
  pid: { type: "string", help: "PID namespace to use" },
  "pids-limit": { type: "int", help: "Tune container pids limit (set -1 for unlimited)" },
  platform: { type: "string", help: "Set platform if server is multi-platform capable" },
  privileged: { type: "bool", help: "Give extended privileges to this container" },
  publish: { type: "list", short: "p", help: "Publish a container's port(s) to the host" },
  "publish-all": { type: "bool", short: "P", help: "Publish all exposed ports to random ports" },
  pull: {
    type: "string",
    help: 'Pull image before running ("always", "missing", "never") (default "missing")',
  },
  quiet: { type: "bool", short: "q", help: "Suppress the pull output" },
  "read-only": { type: "bool", help: "Mount the container's root filesystem as read only" },
  restart: { type: "string", help: 'Restart policy to apply when a container exits (default "no")' },
  rm: {
    type: "bool",
    help: "Automatically remove the container and its associated anonymous volumes when it exits",
  },
  rootfs: {
    type: "string",
    help: "Folder to use as the root filesystem instead of an image; with :O after it the folder stays untouched",
  },
  "security-opt": { type: "list", help: "Security Options" },
  "shm-size": { type: "bytes", help: "Size of /dev/shm" },
  "stop-signal": { type: "string", help: "Signal to stop the container" },
  "stop-timeout": { type: "int", help: "Timeout (in seconds) to stop a container" },
  sysctl: { type: "list", takes: "map", read: readSysctl, help: "Sysctl options (default map[])" },
  timeout: {
    type: "duration",
    read: readTimeout,
    help: "Kill the container when this time is over (ms|s|m|h; a plain number is seconds)",
  },
  tmpfs: { type: "list", help: "Mount a tmpfs directory" },
  tty: { type: "bool", short: "t", help: "Allocate a pseudo-TTY" },
  ulimit: { type: "list", takes: "ulimit", read: readUlimit, help: "Ulimit options (default [])" },
  user: { type: "string", short: "u", help: "Username or UID (format: <name|uid>[:<group|gid>])" },
  userns: { type: "string", help: "User namespace to use" },
  uts: { type: "string", help: "UTS namespace to use" },
  volume: { type: "list", short: "v", help: "Bind mount a volume" },
  "volumes-from": { type: "list", help: "Mount volumes from the specified container(s)" },
  workdir: { type: "string", short: "w", help: "Working directory inside the container" },
} as const satisfies Flags;
