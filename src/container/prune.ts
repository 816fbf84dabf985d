/** Removing all containers that do not run. */
import { isDiskError } from "../common/error.ts";
import { bytesIn } from "../common/tree.ts";
import type { Containers } from "./containers.ts";
import { type Context, places } from "./context.ts";
import type { ContainerRecord } from "./record.ts";
import { sweep } from "./sweep.ts";

export interface PruneFilters {
  /** Milliseconds since 1970: only those made before. */
  readonly until?: number;
  /** `key` or `key=value`; all must be there. */
  readonly labels?: readonly string[];
  /** None of these may be there. */
  readonly withoutLabels?: readonly string[];
}

export interface Pruned {
  readonly removed: readonly string[];
  /** Bytes. */
  readonly reclaimed: number;
}

const hasLabel = ({ labels }: ContainerRecord, wanted: string): boolean => {
  const equals = wanted.indexOf("=");
  if (equals < 0) return Object.hasOwn(labels, wanted);
  return labels[wanted.slice(0, equals)] === wanted.slice(equals + 1);
};

export async function prune(
  context: Context,
  containers: Containers,
  filters: PruneFilters,
): Promise<Pruned> {
  const removed: string[] = [];
  let reclaimed = 0;
  for (const container of containers.list({ all: true })) {
    const { status } = container.state;
    if (status !== "created" && status !== "exited" && status !== "dead") continue;
    if (filters.until !== undefined && container.created >= filters.until) continue;
    if (!(filters.labels ?? []).every((label) => hasLabel(container, label))) continue;
    if ((filters.withoutLabels ?? []).some((label) => hasLabel(container, label))) continue;
    const size = bytesIn(places(context.paths, container.id).upper);
    try {
      await containers.remove(container.id);
    } catch (error) {
      if (isDiskError(error)) throw error;
      // Started or removed by somebody else meanwhile.
      continue;
    }
    removed.push(container.id);
    reclaimed += size;
  }
  await sweep(context);
  return { removed, reclaimed };
}
