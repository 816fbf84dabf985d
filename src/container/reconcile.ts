/**
 * What a container is, as the kernel has it: the row says what was asked for, the lock, the keeper's file and the exit
 * record say what became of it. Whoever reads also repairs. A container whose end is recorded costs no file at all, one
 * that lives costs the keeper's file and a look at its lock.
 */
import { isDiskError, SampanError } from "../common/error.ts";
import { existsSync, readFileSync } from "../kernel/fs.ts";
import type { Exit } from "../launch/index.ts";
import { isFrozen, readCgroupHost } from "../runtime/index.ts";
import { claim, tryClaim } from "./claim.ts";
import { type Context, type Places, places } from "./context.ts";
import {
  clearCgroup,
  discard,
  endedState,
  lostState,
  readExit,
  record,
  removeFolders,
  removeRun,
} from "./finish.ts";
import { cgroupOf, hasHealthcheck } from "./keeper.ts";
import { isLocked, type Live, readPidFile } from "./live.ts";
import { leftNetworks, releaseNetwork } from "./networking.ts";
import type { ContainerState, Health } from "./record.ts";
import { CREATED, type StoredContainer } from "./rows.ts";
import { fromNanoseconds } from "./time.ts";

/** The state now; undefined: the container is gone, since its end was to remove it. */
export function look(
  context: Context,
  container: StoredContainer,
  hasRun: boolean,
): ContainerState | undefined {
  const { state } = container;
  if (!hasRun && isSettled(container)) return withHealth(context, container, asShown(state));
  const at = places(context.paths, container.id);
  const live = hasRun ? readPidFile(at.pid) : undefined;
  const goesOn = live && (live.restarting || !existsSync(at.exit));
  if (goesOn && isLocked(at.lock)) return livingState(context, container, live);
  const release = tryClaim(at.folder);
  if (!release) {
    // Somebody is just starting, recording or removing it.
    const exit = live && readExit(at);
    return asShown(exit ? endedState(exit) : state);
  }
  try {
    const fresh = context.rows.byId(container.id);
    return fresh && settle(context, fresh);
  } finally {
    release();
  }
}

/**
 * What others may have already, a name, a port, an address: they may also be dead, and nobody has recorded that. So where it
 * is refused everybody is looked at, and it is asked for once more.
 */
export function fromTheLiving<T>(context: Context, take: () => T): T {
  try {
    return take();
  } catch (error) {
    if (!(error instanceof SampanError && error.code === "conflict")) throw error;
    for (const container of context.rows.all())
      look(context, container, existsSync(places(context.paths, container.id).run));
    return take();
  }
}

/** Whether it has a keeper that looks after it. */
export const isAlive = ({ status }: ContainerState): boolean =>
  status === "running" || status === "paused" || status === "restarting";

const isSettled = ({ state }: StoredContainer): boolean =>
  state.status === "created" || state.status === "exited" || state.status === "dead";

const asShown = (state: StoredContainer["state"]): ContainerState =>
  state.status === "starting" ? { ...state, status: "created" } : { ...state, status: state.status };

/** Looks again with the claim in hand, and writes down what it finds. */
export function settle(context: Context, container: StoredContainer): ContainerState | undefined {
  const at = places(context.paths, container.id);
  const live = readPidFile(at.pid);
  const exit = readExit(at);
  const locked = isLocked(at.lock);
  // With an exit record that no restart will follow the process has ended, though its keeper may still be about.
  if (locked && live && (live.restarting || !exit)) return livingState(context, container, live);
  if (locked && !live) return asShown(container.state);
  if (exit && (live || !isSettled(container))) return ended(context, container, endedState(exit));
  const present = existsSync(at.run);
  if (isSettled(container)) {
    if (present) ifDiskAllows(() => removeRun(context, container.id));
    return asShown(container.state);
  }
  clearCgroup(container);
  if (live) return ended(context, container, lostState(container, live), true);
  if (!present) return ended(context, container, lostState(container), true);
  // Whoever wanted to start it was stopped before there was a process. The run folder stays for the next look: a keeper
  // that is only now coming up finds its lock there, and with it held the container lives after all.
  ifDiskAllows(() => releaseNetwork(context, container, true));
  const state = { ...CREATED, error: "the command that started it was interrupted" };
  ifDiskAllows(() => {
    if (container.config.autoRemove) discard(context, container, true);
    else context.rows.setState(container.id, state);
    leftNetworks(context, container);
  });
  return container.config.autoRemove ? undefined : asShown(state);
}

/** A record of an end waits so long for another command's claim; who comes later finds the exit record too. */
const PATIENCE = 60_000;

/**
 * Records an end, once, whoever else does so too. `exit` is what the keeper said of it; without, what it has written is
 * read. An end of an earlier run than the one that is on says nothing. `taken` as in `record`.
 */
export async function recordEnd(context: Context, id: string, exit?: Exit, taken = false): Promise<void> {
  const at = places(context.paths, id);
  const release = await claim(at.folder, PATIENCE);
  if (!release) return;
  try {
    const container = context.rows.byId(id);
    if (!container) {
      // Somebody was stopped between the row and the folders.
      removeFolders(context, id);
      return;
    }
    if (!exit) settle(context, container);
    else if (readPidFile(at.pid)?.startedAt === exit.startedAt)
      ifDiskAllows(() => record(context, container, endedState(exit), taken));
  } finally {
    release();
  }
}

/** What cannot be written down now, the next reader finds as this one did; it is no reason to say nothing. */
function ifDiskAllows(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!isDiskError(error)) throw error;
  }
}

function ended(
  context: Context,
  container: StoredContainer,
  state: StoredContainer["state"],
  lost = false,
): ContainerState | undefined {
  ifDiskAllows(() => record(context, container, state, false, lost));
  return container.config.autoRemove ? undefined : asShown(state);
}

function livingState(context: Context, container: StoredContainer, live: Live): ContainerState {
  const { state } = container;
  const frozen = state.status === "paused" && isFrozen(readCgroupHost(), cgroupOf(container));
  const exit = live.restarting ? lastExit(places(context.paths, container.id)) : undefined;
  return withHealth(context, container, {
    ...(exit ? endedState(exit) : CREATED),
    status: live.restarting ? "restarting" : frozen ? "paused" : "running",
    pid: live.pid,
    startedAt: fromNanoseconds(live.startedAt),
    restartCount: live.restarts,
  });
}

/** Between two runs the keeper writes how the last one ended, a moment after it has said that it waits. */
function lastExit(at: Places): Exit | undefined {
  for (let waited = 0; waited < 20; waited++) {
    const exit = readExit(at);
    if (exit) return exit;
    Bun.sleepSync(1);
  }
  return undefined;
}

function withHealth(context: Context, container: StoredContainer, state: ContainerState): ContainerState {
  if (!hasHealthcheck(container.config.healthcheck) || state.status === "created") return state;
  const health = readHealth(places(context.paths, container.id).health);
  return { ...state, health: health ?? { status: "starting", failingStreak: 0, log: [] } };
}

interface StoredProbe {
  readonly start: string | number;
  readonly end: string | number;
  readonly exitCode: number;
  readonly output: string;
}

function readHealth(path: string): Health | undefined {
  try {
    const stored = JSON.parse(readFileSync(path, "utf8")) as Omit<Health, "log"> & {
      log: readonly StoredProbe[];
    };
    const log = stored.log.map((probe) => ({
      ...probe,
      start: Number(probe.start) / 1e6,
      end: Number(probe.end) / 1e6,
    }));
    return { ...stored, log };
  } catch {
    return undefined;
  }
}
