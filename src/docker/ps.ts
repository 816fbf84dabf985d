/** One container as a row of `docker ps`: columns, the state in words, the fields that templates see. */
import { mapped } from "../common/loops.ts";
import type { ContainerConfig, Mount } from "../container/config.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { Attached } from "../network/attach.ts";
import { ellipsis, goTime, humanDuration, humanSize, shortId } from "./human.ts";
import { portsText } from "./ports.ts";

export const NEVER = "0001-01-01T00:00:00Z";

/** `Up 35 hours`, `Exited (0) 2 minutes ago`: Docker's words for a state. After 137 they tell why. */
export function statusText({ state }: ContainerRecord, now = Date.now()): string {
  const since = (time: string): string => humanDuration(now - Date.parse(time));
  const code = state.exitCode;
  switch (state.status) {
    case "running":
      return `Up ${since(state.startedAt)}${state.health ? ` (${state.health.status === "starting" ? "health: starting" : state.health.status})` : ""}`;
    case "paused":
      return `Up ${since(state.startedAt)} (Paused)`;
    case "restarting":
      return `Restarting (${code}) ${since(state.finishedAt)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    case "created":
      return "Created";
    case "exited": {
      if (state.finishedAt === NEVER) return "Created";
      const why =
        code === 0 ? "" : state.oomKilled ? " (out of memory)" : state.timedOut ? " (timed out)" : "";
      return `Exited (${code}) ${since(state.finishedAt)} ago${why}`;
    }
  }
}

/** The networks as Docker lists them. */
export function networkNames(
  config: ContainerConfig,
  attached: Attached | undefined,
  uplink?: string,
): string[] {
  const endpoints = attached?.endpoints ?? [];
  if (endpoints.length === 0) return [networkName(config, uplink)];
  const names: string[] = [];
  for (const { network } of endpoints) names.push(network.name);
  return names.sort();
}

const networkName = (config: ContainerConfig, uplink = "none"): string => {
  const net = config.namespaces.net;
  if (net?.mode === "host") return "host";
  if (config.exactly && !config.exactly.includes("net")) return "host";
  if (net?.mode === "container" || net?.mode === "path") return "";
  return config.exactly || net?.mode === "none" ? "none" : uplink;
};

export interface PsOptions {
  readonly truncate: boolean;
  readonly now?: number;
  /** Bytes in the writable layer and in all, where `--size` asked for them. */
  readonly size?: { readonly writable: number; readonly all: number };
  /** What it has of networks, where it is on any. */
  readonly attached?: Attached | undefined;
  /** What connects it where there are no networks: see Containers.uplink. */
  readonly uplink?: string | undefined;
  /** The name that it was made by is another image's by now, or nobody's: its image goes by its id. */
  readonly renamed?: boolean;
}

const mountName = (mount: Mount): string => mount.source;

/** The fields of a row; each is worked out when it is asked for. */
export class PsRow {
  readonly #record: ContainerRecord;
  readonly #options: PsOptions;
  constructor(record: ContainerRecord, options: PsOptions) {
    this.#record = record;
    this.#options = options;
  }
  get #now(): number {
    return this.#options.now ?? Date.now();
  }
  get ID(): string {
    return this.#options.truncate ? shortId(this.#record.id) : this.#record.id;
  }
  get Names(): string {
    return this.#record.name;
  }
  get Image(): string {
    const { config, imageId } = this.#record;
    const name = (this.#options.renamed && imageId) || config.image || config.rootfs?.path || "";
    if (name.startsWith("sha256:") && /^sha256:[0-9a-f]{64}$/.test(name))
      return this.#options.truncate ? shortId(name) : name;
    return name;
  }
  get Command(): string {
    const line = commandLine(this.#record.args);
    return JSON.stringify(this.#options.truncate ? ellipsis(line, 20) : line);
  }
  get CreatedAt(): string {
    return goTime(this.#record.created);
  }
  get RunningFor(): string {
    return `${humanDuration(this.#now - this.#record.created)} ago`;
  }
  get Platform(): string {
    return this.#record.config.platform ?? "";
  }
  /** Only where the container is on a network do its ports lead anywhere. */
  get Ports(): string {
    const { state, exposedPorts } = this.#record;
    const { attached } = this.#options;
    const runs = state.status === "running" || state.status === "paused";
    return runs && attached ? portsText(attached.ports, exposedPorts) : "";
  }
  get State(): string {
    return this.#record.state.status;
  }
  get Status(): string {
    return statusText(this.#record, this.#now);
  }
  get Size(): string {
    const { size } = this.#options;
    if (!size) return "0B";
    return `${humanSize(size.writable)}${size.all > 0 ? ` (virtual ${humanSize(size.all)})` : ""}`;
  }
  get Labels(): string {
    return Object.entries(this.#record.labels)
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(",");
  }
  Label(name: string): string {
    return Object.hasOwn(this.#record.labels, name) ? (this.#record.labels[name] ?? "") : "";
  }
  get #mounts(): readonly Mount[] {
    return this.#record.mounts ?? this.#record.config.mounts;
  }
  get Mounts(): string {
    return this.#mounts
      .map(mountName)
      .filter(Boolean)
      .map((name) => (this.#options.truncate ? ellipsis(name, 15) : name))
      .join(",");
  }
  get LocalVolumes(): string {
    return String(this.#mounts.filter(({ type }) => type === "volume").length);
  }
  get Networks(): string {
    const { attached, uplink } = this.#options;
    return networkNames(this.#record.config, attached, uplink).join(",");
  }
}

/** What templates and `json` see of a row. */
export const PS_COLUMNS = {
  type: "*formatter.ContainerContext",
  fields: [
    "Command",
    "CreatedAt",
    "ID",
    "Image",
    "Labels",
    "LocalVolumes",
    "Mounts",
    "Names",
    "Networks",
    "Platform",
    "Ports",
    "RunningFor",
    "Size",
    "State",
    "Status",
  ],
  headers: {
    ID: "CONTAINER ID",
    Names: "NAMES",
    Image: "IMAGE",
    Command: "COMMAND",
    CreatedAt: "CREATED AT",
    RunningFor: "CREATED",
    Ports: "PORTS",
    State: "STATE",
    Status: "STATUS",
    Size: "SIZE",
    Labels: "LABELS",
    Mounts: "MOUNTS",
    LocalVolumes: "LOCAL VOLUMES",
    Networks: "NETWORKS",
    Platform: "PLATFORM",
  },
} as const;

/** The words as one line; those with blanks in single quotes, as Docker's daemon joins them. */
export const commandLine = (args: readonly string[]): string =>
  mapped(args, (arg) => (arg.includes(" ") ? `'${arg}'` : arg)).join(" ");
