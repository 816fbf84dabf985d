/** The disk's use as `docker system df` shows it: one row for each kind of thing, and each thing by itself. */
import type { ContainerRecord } from "../container/record.ts";
import type { ImagesUsage } from "../image/usage.ts";
import type { VolumeRecord } from "../volume/record.ts";
import type { Columns } from "./format.ts";
import { humanSize4 } from "./human.ts";

/** A container and the bytes that it has written. */
export interface ContainerUsage {
  readonly container: ContainerRecord;
  readonly bytes: number;
}

/** A volume, how many containers use it, and the bytes in it. */
export interface VolumeUsage {
  readonly volume: VolumeRecord;
  readonly links: number;
  readonly bytes: number;
}

export interface DiskUsage {
  readonly images: ImagesUsage;
  readonly containers: readonly ContainerUsage[];
  readonly volumes: readonly VolumeUsage[];
}

/** One kind of thing. */
interface Kind {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  readonly bytes: number;
  readonly reclaimable: number;
  /** Docker gives no percentage of build cache. */
  readonly share: boolean;
}

const ACTIVE = new Set(["running", "paused", "restarting"]);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The table's rows, in Docker's order. There is no build cache. */
export function usageRows({ images, containers, volumes }: DiskUsage): UsageRow[] {
  const used = images.images.filter((each) => each.containers > 0);
  const running = containers.filter(({ container }) => ACTIVE.has(container.state.status));
  const linked = volumes.filter(({ links }) => links > 0);
  const kinds: Kind[] = [
    {
      type: "Images",
      total: images.images.length,
      active: used.length,
      bytes: images.layers,
      reclaimable: images.layers - sum(used.map(({ image, shared }) => image.size - shared)),
      share: true,
    },
    {
      type: "Containers",
      total: containers.length,
      active: running.length,
      bytes: sum(containers.map(({ bytes }) => bytes)),
      reclaimable: sum(containers.filter((each) => !running.includes(each)).map(({ bytes }) => bytes)),
      share: true,
    },
    {
      type: "Local Volumes",
      total: volumes.length,
      active: linked.length,
      bytes: sum(volumes.map(({ bytes }) => bytes)),
      reclaimable: sum(volumes.filter(({ links }) => links === 0).map(({ bytes }) => bytes)),
      share: true,
    },
    { type: "Build Cache", total: 0, active: 0, bytes: 0, reclaimable: 0, share: false },
  ];
  return kinds.map((kind) => new UsageRow(kind));
}

export class UsageRow {
  readonly #kind: Kind;
  constructor(kind: Kind) {
    this.#kind = kind;
  }
  get Type(): string {
    return this.#kind.type;
  }
  get TotalCount(): string {
    return String(this.#kind.total);
  }
  get Active(): string {
    return String(this.#kind.active);
  }
  get Size(): string {
    return humanSize4(this.#kind.bytes);
  }
  get Reclaimable(): string {
    const { bytes, reclaimable, share } = this.#kind;
    const size = humanSize4(reclaimable);
    return share && bytes > 0 ? `${size} (${Math.trunc((reclaimable * 100) / bytes)}%)` : size;
  }
}

export const USAGE_COLUMNS = {
  type: "*formatter.diskUsageContext",
  fields: ["Active", "Reclaimable", "Size", "TotalCount", "Type"],
  headers: {
    Type: "TYPE",
    TotalCount: "TOTAL",
    Active: "ACTIVE",
    Size: "SIZE",
    Reclaimable: "RECLAIMABLE",
  },
} as const satisfies Columns;
