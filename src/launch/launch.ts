/**
 * Starts the launcher and gives it a plan. The launcher becomes the keeper of what the plan makes, in a session of its
 * own: it is this process's child only until this process leaves.
 */

import { SampanError } from "../common/error.ts";
import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from "../kernel/fs.ts";
import { Connection } from "./connection.ts";
import { FRAME, frame, HEADER } from "./frame.ts";
import { NO_KEEPER, type Plan, type Report } from "./plan.ts";
import { decodeReport } from "./report.ts";
import type { Step } from "./step.ts";
import { encode } from "./wire.ts";

/** The launcher's path: beside the executable, or in dist/ when the sources are run as they are. */
export function launcherPath(): string {
  const own = process.env["SAMPAN_LAUNCHER"];
  if (own) return own;
  const here = process.execPath;
  if (import.meta.url.startsWith("file:///$bunfs/"))
    return `${here.slice(0, here.lastIndexOf("/"))}/sampan-launcher`;
  return new URL("../../dist/sampan-launcher", import.meta.url).pathname;
}

/** The engine's own executable, for commands that keepers execute: this one, or the one that was built from these sources. */
export function enginePath(): string {
  if (import.meta.url.startsWith("file:///$bunfs/")) return process.execPath;
  return new URL("../../dist/sampan", import.meta.url).pathname;
}

/** Starts a command of the engine's own that lives on by itself, also after the caller has left. */
export const startEngine = <Out extends "pipe" | "ignore">(stdout: Out, ...words: readonly string[]) =>
  startHolding("ignore", stdout, ...words);

/** The same for one that has an open file of the caller's from the start, as its standard input: a lock is not free in between. */
export const startHolding = <Out extends "pipe" | "ignore">(
  stdin: number | "ignore",
  stdout: Out,
  ...words: readonly string[]
) =>
  Bun.spawn([enginePath(), ...words], {
    stdio: [stdin, stdout, "ignore"],
    cwd: "/",
    env: {},
    detached: true,
  });

/** What the command at a container's end needs to find the same engine. The rest of the caller's stays with the caller. */
const KEPT = [
  "HOME",
  "PATH",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "XDG_RUNTIME_DIR",
  "SAMPAN_CGROUP_PARENT",
  "SAMPAN_LAUNCHER",
  "SAMPAN_ROOT",
  "SAMPAN_RUN",
];

function environment(): Record<string, string | undefined> {
  const kept: Record<string, string | undefined> = {};
  for (const name of KEPT) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** A plan of which a step failed. */
export class LaunchError extends SampanError {
  readonly plan: Plan;
  readonly report: Report;
  constructor(plan: Plan, report: Report, from: SampanError) {
    super(from.code, from.message, {
      ...(from.hint === undefined ? {} : { hint: from.hint }),
      ...(from.kernel === undefined ? {} : { kernel: from.kernel }),
    });
    this.plan = plan;
    this.report = report;
  }
}

/**
 * A launcher that waits for its plan. Starting it is the longest part of a launch that does not depend on the plan: so
 * it is started first and comes up while the plan is made.
 */
export class Launcher {
  readonly #process: ReturnType<typeof Bun.spawn>;
  readonly #fd: number;

  private constructor(started: ReturnType<typeof Bun.spawn>) {
    this.#process = started;
    this.#fd = started.stdio[3] as unknown as number;
  }

  static start(): Launcher {
    const path = launcherPath();
    try {
      const stdio = ["ignore", "ignore", "inherit", "pipe"] as const;
      const started = Bun.spawn({ cmd: [path], env: environment(), stdio: [...stdio] });
      started.unref();
      return new Launcher(started);
    } catch (cause) {
      throw new SampanError("unavailable", `the launcher cannot be started: ${path}`, {
        hint: "It is built by `npm run build` and lies beside the executable.",
        cause,
      });
    }
  }

  /** Resolves when every step up to the program's execve has been done; throws a LaunchError when one failed. */
  async launch(plan: Plan): Promise<Connection> {
    // Past the event loop: the launcher works while the connection is set up, which takes 0.3 ms the first time.
    const rest = writeNow(this.#fd, encode(plan));
    const connection = await Connection.open({ fd: this.#fd });
    if (plan.keeper.remove.length > 0) connection.expectGone();
    connection.write(rest);
    const report = await connection.reported;
    if (!report) throw new SampanError("system", "the launcher ended without a report");
    if (!report.ok) {
      connection.close();
      const { explainFailure } = await import("./failure.ts");
      throw new LaunchError(plan, report, explainFailure(plan, report));
    }
    return connection;
  }

  /** There will be no plan. */
  abandon(): void {
    this.#process.kill("SIGKILL");
    closeSync(this.#fd);
  }
}

/** Writes the plan's frame as far as it goes; returns the rest. If nobody is there to read it, the connection will say so. */
function writeNow(fd: number, plan: Uint8Array): Uint8Array {
  const whole = frame(FRAME.plan, plan);
  try {
    return whole.subarray(writeSync(fd, whole));
  } catch {
    return whole;
  }
}

/** Starts a launcher for a plan that is at hand. */
export const launch = (plan: Plan): Promise<Connection> => Launcher.start().launch(plan);

/**
 * Runs a plan that leaves no process to its end, and waits for it: what a caller that is not asynchronous needs, such as a
 * reader that repairs. The launcher gets a file in place of a socket, reads the plan from it and writes its report behind.
 * `folder` is one that the caller may write to.
 */
export function launchNow(steps: readonly Step[], folder: string): Report {
  const path = `${folder}/.plan-${crypto.getRandomValues(new Uint8Array(8)).toHex()}`;
  const bytes = encode({ steps, keeper: NO_KEEPER });
  const written = openSync(path, "wx+", 0o600);
  const client = openSync(path, "r+");
  try {
    unlinkSync(path);
    writeSync(written, frame(FRAME.plan, bytes));
    const stdio = ["ignore", "ignore", "inherit", client] as const;
    Bun.spawnSync({ cmd: [launcherPath()], env: environment(), stdio: [...stdio] });
    const start = 2 * HEADER + bytes.length;
    const report = new Uint8Array(Math.max(0, fstatSync(written).size - start));
    readSync(written, report, 0, report.length, start);
    if (report.length === 0) throw new SampanError("system", "the launcher ended without a report");
    return decodeReport(report);
  } finally {
    closeSync(written);
    closeSync(client);
  }
}
