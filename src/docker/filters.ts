/** `--filter`: names and values, and what each means for containers and for images. Different names must all match. */
import { SampanError } from "../common/error.ts";
import { eachPort, exposedPortsOf } from "../common/ports.ts";
import type { ContainerRecord, Status } from "../container/record.ts";
import type { ImageRecord } from "../image/record.ts";
import type { Attached } from "../network/attach.ts";
import { networkNames } from "./ps.ts";
import { parseTimestamp } from "./timestamp.ts";

export type Filters = Readonly<Record<string, readonly string[]>>;

/** The pairs of all `--filter`s, by name. */
export function collect(pairs: readonly (readonly [string, string])[]): Filters {
  // Without a prototype, in which names such as "constructor" would be found.
  const filters: Record<string, string[]> = Object.create(null);
  for (const [name, value] of pairs) (filters[name] ??= []).push(value);
  return filters;
}

const refuse = (message: string, hint?: string): never => {
  throw new SampanError("invalid", message, hint ? { hint } : {});
};

/** Refuses names that mean nothing here. */
export function checkFilters(filters: Filters, known: readonly string[]): void {
  for (const name in filters)
    if (!known.includes(name)) refuse(`invalid filter '${name}'`, `The filters are ${known.join(", ")}.`);
}

/** `key` or `key=value`. */
export const matchLabel = (labels: Readonly<Record<string, string>>, wanted: string): boolean => {
  const equals = wanted.indexOf("=");
  if (equals < 0) return Object.hasOwn(labels, wanted);
  return labels[wanted.slice(0, equals)] === wanted.slice(equals + 1);
};

/** A value matches as a regular expression, as Docker has it for names and ids; one that is none, literally. */
export const pattern = (text: string): ((candidate: string) => boolean) => {
  try {
    const expression = new RegExp(text);
    return (candidate) => expression.test(candidate);
  } catch {
    return (candidate) => candidate.includes(text);
  }
};

type Test<T> = (subject: T) => boolean;
const any =
  <T>(tests: readonly Test<T>[]): Test<T> =>
  (subject) =>
    tests.some((test) => test(subject));
const all =
  <T>(tests: readonly Test<T>[]): Test<T> =>
  (subject) =>
    tests.every((test) => test(subject));

const STATES: readonly Status[] = [
  "created",
  "running",
  "paused",
  "restarting",
  "removing",
  "exited",
  "dead",
];
const HEALTH = ["starting", "healthy", "unhealthy", "none"];
const PS_FILTERS = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];

/** What a filter needs to know beside the container. */
export interface ContainerLookup {
  readonly find: (ref: string) => ContainerRecord | undefined;
  /** The ids of the image of that name and of all built on it. */
  readonly images: (ref: string) => ReadonlySet<string>;
  /** What a container has of networks, by its id. */
  readonly attached: (id: string) => Attached | undefined;
  readonly uplink?: string | undefined;
}

/** A status is looked for among all containers, not only those that run. */
export const wantsAll = (filters: Filters): boolean => filters["status"] !== undefined;

export function containerFilter(filters: Filters, lookup: ContainerLookup): Test<ContainerRecord> {
  checkFilters(filters, PS_FILTERS);
  const tests = Object.entries(filters).map(([name, values]) => containerTest(name, values, lookup));
  return all(tests);
}

function containerTest(
  name: string,
  values: readonly string[],
  { find, images, attached, uplink }: ContainerLookup,
): Test<ContainerRecord> {
  const each = (make: (value: string) => Test<ContainerRecord>): Test<ContainerRecord> =>
    any(values.map(make));
  const created = (value: string): number => {
    const record = find(value) ?? refuse(`no such container ${value}`);
    return record.created;
  };
  switch (name) {
    case "id":
      return each((value) => {
        const match = pattern(value);
        return ({ id }) => match(id);
      });
    case "name":
      return each((value) => {
        const match = pattern(value);
        return ({ name }) => match(name) || match(`/${name}`);
      });
    case "label":
      return all(
        values.map(
          (value) =>
            ({ labels }) =>
              matchLabel(labels, value),
        ),
      );
    case "exited": {
      const codes = values.map((value) =>
        /^-?\d+$/.test(value)
          ? Number(value)
          : refuse(`strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`),
      );
      return ({ state }) => state.status === "exited" && codes.includes(state.exitCode);
    }
    case "status": {
      for (const value of values)
        if (!STATES.some((state) => state === value))
          refuse(`invalid filter 'status=${value}'`, `A status is one of ${STATES.join(", ")}.`);
      return ({ state }) => values.includes(state.status);
    }
    case "health": {
      for (const value of values)
        if (!HEALTH.includes(value))
          refuse(`unrecognized filter value for health: ${value}`, `It is one of ${HEALTH.join(", ")}.`);
      return ({ state }) => values.includes(state.health?.status ?? "none");
    }
    case "ancestor": {
      const found = new Set(values.flatMap((value) => [...images(value)]));
      return ({ imageId }) => found.has(imageId);
    }
    case "before": {
      const limit = Math.min(...values.map(created));
      return (record) => record.created < limit;
    }
    case "since": {
      const limit = Math.max(...values.map(created));
      return (record) => record.created > limit;
    }
    case "volume":
      return each(
        (value) =>
          ({ mounts, config }) =>
            (mounts ?? config.mounts).some(({ source, target }) => source === value || target === value),
      );
    case "network":
      return each(
        (value) =>
          ({ id, config }) =>
            networkNames(config, attached(id), uplink).includes(value) ||
            (attached(id)?.endpoints.some(({ network }) => network.id === value) ?? false),
      );
    case "is-task":
      for (const value of values)
        if (!["true", "1", "t", "false", "0", "f"].includes(value.toLowerCase()))
          refuse(`invalid filter 'is-task=[${value}]'`, "It takes true or false.");
      return () => values.some((value) => ["false", "0", "f"].includes(value.toLowerCase()));
    case "isolation":
      return () => values.some((value) => value === "" || value === "default");
    default:
      return each((value) => {
        const ports = portsOf(name, value);
        // A published port is exposed, whether anybody said so or not; what is published is the host's.
        const published = (id: string, end: "port" | "target"): boolean =>
          (attached(id)?.ports ?? []).some((each) => ports.includes(`${each[end]}/${each.protocol}`));
        if (name === "publish") return ({ id }) => published(id, "port");
        return (record) =>
          ports.some((port) => exposedPortsOf(record).includes(port)) || published(record.id, "target");
      });
  }
}

function portsOf(name: string, value: string): readonly string[] {
  if (value.includes(":")) return refuse(`filter for '${name}' should not contain ':': ${value}`);
  try {
    return eachPort(value);
  } catch (error) {
    return refuse(`error while looking up for ${name} ${value}: ${(error as Error).message}`);
  }
}

const PRUNE_FILTERS = ["label", "label!", "until"];

/** What `prune --filter` chooses by: made before a moment (ms since 1970), with and without labels. */
export interface PruneChoice {
  readonly until?: number;
  readonly labels: readonly string[];
  readonly withoutLabels: readonly string[];
}

export function pruneChoice(filters: Filters): PruneChoice {
  checkFilters(filters, PRUNE_FILTERS);
  const [until, ...more] = filters["until"] ?? [];
  if (more.length > 0) refuse("more than one until filter specified");
  const labels = { labels: filters["label"] ?? [], withoutLabels: filters["label!"] ?? [] };
  if (until === undefined) return labels;
  try {
    return { ...labels, until: Number(parseTimestamp(until)) / 1e6 };
  } catch (error) {
    return refuse(`invalid value for "until": ${(error as Error).message}`);
  }
}

export function pruneFilter(
  filters: Filters,
): Test<{ readonly created: number; readonly labels: Readonly<Record<string, string>> }> {
  const { until = Number.POSITIVE_INFINITY, labels: wanted, withoutLabels } = pruneChoice(filters);
  return ({ created, labels }) =>
    created < until &&
    wanted.every((label) => matchLabel(labels, label)) &&
    !withoutLabels.some((label) => matchLabel(labels, label));
}

const IMAGE_FILTERS = ["before", "dangling", "label", "label!", "reference", "since", "until"];

export interface ImageLookup {
  readonly find: (ref: string) => ImageRecord | undefined;
  /** `docker.io/library/alpine:3` → `alpine:3`. */
  readonly familiar: (reference: string) => string;
}

export const booleanOf = (name: string, value: string): boolean => {
  if (["1", "t", "true"].includes(value.toLowerCase())) return true;
  if (["0", "f", "false"].includes(value.toLowerCase())) return false;
  return refuse(`invalid filter '${name}=[${value}]'`, "It takes true or false.");
};

/** Which images, and which of their names: `reference` chooses among those too. */
export function imageFilter(filters: Filters, { find, familiar }: ImageLookup) {
  checkFilters(filters, IMAGE_FILTERS);
  const created = (value: string): number => (find(value) ?? refuse(`No such image: ${value}`)).created;
  const dangling = filters["dangling"]?.map((value) => booleanOf("dangling", value));
  const before = filters["before"]?.map(created) ?? [];
  const since = filters["since"]?.map(created) ?? [];
  const { until, label, "label!": without } = filters;
  const prune = pruneFilter({
    ...(until ? { until } : {}),
    ...(label ? { label } : {}),
    ...(without ? { "label!": without } : {}),
  });
  // A name in full means what it means elsewhere; a pattern is one of what people write, as Docker has it.
  const reference = filters["reference"]?.map((value) =>
    referencePattern(value.replace(/^docker\.io\/library\//, "")),
  );
  return {
    image: (image: ImageRecord): boolean =>
      (dangling?.includes(image.tags.length === 0) ?? true) &&
      before.every((moment) => image.created < moment) &&
      since.every((moment) => image.created > moment) &&
      prune({ created: image.created, labels: image.config.config?.Labels ?? {} }),
    name: (tag: string): boolean => reference?.some((match) => match(familiar(tag))) ?? true,
  };
}

/** Go's path.Match against the whole reference or its name: `*` and `?` stop at slashes. */
export function referencePattern(text: string): (reference: string) => boolean {
  const source = text
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]");
  let expression: RegExp;
  try {
    expression = new RegExp(`^${source}$`);
  } catch {
    return refuse(`invalid filter 'reference=${text}': syntax error in pattern`);
  }
  return (reference) =>
    expression.test(reference) || expression.test(reference.replace(/(@[^@]*|:[^:/]*)$/, ""));
}
