/**
 * Unpacking a large layer is three things that take about as long as each other: decompressing, hashing what comes of it, and making the
 * files. The first two have a thread each, and all three look at the same memory.
 */
import { SampanError } from "../../common/error.ts";
import type { InflateLimits } from "../compression.ts";
import { Ring } from "./ring.ts";

/** What a thread is for; it loads what it needs and says that it is up. */
export type Role = Task["do"];

export type Task = InflateTask | HashTask;

export interface InflateTask {
  readonly do: "inflate";
  readonly memory: SharedArrayBuffer;
  readonly compression: "gzip" | "zstd";
  readonly limits: Partial<InflateLimits> | undefined;
  /** What was read of fd 0 to know this much. */
  readonly head: Uint8Array;
  /** As an UnpackJob has them. */
  readonly range: { readonly start: number; readonly length: number } | undefined;
  readonly size: number | undefined;
  readonly parent: number;
}

interface HashTask {
  readonly do: "hash";
  readonly memory: SharedArrayBuffer;
}

/** Who takes what is inflated. */
export const TAKERS = { hash: 0, files: 1 } as const;
export const newRing = (memory?: SharedArrayBuffer): Ring => new Ring(Object.keys(TAKERS).length, memory);

/** What came of a task: the digest, or what went wrong. */
export type Answer = { readonly digest?: string; readonly message?: string; readonly hint?: string };

/** The executable has the threads' file under this name; a checkout has it beside this one. */
const FILE = import.meta.path.startsWith("/$bunfs/")
  ? "/$bunfs/root/image/unpack/thread.js"
  : new URL("./thread.ts", import.meta.url).href;

class Thread {
  readonly #worker = new Worker(FILE);

  /** Resolves when the thread is up: what it needs of the filesystem it has. */
  static async start(role: Role): Promise<Thread> {
    const thread = new Thread();
    await thread.#ask(role);
    return thread;
  }

  do(task: Task): Promise<Answer> {
    return this.#ask(task);
  }

  end(): void {
    this.#worker.terminate();
  }

  #ask(what: Role | Task): Promise<Answer> {
    const worker = this.#worker;
    const answer = new Promise<Answer>((resolve, reject) => {
      worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => resolve(data), { once: true });
      worker.addEventListener("error", ({ message }) =>
        reject(new Error(`a thread of unpacking: ${message}`)),
      );
    });
    answer.catch(() => {});
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage(what);
    return answer;
  }
}

export class Inflated {
  readonly #inflater: Thread;
  readonly #hasher: Thread;
  #digest: string | undefined;

  private constructor(inflater: Thread, hasher: Thread) {
    this.#inflater = inflater;
    this.#hasher = hasher;
  }

  /** Starts the threads. After this nothing of the filesystem is needed. */
  static async start(): Promise<Inflated> {
    return new Inflated(...(await Promise.all([Thread.start("inflate"), Thread.start("hash")])));
  }

  /** The bytes, each piece until the next one is asked for. It waits without the event loop: they cost no more than a look. */
  async *pieces(task: Omit<InflateTask, "do" | "memory">): AsyncGenerator<Uint8Array> {
    const ring = newRing();
    const { memory } = ring;
    const digest = this.#hasher.do({ do: "hash", memory });
    const inflated = this.#inflater.do({ do: "inflate", memory, ...task });
    yield* ring.pieces(TAKERS.files);
    const { message, hint } = await inflated;
    if (message !== undefined)
      throw new SampanError("invalid", message, { ...(hint !== undefined && { hint }) });
    this.#digest = (await digest).digest;
    for (const thread of [this.#inflater, this.#hasher]) thread.end();
  }

  /** sha256:… of all of them. */
  get digest(): string {
    return this.#digest ?? "";
  }
}
