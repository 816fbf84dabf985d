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
  const { reached, process, answers, first } = begun;
  const { archiveOf } = await trees();
  note(context, container, "archive-path");
  const close = (): void => {
    process.kill();
    reached.close();
  };
  return { stat: found(first), archive: closing(archiveOf(process, answers), close), close };
}

async function* closing(archive: AsyncIterable<Uint8Array>, close: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* archive;
  } finally {
    close();
  }
}

/** Puts what is in an archive, compressed or not, into a folder of the container. */
export async function copyIn(
  context: Context,
  container: StoredContainer,
  folder: string,
  archive: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: PutOptions,
): Promise<void> {
  const owner = options.owner === "root" ? { uid: 0, gid: 0 } : options.owner;
  const job = (root: TreeRoot): TreeJob => ({ do: "put", root, path: folder, owner });
  const { reached, process, answers } = await begin(context, container, folder, job);
  try {
    await (await trees()).feed(process, answers, archive);
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
