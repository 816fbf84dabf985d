/**
 * What happened, as lines of JSON in one file: everybody appends with one write, keepers too, and followers watch the
 * file. So an event is seen although nobody in particular is running.
 */
import { isDiskError } from "../common/error.ts";
import type { Paths } from "../common/paths.ts";
import { nanosecondsNow } from "../kernel/clock.ts";
import { closeSync, fstatSync, openSync, renameSync, statSync, writeSync } from "../kernel/fs.ts";
import type { EventQuery } from "./events-read.ts";

/** One thing that happened. `action` and the attributes' names are Docker's. */
export interface Event {
  /** Nanoseconds since 1970, decimal. */
  readonly time: string;
  readonly type: "container" | "image" | "network" | "volume" | "daemon";
  readonly action: string;
  /** Of the container, or the image's id or name. */
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A place in the events' file. */
export interface Mark {
  /** 0: there was no file. */
  readonly inode: number;
  readonly size: number;
}

export type NewEvent = Omit<Event, "time">;

/** A file grows to this many bytes; then it becomes `events.jsonl.1` and a new one begins. */
const ROTATE = 10 * 1024 * 1024;

export const eventsFile = (paths: Paths): string => `${paths.root}/events.jsonl`;

export class Events {
  readonly #paths: Paths;

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  /** Appends them with one write. */
  append(...events: readonly NewEvent[]): void {
    const time = nanosecondsNow();
    let text = "";
    for (const event of events) text += `${JSON.stringify({ time, ...event })}\n`;
    const file = eventsFile(this.#paths);
    let fd = -1;
    try {
      fd = openSync(file, "a", 0o640);
      writeSync(fd, text);
      if (fstatSync(fd).size > ROTATE) renameSync(file, `${file}.1`);
    } catch (error) {
      // A full disk must not keep a container from being stopped or removed.
      if (!isDiskError(error)) throw error;
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  /** Where it ends now: what comes after this mark is what happens from now on. */
  mark(): Mark {
    const found = statSync(eventsFile(this.#paths), { throwIfNoEntry: false });
    return { inode: found?.ino ?? 0, size: found?.size ?? 0 };
  }

  /** Those that match, in order; with `follow` also those to come, until `signal` or `until` ends it. */
  async *read(query: EventQuery = {}): AsyncGenerator<Event> {
    const { readEvents } = await import("./events-read.ts");
    yield* readEvents(eventsFile(this.#paths), query);
  }
}
