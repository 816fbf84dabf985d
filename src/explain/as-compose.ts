/**
 * A container as a service of a Compose file. What the command line of `docker run` says by flags Compose says by keys, so
 * that this is a table from one to the other; a flag that is not in it is named in a comment. Values are written as JSON
 * has them, which is YAML too.
 */
import type { ContainerConfig } from "../container/index.ts";
import type { EndpointConfig } from "../network/types.ts";
import { asRun, modeText } from "./as-run.ts";

type Service = Record<string, Value>;
type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };

/** How often a flag comes and what its value is. */
type Kind = "text" | "number" | "yes" | "list" | "pairs";

const KEYS: Readonly<Record<string, readonly [key: string, kind: Kind]>> = {
  interactive: ["stdin_open", "yes"],
  tty: ["tty", "yes"],
  restart: ["restart", "text"],
  init: ["init", "yes"],
  platform: ["platform", "text"],
  pid: ["pid", "text"],
  ipc: ["ipc", "text"],
  uts: ["uts", "text"],
  userns: ["userns_mode", "text"],
  cgroupns: ["cgroup", "text"],
  hostname: ["hostname", "text"],
  domainname: ["domainname", "text"],
  expose: ["expose", "list"],
  publish: ["ports", "list"],
  dns: ["dns", "list"],
  "dns-search": ["dns_search", "list"],
  "dns-option": ["dns_opt", "list"],
  "add-host": ["extra_hosts", "list"],
  memory: ["mem_limit", "number"],
  "memory-swap": ["memswap_limit", "number"],
  "memory-reservation": ["mem_reservation", "number"],
  "memory-swappiness": ["mem_swappiness", "number"],
  "oom-kill-disable": ["oom_kill_disable", "yes"],
  cpus: ["cpus", "number"],
  "cpu-shares": ["cpu_shares", "number"],
  "cpu-quota": ["cpu_quota", "number"],
  "cpu-period": ["cpu_period", "number"],
  "cpuset-cpus": ["cpuset", "text"],
  "pids-limit": ["pids_limit", "number"],
  "cgroup-parent": ["cgroup_parent", "text"],
  "oom-score-adj": ["oom_score_adj", "number"],
  sysctl: ["sysctls", "pairs"],
  device: ["devices", "list"],
  "device-cgroup-rule": ["device_cgroup_rules", "list"],
  "read-only": ["read_only", "yes"],
  volume: ["volumes", "list"],
  tmpfs: ["tmpfs", "list"],
  "shm-size": ["shm_size", "number"],
  privileged: ["privileged", "yes"],
  "cap-drop": ["cap_drop", "list"],
  "cap-add": ["cap_add", "list"],
  "security-opt": ["security_opt", "list"],
  user: ["user", "text"],
  "group-add": ["group_add", "list"],
  workdir: ["working_dir", "text"],
  env: ["environment", "list"],
  label: ["labels", "pairs"],
  annotation: ["annotations", "pairs"],
  "stop-signal": ["stop_signal", "text"],
};

/** Said in other places of the file, or by how Compose is called. */
const ELSEWHERE: readonly string[] = ["name", "detach", "entrypoint", "network", "link"];

/** Networks that every engine has: a mode in Compose, which takes no options. */
const PREDEFINED: readonly string[] = ["bridge", "default", "host", "none"];

export function asCompose(config: ContainerConfig, name: string): string {
  const line = asRun(config, name);
  const service: Service = {
    ...(config.image === "" ? {} : { image: config.image }),
    container_name: name,
  };
  const unsaid: string[] = [];
  const networks = network(config, service, unsaid);
  for (const [word = "", value = ""] of line.parts) {
    if (!word.startsWith("--")) break;
    const flag = word.slice(2);
    if (ELSEWHERE.includes(flag)) continue;
    if (!say(service, flag, value)) unsaid.push(word);
  }
  if (config.entrypoint) service["entrypoint"] = config.entrypoint;
  if (config.command) service["command"] = config.command;
  const notes = [
    ...new Set(line.notes.filter((note) => !note.startsWith("Only sampan"))),
    ...(unsaid.length > 0 ? [`Compose has no key for: ${[...new Set(unsaid)].join(", ")}.`] : []),
    ...(config.image === "host" ? ["Only sampan knows: the image host."] : []),
  ];
  const volumes = volumesOf((service["volumes"] ?? []) as readonly Value[]);
  const there = networks.length > 0 ? { networks: external(networks) } : {};
  return `${notes.map((note) => `# ${note}\n`).join("")}services:\n  ${key(name)}:\n${members(service, 4)}${members(there, 0)}${members(volumes, 0)}`;
}

/** The volumes that have a name are there already, and Compose wants to be told so. */
function volumesOf(mounts: readonly Value[]): { readonly [key: string]: Value } {
  const names = mounts.flatMap((each) => {
    if (typeof each === "string") return /^([^/:]+):/.exec(each)?.[1] ?? [];
    const { type, source } = each as { readonly [key: string]: Value };
    return type === "volume" && typeof source === "string" ? source : [];
  });
  return names.length === 0 ? {} : { volumes: external(names) };
}

/** Made by somebody else: Compose neither makes them nor gives them names of its own. */
const external = (names: readonly string[]): { readonly [key: string]: Value } =>
  Object.fromEntries(names.map((name) => [name, { external: true }]));

/** Says which networks it is on, and returns those that are members of the file. */
function network(config: ContainerConfig, service: Service, unsaid: string[]): string[] {
  const { namespaces, networks } = config;
  // A name alone would be a service of the file.
  const links = config.links ?? networks[0]?.links ?? [];
  if (links.length > 0) service["external_links"] = links;
  if (namespaces.net) {
    service["network_mode"] = modeText(namespaces.net);
    return [];
  }
  const [first] = networks;
  // Without a word a service is on a network of its project.
  if (!first) service["network_mode"] = "bridge";
  else if (PREDEFINED.includes(first.network)) {
    const { aliases = [], ipv4, ipv6, mac, gatewayPriority, driverOptions = {} } = first;
    service["network_mode"] = first.network;
    if (mac) service["mac_address"] = mac;
    const more = aliases.length + Object.keys(driverOptions).length + (gatewayPriority ?? 0);
    if (more > 0 || ipv4 || ipv6 || networks.length > 1) unsaid.push("--network");
    return [];
  }
  const members = networks.filter((each) => !PREDEFINED.includes(each.network));
  if (members.length < networks.length) unsaid.push("--network");
  if (members.length > 0)
    service["networks"] = Object.fromEntries(members.map((each) => [each.network, endpoint(each)]));
  return members.map((each) => each.network);
}

function endpoint(asked: EndpointConfig): { readonly [key: string]: Value } {
  const { aliases = [], ipv4, ipv6, mac, gatewayPriority, driverOptions = {} } = asked;
  return {
    ...(aliases.length > 0 ? { aliases } : {}),
    ...(ipv4 ? { ipv4_address: ipv4 } : {}),
    ...(ipv6 ? { ipv6_address: ipv6 } : {}),
    ...(mac ? { mac_address: mac } : {}),
    ...(gatewayPriority ? { gw_priority: gatewayPriority } : {}),
    ...(Object.keys(driverOptions).length > 0 ? { driver_opts: driverOptions } : {}),
  };
}

/** Compose reads `$` as the beginning of a variable. */
const literal = (text: string): string => text.replaceAll("$", "$$$$");

/** Adds what the flag says; false: Compose has no word for it. */
function say(service: Service, flag: string, value: string): boolean {
  const into = <T extends Value>(name: string, empty: T): T => (service[name] ??= empty) as T;
  const known = KEYS[flag];
  if (known) {
    const [name, kind] = known;
    if (kind === "yes") service[name] = true;
    else if (kind === "number") service[name] = Number(value);
    else if (kind === "text") service[name] = value;
    else if (kind === "list") (into(name, []) as Value[]).push(value);
    else {
      const equals = value.indexOf("=");
      (into(name, {}) as Record<string, Value>)[value.slice(0, equals)] = value.slice(equals + 1);
    }
    return true;
  }
  switch (flag) {
    case "ulimit": {
      const [, limit = "", soft = "", hard = soft] = /^(.*?)=(-?\d+)(?::(-?\d+))?$/.exec(value) ?? [];
      (into("ulimits", {}) as Record<string, Value>)[limit] = { soft: Number(soft), hard: Number(hard) };
      return true;
    }
    case "volumes-from":
      // A name alone would be a service of the file.
      (into("volumes_from", []) as Value[]).push(`container:${value}`);
      return true;
    case "mount":
      (into("volumes", []) as Value[]).push(mount(value));
      return true;
    case "no-healthcheck":
      service["healthcheck"] = { disable: true };
      return true;
    case "log-driver":
      (into("logging", {}) as Record<string, Value>)["driver"] = value;
      return true;
    case "log-opt": {
      const logging = into("logging", {}) as Record<string, Value>;
      const equals = value.indexOf("=");
      const options = (logging["options"] ??= {}) as Record<string, Value>;
      options[value.slice(0, equals)] = value.slice(equals + 1);
      return true;
    }
    case "stop-timeout":
      service["stop_grace_period"] = `${value}s`;
      return value !== "-1";
  }
  const [, what = ""] = /^health-(.*)$/.exec(flag) ?? [];
  if (what !== "") {
    const check = into("healthcheck", {}) as Record<string, Value>;
    check[what === "cmd" ? "test" : what.replaceAll("-", "_")] =
      what === "cmd" ? ["CMD-SHELL", value] : what === "retries" ? Number(value) : value;
    return true;
  }
  const [, direction = "", unit = ""] = /^device-(read|write)-(bps|iops)$/.exec(flag) ?? [];
  if (direction === "" && !flag.startsWith("blkio-weight")) return false;
  const io = into("blkio_config", {}) as Record<string, Value>;
  if (flag === "blkio-weight") io["weight"] = Number(value);
  else {
    const colon = value.lastIndexOf(":");
    const [name, what] =
      direction === "" ? ["weight_device", "weight"] : [`device_${direction}_${unit}`, "rate"];
    const list = (io[name] ??= []) as Value[];
    list.push({ path: value.slice(0, colon), [what]: Number(value.slice(colon + 1)) });
  }
  return true;
}

/** `type=bind,source=…` in Compose's long form. */
function mount(csv: string): Value {
  const fields = [...csv.matchAll(/(?:"((?:[^"]|"")*)"|([^,]*))(?:,|$)/g)].flatMap(
    ([, quoted, plain = ""]) =>
      quoted === undefined ? (plain === "" ? [] : [plain]) : [quoted.replaceAll('""', '"')],
  );
  const found: Record<string, Value> = {};
  const below = (group: string): Record<string, Value> => (found[group] ??= {}) as Record<string, Value>;
  for (const field of fields) {
    const [name = "", ...rest] = field.split("=");
    const value = rest.join("=");
    if (name === "readonly") found["read_only"] = value !== "false";
    else if (name === "volume-nocopy") below("volume")["nocopy"] = true;
    else if (name === "tmpfs-size") below("tmpfs")["size"] = Number(value);
    else if (name === "tmpfs-mode") below("tmpfs")["mode"] = Number.parseInt(value, 8);
    else if (/^(bind|volume|image)-/.test(name)) {
      const [group = "", ...key] = name.split("-");
      below(group)[key.join("_")] = value;
    } else found[name] = value;
  }
  return found;
}

// ---- YAML

const key = (name: string): string => (/^[A-Za-z_][\w.-]*$/.test(name) ? name : JSON.stringify(name));

/** A word that no YAML reader takes for anything but a text needs no quotes. */
const PLAIN = /^[A-Za-z/][\w/.+-]*$/;
const WORDS = /^(?:y|n|yes|no|on|off|true|false|null)$/i;

function scalar(value: string | number | boolean): string {
  if (typeof value !== "string") return String(value);
  return PLAIN.test(value) && !WORDS.test(value) ? value : JSON.stringify(literal(value));
}

const pad = (indent: number): string => " ".repeat(indent);

function members(map: { readonly [key: string]: Value }, indent: number): string {
  return Object.entries(map)
    .map(([name, value]) => `${pad(indent)}${key(name)}:${below(value, indent)}`)
    .join("");
}

/** What stands after a key: on its line, or beneath it. */
function below(value: Value, indent: number): string {
  if (typeof value !== "object") return ` ${scalar(value)}\n`;
  if (!Array.isArray(value)) {
    if (Object.keys(value).length === 0) return " {}\n";
    return `\n${members(value as { readonly [key: string]: Value }, indent + 2)}`;
  }
  const list = value as readonly Value[];
  if (list.length === 0) return " []\n";
  return `\n${list
    .map((each) => {
      if (typeof each !== "object") return `${pad(indent + 2)}- ${scalar(each)}\n`;
      const text = members(each as { readonly [key: string]: Value }, indent + 4);
      return `${pad(indent + 2)}- ${text.trimStart()}`;
    })
    .join("")}`;
}
