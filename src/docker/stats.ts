/** What a container uses, as `docker stats` shows it: two readings a moment apart become one row. */
import { bytesSize, humanSize, shortId } from "./human.ts";

/** One reading. */
export interface Reading {
  /** Nanoseconds of CPU time, the container's and the whole machine's. */
  readonly cpu: { readonly total: number };
  readonly host: { readonly cpu: number; readonly cpus: number };
  readonly memory: { readonly usage: number; readonly inactiveFile: number; readonly limit: number };
  readonly pids: { readonly current: number };
  readonly io: readonly { readonly op: "read" | "write"; readonly bytes: number }[];
  readonly network?: { readonly received: number; readonly sent: number };
}

export interface StatsSubject {
  readonly id: string;
  readonly name: string;
  /** As the caller named it. */
  readonly called: string;
  readonly truncate: boolean;
  /** Bytes of this machine's memory: the limit of what has none. */
  readonly machine: number;
  /** Undefined: it does not run, and uses nothing. */
  readonly before: Reading | undefined;
  readonly now: Reading | undefined;
}

/** Percent of one processor. */
export function cpuPercent(before: Reading, now: Reading): number {
  const used = now.cpu.total - before.cpu.total;
  const all = now.host.cpu - before.host.cpu;
  return used > 0 && all > 0 ? (used / all) * now.host.cpus * 100 : 0;
}

/** Without the part of the page cache that nobody misses. */
export const memoryUsage = ({ memory }: Reading): number =>
  memory.inactiveFile < memory.usage ? memory.usage - memory.inactiveFile : memory.usage;

export class StatsRow {
  readonly #subject: StatsSubject;
  constructor(subject: StatsSubject) {
    this.#subject = subject;
  }
  get #limit(): number {
    const limit = this.#subject.now?.memory.limit ?? 0;
    return limit > 0 && limit < this.#subject.machine ? limit : this.#subject.machine;
  }
  #io(op: "read" | "write"): number {
    return (this.#subject.now?.io ?? []).reduce((sum, each) => sum + (each.op === op ? each.bytes : 0), 0);
  }
  get Container(): string {
    return this.#subject.called;
  }
  get ID(): string {
    return this.#subject.truncate ? shortId(this.#subject.id) : this.#subject.id;
  }
  get Name(): string {
    return this.#subject.name;
  }
  get CPUPerc(): string {
    const { before, now } = this.#subject;
    return `${(before && now ? cpuPercent(before, now) : 0).toFixed(2)}%`;
  }
  get MemUsage(): string {
    const { now } = this.#subject;
    return now ? `${bytesSize(memoryUsage(now))} / ${bytesSize(this.#limit)}` : "0B / 0B";
  }
  get MemPerc(): string {
    const { now } = this.#subject;
    return `${(now ? (memoryUsage(now) / this.#limit) * 100 : 0).toFixed(2)}%`;
  }
  get NetIO(): string {
    const { received = 0, sent = 0 } = this.#subject.now?.network ?? {};
    return `${humanSize(received)} / ${humanSize(sent)}`;
  }
  get BlockIO(): string {
    return `${humanSize(this.#io("read"))} / ${humanSize(this.#io("write"))}`;
  }
  get PIDs(): string {
    return String(this.#subject.now?.pids.current ?? 0);
  }
}

export const STATS_COLUMNS = {
  type: "*formatter.statsContext",
  fields: ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"],
  headers: {
    Container: "CONTAINER",
    Name: "NAME",
    ID: "CONTAINER ID",
    CPUPerc: "CPU %",
    MemUsage: "MEM USAGE / LIMIT",
    MemPerc: "MEM %",
    NetIO: "NET I/O",
    BlockIO: "BLOCK I/O",
    PIDs: "PIDS",
  },
} as const;
