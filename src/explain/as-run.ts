/**
 * A container as the command line that makes it again: what was asked for, since that is all that a command line can
 * say. Whoever runs it gets the same configuration (a test does).
 */
import type {
  ContainerConfig,
  Device,
  Healthcheck,
  Mount,
  NamespaceMode,
  Resources,
} from "../container/index.ts";
import type { EndpointConfig, PortBinding } from "../network/types.ts";

export interface CommandLine {
  /** The words, in groups that belong on one line: a flag and its value, the image, the command. */
  readonly parts: readonly (readonly string[])[];
  /** What the line cannot say, or another engine does not know. */
  readonly notes: readonly string[];
}

type Add = (flag: string, value?: string | number | boolean) => void;

export function asRun(config: ContainerConfig, name: string): CommandLine {
  const parts: string[][] = [];
  const notes: string[] = [];
  const add: Add = (flag, value) => {
    if (value === true) parts.push([`--${flag}`]);
    else if (value !== undefined && value !== false) parts.push([`--${flag}`, String(value)]);
  };
  const all = (flag: string, values: readonly string[]): void => {
    for (const value of values) add(flag, value);
  };
  const pairs = (flag: string, map: Readonly<Record<string, string>>): void => {
    for (const [key, value] of Object.entries(map)) add(flag, `${key}=${value}`);
  };

  add("name", name);
  streams(config, add);
  add("rm", config.autoRemove);
  const { restart } = config;
  if (restart.name !== "no")
    add(
      "restart",
      restart.maximumRetryCount > 0 ? `${restart.name}:${restart.maximumRetryCount}` : restart.name,
    );
  add("init", config.init);
  add("platform", config.platform);
  namespaces(config, add);
  all("network", config.networks.map(network));
  all("link", config.links ?? config.networks[0]?.links ?? []);
  add("hostname", config.hostname);
  add("domainname", config.domainname);
  all("expose", config.expose);
  all("publish", config.ports.map(port));
  add("publish-all", config.publishAll);
  all("dns", config.dns);
  all("dns-search", config.dnsSearch);
  all("dns-option", config.dnsOptions);
  all("add-host", config.extraHosts);
  limits(config.resources, add);
  add("cgroup-parent", config.cgroupParent);
  for (const { name: limit, soft, hard } of config.ulimits)
    add("ulimit", `${limit}=${soft}${hard === soft ? "" : `:${hard}`}`);
  add("oom-score-adj", config.oomScoreAdj);
  pairs("sysctl", config.sysctls);
  all("device", config.devices.map(device));
  all("device-cgroup-rule", config.deviceCgroupRules);
  add("read-only", config.readonlyRootfs);
  for (const each of config.mounts) mount(each, add);
  all("volumes-from", config.volumesFrom);
  add("shm-size", config.shmSize);
  add("privileged", config.privileged);
  all("cap-drop", config.capDrop);
  all("cap-add", config.capAdd);
  security(config, add, notes);
  add("user", config.user);
  all("group-add", config.groups ?? []);
  add("workdir", config.workdir);
  all("env", config.env);
  pairs("label", config.labels);
  pairs("annotation", config.annotations);
  add("stop-signal", config.stopSignal);
  if (config.stopTimeout !== undefined)
    add("stop-timeout", config.stopTimeout < 0 ? -1 : Math.round(config.stopTimeout / 1000));
  if (config.healthcheck) health(config.healthcheck, add, notes);
  if (config.log.driver !== "json-file") add("log-driver", config.log.driver);
  pairs("log-opt", config.log.options);
  if (config.timeout !== undefined) add("timeout", `${config.timeout}ms`);
  if (config.exactly) add("namespaces", config.exactly.join(","));
  if (config.rootfs) add("rootfs", `${config.rootfs.path}${config.rootfs.copyOnWrite ? ":O" : ""}`);

  const [entry, ...more] = config.entrypoint ?? [];
  if (config.entrypoint) add("entrypoint", entry ?? "");
  if (config.image !== "") parts.push([config.image]);
  const command = [...more, ...(config.command ?? [])];
  if (command.length > 0) parts.push(command);

  const ours = [
    ...(config.timeout === undefined ? [] : ["--timeout"]),
    ...(config.exactly ? ["--namespaces"] : []),
    ...(config.rootfs ? ["--rootfs"] : []),
    ...(config.image === "host" ? ["the image host"] : []),
  ];
  if (ours.length > 0) notes.push(`Only sampan run knows: ${ours.join(", ")}.`);
  return { parts, notes };
}

function streams({ tty, openStdin, attach }: ContainerConfig, add: Add): void {
  if (attach.length === 0) add("detach", true);
  if (openStdin) add("interactive", true);
  if (tty) add("tty", true);
  const usual = openStdin ? ["stdin", "stdout", "stderr"] : ["stdout", "stderr"];
  if (attach.length > 0 && attach.join() !== usual.join()) for (const stream of attach) add("attach", stream);
}

const FLAGS = {
  pid: "pid",
  net: "network",
  ipc: "ipc",
  uts: "uts",
  user: "userns",
  cgroup: "cgroupns",
} as const;

/** As `--network` and its like take it. */
export const modeText = (mode: NamespaceMode): string =>
  mode.mode === "container"
    ? `container:${mode.container}`
    : mode.mode === "path"
      ? `ns:${mode.path}`
      : mode.mode;

function namespaces(config: ContainerConfig, add: Add): void {
  for (const [kind, flag] of Object.entries(FLAGS)) {
    const mode = config.namespaces[kind as keyof typeof FLAGS];
    if (mode) add(flag, modeText(mode));
  }
}

/** `[ADDRESS:][PORT:]PORT/PROTOCOL` */
function port({ address, first, last, target, protocol }: PortBinding): string {
  const host = address === "" ? "" : `${address.includes(":") ? `[${address}]` : address}:`;
  const range = first === 0 ? "" : first === last ? String(first) : `${first}-${last}`;
  return `${host}${range}${host === "" && range === "" ? "" : ":"}${target}${protocol === "tcp" ? "" : `/${protocol}`}`;
}

/** A name alone, or the long form where more was asked. */
function network(asked: EndpointConfig): string {
  const { network: name, aliases = [], ipv4, ipv6, linkLocal = [], mac, gatewayPriority } = asked;
  const fields = [
    ...aliases.map((alias) => `alias=${alias}`),
    ...(ipv4 ? [`ip=${ipv4}`] : []),
    ...(ipv6 ? [`ip6=${ipv6}`] : []),
    ...linkLocal.map((address) => `link-local-ip=${address}`),
    ...(mac ? [`mac-address=${mac}`] : []),
    ...(gatewayPriority ? [`gw-priority=${gatewayPriority}`] : []),
    ...Object.entries(asked.driverOptions ?? {}).map(([key, value]) => `driver-opt=${key}=${value}`),
  ];
  return fields.length === 0 ? name : [`name=${name}`, ...fields].join(",");
}

function limits(r: Resources, add: Add): void {
  add("memory", r.memory);
  add("memory-swap", r.memorySwap);
  add("memory-reservation", r.memoryReservation);
  add("memory-swappiness", r.memorySwappiness);
  add("oom-kill-disable", r.oomKillDisable);
  if (r.nanoCpus !== undefined) add("cpus", r.nanoCpus / 1e9);
  add("cpu-shares", r.cpuShares);
  add("cpu-quota", r.cpuQuota);
  add("cpu-period", r.cpuPeriod);
  add("cpuset-cpus", r.cpusetCpus);
  add("cpuset-mems", r.cpusetMems);
  add("pids-limit", r.pidsLimit);
  add("blkio-weight", r.blkioWeight);
  for (const { path, weight } of r.blkioWeightDevice ?? []) add("blkio-weight-device", `${path}:${weight}`);
  for (const [flag, rates] of [
    ["device-read-bps", r.deviceReadBps],
    ["device-write-bps", r.deviceWriteBps],
    ["device-read-iops", r.deviceReadIops],
    ["device-write-iops", r.deviceWriteIops],
  ] as const)
    for (const { path, rate } of rates ?? []) add(flag, `${path}:${rate}`);
}

const device = ({ host, container, permissions }: Device): string =>
  permissions === "rwm"
    ? host === container
      ? host
      : `${host}:${container}`
    : `${host}:${container}:${permissions}`;

/** One field of a line of CSV. */
const field = (text: string): string => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function mount(m: Mount, add: Add): void {
  if (m.tmpfsOptions)
    return add(
      "tmpfs",
      [m.target, ...(m.tmpfsOptions.length > 0 ? [m.tmpfsOptions.join(",")] : [])].join(":"),
    );
  if (m.short) {
    if (m.source === "") return add("volume", m.target);
    const options = [
      ...(m.readonly ? ["ro"] : []),
      ...(m.relabel ? [m.relabel === "shared" ? "z" : "Z"] : []),
      ...(m.propagation ? [m.propagation] : []),
      ...(m.noCopy ? ["nocopy"] : []),
    ];
    return add("volume", [m.source, m.target, ...(options.length > 0 ? [options.join(",")] : [])].join(":"));
  }
  const fields = [
    `type=${m.type}`,
    ...(m.source === "" ? [] : [`source=${m.source}`]),
    `target=${m.target}`,
    ...(m.readonly === undefined ? [] : [m.readonly ? "readonly" : "readonly=false"]),
    ...(m.propagation ? [`bind-propagation=${m.propagation}`] : []),
    ...(m.recursive ? [`bind-recursive=${m.recursive}`] : []),
    ...(m.idmap ? [`bind-idmap=${m.idmap}`] : []),
    ...(m.type === "bind" && m.createSource ? ["bind-create-src"] : []),
    ...(m.overlay ? ["overlay"] : []),
    ...(m.noCopy ? ["volume-nocopy"] : []),
    ...(m.driver ? [`volume-driver=${m.driver}`] : []),
    ...Object.entries(m.labels ?? {}).map(([key, value]) => `volume-label=${key}=${value}`),
    ...Object.entries(m.driverOptions ?? {}).map(([key, value]) => `volume-opt=${key}=${value}`),
    ...(m.subpath ? [`${m.type}-subpath=${m.subpath}`] : []),
    ...(m.tmpfsSize === undefined ? [] : [`tmpfs-size=${m.tmpfsSize}`]),
    ...(m.tmpfsMode === undefined ? [] : [`tmpfs-mode=${m.tmpfsMode.toString(8)}`]),
  ];
  add("mount", fields.map(field).join(","));
}

function security({ security: s }: ContainerConfig, add: Add, notes: string[]): void {
  if (s.noNewPrivileges !== undefined)
    add("security-opt", s.noNewPrivileges ? "no-new-privileges" : "no-new-privileges=false");
  if (s.seccomp?.startsWith("{")) {
    add("security-opt", "seccomp=seccomp.json");
    notes.push("The seccomp profile is to be put into seccomp.json first: it is too long for a line.");
  } else if (s.seccomp) add("security-opt", `seccomp=${s.seccomp}`);
  if (s.apparmor) add("security-opt", `apparmor=${s.apparmor}`);
  for (const label of s.label ?? []) add("security-opt", `label=${label}`);
  if (s.systempaths) add("security-opt", `systempaths=${s.systempaths}`);
}

function health(check: Healthcheck, add: Add, notes: string[]): void {
  const [kind, ...rest] = check.test ?? [];
  if (kind === "NONE") return add("no-healthcheck", true);
  if (kind === "CMD-SHELL") add("health-cmd", rest.join(" "));
  else if (kind === "CMD") {
    add("health-cmd", rest.map(quote).join(" "));
    notes.push("The health check is given to a shell here: a line has no other form for it.");
  }
  const time = (flag: string, milliseconds: number | undefined): void => {
    if (milliseconds) add(flag, `${milliseconds}ms`);
  };
  time("health-interval", check.interval);
  time("health-timeout", check.timeout);
  time("health-start-period", check.startPeriod);
  time("health-start-interval", check.startInterval);
  if (check.retries) add("health-retries", check.retries);
}

/** For a POSIX shell. */
export const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** Lines of at most `columns` that a shell reads as one. */
export function runText({ parts, notes }: CommandLine, columns: number): string {
  const lines: string[] = [];
  let line = "docker run";
  for (const part of parts) {
    const words = part.map(quote).join(" ");
    if (line.length + 1 + words.length > columns - 2) {
      lines.push(line);
      line = `  ${words}`;
    } else line += ` ${words}`;
  }
  lines.push(line);
  return `${notes.map((note) => `# ${note}\n`).join("")}${lines.join(" \\\n")}\n`;
}
