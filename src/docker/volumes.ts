/** Volumes as rows of `docker volume ls`, as objects of `docker volume inspect`, and which of them a filter means. */
import type { VolumeRecord } from "../volume/record.ts";
import { withAbsent } from "./absent.ts";
import { booleanOf, checkFilters, type Filters, matchLabel, pattern } from "./filters.ts";
import { humanSize4 } from "./human.ts";

/** How many containers use it and what it holds, where `system df` has looked. */
interface VolumeShare {
  readonly links: number;
  readonly bytes: number;
}

export class VolumeRow {
  readonly #volume: VolumeRecord;
  readonly #usage: VolumeShare | undefined;
  constructor(volume: VolumeRecord, usage?: VolumeShare) {
    this.#volume = volume;
    this.#usage = usage;
  }
  get Name(): string {
    return this.#volume.name;
  }
  get Driver(): string {
    return this.#volume.driver;
  }
  get Scope(): string {
    return "local";
  }
  get Mountpoint(): string {
    return this.#volume.mountpoint;
  }
  get Labels(): string {
    return Object.entries(this.#volume.labels)
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(",");
  }
  Label(name: string): string {
    return Object.hasOwn(this.#volume.labels, name) ? (this.#volume.labels[name] ?? "") : "";
  }
  get Links(): string {
    return String(this.#usage?.links ?? "N/A");
  }
  get Size(): string {
    return this.#usage ? humanSize4(this.#usage.bytes) : "N/A";
  }
  get Availability(): string {
    return "N/A";
  }
  get Group(): string {
    return "N/A";
  }
  get Status(): string {
    return "N/A";
  }
}

export const VOLUME_COLUMNS = {
  type: "*formatter.volumeContext",
  fields: [
    "Availability",
    "Driver",
    "Group",
    "Labels",
    "Links",
    "Mountpoint",
    "Name",
    "Scope",
    "Size",
    "Status",
  ],
  headers: {
    Name: "VOLUME NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    Availability: "AVAILABILITY",
    Mountpoint: "MOUNTPOINT",
    Labels: "LABELS",
    Links: "LINKS",
    Size: "SIZE",
    Group: "GROUP",
    Status: "STATUS",
  },
} as const;

const orNull = (map: Readonly<Record<string, string>>): Record<string, string> | null => {
  const entries = Object.entries(map);
  if (entries.length === 0) return null;
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
};

/** As `docker volume inspect` prints it and the Engine API answers it. */
export const inspectVolume = (volume: VolumeRecord) =>
  withAbsent(
    {
      CreatedAt: new Date(volume.created).toISOString().replace(/\.\d+Z$/, "Z"),
      Driver: volume.driver,
      Labels: orNull(volume.labels),
      Mountpoint: volume.mountpoint,
      Name: volume.name,
      Options: orNull(volume.options),
      Scope: "local",
    },
    { ClusterVolume: null, Status: {}, UsageData: null },
  );

/** Which volumes `volume ls --filter` shows. `links`: how many containers use each. */
export function volumeFilter(
  filters: Filters,
  links: ReadonlyMap<string, number>,
): (volume: VolumeRecord) => boolean {
  checkFilters(filters, ["dangling", "driver", "label", "name"]);
  const dangling = filters["dangling"]?.map((value) => booleanOf("dangling", value));
  const { driver, label = [] } = filters;
  const names = filters["name"]?.map(pattern);
  return (volume) =>
    (dangling?.includes(!links.has(volume.name)) ?? true) &&
    (driver?.includes(volume.driver) ?? true) &&
    (names?.some((match) => match(volume.name)) ?? true) &&
    label.every((wanted) => matchLabel(volume.labels, wanted));
}

/** What `volume prune --filter` chooses among those that nothing uses; `all` stands for `--all`. */
export function volumePruneChoice(filters: Filters): {
  readonly all: boolean;
  readonly filter: (volume: VolumeRecord) => boolean;
} {
  checkFilters(filters, ["all", "label", "label!"]);
  const { label = [], "label!": without = [] } = filters;
  return {
    all: filters["all"]?.some((value) => booleanOf("all", value)) ?? false,
    filter: ({ labels }) =>
      label.every((wanted) => matchLabel(labels, wanted)) &&
      !without.some((wanted) => matchLabel(labels, wanted)),
  };
}
