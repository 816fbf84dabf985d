/**
 * The words that an argument or a flag's value can be: what there is (containers in the state that a command wants,
 * images, networks, volumes) and what there are few of.
 */
import type { Engine } from "../../engine.ts";

/** Where a word is wanted. `command` is its first name; without `flag` it is an argument. */
export interface Place {
  readonly command: string;
  readonly flag: string | undefined;
  readonly typed: string;
  /** The arguments before it. */
  readonly given: readonly string[];
  readonly flags: Readonly<Record<string, readonly string[]>>;
  /** Undefined: there is none yet. */
  readonly engine: () => Promise<Engine | undefined>;
}

export interface Known {
  readonly words: readonly string[];
  /** Files are meant too. */
  readonly files?: "files" | "dirs";
}

type Kind =
  | "all"
  | "alive"
  | "running"
  | "paused"
  | "stopped"
  | "image"
  | "network"
  | "volume"
  | "path"
  | "files"
  | "none";

/** What a command's arguments are, one by one; `...` at the end: the last again and again, each once. */
export const ARGUMENTS: Readonly<Record<string, readonly (Kind | "...")[]>> = {
  apply: ["all"],
  "container attach": ["running"],
  "container commit": ["all", "image"],
  "container cp": ["path", "path"],
  "container create": ["image"],
  "container diff": ["all"],
  "container exec": ["running"],
  "container export": ["all"],
  "container inspect": ["all", "..."],
  "container kill": ["alive", "..."],
  "container logs": ["all"],
  "container pause": ["running", "..."],
  "container port": ["alive"],
  "container rename": ["all"],
  "container restart": ["all", "..."],
  "container rm": ["stopped", "..."],
  "container run": ["image"],
  "container start": ["stopped", "..."],
  "container stats": ["alive", "..."],
  "container stop": ["alive", "..."],
  "container top": ["alive"],
  "container unpause": ["paused", "..."],
  "container update": ["all", "..."],
  "container wait": ["alive", "..."],
  explain: ["all", "all"],
  "image history": ["image"],
  "image import": ["files"],
  "image inspect": ["image", "..."],
  "image ls": ["image"],
  "image pull": ["image"],
  "image push": ["image"],
  "image rm": ["image", "..."],
  "image save": ["image", "..."],
  "image tag": ["image", "image"],
  "manifest inspect": ["image"],
  "network connect": ["network", "all"],
  "network create": [],
  "network disconnect": ["network", "all"],
  "network inspect": ["network", "..."],
  "network rm": ["network", "..."],
  "volume clone": ["volume"],
  "volume create": [],
  "volume export": ["volume"],
  "volume import": ["none", "files"],
  "volume inspect": ["volume", "..."],
  "volume rename": ["volume"],
  "volume rm": ["volume", "..."],
};

/** What `--filter` takes. */
export const FILTERS: Readonly<Record<string, string>> = {
  "container ls":
    "ancestor before exited expose health id is-task label name network publish since status volume",
  "container prune": "label label! until",
  "image ls": "before dangling label label! reference since until",
  "image prune": "dangling label label! until",
  "network ls": "dangling driver id label name scope type",
  "network prune": "label label! until",
  search: "is-automated is-official stars",
  "system events": "container event image label network type volume",
  "system prune": "label label! until",
  "volume ls": "dangling driver label name",
  "volume prune": "all label label!",
};

/** Values of flags that mean the same in every command that has them. */
const VALUES: Readonly<Record<string, string>> = {
  attach: "stdin stdout stderr",
  cgroupns: "host private",
  compression: "none gzip zstd",
  ipc: "none private shareable host container:",
  "log-driver": "json-file local none",
  "log-opt": "max-size= max-file= compress= labels= env= tag=",
  mount: "type=bind, type=volume, type=tmpfs,",
  namespaces: "mnt pid net ipc uts user cgroup time",
  pid: "host private container:",
  platform: "linux/amd64 linux/arm64",
  pull: "always missing never",
  restart: "no always on-failure unless-stopped",
  "security-opt": "no-new-privileges seccomp= apparmor= label= systempaths=unconfined",
  userns: "host private",
  uts: "host private",
};

/** Flags that take a path. */
const FILES: Readonly<Record<string, "files" | "dirs">> = {
  cidfile: "files",
  device: "files",
  "env-file": "files",
  input: "files",
  "label-file": "files",
  output: "files",
  rootfs: "dirs",
  tmpfs: "dirs",
  volume: "files",
};

export async function wordsOf(place: Place): Promise<Known> {
  if (place.flag !== undefined) return ofFlag(place.command, place.flag, place);
  const kinds = ARGUMENTS[place.command] ?? [];
  const again = kinds.at(-1) === "...";
  const at = again ? Math.min(place.given.length, kinds.length - 2) : place.given.length;
  const kind = kinds[at];
  if (place.command === "container rm" && place.flags["force"]) return but(place, await ofKind("all", place));
  if (place.command === "explain" && at === 1 && place.typed.startsWith("/")) return { words: [] };
  if (place.command === "inspect") return inspectable(place);
  if (kind !== undefined && kind !== "...") {
    const found = await ofKind(kind, place);
    return again ? but(place, found) : found;
  }
  // A program's own words in `run` and `exec`.
  return /^container (run|create|exec)$/.test(place.command) ? { words: [], files: "files" } : { words: [] };
}

/** Without those that were said. */
const but = ({ given }: Place, { words, ...more }: Known): Known => ({
  ...more,
  words: words.filter((word) => !given.includes(word)),
});

async function ofFlag(command: string, flag: string, place: Place): Promise<Known> {
  const known = VALUES[flag];
  switch (flag) {
    case "network":
    case "net":
      return place.typed.startsWith(JOINED)
        ? joined(place)
        : { words: [...(await ofKind("network", place)).words, JOINED] };
    case "volumes-from":
      return ofKind("all", place);
    case "link":
      return { words: (await ofKind("alive", place)).words.map((name) => `${name}:`) };
    case "volume":
      return { words: (await ofKind("volume", place)).words.map((name) => `${name}:`), files: "files" };
    case "cap-add":
    case "cap-drop":
      return {
        words: ["ALL", ...prefixed("CAP_", place, (await import("../../runtime/index.ts")).CAPABILITIES)],
      };
    case "env":
      return { words: Object.keys(process.env) };
    case "ulimit":
      return {
        words: Object.keys((await import("../../runtime/index.ts")).RLIMITS).map(
          (name) => `${name.replace(/^RLIMIT_/, "").toLowerCase()}=`,
        ),
      };
    case "signal":
    case "stop-signal":
      return {
        words: prefixed("SIG", place, Object.keys((await import("../../kernel/signals.ts")).SIGNALS)),
      };
    case "filter":
      return {
        words: (FILTERS[command] ?? "")
          .split(" ")
          .filter(Boolean)
          .map((name) => `${name}=`),
      };
    case "format":
      return { words: await formats(command) };
    case "driver":
      return { words: command.startsWith("volume") ? ["local"] : ["bridge", "macvlan", "ipvlan"] };
    case "type":
      return { words: command === "inspect" ? ["container", "image", "network", "volume"] : [] };
    case "as":
      return { words: (await import("../../explain/index.ts")).FORMS };
    case "config-from":
      return ofKind("network", place);
  }
  // `container:NAME` of --pid and --ipc.
  if (known?.includes(JOINED) && place.typed.startsWith(JOINED)) return joined(place);
  const files = FILES[flag];
  return { words: known?.split(" ") ?? [], ...(files ? { files } : {}) };
}

/** Names with the prefix that they can have, where it is typed. */
const prefixed = (prefix: string, { typed }: Place, names: readonly string[]): string[] =>
  names.map((name) => (typed.startsWith(prefix) ? prefix + name : name));

/** Before the container whose namespace is meant. */
const JOINED = "container:";

async function joined(place: Place): Promise<Known> {
  const { words } = await ofKind("alive", { ...place, typed: place.typed.slice(JOINED.length) });
  return { words: words.map((name) => JOINED + name) };
}

/** `--format`: the words, then every field there is of a row. */
async function formats(command: string): Promise<string[]> {
  const columns = await columnsOf(command);
  const fields = Object.keys(columns?.headers ?? {}).map((field) => `{{.${field}}}`);
  return ["json", ...(columns ? ["table"] : []), ...fields];
}

async function columnsOf(command: string) {
  switch (command) {
    case "container ls":
      return (await import("../../docker/ps.ts")).PS_COLUMNS;
    case "container stats":
      return (await import("../../docker/stats.ts")).STATS_COLUMNS;
    case "image ls":
      return (await import("../../docker/images.ts")).IMAGE_COLUMNS;
    case "image history":
      return (await import("../../docker/images.ts")).HISTORY_COLUMNS;
    case "network ls":
      return (await import("../../docker/networks.ts")).NETWORK_COLUMNS;
    case "volume ls":
      return (await import("../../docker/volumes.ts")).VOLUME_COLUMNS;
    case "search":
      return (await import("../../docker/search.ts")).SEARCH_COLUMNS;
    case "system df":
      return (await import("../../docker/usage.ts")).USAGE_COLUMNS;
    case "system events":
      return (await import("../../docker/events.ts")).EVENT_COLUMNS;
    default:
      return undefined;
  }
}

async function inspectable(place: Place): Promise<Known> {
  const kinds = { container: "all", image: "image", network: "network", volume: "volume" } as const;
  const wanted = Object.entries(kinds).filter(([type]) => (place.flags["type"] ?? [type]).includes(type));
  const words: string[] = [];
  for (const [, kind] of wanted) words.push(...(await ofKind(kind, place)).words);
  return but(place, { words });
}

const STATES: Partial<Record<Kind, readonly string[]>> = {
  running: ["running"],
  alive: ["running", "paused", "restarting"],
  paused: ["paused"],
  stopped: ["created", "exited", "dead"],
};

async function ofKind(kind: Kind, place: Place): Promise<Known> {
  if (kind === "none") return { words: [] };
  if (kind === "files") return { words: [], files: "files" };
  const engine = await place.engine();
  if (kind === "path") {
    const names = engine?.containers.list({ all: true }).map(({ name }) => `${name}:`) ?? [];
    // Behind the colon are files of the container, which no shell knows.
    return { words: names, ...(/^[^/.]+:/.test(place.typed) ? {} : { files: "files" }) };
  }
  if (!engine)
    return { words: kind === "network" ? ["bridge", "host", "none"] : kind === "image" ? ["host"] : [] };
  if (kind === "network") return { words: (await engine.networks.list()).map(({ name }) => name) };
  if (kind === "volume") return { words: (await engine.volumes.list()).map(({ name }) => name) };
  if (kind === "image") {
    const { familiarName } = await import("../../image/index.ts");
    const tags = engine.images.list().flatMap((image) => image.tags.map(familiarName));
    // `:latest` is what is meant without it.
    return { words: tags.map((tag) => (place.typed.includes(":") ? tag : tag.replace(/:latest$/, ""))) };
  }
  const states = STATES[kind];
  const records = engine.containers.list({ all: kind === "all" || kind === "stopped" });
  const wanted = records.filter(({ state }) => states === undefined || states.includes(state.status));
  const names = wanted.map(({ name }) => name);
  // An id is offered to who types one.
  if (names.some((name) => name.startsWith(place.typed))) return { words: names };
  return { words: wanted.map(({ id }) => id.slice(0, 12)) };
}
