/**
 * Ending a container: by a signal that its keeper passes on, since the keeper alone knows its process beyond doubt. A
 * keeper that does not answer is ended itself, and the container by its cgroup.
 */
import { SampanError } from "../common/error.ts";
import { flockHolder } from "../kernel/flock.ts";
import { existsSync } from "../kernel/fs.ts";
import { isAlive as isRunning } from "../kernel/proc.ts";
import { parseSignal } from "../kernel/signals.ts";
import { type Connection, connect, type Exit } from "../launch/index.ts";
import { sharersFile } from "../network/index.ts";
import { readCgroupHost, thaw } from "../runtime/index.ts";
import { type Context, note, places } from "./context.ts";
import { clearCgroup } from "./finish.ts";
import { cgroupOf } from "./keeper.ts";
import { isLocked, readPidFile } from "./live.ts";
import { isAlive, recordEnd } from "./reconcile.ts";
import type { ContainerRecord, ContainerState } from "./record.ts";
import type { StoredContainer } from "./rows.ts";

export interface StopOptions {
  /** Milliseconds to wait before the process is killed; -1: for ever. Default: the container's, else 10 s. */
  readonly timeout?: number;
  /** Default: the container's stop signal. */
  readonly signal?: string;
}

const SIGKILL = 9;
const SIGTERM = 15;
const STOP_TIMEOUT = 10_000;
/** After SIGKILL: how long the kernel may take for it before the keeper is thought dead. */
const KILL_TIMEOUT = 10_000;
const THAW_AGAIN = 200;

type Known = Omit<StoredContainer, "state">;

const within = <T>(promise: Promise<T>, milliseconds: number): Promise<T | "late"> => {
  if (milliseconds < 0) return promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** The keeper, if it can still be talked to. */
const reach = (context: Context, id: string): Promise<Connection | undefined> =>
  connect(places(context.paths, id).socket).catch(() => undefined);

/** A process that is frozen takes no signal until it thaws. */
function thawIfPaused(container: Known & { state?: { status: string } }): void {
  if (container.state?.status === "paused") thaw(readCgroupHost(), cgroupOf(container));
}

export async function stop(
  context: Context,
  container: ContainerRecord,
  options: StopOptions,
): Promise<void> {
  if (!isAlive(container.state)) return;
  const { keeper, exit } = await end(context, container, options);
  await recordEnd(context, container.id, exit);
  dismiss(keeper);
  note(context, container, "stop");
}

/** Like `stop`, but nothing is recorded: the claim is the caller's, who goes on with the container. */
export async function halt(
  context: Context,
  container: ContainerRecord,
  options: StopOptions,
): Promise<void> {
  const { keeper } = await end(context, container, options);
  // Not dismissed: with --rm it would remove what is still needed. Its command waits for the claim and finds nothing to do.
  keeper?.close();
  if (existsSync(sharersFile(context.paths, container.id)))
    await (await import("./connect.ts")).sever(context, container.id);
  note(context, container, "stop");
}

/** An image may name one that does not exist: then it is TERM, as to Docker. The user's own was checked. */
function stopSignal(container: ContainerRecord): number {
  try {
    return parseSignal(container.stopSignal);
  } catch {
    return SIGTERM;
  }
}

/** By its stop signal, and when the time is over by KILL. */
async function end(
  context: Context,
  container: ContainerRecord,
  options: StopOptions,
): Promise<{ keeper: Connection | undefined; exit: Exit | undefined }> {
  const signal = options.signal === undefined ? stopSignal(container) : parseSignal(options.signal);
  const timeout = options.timeout ?? container.config.stopTimeout ?? STOP_TIMEOUT;
  const keeper = await reach(context, container.id);
  let exit: Exit | "late" | undefined = "late";
  if (keeper) {
    keeper.wait();
    keeper.signal(signal, true);
    thawIfPaused(container);
    note(context, container, "kill", { signal: String(signal) });
    exit = await within(keeper.exit, timeout);
    if (exit === "late") note(context, container, "kill", { signal: String(SIGKILL) });
  }
  return { keeper, exit: exit === "late" ? await killHard(context, container, keeper) : exit };
}

export async function kill(
  context: Context,
  container: ContainerRecord,
  reference: string,
  name: string,
): Promise<void> {
  const signal = parseSignal(name);
  if (!isAlive(container.state))
    throw new SampanError(
      "conflict",
      `cannot kill container: ${reference}: container ${container.id} is not running`,
    );
  const ends = signal === SIGKILL || signal === stopSignal(container);
  const keeper = await reach(context, container.id);
  note(context, container, "kill", { signal: String(signal) });
  if (signal === SIGKILL || !keeper) {
    await recordEnd(context, container.id, await killHard(context, container, keeper));
    dismiss(keeper);
    return;
  }
  keeper.signal(signal, ends);
  if (ends) thawIfPaused(container);
  keeper.close();
}

/** The end is recorded, so the keeper need not have it done. */
function dismiss(keeper: Connection | undefined): void {
  keeper?.taken();
  keeper?.close();
}

/** By the keeper if it listens; otherwise without it. */
async function killHard(
  context: Context,
  container: Known,
  keeper: Connection | undefined,
): Promise<Exit | undefined> {
  if (keeper) {
    keeper.wait();
    keeper.signal(SIGKILL, true);
    const host = readCgroupHost();
    const path = cgroupOf(container);
    thaw(host, path);
    // Somebody may pause it at this moment, and on cgroup v1 what is frozen does not die.
    const thawing = setInterval(() => thaw(host, path), THAW_AGAIN);
    const exit = await within(keeper.exit, KILL_TIMEOUT).finally(() => clearInterval(thawing));
    if (exit !== "late") return exit;
  }
  const at = places(context.paths, container.id);
  const live = readPidFile(at.pid);
  if (live && isLocked(at.lock) && isRunning(live.keeper, live.keeperStart))
    process.kill(live.keeper, "SIGKILL");
  clearCgroup(container);
  for (let waited = 0; waited < 100 && isLocked(at.lock); waited++) await Bun.sleep(10);
  return undefined;
}

/**
 * Ends a start that whoever asked for it has left, and that does not come to its end by itself: its keeper holds the
 * lock and has no process yet.
 */
export async function endStart(context: Context, container: StoredContainer): Promise<void> {
  const { lock } = places(context.paths, container.id);
  const keeper = isLocked(lock) ? flockHolder(lock) : undefined;
  if (keeper !== undefined) {
    try {
      process.kill(keeper, "SIGKILL");
    } catch {
      // It has ended.
    }
    for (let waited = 0; waited < KILL_TIMEOUT && isLocked(lock); waited += 10) await Bun.sleep(10);
  }
  // One that was already ending when it was looked at has left what it had made all the same.
  if (container.state.status === "starting") clearCgroup(container);
}

/** For `rm`: Docker refuses a living container unless it is forced. */
export function assertRemovable(container: StoredContainer, state: ContainerState, force: boolean): void {
  if (force) return;
  const name = `/${container.name}`;
  if (state.status === "paused")
    throw new SampanError(
      "conflict",
      `cannot remove container "${name}": container is paused and must be unpaused first`,
      { hint: `Unpause it (sampan unpause ${container.name}), or remove it with --force.` },
    );
  throw new SampanError(
    "conflict",
    `cannot remove container "${name}": container is ${state.status}: stop the container before removing or force remove`,
    { hint: `Stop it (sampan stop ${container.name}), or remove it with --force.` },
  );
}

/**
 * Kills a container whose claim the caller has, and waits until it has ended. What comes back lets the keeper go, which with --rm
 * then removes what is left of the folders.
 */
export async function killForRemoval(context: Context, container: StoredContainer): Promise<() => void> {
  const keeper = await reach(context, container.id);
  note(context, container, "kill", { signal: String(SIGKILL) });
  await killHard(context, container, keeper);
  return () => dismiss(keeper);
}
