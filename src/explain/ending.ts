/**
 * A container after its end: how it ended and by whom, with the figures that its cgroup had and the last that it wrote. Of a
 * signal the kernel tells the number and never the sender; what this engine sent is in its events, and faults are a
 * program's own.
 */
import { formatDuration } from "../common/durations.ts";
import { SampanError } from "../common/error.ts";
import { type Ended, NEVER } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import { signalName } from "../kernel/signals.ts";
import type { Exit } from "../launch/index.ts";
import { oomKills } from "../runtime/index.ts";
import { duration, microseconds, size } from "./layout.ts";
import { containerOf } from "./target.ts";

export type Cause =
  /** The program ended by itself, with its exit code. */
  | "exit"
  /** The kernel killed it since its cgroup had no memory left. */
  | "memory"
  /** The time that `--timeout` gave it was over. */
  | "timeout"
  /** It made a system call that its seccomp profile answers with death. */
  | "seccomp"
  /** A fault of its own: it touched memory that it does not have, or aborted. */
  | "fault"
  /** A signal of somebody's. */
  | "signal"
  /** Nobody saw it: its keeper was killed, or the machine went down. */
  | "unseen"
  /** It could not be started. */
  | "start";

export interface Ending {
  readonly summary: string;
  readonly name: string;
  readonly id: string;
  readonly image: string;
  /** It is no more; the last fifty of these are remembered. */
  readonly removed: boolean;
  readonly cause: Cause;
  readonly exitCode: number;
  /** `SIGKILL` */
  readonly signal?: string;
  /** Who sent the signal, where that is known: `sampan stop`, `the kernel`, … */
  readonly by?: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly restarts: number;
  readonly used: {
    /** Bytes at most at one time, of how many. */
    readonly memory?: number;
    readonly memoryLimit?: number;
    /** Microseconds of CPU time. */
    readonly cpu?: number;
    /** Processes that the kernel killed for want of memory. */
    readonly oomKills: number;
  };
  /** What happened to it, in order: Docker's names of events. */
  readonly events: readonly { readonly time: string; readonly action: string; readonly signal?: string }[];
  /** The last lines that it wrote. */
  readonly log: readonly { readonly stream: "stdout" | "stderr"; readonly text: string }[];
}

/** The error of something that only a container has that is still there, in better words if it was removed. */
export async function whenRemoved(
  engine: Engine,
  references: readonly string[],
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof SampanError) || error.code !== "not-found") return error;
  for (const reference of references) {
    const ending = await explainEnd(engine, reference).catch(() => undefined);
    if (ending?.removed)
      return new SampanError(
        "not-found",
        `container ${ending.name} has been removed: how it ended is remembered, and nothing else`,
        { hint: `See it: sampan explain ${ending.name}`, cause: error },
      );
  }
  return error;
}

const SIGNAL_BASE = 128;
const LINES = 10;
const FAULTS: readonly string[] = ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP"];

/** Undefined: there is no such container, or it has not ended. */
export async function explainEnd(engine: Engine, reference: string): Promise<Ending | undefined> {
  // Mostly it runs: then nothing is loaded for this.
  const ended = runs(engine, reference) ? undefined : await engine.containers.ended(reference);
  if (!ended) return undefined;
  const { container, exit } = ended;
  const { state, config } = container;
  const events = await eventsOf(engine, container.id);
  const found = judge(ended, events);
  const used = usedBy(exit, config.resources.memory);
  return {
    summary: summary(ended, found, used),
    name: container.name,
    id: container.id,
    image: config.image || (config.rootfs?.path ?? ""),
    removed: ended.removed,
    ...found,
    exitCode: state.exitCode,
    startedAt: state.startedAt,
    finishedAt: state.finishedAt,
    restarts: state.restartCount,
    used,
    events,
    log: lines(ended.log),
  };
}

const runs = (engine: Engine, reference: string): boolean =>
  (containerOf(engine, reference)?.state.pid ?? 0) !== 0;

async function eventsOf(engine: Engine, id: string): Promise<Ending["events"]> {
  const found: { time: string; action: string; signal?: string }[] = [];
  for await (const { time, action, attributes } of engine.events.read({ filters: { container: [id] } })) {
    const signal = action === "kill" ? Number(attributes["signal"]) : Number.NaN;
    found.push({
      time: new Date(Number(time) / 1e6).toISOString(),
      action,
      ...(Number.isNaN(signal) ? {} : { signal: signalName(signal) }),
    });
  }
  return found;
}

type Verdict = Pick<Ending, "cause" | "signal" | "by">;

function judge({ container, exit }: Ended, events: Ending["events"]): Verdict {
  const { state } = container;
  if (!exit) return { cause: state.startedAt === NEVER ? "start" : "unseen" };
  // With --init the signal reaches pid 1 as an exit code.
  const number =
    exit.signal || (container.config.init && exit.code > SIGNAL_BASE ? exit.code - SIGNAL_BASE : 0);
  if (exit.timedOut) return { cause: "timeout", signal: signalName(number), by: "its keeper" };
  if (oomKills(exit.readings) > 0 && exit.code === SIGNAL_BASE + 9 && !exit.killed)
    return { cause: "memory", signal: "SIGKILL", by: "the kernel" };
  if (number === 0) return { cause: "exit" };
  const signal = signalName(number);
  if (signal === "SIGSYS") return { cause: "seccomp", signal, by: "the kernel" };
  if (FAULTS.includes(signal)) return { cause: "fault", signal };
  const by = senderOf(signal, events, container.config.autoRemove);
  return { cause: "signal", signal, ...(by === undefined ? {} : { by }) };
}

/** The command that sent it, by what it noted. Undefined: it was none of this engine's. */
function senderOf(signal: string, events: Ending["events"], autoRemove: boolean): string | undefined {
  const sent = events.findLastIndex((event) => event.signal === signal);
  if (sent < 0) return undefined;
  const then = events.slice(sent).map(({ action }) => action);
  if (then.includes("stop")) return "sampan stop";
  return then.includes("destroy") && !autoRemove ? "sampan rm --force" : "sampan kill";
}

/** cgroup v2 and v1, in that order, as the keeper read them before the cgroup went. */
function usedBy(exit: Exit | undefined, limit: number | undefined): Ending["used"] {
  const readings = exit?.readings ?? {};
  const number = (text: string | undefined): number | undefined => {
    const value = Number.parseInt(text ?? "", 10);
    return Number.isNaN(value) ? undefined : value;
  };
  const memory = number(readings["memory.peak"] ?? readings["memory.max_usage_in_bytes"]);
  const usec = /^usage_usec (\d+)$/m.exec(readings["cpu.stat"] ?? "")?.[1];
  const nanoseconds = number(readings["cpuacct.usage"]);
  const cpu = usec === undefined ? nanoseconds && Math.round(nanoseconds / 1000) : Number(usec);
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(limit ? { memoryLimit: limit } : {}),
    ...(cpu === undefined ? {} : { cpu }),
    oomKills: exit ? oomKills(readings) : 0,
  };
}

function lines(log: Ended["log"]): Ending["log"] {
  const decoder = new TextDecoder();
  return log
    .flatMap(({ stream, data }) =>
      decoder
        .decode(data)
        .replace(/\n$/, "")
        .split("\n")
        .map((text) => ({ stream, text })),
    )
    .slice(-LINES);
}

function summary({ container, removed }: Ended, verdict: Verdict, used: Ending["used"]): string {
  const { state, name } = container;
  if (verdict.cause === "start") return `${name} has not run: ${state.error || "its start was not noted"}.`;
  const ms = Date.parse(state.finishedAt) - Date.parse(state.startedAt);
  const ran = ms < 1000 ? `${ms} ms` : duration(ms);
  const ago = duration(Date.now() - Date.parse(state.finishedAt));
  const gone = removed ? " It has been removed since." : "";
  const figures = [
    ...(used.memory === undefined
      ? []
      : [`${size(used.memory)} of memory at most${used.memoryLimit ? ` of ${size(used.memoryLimit)}` : ""}`]),
    ...(used.cpu === undefined ? [] : [`${microseconds(used.cpu)} of CPU time`]),
  ].join(" and ");
  return `${name} ended ${ago} ago, after ${ran}: ${how(container, verdict, used)}.${figures ? ` It used ${figures}.` : ""}${gone}`;
}

function how(
  { state, config }: Ended["container"],
  { cause, signal, by }: Verdict,
  used: Ending["used"],
): string {
  const code = `exit code ${state.exitCode}`;
  switch (cause) {
    case "exit":
      return state.exitCode === 0
        ? "its program was done (exit code 0)"
        : `its program ended itself with ${code}`;
    case "memory":
      return (
        `the kernel killed it, since its memory limit ${used.memoryLimit ? `of ${size(used.memoryLimit)} ` : ""}was reached ` +
        `(${code}; ${used.oomKills} killed in its cgroup)`
      );
    case "timeout":
      return `its keeper killed it when its time${config.timeout ? ` of ${formatDuration(config.timeout)}` : ""} was over (${code})`;
    case "seccomp":
      return `the kernel killed it with SIGSYS for a system call that its seccomp profile does not allow (${code})`;
    case "fault":
      return signal === "SIGABRT"
        ? `its program gave up (SIGABRT, ${code})`
        : `a fault in its program (${signal}, ${code})`;
    case "signal":
      return by === undefined
        ? `somebody sent it ${signal}, not by this engine: itself, or another process of this machine (${code})`
        : `${by} sent it ${signal} (${code})`;
    default:
      return `${state.error || "nobody saw how"} (${code})`;
  }
}
