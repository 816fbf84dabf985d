/**
 * Reading a container's log: files in order of age, the last lines of them, and what is still to come. A follower holds
 * the file that it reads open, so rotation takes nothing from it; it wakes when the kernel says that the folder changed.
 */
import { closeSync, fstatSync, openSync, readSync, statSync, watch } from "node:fs";
import { Decoder, type LogChunk, nineDecimals, type Selection } from "./log-format.ts";

export type { LogChunk } from "./log-format.ts";

export interface LogQuery {
  readonly follow?: boolean;
  /** Nanoseconds since 1970, decimal. */
  readonly since?: string;
  readonly until?: string;
  /** The last so many entries; absent: all. */
  readonly tail?: number;
  readonly timestamps?: boolean;
  /** Each line with what the container's log options name. */
  readonly details?: boolean;
  /** Default: both. */
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly signal?: AbortSignal;
}

const BLOCK = 1024 * 1024;

/** One file, read onward by whole lines. */
class LogFile {
  readonly inode: number;
  readonly #fd: number;
  #offset: number;
  #buffer = Buffer.allocUnsafe(BLOCK);
  #kept = 0;

  constructor(path: string, offset = 0) {
    this.#fd = openSync(path, "r");
    this.inode = fstatSync(this.#fd).ino;
    this.#offset = offset;
  }

  /** The next whole lines; valid until the next call. Undefined: none for now. */
  next(): Uint8Array | undefined {
    for (;;) {
      if (this.#kept === this.#buffer.length) {
        const grown = Buffer.allocUnsafe(this.#buffer.length * 2);
        this.#buffer.copy(grown, 0, 0, this.#kept);
        this.#buffer = grown;
      }
      const count = readSync(
        this.#fd,
        this.#buffer,
        this.#kept,
        this.#buffer.length - this.#kept,
        this.#offset,
      );
      if (count === 0) return undefined;
      this.#offset += count;
      const length = this.#kept + count;
      const end = this.#buffer.lastIndexOf(0x0a, length - 1) + 1;
      if (end === 0) {
        this.#kept = length;
        continue;
      }
      const whole = this.#buffer;
      // The unfinished line begins the next buffer: what is handed out now stays as it is.
      const fresh = Buffer.allocUnsafe(BLOCK > length - end ? BLOCK : (length - end) * 2);
      whole.copy(fresh, 0, end, length);
      this.#kept = length - end;
      this.#buffer = fresh;
      return whole.subarray(0, end);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino;

/** The log's files that exist, the current one first: log, log.1, log.2 … */
function filesOf(path: string): { path: string; inode: number }[] {
  const found: { path: string; inode: number }[] = [];
  for (let n = 0; ; n++) {
    const each = n === 0 ? path : `${path}.${n}`;
    const inode = inodeOf(each);
    if (inode === undefined && n > 0) return found;
    if (inode !== undefined) found.push({ path: each, inode });
  }
}

/** Where the last `count` lines begin: the file and the offset in it. */
function tailStart(files: readonly { path: string }[], count: number): { file: number; offset: number } {
  const block = Buffer.allocUnsafe(64 * 1024);
  let missing = count;
  for (const [index, { path }] of files.entries()) {
    const fd = openSync(path, "r");
    try {
      const size = fstatSync(fd).size;
      let end = size;
      while (end > 0) {
        const begin = Math.max(0, end - block.length);
        readSync(fd, block, 0, end - begin, begin);
        for (let at = end - begin; (at = at > 0 ? block.lastIndexOf(0x0a, at - 1) : -1) >= 0; ) {
          // The newline that ends the file begins no line.
          if (begin + at === size - 1) continue;
          if (--missing === 0) return { file: index, offset: begin + at + 1 };
        }
        end = begin;
      }
      if (size > 0 && --missing === 0) return { file: index, offset: 0 };
    } finally {
      closeSync(fd);
    }
  }
  return { file: files.length - 1, offset: 0 };
}

/** Wakes at each change of the log in its folder. */
function watchLog(path: string) {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const name = path.slice(folder.length + 1);
  let wake = Promise.withResolvers<void>();
  const watcher = watch(folder, (_, changed) => {
    if (changed === null || changed.startsWith(name)) wake.resolve();
  });
  return {
    /** Asked before looking, awaited after: no change in between is lost. */
    next(): Promise<void> {
      wake = Promise.withResolvers<void>();
      return wake.promise;
    },
    wake: () => wake.resolve(),
    close: () => watcher.close(),
  };
}

/**
 * The log at `path`. With `follow` it goes on until `ended` resolves (the container has ended, its output is drained),
 * the signal is given, or `until` has come.
 */
export async function* readLog(
  path: string,
  driver: string,
  query: LogQuery,
  ended?: Promise<unknown>,
  prefix?: Buffer,
): AsyncGenerator<LogChunk> {
  const selection: Selection = {
    stdout: query.stdout ?? true,
    stderr: query.stderr ?? true,
    timestamps: query.timestamps ?? false,
    ...(prefix ? { prefix } : {}),
    ...(query.since ? { since: nineDecimals(query.since) } : {}),
    ...(query.until ? { until: nineDecimals(query.until) } : {}),
  };
  const decoder = new Decoder(driver, selection);
  const follow = query.follow && ended !== undefined && !query.signal?.aborted;
  const watcher = follow ? watchLog(path) : undefined;
  let last = !follow;
  const finish = (): void => {
    last = true;
    watcher?.wake();
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  if (follow) {
    ended.then(finish, finish);
    query.signal?.addEventListener("abort", finish, { once: true });
    if (query.until) timer = setTimeout(finish, Math.max(0, Number(query.until) / 1e6 - Date.now()));
  }
  let current: LogFile | undefined;
  try {
    const files = filesOf(path);
    const start =
      query.tail === undefined ? { file: files.length - 1, offset: 0 } : tailStart(files, query.tail);
    if (query.tail === 0)
      Object.assign(start, { file: 0, offset: files[0] ? statSync(files[0].path).size : 0 });
    const first = files[start.file];
    if (first) current = new LogFile(first.path, start.offset);
    for (;;) {
      const changed = watcher?.next();
      // Known before the last look: what came before the end is seen by it.
      const final = last;
      for (let lines = current?.next(); lines; lines = current?.next()) {
        yield* decoder.decode(lines);
        if (decoder.done || query.signal?.aborted) return;
      }
      const younger = nextFile(path, current);
      if (younger) {
        current?.close();
        current = younger;
        continue;
      }
      if (final) return;
      await changed;
    }
  } finally {
    clearTimeout(timer);
    watcher?.close();
    query.signal?.removeEventListener("abort", finish);
    current?.close();
  }
}

/** The file that was begun after `current`; undefined: it is the youngest. */
function nextFile(path: string, current: LogFile | undefined): LogFile | undefined {
  const files = filesOf(path);
  if (files.length === 0 || files[0]?.inode === current?.inode) return undefined;
  const at = files.findIndex(({ inode }) => inode === current?.inode);
  // Not there any more: rotated away while it was read; the oldest that is left comes next.
  const next = files[(at < 0 ? files.length : at) - 1];
  try {
    return next && new LogFile(next.path);
  } catch {
    return undefined;
  }
}
