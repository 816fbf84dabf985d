/**
 * Reading the events' file: what was, then what comes. A keeper may go on writing to a file that was rotated away, so
 * the follower keeps the one before open too.
 */
import { closeSync, fstatSync, openSync, readSync, statSync, watch } from "node:fs";
import type { Event, Mark } from "./events.ts";

export interface EventQuery {
  /** Nanoseconds since 1970, decimal. */
  readonly since?: string;
  /** Only what was written after this, whatever the time of day was set to meanwhile. */
  readonly after?: Mark;
  /** Events up to this moment; in the past: the reading ends there. In the future: at that time. */
  readonly until?: string;
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
  /** Values of one name are alternatives, names must all match: type, event, container, image, label, … */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
}

class Tail {
  readonly inode: number;
  readonly #fd: number;
  #offset = 0;
  #rest = "";
  readonly #decoder = new TextDecoder();
  readonly #buffer = new Uint8Array(256 * 1024);

  constructor(path: string) {
    this.#fd = openSync(path, "r");
    this.inode = fstatSync(this.#fd).ino;
  }

  /** Passes over what was there. */
  skip(bytes = fstatSync(this.#fd).size): void {
    this.#offset = bytes;
  }

  /** The whole lines that have come since the last call. */
  *lines(): Generator<string> {
    for (;;) {
      const count = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, this.#offset);
      if (count === 0) return;
      this.#offset += count;
      const lines = (
        this.#rest + this.#decoder.decode(this.#buffer.subarray(0, count), { stream: true })
      ).split("\n");
      this.#rest = lines.pop() ?? "";
      yield* lines;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function openTail(path: string): Tail | undefined {
  try {
    return new Tail(path);
  } catch {
    return undefined;
  }
}

function pass({ inode, size }: Mark, old: Tail | undefined, current: Tail | undefined): void {
  // It may have been rotated away since.
  const marked = old?.inode === inode ? old : current?.inode === inode ? current : undefined;
  marked?.skip(size);
  if (old !== marked) old?.skip();
}

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino;

/** A line as an event; what a keeper appends beside the common members (`exitCode`) belongs to the attributes. */
function parseEvent(line: string): Event | undefined {
  try {
    const { time, type, action, id, attributes, ...more } = JSON.parse(line) as Event &
      Record<string, string>;
    return { time, type, action, id, attributes: { ...attributes, ...more } };
  } catch {
    // Half a line, which a full disk left, and behind it a whole one.
    const next = line.lastIndexOf('{"time":');
    return next > 0 ? parseEvent(line.slice(next)) : undefined;
  }
}

/** Decimal numbers without leading zeros, compared as numbers. */
const before = (a: string, b: string): boolean => (a.length === b.length ? a < b : a.length < b.length);

function matches(event: Event, filters: NonNullable<EventQuery["filters"]>): boolean {
  const { attributes } = event;
  const test = (name: string, value: string): boolean => {
    switch (name) {
      case "type":
        return event.type === value;
      case "event":
        return event.action === value || event.action.startsWith(`${value}:`);
      case "container":
        return (
          event.type === "container" &&
          (attributes["name"] === value.replace(/^\//, "") || (value !== "" && event.id.startsWith(value)))
        );
      case "image": {
        const image = event.type === "image" ? (attributes["name"] ?? event.id) : (attributes["image"] ?? "");
        const plain = image.replace(/:[^:/]*$/, "");
        return image === value || plain === value || event.id === value || event.id === `sha256:${value}`;
      }
      case "label": {
        const equals = value.indexOf("=");
        if (equals < 0) return Object.hasOwn(attributes, value);
        return attributes[value.slice(0, equals)] === value.slice(equals + 1);
      }
      case "scope":
        return value === "local";
      default:
        return event.type === name && (event.id.startsWith(value) || attributes["name"] === value);
    }
  };
  return Object.entries(filters).every(
    ([name, values]) => values.length === 0 || values.some((value) => test(name, value)),
  );
}

/** Reads `file` and the one before it. */
export async function* readEvents(file: string, query: EventQuery): AsyncGenerator<Event> {
  const { since, until, filters = {} } = query;
  const wanted = (line: string): Event | undefined => {
    const event = parseEvent(line);
    if (!event || (since && before(event.time, since)) || (until && before(until, event.time)))
      return undefined;
    return matches(event, filters) ? event : undefined;
  };

  // Watching begins before the first read: what is written in between wakes the loop once more.
  let wake = Promise.withResolvers<void>();
  let ended = query.follow !== true;
  const end = (): void => {
    ended = true;
    wake.resolve();
  };
  const folder = file.slice(0, file.lastIndexOf("/"));
  const name = file.slice(folder.length + 1);
  const watcher = ended
    ? undefined
    : watch(folder, (_, changed) => {
        if (changed === null || changed === name || changed === `${name}.1`) wake.resolve();
      });
  const rest = until === undefined ? undefined : Number(until) / 1e6 - Date.now();
  if (rest !== undefined && rest <= 0) ended = true;
  const timer = rest !== undefined && rest > 0 ? setTimeout(end, rest) : undefined;
  query.signal?.addEventListener("abort", end, { once: true });
  if (query.signal?.aborted) ended = true;

  let old = openTail(`${file}.1`);
  let current = openTail(file);
  if (query.after) pass(query.after, old, current);
  try {
    for (;;) {
      wake = Promise.withResolvers<void>();
      const last = ended;
      const inode = inodeOf(file);
      for (const tail of [old, current])
        for (const line of tail?.lines() ?? []) {
          const event = wanted(line);
          if (event) yield event;
        }
      if (inode !== undefined && inode !== current?.inode) {
        if (current) {
          old?.close();
          old = current;
        }
        current = openTail(file);
        continue;
      }
      if (last) return;
      if (!ended) await wake.promise;
    }
  } finally {
    clearTimeout(timer);
    watcher?.close();
    query.signal?.removeEventListener("abort", end);
    old?.close();
    current?.close();
  }
}
