/**
 * Reaching into a container's files. Of one that runs they are what its process sees, by /proc/PID/root; of one that does
 * not, its root is mounted for as long as it takes, and nobody can start it meanwhile. Without root it all happens in a user
 * namespace, where the ids that own the files are. Where a namespace is needed the launcher puts the process into it.
 */
import { mkdirSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { type TreeJob, type TreeRoot, type TreeStreams, trees } from "../image/index.ts";
import { ATTACH, type Connection, Launcher, NO_KEEPER } from "../launch/index.ts";
import {
  callerIdMaps,
  compileReach,
  parseUser,
  type Reach,
  readCgroupHost,
  rootPath,
} from "../runtime/index.ts";
import { claim } from "./claim.ts";
import { type Context, mountTarget, places } from "./context.ts";
import { removeRun } from "./finish.ts";
import { readPidFile } from "./live.ts";
import { specMounts } from "./mounts.ts";
import { isAlive, settle } from "./reconcile.ts";
import { readInRoot } from "./root.ts";
import type { StoredContainer } from "./rows.ts";
import { isRootless } from "./spec.ts";
import { peerOf, rootOf } from "./start.ts";

/** A container's files in reach, until `close`, which may be called again. */
export interface Reached {
  readonly root: TreeRoot;
  start(job: TreeJob): Promise<TreeStreams>;
  close(): void;
}

/** What the container sees now, or would see if it were started. */
export async function reachRoot(context: Context, container: StoredContainer): Promise<Reached> {
  const at = places(context.paths, container.id);
  const running = liveRoot(context, container);
  if (running) return running;
  const release = await claim(at.folder);
  try {
    const state = release && settle(context, container);
    if (!state) throw new SampanError("not-found", `No such container: ${container.name}`);
    if (isAlive(state)) {
      const live = liveRoot(context, container);
      if (!live)
        throw new SampanError(
          "conflict",
          `Container ${container.id} is restarting, wait until the container is running`,
        );
      release?.();
      return live;
    }
    return await stoppedRoot(context, container, () => release?.());
  } catch (error) {
    release?.();
    throw error;
  }
}

function liveRoot(context: Context, container: StoredContainer): Reached | undefined {
  const live = readPidFile(places(context.paths, container.id).pid);
  if (!live || live.pid === 0) return undefined;
  let peer: ReturnType<typeof peerOf>;
  try {
    peer = peerOf(context, container.id, "files");
  } catch {
    return undefined;
  }
  return {
    root: { pid: peer.pid, start: String(peer.start) },
    start: (job) => start(job, isRootless() ? { ids: { peer } } : undefined),
    close: () => {},
  };
}

async function stoppedRoot(
  context: Context,
  container: StoredContainer,
  release: () => void,
): Promise<Reached> {
  const { config } = container;
  const root = rootOf(context, container);
  const own = places(context.paths, container.id).run;
  mkdirSync(mountTarget(context), { recursive: true, mode: 0o700 });
  const prepared = container.mounts
    ? await (await import("./volumes.ts")).prepareMounts(context, container)
    : undefined;
  const files = { passwd: readInRoot(root, "/etc/passwd"), group: readInRoot(root, "/etc/group") };
  const user = parseUser(container.user, files.passwd, files.group, config.groups);
  // What is kept elsewhere: binds and volumes. The rest is made at every start, and empty.
  const mounts = specMounts(config, container.mounts ?? config.mounts, {
    files: own,
    user,
    ...(prepared && { prepared: prepared.mounts }),
  }).filter(({ type, source }) => type === "bind" && !source?.startsWith(`${own}/`));
  const plain = root.kind === "directory" && mounts.length === 0 && !config.readonlyRootfs;
  const mount = {
    root,
    mounts,
    readonly: config.readonlyRootfs,
    ...(prepared && { staged: { folder: own, steps: prepared.staged }, filled: prepared.filled }),
  };
  const ids = isRootless() ? { maps: callerIdMaps() } : undefined;
  let closed = false;
  return {
    root: { path: rootPath(root) },
    start: (job) => start(job, plain && !ids ? undefined : { ...(ids && { ids }), mount }),
    close() {
      if (closed) return;
      closed = true;
      if (prepared) removeRun(context, container.id);
      release();
    },
  };
}

/** For what needs no mount, only the right to read the container's own folders. */
export const startPlainly = (job: TreeJob): Promise<TreeStreams> =>
  start(job, isRootless() ? { ids: { maps: callerIdMaps() } } : undefined);

async function start(job: TreeJob, where: Pick<Reach, "ids" | "mount"> | undefined): Promise<TreeStreams> {
  const { spawnTree, treeCommand } = await trees();
  if (!where) return spawnTree(job);
  const launcher = Launcher.start();
  let connection: Connection;
  try {
    const steps = compileReach({ argv: treeCommand(job), ...where, cgroupHost: readCgroupHost() });
    connection = await launcher.launch({ steps, keeper: { ...NO_KEEPER, openStdin: true } });
  } catch (error) {
    launcher.abandon();
    throw error;
  }
  return streamsOf(connection);
}

/** As much output is held before the keeper is asked to wait. */
const HELD = 4 << 20;

function streamsOf(connection: Connection): TreeStreams {
  let held = 0;
  const took = (bytes: number): void => {
    held -= bytes;
    if (held < HELD) connection.resume();
  };
  const streams = [new Queue(took), new Queue(took)] as const;
  connection.onOutput = (stream, data) => {
    held += data.length;
    if (held >= HELD) connection.pause();
    streams[stream - 1]?.push(data.slice());
  };
  connection.attach(ATTACH.stdin | ATTACH.stdout | ATTACH.stderr);
  const ended = connection.exit.then((exit) => {
    for (const stream of streams) stream.end();
    connection.close();
    return exit?.code === 0 ? undefined : `ended with ${exit?.code ?? "no word"}`;
  });
  return {
    output: streams[0],
    answers: streams[1],
    write: async (bytes) => connection.writeStdin(bytes),
    end: async () => connection.closeStdin(),
    ended,
    kill: () => connection.signal(9),
  };
}

/** What has come and was not yet taken. */
class Queue implements AsyncIterable<Uint8Array> {
  readonly #took: (bytes: number) => void;
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #wake = () => {};

  constructor(took: (bytes: number) => void) {
    this.#took = took;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#took(chunk.length);
        yield chunk;
      } else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
