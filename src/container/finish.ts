/**
 * The end of a container, recorded: by the command that ran it, by the command that its keeper executes, or by the next
 * reader, whoever comes first. All hold the claim. The row is written before anything is removed, so that a crash in
 * between is met by the same steps again.
 */
import { steadyNow } from "../kernel/clock.ts";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from "../kernel/fs.ts";
import type { Exit } from "../launch/index.ts";
import { cgroupFolders, cgroupPids, oomKills, readCgroupHost, removeCgroup, thaw } from "../runtime/index.ts";
import { attributesOf, type Context, type Places, places, sharedShm } from "./context.ts";
import { cgroupOf } from "./keeper.ts";
import type { Live } from "./live.ts";
import { leftNetworks, releaseNetwork } from "./networking.ts";
import { remainsOf } from "./remains.ts";
import type { StoredContainer, StoredState } from "./rows.ts";
import { isRootless } from "./spec.ts";
import { fromNanoseconds, now } from "./time.ts";

/** What the keeper wrote at the end; undefined: it has not come to that. */
export function readExit({ exit, exitSpare }: Places): Exit | undefined {
  for (const path of [exit, exitSpare])
    try {
      return JSON.parse(readFileSync(path, "utf8")) as Exit;
    } catch {
      // Not there, mostly.
    }
  return undefined;
}

export function endedState(exit: Exit): StoredState {
  return {
    status: "exited",
    pid: 0,
    exitCode: exit.code,
    error: exit.timedOut ? "it was killed when the time that --timeout gave it was over" : "",
    startedAt: fromNanoseconds(exit.startedAt),
    finishedAt: fromNanoseconds(exit.finishedAt),
    restartCount: exit.restarts,
    // What was killed on somebody's word was not for want of memory, whatever else of it had been.
    oomKilled: oomKills(exit.readings) > 0 && !(exit.killed && exit.code === SIGKILLED),
    timedOut: exit.timedOut,
  };
}

const SIGKILLED = 137;
const LOST = 255;

/** The end of one whose keeper was killed, or, where nothing is left of that, went down with the machine: nobody saw how. */
export function lostState(container: StoredContainer, live?: Live): StoredState {
  const machine = live === undefined;
  return {
    ...container.state,
    status: "exited",
    pid: 0,
    exitCode: machine ? LOST : SIGKILLED,
    error: machine
      ? "the machine went down while the container ran"
      : "the container's keeper was killed, and the container with it",
    ...(live ? { startedAt: fromNanoseconds(live.startedAt), restartCount: live.restarts } : {}),
    finishedAt: now(),
  };
}

/**
 * Writes how it ended, or removes it if that is what was asked for. The claim is the caller's. `taken`: the caller goes on to
 * tell the keeper, which then removes the folders of such a one while the caller is already gone. `lost`: the keeper was
 * killed, and could not put things in order.
 */
export function record(
  context: Context,
  container: StoredContainer,
  state: StoredState,
  taken = false,
  lost = false,
): void {
  releaseNetwork(context, container, lost);
  if (container.mounts) noteUnmounts(context, container);
  if (container.config.autoRemove) {
    if (taken && !isRootless()) forget(context, container, true, state);
    else discard(context, container, true, state);
  } else {
    context.rows.setState(container.id, state);
    removeRun(context, container.id);
    removeShm(container);
  }
  leftNetworks(context, container);
}

export function removeRun(context: Context, id: string): void {
  rmSync(places(context.paths, id).run, { recursive: true, force: true });
}

function removeShm({ config, id }: StoredContainer): void {
  if (config.namespaces.ipc?.mode === "shareable") rmSync(sharedShm(id), { recursive: true, force: true });
}

function noteUnmounts(context: Context, { id, mounts = [] }: StoredContainer): void {
  for (const { type, source } of mounts)
    if (type === "volume")
      context.events.append({
        type: "volume",
        action: "unmount",
        id: source,
        attributes: { container: id, driver: "local" },
      });
}

/**
 * Removes a container that does not live: the row first, since what no row points at is garbage. `volumes`: its anonymous
 * volumes too.
 */
export function discard(
  context: Context,
  container: StoredContainer,
  volumes: boolean,
  state = container.state,
): void {
  forget(context, container, volumes, state);
  removeFolders(context, container.id);
}

/** All that is on disk of a container. */
export function removeFolders(context: Context, id: string): void {
  removeRun(context, id);
  removeFolder(places(context.paths, id).folder);
}

function forget(context: Context, container: StoredContainer, volumes: boolean, state: StoredState): void {
  const anonymous: string[] = [];
  if (volumes && container.mounts)
    for (const mount of container.mounts) if (mount.anonymous) anonymous.push(mount.source);
  const remains = remainsOf(places(context.paths, container.id), state);
  const gone = context.rows.delete(container.id, state, remains, anonymous);
  removeShm(container);
  context.events.append({
    type: "container",
    action: "destroy",
    id: container.id,
    attributes: attributesOf(container),
  });
  for (const name of gone) {
    context.orphans.push(name);
    context.events.append({
      type: "volume",
      action: "destroy",
      id: name,
      attributes: { driver: "local" },
    });
  }
}

/**
 * Removes a folder of a container. overlayfs leaves one without any permission, and without root that has to be given
 * first. What belongs to other ids of the caller's range stays for `removeMapped`.
 */
export function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    unlock(folder);
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // No row points at it any more: it is garbage, which any later sweep may remove.
    }
  }
}

function unlock(folder: string): void {
  try {
    chmodSync(folder, 0o700);
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) unlock(`${folder}/${entry.name}`);
  } catch {
    // Another id's.
  }
}

/** Milliseconds that the processes of a cgroup are given to be gone: on a machine that is busy they take a while. */
const PATIENCE = 5_000;

/**
 * What a killed keeper left in the container's cgroup, ended and removed. It waits for the kernel where it must, but not
 * for ever: a folder that is still busy then goes with the next sweep.
 */
export function clearCgroup(container: Pick<StoredContainer, "id" | "config">): void {
  const host = readCgroupHost();
  const path = cgroupOf(container);
  const until = steadyNow() + PATIENCE;
  for (let round = 0; steadyNow() < until; round++) {
    // A frozen process takes its signal when it thaws.
    thaw(host, path);
    const pids = cgroupPids(host, path);
    for (const pid of pids)
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It was quicker.
      }
    removeCgroup(host, path);
    if (pids.length === 0 && !cgroupFolders(host, path).some((folder) => existsSync(folder))) return;
    Bun.sleepSync(round < 10 ? 1 : 5);
  }
}
