/**
 * The other side of the process that reaches into a tree: started by this program itself, or by whoever can put it in the
 * right place (a mount namespace, a user namespace) and hand over its streams.
 */
import { SampanError } from "../../common/error.ts";
import { launcherPath } from "../../launch/index.ts";
import { ChildPipe } from "../pipe.ts";
import { SHORT } from "../unpack/start.ts";
import type { TreeAnswer, TreeJob } from "./job.ts";

/** The streams of one that was started. */
export interface TreeStreams {
  /** Its fds 1 and 2. */
  readonly output: AsyncIterable<Uint8Array>;
  readonly answers: AsyncIterable<Uint8Array>;
  /** To its fd 0; resolves when more can be taken. */
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
  /** How it ended, in words, where that was not of its own accord. */
  readonly ended: Promise<string | undefined>;
  kill(): void;
}

/** The built executable knows the hidden command `tree`; its modules live under /$bunfs/. */
export function treeCommand(job: TreeJob): string[] {
  const own = import.meta.path.startsWith("/$bunfs/")
    ? ["tree"]
    : [new URL("./child.ts", import.meta.url).pathname];
  return [process.execPath, ...own, JSON.stringify(job), ...(job.do === "put" ? [launcherPath()] : [])];
}

/** Starts it as this process's child. */
export function spawnTree(job: TreeJob): TreeStreams {
  const pipe = job.do === "put" || job.do === "take" ? new ChildPipe() : undefined;
  const child = Bun.spawn(treeCommand(job), {
    stdio: [pipe?.input ?? "ignore", "pipe", "pipe"],
    // Nothing of the caller's surroundings can change what becomes of an archive.
    cwd: "/",
    env: SHORT,
  });
  pipe?.started();
  return {
    output: child.stdout,
    answers: child.stderr,
    write: async (bytes) => pipe?.write(bytes),
    end: async () => pipe?.end(),
    ended: child.exited.then((code) => {
      if (child.signalCode) return `was ended by ${child.signalCode}`;
      return code === 0 ? undefined : `ended with ${code}`;
    }),
    kill() {
      pipe?.end();
      child.kill("SIGKILL");
    },
  };
}

export type Answered = Extract<TreeAnswer, { ok: true }>;

/** The container ended before it could be reached. */
class Gone extends SampanError {}

export const isGone = (error: unknown): boolean => error instanceof Gone;

/** A refusal as an error; `missing` makes that of a path that is not there. */
function refused(
  answer: Extract<TreeAnswer, { ok: false }>,
  missing: (() => SampanError) | undefined,
): SampanError {
  if (answer.missing && missing) return missing();
  const { message, code = "invalid", hint, kernel } = answer;
  if (answer.gone) return new Gone("conflict", message, { hint: "Try again." });
  return new SampanError(code, message, { ...(hint !== undefined && { hint }), ...(kernel && { kernel }) });
}

/** What it says, line by line. */
export class Answers {
  readonly #lines: AsyncGenerator<string>;
  readonly #streams: TreeStreams;
  readonly #missing: (() => SampanError) | undefined;

  constructor(streams: TreeStreams, missing?: () => SampanError) {
    this.#streams = streams;
    this.#missing = missing;
    this.#lines = linesOf(streams.answers);
  }

  /** Its next answer. One that it could not give is an error that says how it ended. */
  async next(): Promise<Answered> {
    const { value: line } = await this.#lines.next();
    let answer: TreeAnswer;
    try {
      answer = JSON.parse(line ?? "") as TreeAnswer;
    } catch {
      let complaint = line ?? "";
      for await (const more of this.#lines) complaint += `\n${more}`;
      const how = (await this.#streams.ended) ?? "ended without an answer";
      throw new SampanError("system", `the process that reaches into the container ${how}`, {
        ...(complaint && { hint: complaint.trim().slice(-1000) }),
      });
    }
    if (!answer.ok) throw refused(answer, this.#missing);
    return answer;
  }
}

/** What it packs, all of it: a process that could not go on to the end is an error. What it answers in the end is returned. */
export async function* archiveOf(
  streams: TreeStreams,
  answers = new Answers(streams),
): AsyncGenerator<Uint8Array, Answered> {
  let complete = false;
  try {
    yield* streams.output;
    const answer = await answers.next();
    complete = true;
    return answer;
  } finally {
    // Nobody wants the rest.
    if (!complete) streams.kill();
  }
}

/** Gives it an archive, all of it, and hears what became of that. */
export async function feed(
  streams: TreeStreams,
  answers: Answers,
  archive: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const done = answers.next();
  let refused = false;
  done.catch(() => (refused = true));
  try {
    for await (const piece of archive) {
      // One that refuses takes no more: why it did is what counts.
      if (refused) break;
      await streams.write(piece);
    }
    await streams.end();
  } catch (error) {
    // With its input cut off it still says what it had to say.
    if ((error as { code?: string }).code !== "EPIPE") streams.kill();
    else await done;
    throw error;
  }
  await done;
}

export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}
