/**
 * Files into and out of a container as archives: what its process sees while it runs, what it would find when it does not.
 * The three calls are those of Docker's API; copy-host.ts makes `cp` of them.
 */
import { SampanError } from "../common/error.ts";
import {
  type Answered,
  type Answers,
  type PathStat,
  type TreeJob,
  type TreeRoot,
  type TreeStreams,
  trees,
} from "../image/index.ts";
import { type Context, note } from "./context.ts";
import { type Reached, reachRoot } from "./reach.ts";
import type { StoredContainer } from "./rows.ts";

export interface PutOptions {
  /** Who owns what is made: root, or whom the archive names. */
  readonly owner: "root" | "archive";
}

/** An archive, and what it is an archive of. */
export interface Packed {
  readonly stat: PathStat;
  /** Its first name is the path's last. */
  readonly archive: AsyncIterable<Uint8Array>;
  /** Lets the container go; for whoever does not read the archive to its end. */
  readonly close: () => void;
}

export const noSuchFile = (path: string, { name }: Pick<StoredContainer, "name">): SampanError =>
  new SampanError("not-found", `Could not find the file ${path} in container ${name}`);

function assertPath(path: string): void {
  if (path === "") throw new SampanError("invalid", "bad parameter: path cannot be empty");
  if (path.includes("\0")) throw new SampanError("invalid", "bad parameter: a path cannot hold a NUL");
}

interface Begun {
  readonly reached: Reached;
  readonly process: TreeStreams;
  readonly answers: Answers;
  /** What it said first: that it is there, and what it found. */
  readonly first: Answered;
}

/** As often as a container ends while somebody reaches for it. */
const TRIES = 50;

/** Starts the process and hears that it is in. A container that ended in between is reached as one that does not run. */
async function begin(
  context: Context,
  container: StoredContainer,
  path: string,
  job: (root: TreeRoot) => TreeJob,
): Promise<Begun> {
  assertPath(path);
  const { Answers, isGone } = await trees();
  for (let tries = 0; ; tries++) {
    const reached = await reachRoot(context, container);
    try {
      const process = await reached.start(job(reached.root));
      const answers = new Answers(process, () => noSuchFile(path, container));
      return { reached, process, answers, first: await answers.next() };
    } catch (error) {
      reached.close();
      if (!isGone(error) || tries === TRIES) throw error;
      await Bun.sleep(tries);
    }
  }
}

/** What stands at a path; a link at its end is not followed. */
export async function pathStat(
  context: Context,
  container: StoredContainer,
  path: string,
): Promise<PathStat> {
  const { reached, first } = await begin(context, container, path, (root) => ({ do: "stat", root, path }));
  reached.close();
  return found(first);
}

const found = ({ stat }: Answered): PathStat => {
  if (!stat) throw new Error("the answer lacks what was asked for");
  return stat;
};

/** What stands at a path, with all that is in it. */
export async function copyOut(context: Context, container: StoredContainer, path: string): Promise<Packed> {
  const begun = await begin(context, container, path, (root) => ({ do: "pack", root, path }));
  const { process, answers, first } = begun;
  const { archiveOf } = await trees();
  const close = closer(begun);
  note(context, container, "archive-path");
  return { stat: found(first), archive: closing(archiveOf(process, answers), close), close };
}

/** The same as records, for a folder of this machine. */
export interface Taken {
  readonly stat: PathStat;
  /** `name`: what the first of them is called. `onBytes` hears what has passed, and in the end how large an archive it were. */
  readonly records: (name: string, onBytes?: (total: number) => void) => AsyncIterable<Uint8Array>;
  /** As in Packed. */
  readonly close: () => void;
}

export async function takeOut(context: Context, container: StoredContainer, path: string): Promise<Taken> {
  const begun = await begin(context, container, path, (root) => ({ do: "take", root, path }));
  const close = closer(begun);
  note(context, container, "archive-path");
  return {
    stat: found(begun.first),
    records: (name, onBytes) => closing(taken(begun, name, onBytes), close),
    close,
  };
}

async function* taken(
  { process, answers }: Begun,
  name: string,
  onBytes: ((total: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  const { archiveOf } = await trees();
  await process.write(Buffer.from(JSON.stringify(name)));
  await process.end();
  const pieces = archiveOf(process, answers);
  let total = 0;
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) {
    yield next.value;
    total += next.value.length;
    onBytes?.(total);
  }
  onBytes?.(next.value.archived ?? total);
}

const closer =
  ({ process, reached }: Begun) =>
  (): void => {
    process.kill();
    reached.close();
  };

async function* closing(archive: AsyncIterable<Uint8Array>, close: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* archive;
  } finally {
    close();
  }
}

/** Puts what is in an archive, compressed or not, into a folder of the container. */
export const copyIn = (
  context: Context,
  container: StoredContainer,
  folder: string,
  archive: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: PutOptions,
): Promise<void> => put(context, container, folder, archive, { ...options, records: false });

/** Makes what records say, those of packPath. */
export const putIn = (
  context: Context,
  container: StoredContainer,
  folder: string,
  records: Iterable<Uint8Array>,
  options: PutOptions,
): Promise<void> => put(context, container, folder, records, { ...options, records: true });

async function put(
  context: Context,
  container: StoredContainer,
  folder: string,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { owner, records }: PutOptions & { readonly records: boolean },
): Promise<void> {
  const owned = owner === "root" ? { uid: 0, gid: 0 } : owner;
  const job = (root: TreeRoot): TreeJob => ({ do: "put", root, path: folder, owner: owned, records });
  const { reached, process, answers } = await begin(context, container, folder, job);
  try {
    await (await trees()).feed(process, answers, content);
    note(context, container, "extract-to-dir");
  } catch (error) {
    throw readOnly(error, container, folder);
  } finally {
    reached.close();
  }
}

/** Docker's words for what may not be written. */
function readOnly(error: unknown, container: StoredContainer, path: string): unknown {
  if (!(error instanceof SampanError) || error.kernel?.errno !== "EROFS") return error;
  const mounts = container.mounts ?? container.config.mounts;
  const mounted = mounts.some(({ target }) => path === target || path.startsWith(`${target}/`));
  const what = mounted || !container.config.readonlyRootfs ? "mounted volume" : "container rootfs";
  return new SampanError("invalid", `${what} is marked read-only`, { kernel: error.kernel });
}
