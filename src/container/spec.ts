/**
 * What was asked for → OCI specification: Docker's defaults, on this host. The specification says everything about the
 * process but where its root comes from and which processes' namespaces it joins: that is the caller's to add.
 */
import { SampanError } from "../common/error.ts";
import { cleanPath } from "../common/paths.ts";
import type { NamespaceName } from "../launch/index.ts";
import {
  chooseCapabilities,
  maskedPaths,
  READONLY_PATHS,
  type Spec,
  type SpecLinux,
  type SpecProcess,
  type SpecRlimit,
  specNamespaces,
  type User,
} from "../runtime/index.ts";
import type { ContainerConfig } from "./config.ts";
import { type Places, specMounts } from "./mounts.ts";
import type { ContainerRecord } from "./record.ts";
import { mergeEnv } from "./resolve.ts";
import { specDevices, specResources } from "./resources.ts";

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Docker's order: what every container has, then the image's and the caller's. HOME is the user's unless it was said. */
export function processEnv(
  record: Pick<ContainerRecord, "env" | "hostname">,
  tty: boolean,
  user: User,
): string[] {
  const base = [PATH, `HOSTNAME=${record.hostname}`];
  if (tty) base.push("TERM=xterm");
  const env = mergeEnv(base, record.env);
  for (const entry of env) if (entry.startsWith("HOME=")) return env;
  env.push(`HOME=${user.home}`);
  return env;
}

/** Of Docker's daemon as distributions run it; a caller who may not have so many gets as many as it may. */
const DEFAULT_LIMITS: readonly SpecRlimit[] = [
  { type: "RLIMIT_NOFILE", soft: 1_048_576, hard: 1_048_576, nearest: true },
];

function rlimits(config: ContainerConfig): readonly SpecRlimit[] {
  if (config.ulimits.length === 0) return DEFAULT_LIMITS;
  const own = config.ulimits.map(({ name, soft, hard }) => ({
    type: `RLIMIT_${name.toUpperCase()}`,
    soft,
    hard,
  }));
  const named = new Set(own.map(({ type }) => type));
  return [...DEFAULT_LIMITS.filter(({ type }) => !named.has(type)), ...own];
}

/** Taken if it is loaded, as Docker takes docker-default; docs/security.md says how to load it. */
const APPARMOR_DEFAULT = "sampan-default";

/** What every process of the container is held to, those that exec starts too. */
export function processRights({
  config,
  selinux,
}: Pick<ContainerRecord, "config" | "selinux">): Pick<
  SpecProcess,
  "rlimits" | "noNewPrivileges" | "apparmorProfile" | "apparmorDefault" | "selinuxLabel" | "oomScoreAdj"
> {
  const { apparmor, noNewPrivileges } = config.security;
  return {
    rlimits: rlimits(config),
    ...(noNewPrivileges ? { noNewPrivileges } : {}),
    ...(apparmor && apparmor !== "unconfined" ? { apparmorProfile: apparmor } : {}),
    ...(apparmor || config.privileged ? {} : { apparmorDefault: APPARMOR_DEFAULT }),
    ...(selinux ? { selinuxLabel: selinux.process } : {}),
    ...(config.oomScoreAdj === undefined ? {} : { oomScoreAdj: config.oomScoreAdj }),
  };
}

/** A process of another user than root loses all but the bounding set at execve, as capabilities(7) has it. */
export const capabilitySets = (names: readonly string[]): NonNullable<SpecProcess["capabilities"]> => ({
  bounding: names,
  permitted: names,
  effective: names,
});

export interface SpecInput {
  readonly record: Pick<
    ContainerRecord,
    "id" | "config" | "args" | "env" | "workdir" | "hostname" | "mounts" | "selinux"
  >;
  readonly user: User;
  readonly places: Places;
  readonly cgroupPath: string;
  readonly size?: Size | undefined;
}

export function buildSpec(input: SpecInput): Spec {
  const { record, user } = input;
  const { config } = record;
  const own = ownNamespaces(config);
  return {
    ociVersion: "1.2.0",
    ...(own.includes("uts") ? { hostname: record.hostname } : {}),
    ...(config.domainname ? { domainname: config.domainname } : {}),
    root: { path: "rootfs", ...(config.readonlyRootfs ? { readonly: true } : {}) },
    process: {
      terminal: config.tty,
      ...(input.size ? { consoleSize: { height: input.size.rows, width: input.size.columns } } : {}),
      user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
      args: record.args,
      env: processEnv(record, config.tty, user),
      cwd: cleanPath(record.workdir),
      capabilities: capabilitySets(chooseCapabilities(config.capAdd, config.capDrop, config.privileged)),
      ...processRights(record),
    },
    mounts: own.includes("mnt") ? specMounts(config, record.mounts ?? config.mounts, input.places) : [],
    annotations: config.annotations,
    linux: specLinux(record, own, input.cgroupPath),
  };
}

/** Docker's: whoever the process becomes may listen on any port of its own network, and ping from it. */
const DEFAULT_SYSCTLS: Readonly<Record<string, string>> = {
  "net/ipv4/ip_unprivileged_port_start": "0",
  "net/ipv4/ping_group_range": "0 2147483647",
};

function specLinux(
  { config, selinux }: SpecInput["record"],
  own: readonly NamespaceName[],
  cgroupsPath: string,
): SpecLinux {
  const { devices, rules } = specDevices(config);
  // On this machine's own root there is nothing of the container's to hide.
  const open = config.privileged || config.security.systempaths === "unconfined" || seesHost(config);
  const namespaces = specNamespaces(own);
  for (const name in config.namespaces) {
    const mode = config.namespaces[name as NamespaceName];
    if (mode?.mode === "path")
      for (const { type } of specNamespaces([name as NamespaceName]))
        namespaces.push({ type, path: mode.path });
  }
  return {
    namespaces,
    ...(selinux ? { mountLabel: selinux.files } : {}),
    devices,
    cgroupsPath,
    resources: { ...specResources(config.resources), devices: rules },
    sysctl: config.sysctls,
    ...(config.exactly ? {} : { sysctlDefault: DEFAULT_SYSCTLS }),
    maskedPaths: open ? [] : maskedPaths(),
    readonlyPaths: open ? [] : READONLY_PATHS,
  };
}

const seesHost = (config: ContainerConfig): boolean =>
  config.exactly !== undefined && config.rootfs?.path === "/";

const DEFAULT_OWN: readonly NamespaceName[] = ["mnt", "net", "uts", "pid", "ipc", "cgroup"];

/** A caller without root has its rights in a user namespace only: every container of its lives in one. */
export const isRootless = (): boolean => process.getuid?.() !== 0;

/** The namespaces that are made for this container. */
export function ownNamespaces(config: ContainerConfig): NamespaceName[] {
  if (config.exactly) return [...config.exactly];
  const own: NamespaceName[] = [];
  for (const name of DEFAULT_OWN) if (isOwn(config, name)) own.push(name);
  if (isRootless()) return joinsOthers(config) ? own : [...own, "user"];
  for (const name of ["user", "time"] as const)
    if (config.namespaces[name]?.mode === "private") own.push(name);
  return own;
}

function isOwn(config: ContainerConfig, name: NamespaceName): boolean {
  const mode = config.namespaces[name]?.mode;
  return mode === undefined || mode === "private" || mode === "shareable" || mode === "none";
}

/** Without root, whoever joins another container's namespace joins the user namespace that it belongs to. */
export function joinsOthers({ namespaces }: ContainerConfig): boolean {
  for (const name in namespaces) if (namespaces[name as NamespaceName]?.mode === "container") return true;
  return false;
}

/** Those that differ from the host's: what an exec has to join. */
export function foreignNamespaces(config: ContainerConfig): NamespaceName[] {
  const found = ownNamespaces(config);
  for (const key in config.namespaces) {
    const name = key as NamespaceName;
    const mode = config.namespaces[name]?.mode;
    if (mode === "container" || mode === "path") found.push(name);
  }
  if (isRootless() && !found.includes("user")) found.push("user");
  return found;
}

/** What belongs to a network namespace is its owner's to say. */
function refuseOfOthers({ hostname, dns, extraHosts, expose }: ContainerConfig): void {
  const conflict = hostname
    ? "hostname and the network mode"
    : dns.length > 0
      ? "dns and the network mode"
      : extraHosts.length > 0
        ? "custom host-to-IP mapping and the network mode"
        : expose.length > 0
          ? "port exposing and the container type network mode"
          : undefined;
  if (conflict !== undefined)
    throw new SampanError("invalid", `conflicting options: ${conflict}`, {
      hint: "With --network container:… these are the other container's: give them to that one.",
    });
}

/** Namespaces that exclude each other, said before anything is made. */
export function validateNamespaces(config: ContainerConfig): void {
  if (config.exactly && isRootless() && !config.exactly.includes("user"))
    throw new SampanError(
      "refused",
      `--namespaces ${config.exactly.join(",")}: without root a process may make namespaces only in a user namespace of its own`,
      {
        hint: `Say --namespaces user,${config.exactly.join(",")}, or run the command as root.`,
      },
    );
  const { namespaces } = config;
  const host = (name: NamespaceName): boolean => namespaces[name]?.mode === "host";
  if (config.hostname && host("uts"))
    throw new SampanError("invalid", "conflicting options: hostname and the UTS mode");
  if (config.domainname && host("uts"))
    throw new SampanError("invalid", "conflicting options: domainname and the UTS mode");
  if (namespaces.net?.mode === "container") refuseOfOthers(config);
  if (config.privileged && namespaces.user?.mode === "private")
    throw new SampanError(
      "invalid",
      "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode",
    );
}
