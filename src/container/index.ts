/** Containers: from what was asked for to a process, and everything about it until it is gone. */
import type { Paths } from "../common/paths.ts";
import type { TreeJob, TreeStreams } from "../image/index.ts";
import { Rows } from "./rows.ts";

export type { CommitOptions } from "./commit.ts";
export {
  type ContainerConfig,
  DEFAULTS,
  type Device,
  type DeviceRate,
  type Healthcheck,
  type Mount,
  type NamespaceMode,
  type Resources,
  type RestartPolicy,
  type SecurityOptions,
  type Ulimit,
} from "./config.ts";
export { Containers, type Made, noSuchContainer, type Running } from "./containers.ts";
export type { Context } from "./context.ts";
export type { Packed, PutOptions } from "./copy.ts";
export type { CopyOptions } from "./copy-host.ts";
export type { CreateOptions } from "./create.ts";
export type { Ended } from "./ended.ts";
export { type Event, Events, type NewEvent } from "./events.ts";
export type { EventQuery } from "./events-read.ts";
export type { ExecConfig } from "./exec.ts";
export { removeFolder } from "./finish.ts";
export { shortId } from "./ids.ts";
export type { Info, Version } from "./info.ts";
export { cgroupOf } from "./keeper.ts";
export type { LogChunk, LogQuery } from "./logs.ts";
export type { Bundle } from "./oci.ts";
export type { KeptPlan } from "./plan.ts";
export type { Preview } from "./preview.ts";
export type { Pruned, PruneFilters } from "./prune.ts";
export type { Unpublish } from "./publish.ts";
export type { ContainerRecord, ContainerState, Health, HealthProbe, Status } from "./record.ts";
export type { Size } from "./spec.ts";
export type { StartOptions } from "./start.ts";
export {
  type InterfaceStats,
  memoryOfMachine,
  type Reading,
  type Sample,
  type StatsOptions,
} from "./stats.ts";
export type { StopOptions } from "./stop.ts";
export { fromNanoseconds, NEVER, now } from "./time.ts";
export type { ProcessTable } from "./top.ts";
export type { Changes } from "./update.ts";
export type { WaitCondition } from "./wait.ts";
export { Rows };

/** The kernel and the machine, for `version`. */
export const version = async () => (await import("./info.ts")).version();

/** Starts the process that reaches into a tree of the engine's own. */
export const startTree = async (job: TreeJob): Promise<TreeStreams> =>
  (await import("./reach.ts")).startPlainly(job);

/** The process of a container that runs, as its keeper wrote it down. */
export const processOf = async (paths: Paths, id: string) => {
  const [{ readPidFile }, { places }] = await Promise.all([import("./live.ts"), import("./context.ts")]);
  return readPidFile(places(paths, id).pid);
};

/** Containers that run say a volume's new name in case that they start again. */
export const relinkVolume = async (
  paths: Paths,
  rows: Rows,
  ids: readonly string[],
  name: string,
): Promise<void> => (await import("./volumes.ts")).relinkVolume(paths, rows, ids, name);

/** Removes folders with all that is in them, whoever of the caller's ids it belongs to. */
export const removeTrees = async (folders: readonly string[]): Promise<void> =>
  (await import("./remove-mapped.ts")).removeTrees(folders);

/** Where an archive for a path of a container goes: `cp` from standard input. */
export const containerTarget: typeof import("./copy-host.ts").containerTarget = async (files, path) =>
  (await import("./copy-host.ts")).containerTarget(files, path);
