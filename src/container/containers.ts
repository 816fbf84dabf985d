/**
 * Containers: what the command line, an API and users of the library call. The hot ones (create, start, run, get,
 * list) are here; everything else lives in files of its own that are loaded when they are wanted.
 */

import { SampanError } from "../common/error.ts";
import type { Change, PathStat } from "../image/index.ts";
import { existsSync, rmSync, statSync } from "../kernel/fs.ts";
import { type Connection, connect, type Exit, Launcher } from "../launch/index.ts";
import { type EndpointConfig, expectRelease } from "../network/index.ts";
import type { ApplyOptions } from "./apply.ts";
import { claim } from "./claim.ts";
import type { CommitOptions } from "./commit.ts";
import type { ContainerConfig } from "./config.ts";
import { type Context, note, places } from "./context.ts";
import type { Packed, PutOptions } from "./copy.ts";
import type { CopyOptions } from "./copy-host.ts";
import { type CreateOptions, create, makeRun } from "./create.ts";
import type { Ended } from "./ended.ts";
import type { ExecConfig } from "./exec.ts";
import { clearCgroup, discard } from "./finish.ts";
import type { Info } from "./info.ts";
import { hasRunFolder, runFolders } from "./live.ts";
import type { LogChunk, LogQuery } from "./logs.ts";
import {
  leftNetworks,
  loadNetwork,
  networkOwner,
  releaseNetwork,
  takeNetwork,
  uplinkName,
} from "./networking.ts";
import type { Bundle } from "./oci.ts";
import type { KeptPlan } from "./plan.ts";
import type { Preview } from "./preview.ts";
import type { Pruned, PruneFilters } from "./prune.ts";
import { fromTheLiving, isAlive, look, recordEnd, settle } from "./reconcile.ts";
import type { ContainerRecord } from "./record.ts";
import { CREATED, type StoredContainer } from "./rows.ts";
import { isRootless } from "./spec.ts";
import { type Start, type StartOptions, start } from "./start.ts";
import type { Sample, StatsOptions } from "./stats.ts";
import type { StopOptions } from "./stop.ts";
import type { ProcessTable } from "./top.ts";
import type { Changes } from "./update.ts";
import type { WaitCondition } from "./wait.ts";
import { warningsOf } from "./warnings.ts";

export interface Made {
  readonly id: string;
  readonly name: string;
  readonly warnings: readonly string[];
}

export interface Running {
  readonly container: ContainerRecord;
  readonly connection: Connection;
}

/** Times of 10 ms that an end may take from the keeper's closing its door to its record. */
const ENDING = 500;

export class Containers {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  // ---- making and starting

  /** Makes a container that does not run yet. */
  async create(config: ContainerConfig, options: CreateOptions = {}): Promise<Made> {
    const { container, image } = await create(this.#context, config, options, false);
    return { id: container.id, name: container.name, warnings: warningsOf(config, image?.config) };
  }

  /** Makes a container and starts it. Detached, the connection is closed already. */
  async run(config: ContainerConfig, options: CreateOptions & StartOptions = {}): Promise<Running> {
    const launcher = Launcher.start();
    const made = await create(this.#context, config, options, true).catch((error) => {
      launcher.abandon();
      throw error;
    });
    const { container, release, attached } = made;
    try {
      for (const warning of warningsOf(config, made.image?.config)) options.warn?.(warning);
      const connection = await this.#launch(container, { ...options, fresh: true, attached }, launcher);
      const live = { ...CREATED, status: "running", pid: connection.report?.pid ?? 0 } as const;
      return { container: { ...container, state: live }, connection };
    } finally {
      release?.();
    }
  }

  /** Starts a container; one that runs already is left as it is and only connected to. */
  start(reference: string, options: StartOptions = {}): Promise<Connection> {
    return this.#claimed(reference, async (container) => {
      for (let waited = 0; ; waited++) {
        const state = settle(this.#context, container);
        if (!state) throw noSuchContainer(reference);
        if (state.status === "paused")
          throw new SampanError("conflict", "cannot start a paused container, try unpause instead");
        if (!isAlive(state)) return this.#begin(container, options);
        try {
          return await connect(places(this.#context.paths, container.id).socket);
        } catch (error) {
          // Somebody ends it at this moment, and its keeper is about to say so.
          if (waited === ENDING) throw error;
          await Bun.sleep(10);
        }
      }
    });
  }

  /** Does what only one may do at a time to a container. */
  async #claimed<T>(reference: string, work: (container: StoredContainer) => Promise<T>): Promise<T> {
    const { id } = this.#context.rows.find(reference);
    const release = await claim(places(this.#context.paths, id).folder);
    try {
      const container = release && this.#context.rows.byId(id);
      if (!container) throw noSuchContainer(reference);
      return await work(container);
    } finally {
      release?.();
    }
  }

  /** The same, with the state that it has and keeps meanwhile, but for its own end. */
  #settled<T>(reference: string, work: (container: ContainerRecord) => Promise<T>): Promise<T> {
    return this.#claimed(reference, async (container) => {
      const state = settle(this.#context, container);
      if (!state) throw noSuchContainer(reference);
      return await work({ ...container, state });
    });
  }

  /** Starts one that does not run; the claim is the caller's. */
  async #begin(container: StoredContainer, options: StartOptions): Promise<Connection> {
    const { id } = container;
    const launcher = Launcher.start();
    if (options.attach) note(this.#context, container, "attach");
    const network = await loadNetwork(container.config);
    const state = { ...CREATED, status: "starting", restartCount: options.restarts ?? 0 } as const;
    const attached = orAbandon(launcher, () => {
      rmSync(places(this.#context.paths, id).exit, { force: true });
      makeRun(this.#context, id);
      const take = network && (() => takeNetwork(network, this.#context, container));
      return fromTheLiving(this.#context, () => this.#context.rows.setState(id, state, take));
    });
    return this.#launch(container, { ...options, attached }, launcher);
  }

  async #launch(container: StoredContainer, options: Start, launcher: Launcher): Promise<Connection> {
    const connection = await start(this.#context, container, options, launcher);
    if (!options.attach) connection.close();
    return connection;
  }

  /**
   * The end of a container that was started with `attach`: waits for it, records it (which removes it, with --rm) and lets
   * the keeper go. Undefined if the keeper was killed; the state then says so.
   */
  async finish(id: string, connection: Connection): Promise<Exit | undefined> {
    // While the container runs; afterwards somebody waits.
    this.#context.rows.expectEnd();
    expectRelease(this.#context.store);
    const exit = await connection.exit;
    await recordEnd(this.#context, id, exit, true);
    await connection.gone;
    await this.#removeRest(id);
    connection.taken();
    connection.close();
    return exit;
  }

  /** The program that connects those of a caller who is not root: its name stands where others have a network's. */
  uplink(): Promise<string | undefined> {
    return uplinkName();
  }

  /** Records an end that nobody has recorded yet; any number of times, by anybody. What keepers execute. */
  async reap(id: string): Promise<void> {
    await recordEnd(this.#context, id);
    await this.#removeRest(id);
  }

  // ---- networks

  /** Connects it to one more network, at once if it runs. */
  async connect(reference: string, asked: EndpointConfig): Promise<void> {
    const { connectNetwork } = await import("./connect.ts");
    await this.#settled(reference, (container) => connectNetwork(this.#context, container, asked));
  }

  /** Takes it off a network, at once if it runs. */
  async disconnect(reference: string, network: string): Promise<void> {
    const { disconnectNetwork } = await import("./connect.ts");
    await this.#settled(reference, (container) => disconnectNetwork(this.#context, container, network));
  }

  /** Whose network a container has, and so whose hosts, host name and resolvers: its own id where that is its own. */
  networkOwner(id: string): string {
    return networkOwner(this.#context, id);
  }

  /** Takes the links of one that has ended out of what others still share with it. What the record of its end executes. */
  async sever(id: string): Promise<void> {
    const { sever } = await import("./connect.ts");
    await sever(this.#context, id);
  }

  // ---- looking

  /** By name, id or the beginning of an id. */
  get(reference: string): ContainerRecord {
    const container = this.#context.rows.find(reference);
    const state = look(this.#context, container, existsSync(places(this.#context.paths, container.id).run));
    if (!state) throw noSuchContainer(reference);
    return { ...container, state };
  }

  /** Those that run, or with `all` every one; the newest first. */
  list(options: { readonly all?: boolean } = {}): ContainerRecord[] {
    const folders = runFolders(this.#context.paths);
    const found: ContainerRecord[] = [];
    for (const container of this.#context.rows.all()) {
      const hasRun = hasRunFolder(folders, container.id);
      if (!options.all && !hasRun && container.state.status !== "starting") continue;
      const state = look(this.#context, container, hasRun);
      if (!state) continue;
      if (options.all || isAlive(state)) found.push({ ...container, state });
    }
    return found;
  }

  /** What this machine is, and how many containers and images the engine has. */
  async info(): Promise<Info> {
    const { info } = await import("./info.ts");
    return info(this.#context, this);
  }

  /** How many there are in each state. */
  counts(): { running: number; paused: number; stopped: number } {
    const counts = { running: 0, paused: 0, stopped: 0 };
    for (const { state } of this.list({ all: true })) {
      if (state.status === "running" || state.status === "restarting") counts.running++;
      else if (state.status === "paused") counts.paused++;
      else counts.stopped++;
    }
    return counts;
  }

  // ---- processes

  /** A connection to the container's process; output comes after `attach`. */
  async attach(reference: string): Promise<Connection> {
    const container = this.get(reference);
    const { status } = container.state;
    if (status === "paused")
      throw new SampanError(
        "conflict",
        `Container ${container.id} is paused, unpause the container before attach`,
      );
    if (status === "restarting")
      throw new SampanError(
        "conflict",
        `Container ${container.id} is restarting, wait until the container is running`,
      );
    if (status !== "running")
      throw new SampanError("conflict", "You cannot attach to a stopped container, start it first");
    const connection = await connect(places(this.#context.paths, container.id).socket);
    note(this.#context, container, "attach");
    return connection;
  }

  /** Starts one more process in a running container; the connection is its standard streams and its end. */
  async exec(reference: string, config: ExecConfig): Promise<Connection> {
    const container = this.#context.rows.find(reference);
    const state = look(this.#context, container, existsSync(places(this.#context.paths, container.id).run));
    if (!state) throw noSuchContainer(reference);
    const { exec } = await import("./exec.ts");
    return exec(this.#context, container, state, config);
  }

  /** Like `exec`, and leaves the process to itself. */
  async execDetached(reference: string, config: ExecConfig): Promise<void> {
    (await this.exec(reference, config)).close();
  }

  // ---- stopping and the like

  /** Asks the process to end and, after a time, ends it. One that does not run is left as it is. */
  async stop(reference: string, options: StopOptions = {}): Promise<void> {
    const { stop } = await import("./stop.ts");
    await stop(this.#context, this.get(reference), options);
  }

  /** Ends it as `stop` does and starts it again; one with --rm is not removed in between. */
  restart(reference: string, options: StopOptions = {}): Promise<void> {
    return this.#claimed(reference, async (container) => {
      const state = settle(this.#context, container);
      if (!state) throw noSuchContainer(reference);
      const { halt } = await import("./stop.ts");
      if (isAlive(state)) await halt(this.#context, { ...container, state }, options);
      (await this.#begin(container, {})).close();
      note(this.#context, container, "restart");
    });
  }

  /** Sends a signal, by default KILL; with one that ends it, waits for the end. */
  async kill(reference: string, signal = "KILL"): Promise<void> {
    const { kill } = await import("./stop.ts");
    await kill(this.#context, this.get(reference), reference, signal);
  }

  async pause(reference: string): Promise<void> {
    const { pause } = await import("./pause.ts");
    await pause(this.#context, this.get(reference));
  }

  async unpause(reference: string): Promise<void> {
    const { unpause } = await import("./pause.ts");
    unpause(this.#context, this.get(reference));
  }

  async rename(reference: string, name: string): Promise<void> {
    const { rename } = await import("./update.ts");
    await rename(this.#context, this.#context.rows.find(reference), name);
  }

  /** Changes limits of a container, at once if it runs, and its restart policy. Returns warnings. */
  async update(reference: string, changes: Changes): Promise<string[]> {
    const { update } = await import("./update.ts");
    return this.#settled(reference, (container) => update(this.#context, container, changes));
  }

  /** Removes a container; with `force` also one that runs. `volumes`: its anonymous volumes too, when there are any. */
  async remove(
    reference: string,
    options: { readonly force?: boolean; readonly volumes?: boolean } = {},
  ): Promise<void> {
    const { id } = this.#context.rows.find(reference);
    const at = places(this.#context.paths, id);
    const release = await claim(at.folder);
    let dismiss: (() => void) | undefined;
    try {
      const container = this.#context.rows.byId(id);
      if (!container) throw noSuchContainer(reference);
      const state = release ? settle(this.#context, container) : undefined;
      if (state && isAlive(state)) {
        const { assertRemovable, killForRemoval } = await import("./stop.ts");
        assertRemovable(container, state, options.force ?? false);
        dismiss = await killForRemoval(this.#context, container);
        releaseNetwork(this.#context, container, false, true);
        clearCgroup(container);
      } else if (release && (options.force || container.state.status === "starting")) {
        const { endStart } = await import("./stop.ts");
        await endStart(this.#context, container);
      }
      // With --rm looking at its end has removed it already.
      if (this.#context.rows.byId(id))
        discard(this.#context, container, options.volumes === true || container.config.autoRemove);
      if (dismiss) leftNetworks(this.#context, container);
    } finally {
      dismiss?.();
      release?.();
    }
    await this.#removeRest(id);
    if (hasGarbage(this.#context)) {
      const { sweep } = await import("./sweep.ts");
      await sweep(this.#context);
    }
  }

  /** What the removal of a container could not remove by itself. */
  async #removeRest(id: string): Promise<void> {
    if (this.#context.orphans.length > 0) {
      const { removeOrphans } = await import("./remove-mapped.ts");
      await removeOrphans(this.#context);
    }
    const { folder } = places(this.#context.paths, id);
    if (!isRootless() || !existsSync(folder) || this.#context.rows.byId(id)) return;
    const { removeMapped } = await import("./remove-mapped.ts");
    await removeMapped([folder]);
  }

  /** Removes all that do not run. */
  async prune(filters: PruneFilters = {}): Promise<Pruned> {
    const { prune } = await import("./prune.ts");
    return prune(this.#context, this, filters);
  }

  /** Resolves with the exit code when the condition holds. */
  async wait(
    reference: string,
    condition: WaitCondition = "not-running",
    signal?: AbortSignal,
  ): Promise<number> {
    const { wait } = await import("./wait.ts");
    return wait(this.#context, this, this.get(reference), condition, signal);
  }

  // ---- reading

  /** What it wrote: bytes by stream, in order. */
  async *logs(reference: string, query: LogQuery = {}): AsyncGenerator<LogChunk> {
    const container = this.get(reference);
    const { driver } = container.config.log;
    if (driver === "none")
      throw new SampanError("invalid", "configured logging driver does not support reading", {
        hint: "The container was made with --log-driver none.",
      });
    const at = places(this.#context.paths, container.id);
    const { readLog } = await import("./logs.ts");
    const prefix = query.details ? (await import("./log-details.ts")).logDetails(container) : undefined;
    if (!query.follow || !isAlive(container.state)) {
      yield* readLog(at.log, driver, query, undefined, prefix);
      return;
    }
    const keeper = await connect(at.socket).catch(() => undefined);
    keeper?.wait();
    try {
      yield* readLog(at.log, driver, query, keeper?.exit ?? Promise.resolve(), prefix);
    } finally {
      keeper?.close();
    }
  }

  /** The plan of a container that is not made: nothing is. */
  async preview(config: ContainerConfig): Promise<Preview> {
    const { preview } = await import("./preview.ts");
    return preview(this.#context, config);
  }

  /** As other runtimes take it: config.json, and where its root comes from. */
  async bundle(reference: string): Promise<Bundle> {
    const { bundle } = await import("./oci.ts");
    return bundle(this.#context, this.#context.rows.find(reference));
  }

  /** How it ended, from what was left of it; of the last that were removed too. Undefined: it has not run, or runs. */
  async ended(reference: string): Promise<Ended | undefined> {
    const { ended } = await import("./ended.ts");
    return ended(this.#context, reference);
  }

  // ---- files

  /** What it has changed in its root filesystem: each folder before what is in it, names in order. */
  async *diff(reference: string): AsyncGenerator<Change> {
    const { diff } = await import("./changed.ts");
    yield* diff(this.#context, this.#context.rows.find(reference));
  }

  /**
   * Does what it changed in folders that it has copy-on-write (a bind with `overlay`) to the folders themselves: all of it, or
   * what is at and below these paths of the container. Gives what was done. What has changed in the folder since the
   * container took its copy is a conflict that names it, and then nothing is done.
   */
  async apply(
    reference: string,
    paths: readonly string[] = [],
    options: ApplyOptions = {},
  ): Promise<Change[]> {
    const { apply } = await import("./apply.ts");
    return apply(this.#context, this.#context.rows.find(reference), paths, options);
  }

  /** Its root filesystem as a tar archive, without what is mounted in it. */
  async *export(reference: string): AsyncGenerator<Uint8Array> {
    const { exportRoot } = await import("./changed.ts");
    yield* exportRoot(this.#context, this.#context.rows.find(reference));
  }

  /** Makes an image of its changes upon the image that it was made from; gives the image's id. */
  async commit(reference: string, options: CommitOptions = {}): Promise<string> {
    const { commit } = await import("./commit.ts");
    return commit(this.#context, this.get(reference), options);
  }

  /** What stands at a path of a container, as its process sees it; a link at its end is not followed. */
  async pathStat(reference: string, path: string): Promise<PathStat> {
    const { pathStat } = await import("./copy.ts");
    return pathStat(this.#context, this.#context.rows.find(reference), path);
  }

  /** What stands at a path, with all that is in it, as an archive. */
  async copyOut(reference: string, path: string): Promise<Packed> {
    const { copyOut } = await import("./copy.ts");
    return copyOut(this.#context, this.#context.rows.find(reference), path);
  }

  /** Puts what is in an archive into a folder of the container, by Docker's rules. */
  async copyIn(
    reference: string,
    folder: string,
    archive: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: PutOptions = { owner: "archive" },
  ): Promise<void> {
    const { copyIn } = await import("./copy.ts");
    await copyIn(this.#context, this.#context.rows.find(reference), folder, archive, options);
  }

  /** `cp` from a path of this machine to one of the container. */
  async copyFromHost(reference: string, from: string, to: string, options?: CopyOptions): Promise<void> {
    const { copyFromHost, filesOf } = await import("./copy-host.ts");
    await copyFromHost(filesOf(this.#context, reference), from, to, options);
  }

  /** `cp` from a path of the container to one of this machine. */
  async copyToHost(reference: string, from: string, to: string, options?: CopyOptions): Promise<void> {
    const { copyToHost, filesOf } = await import("./copy-host.ts");
    await copyToHost(filesOf(this.#context, reference), from, to, options);
  }

  /** The plan of its last start and what came of each step; undefined: it has not been started. */
  async plan(reference: string): Promise<KeptPlan | undefined> {
    const { readPlan } = await import("./plan.ts");
    return readPlan(this.#context, this.#context.rows.find(reference).id);
  }

  /** Its processes as the host sees them, in the columns that these ps options ask for. */
  async top(reference: string, psOptions: readonly string[] = []): Promise<ProcessTable> {
    const { top } = await import("./top.ts");
    const container = this.get(reference);
    const table = top(container, psOptions);
    note(this.#context, container, "top");
    return table;
  }

  /** What it uses: once, or with `stream` every second until the signal or its end. */
  async *stats(reference: string, options: StatsOptions = {}): AsyncGenerator<Sample> {
    const { stats } = await import("./stats.ts");
    yield* stats(this, reference, options);
  }
}

/** Whether there are more folders than containers, by the link count that most filesystems keep of subfolders. */
const hasGarbage = ({ paths, rows }: Context): boolean =>
  (statSync(`${paths.root}/containers`, { throwIfNoEntry: false })?.nlink ?? 2) - 2 > rows.count();

/** What comes before the plan may be refused: then there will be none. */
function orAbandon<T>(launcher: Launcher, work: () => T): T {
  try {
    return work();
  } catch (error) {
    launcher.abandon();
    throw error;
  }
}

export const noSuchContainer = (reference: string): SampanError =>
  new SampanError("not-found", `No such container: ${reference}`);
