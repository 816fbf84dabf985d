/**
 * What a configuration may say, checked when a container is made, with the texts of Docker's daemon. What only this
 * kernel can tell (a controller that it lacks) is the runtime's to say.
 */

import { SampanError } from "../common/error.ts";
import { cleanPath } from "../common/paths.ts";
import { readFileSync } from "../kernel/fs.ts";
import { parseSignal } from "../kernel/signals.ts";
import type { ContainerConfig, Healthcheck, Mount, Resources, RestartPolicy } from "./config.ts";
import { isName } from "./ids.ts";

const MIN_MEMORY = 6 * 1024 * 1024;

const refuse = (message: string, hint?: string): never => {
  throw new SampanError("invalid", message, hint === undefined ? {} : { hint });
};

export function validateName(name: string): void {
  if (!isName(name))
    refuse(
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
      "A name begins with a letter or a digit.",
    );
}

/** A network that is another container's is set up there: what would set it up here is refused. */
function validateBorrowed(config: ContainerConfig): void {
  if (config.namespaces.net?.mode !== "container") return;
  const conflict = (what: string): never => refuse(`conflicting options: ${what}`);
  if (config.hostname !== undefined) conflict("hostname and the network mode");
  if (config.dns.length > 0) conflict("dns and the network mode");
  if (config.extraHosts.length > 0) conflict("custom host-to-IP mapping and the network mode");
  if (config.expose.length > 0) conflict("port exposing and the container type network mode");
}

export function validateRestart(policy: RestartPolicy, autoRemove: boolean): void {
  const { name, maximumRetryCount: count } = policy;
  if (autoRemove && name !== "no") refuse("can't create 'AutoRemove' container with restart policy");
  if (!["no", "always", "unless-stopped", "on-failure"].includes(name))
    refuse(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  if (name !== "on-failure" && count !== 0)
    refuse(
      "invalid restart policy: maximum retry count can only be used with 'on-failure'" +
        (count < 0 ? " and cannot be negative" : ""),
    );
  if (count < 0) refuse("invalid restart policy: maximum retry count cannot be negative");
}

/** The numbers in a list such as `0-3,8`; undefined: it is not one. */
function cpuList(text: string): number[] | undefined {
  const found: number[] = [];
  for (const part of text.split(",")) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    if (!match) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first || last > 8192) return undefined;
    for (let n = first; n <= last; n++) found.push(n);
  }
  return found;
}

function validateSet(what: "cpus" | "mems", wanted: string, file: string): void {
  const numbers = cpuList(wanted);
  if (!numbers) return refuse(`Invalid value ${wanted} for cpuset ${what}`);
  let available: string;
  try {
    available = readFileSync(file, "latin1").trim();
  } catch {
    return;
  }
  const known = new Set(cpuList(available));
  if (!numbers.every((n) => known.has(n)))
    refuse(
      what === "cpus"
        ? `Requested CPUs are not available - requested ${wanted}, available: ${available}`
        : `Requested memory nodes are not available - requested ${wanted}, available: ${available}`,
    );
}

/** Limits. `update`: limits of a container that exists already, where swap alone may be given. */
export function validateResources(r: Resources, update = false): void {
  const memory = r.memory ?? 0;
  const swap = r.memorySwap ?? 0;
  const reservation = r.memoryReservation ?? 0;
  if (memory !== 0 && memory < MIN_MEMORY) refuse("Minimum memory limit allowed is 6MB");
  if (memory > 0 && swap > 0 && swap < memory)
    refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
  if (memory === 0 && swap > 0 && !update)
    refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
  const swappiness = r.memorySwappiness;
  if (swappiness !== undefined && swappiness !== -1 && (swappiness < 0 || swappiness > 100))
    refuse(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  if (reservation > 0 && reservation < MIN_MEMORY) refuse("Minimum memory reservation allowed is 6MB");
  if (memory > 0 && reservation > 0 && memory < reservation)
    refuse("Minimum memory limit can not be less than memory reservation limit, see usage");

  const nano = r.nanoCpus ?? 0;
  if (nano > 0 && (r.cpuPeriod ?? 0) > 0)
    refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (nano > 0 && (r.cpuQuota ?? 0) > 0)
    refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (nano !== 0) {
    const cpus = navigator.hardwareConcurrency;
    if (nano < 0 || nano > cpus * 1e9)
      refuse(`Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`);
  }
  if ((r.cpuShares ?? 0) < 0) refuse("shares: invalid argument");
  const period = r.cpuPeriod ?? 0;
  if (period !== 0 && (period < 1000 || period > 1_000_000))
    refuse("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  const quota = r.cpuQuota ?? 0;
  if (quota > 0 && quota < 1000) refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if (r.cpusetCpus) validateSet("cpus", r.cpusetCpus, "/sys/devices/system/cpu/online");
  if (r.cpusetMems) validateSet("mems", r.cpusetMems, "/sys/devices/system/node/online");
  const weight = r.blkioWeight ?? 0;
  if (weight !== 0 && (weight < 10 || weight > 1000)) refuse("Range of blkio weight is from 10 to 1000");
}

function validateHealth(health: Healthcheck): void {
  const least = (name: string, value: number | undefined): void => {
    if (value !== undefined && value !== 0 && value < 1)
      refuse(`${name} in Healthcheck cannot be less than 1ms`);
  };
  least("Interval", health.interval);
  least("Timeout", health.timeout);
  if ((health.retries ?? 0) < 0) refuse("Retries in Healthcheck cannot be negative");
  least("StartPeriod", health.startPeriod);
  least("StartInterval", health.startInterval);
  const kind = health.test?.[0];
  if (kind !== undefined && kind !== "NONE" && kind !== "CMD" && kind !== "CMD-SHELL")
    refuse(`Unknown healthcheck type: ${kind}`);
}

const LOG_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  "json-file": [
    "max-size",
    "max-file",
    "compress",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "tag",
    "mode",
    "max-buffer-size",
  ],
  local: ["max-size", "max-file", "compress", "mode", "max-buffer-size"],
  none: ["mode", "max-buffer-size"],
};

function validateLog(log: ContainerConfig["log"]): void {
  const known = LOG_OPTIONS[log.driver];
  if (!known)
    return refuse(
      `logger: no log driver named '${log.driver}' is registered`,
      "The drivers are json-file, local and none.",
    );
  for (const option in log.options)
    if (!known.includes(option)) refuse(`unknown log opt '${option}' for ${log.driver} log driver`);
  const { mode } = log.options;
  if (mode !== undefined && mode !== "blocking" && mode !== "non-blocking")
    refuse(`logger: logging mode not supported: ${mode}`, "It is blocking or non-blocking.");
}

/** As `-v` had it, for errors. */
const volumeSpec = ({ source, target, readonly }: Mount): string =>
  `${source === "" ? "" : `${source}:`}${target}${readonly ? ":ro" : ""}`;

/** What mount(8) and the kernel's tmpfs take by themselves, and by a value. */
const TMPFS_FLAGS =
  "defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync mand nomand atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime unbindable runbindable private rprivate slave rslave shared rshared inode32 inode64 noswap";
const TMPFS_VALUES = "size mode uid gid nr_inodes nr_blocks mpol huge";

function validateTmpfs(options: readonly string[]): void {
  for (const option of options) {
    const equals = option.indexOf("=");
    const key = equals < 0 ? option : option.slice(0, equals);
    if ((equals < 0 ? TMPFS_FLAGS : TMPFS_VALUES).split(" ").includes(key)) continue;
    const shown = equals < 0 ? `"${key}"` : `"${key}" "${option.slice(equals + 1)}"`;
    refuse(
      `invalid tmpfs option [${shown}]`,
      `It takes what mount(8) takes of any filesystem, such as ro or noexec, and ${TMPFS_VALUES.replaceAll(" ", "=, ")}=.`,
    );
  }
}

function validateMounts(mounts: readonly Mount[]): void {
  const targets = new Map<string, Mount>();
  for (const mount of mounts) {
    const { type, target } = mount;
    if (mount.tmpfsOptions) validateTmpfs(mount.tmpfsOptions);
    const wrong = (why: string, hint?: string): never =>
      refuse(
        `${mount.short ? `invalid volume specification: '${volumeSpec(mount)}': ` : ""}invalid mount config for type "${type}": ${why}`,
        hint,
      );
    if (!target.startsWith("/")) wrong(`invalid mount path: '${target}' mount path must be absolute`);
    const clean = cleanPath(target);
    if (clean === "/") wrong("invalid specification: destination can't be '/'");
    const other = targets.get(clean);
    if (other) refuse(`Duplicate mount point: ${clean}`);
    targets.set(clean, mount);
    const { subpath } = mount;
    if (subpath === undefined) continue;
    if (subpath.startsWith("/")) wrong("subpath must be a relative path");
    if (subpath.split("/").includes(".."))
      wrong("subpath must not contain '..'", "A subpath names a folder inside; it never leads out.");
    if (type === "volume" && mount.source === "") wrong("must not set Subpath when using anonymous volumes");
  }
}

/** Everything about a configuration that can be wrong by itself. */
export function validateConfig(config: ContainerConfig): void {
  validateRestart(config.restart, config.autoRemove);
  if (config.workdir && !config.workdir.startsWith("/"))
    refuse(`the working directory '${config.workdir}' is invalid, it needs to be an absolute path`);
  for (const entry of config.env)
    if (entry === "" || entry.startsWith("=")) refuse(`invalid environment variable: ${entry}`);
  if (config.stopSignal) parseSignal(config.stopSignal);
  if (config.healthcheck) validateHealth(config.healthcheck);
  if (config.log.driver !== "json-file" || Object.keys(config.log.options).length > 0)
    validateLog(config.log);
  validateResources(config.resources);
  if ((config.shmSize ?? 0) < 0) refuse("SHM size can not be less than 0");
  const oom = config.oomScoreAdj ?? 0;
  if (oom < -1000 || oom > 1000) refuse(`Invalid value ${oom}, range for oom score adj is [-1000, 1000]`);
  if (config.mounts.length > 0) validateMounts(config.mounts);
  validateBorrowed(config);
  for (const host of config.extraHosts) {
    const colon = host.search(/[:=]/);
    if (colon <= 0 || colon === host.length - 1) refuse(`bad format for add-host: "${host}"`);
    const address = host.slice(colon + 1).replace(/^\[(.*)\]$/, "$1");
    if (address !== "host-gateway" && !isAddress(address))
      refuse(`invalid IP address in add-host: "${address}"`);
  }
  for (const server of config.dns) if (!isAddress(server)) refuse(`invalid IP address: ${server}`);
  for (const key in config.annotations)
    if (key === "") refuse("invalid Annotations: the empty string is not permitted as an annotation key");
}

/** IPv4 in four decimal parts, or IPv6 as a URL would take it. */
function isAddress(text: string): boolean {
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(text)) return text.split(".").every((part) => Number(part) <= 255);
  return text.includes(":") && URL.canParse(`http://[${text.replace(/%.*$/, "")}]/`);
}
