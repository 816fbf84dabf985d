/**
 * What the launcher is given: the steps, and what the keeper needs to know to look after the process that they make.
 * The keeper holds the plan as long as it lives; that is how it can start the container again with no engine running.
 */
import type { Step } from "./step.ts";

/** How the keeper logs. json-file is Docker's format; local is one line a message with a short binary-free prefix. */
export interface LogPlan {
  readonly driver: "json-file" | "local" | "none";
  readonly path: string;
  /** Bytes after which a file is rotated; 0: never. */
  readonly maxSize: number;
  /** Files kept, the current one among them; at least 1. */
  readonly maxFiles: number;
}

export interface RestartPlan {
  readonly policy: "no" | "always" | "unless-stopped" | "on-failure";
  /** For on-failure: how many restarts at most; 0: no limit. */
  readonly maximum: number;
}

/**
 * Times in milliseconds. `steps` is an exec plan without keeper whose `join` names pid 0: the container's own process.
 * The state file is one JSON object `{status, failingStreak, log: [{start, end, exitCode, output}]}` with the last five
 * probes, times as decimal nanoseconds since 1970; an exitCode of -1 is a probe that ran out of time.
 */
export interface HealthPlan {
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
  readonly steps: readonly Step[];
  /** File that holds the state: written by one rename after each probe. */
  readonly path: string;
  /** The probe's words as they stand in the events, a JSON string's inside. */
  readonly says: string;
}

export interface KeeperPlan {
  /** Held with flock(LOCK_EX) while the keeper lives. Empty: an exec, nothing is kept. */
  readonly lock: string;
  /**
   * Written once the process runs and by each change of state, with one rename: one line of words, the keeper's pid and
   * start time, the container's pid and start time (0 0 while it waits for a restart), its start in ns since 1970,
   * the number of restarts so far, and `running` or `restarting`. Start times are field 22 of /proc/PID/stat.
   */
  readonly pidFile: string;
  /** The attach socket, mode 0600. Empty: none. */
  readonly socket: string;
  /** The exit record, written to a temporary name and renamed. Empty: none. */
  readonly exitFile: string;
  /** Where the exit record goes if it cannot be written there, as on a full disk. Empty: nowhere. */
  readonly exitSpare: string;
  readonly log: LogPlan;
  readonly tty: boolean;
  /** stdin is a pipe (or the pty) that clients feed; otherwise /dev/null. */
  readonly openStdin: boolean;
  /** stdin is closed when the first client that fed it closes its own. */
  readonly stdinOnce: boolean;
  /** Do not read the process's output before a client (the one that sent the plan) has gone or taken it. */
  readonly foreground: boolean;
  readonly restart: RestartPlan;
  /** How often keepers before this one have started it again; absent: it is somebody's own start. */
  readonly restarts?: number;
  /** Milliseconds after which the container is killed; 0: never. */
  readonly timeout: number;
  /** The cgroup folders to kill on a timeout or when asked; the first that works counts. */
  readonly cgroups: readonly string[];
  /** Executed when the container has ended and no client has taken that on itself. Empty: none. */
  readonly reap: readonly string[];
  /** Folders that are removed with all that is in them once a client has taken the end on itself: `--rm`. */
  readonly remove: readonly string[];
  /** File to which events are appended, one JSON object a line. Empty: none. */
  readonly events: string;
  /**
   * The common members of an event of this container, a JSON object's inside: `"id":"…","from":"…"`. A line is
   * `{"time":"ns","type":"container","action":"die",<these>,"exitCode":"137"}`; only `die` has an exitCode.
   * One that was renamed while it ran has `"name":"…"` too.
   */
  readonly eventMembers: string;
  readonly health?: HealthPlan;
  /** Stop after this many steps and wait for SIGCONT: for fault tests. 0: never. */
  readonly stopAfter?: number;
}

/** Nothing is kept of a process that only somebody waits for: no log, no lock, no record. */
export const NO_KEEPER: KeeperPlan = {
  lock: "",
  pidFile: "",
  socket: "",
  exitFile: "",
  exitSpare: "",
  log: { driver: "none", path: "", maxSize: 0, maxFiles: 1 },
  tty: false,
  openStdin: false,
  stdinOnce: true,
  foreground: true,
  restart: { policy: "no", maximum: 0 },
  timeout: 0,
  cgroups: [],
  reap: [],
  remove: [],
  events: "",
  eventMembers: "",
};

export interface Plan {
  readonly steps: readonly Step[];
  readonly keeper: KeeperPlan;
}

/** What came of each step, in the plan's order. */
export interface StepReport {
  /** Microseconds; undefined where it was never reached. */
  readonly us?: number;
  /** Microseconds from the launcher's start to the step's end. */
  readonly at?: number;
  readonly errno?: number;
}

export interface Report {
  readonly ok: boolean;
  /** Of the keeper, and of the container's process as the host sees it (0 if it never came to be). */
  readonly keeper: number;
  readonly pid: number;
  /** Milliseconds since 1970; as decimal nanoseconds in `startedNs`. */
  readonly startedAt: number;
  readonly startedNs: string;
  readonly steps: readonly StepReport[];
  /** Index of the step that failed. */
  readonly failed?: number;
  readonly errno?: number;
  /** What the errno does not say: the candidate of an execve that failed, the kernel's words on a mount, … */
  readonly detail?: string;
}

/** How a process ended. */
export interface Exit {
  /** 0 to 255; 128 + signal for one that a signal ended. */
  readonly code: number;
  readonly signal: number;
  readonly timedOut: boolean;
  /** Somebody had it killed; absent in records of before. */
  readonly killed?: boolean;
  /** Nanoseconds since 1970, as decimal text, since a JSON number would lose some. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly restarts: number;
  /** What the `read` steps of the after column found. */
  readonly readings: Readonly<Record<string, string>>;
}
