/**
 * Starts the launcher and gives it a plan. The launcher becomes the keeper of what the plan makes, in a session of its
 * own: it is this process's child only until this process leaves.
 */
import { SampanError } from "../common/error.ts";
import { Connection } from "./connection.ts";
import { FRAME } from "./frame.ts";
import type { Plan, Report } from "./plan.ts";
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

/** What the command at a container's end needs to find the same engine. The rest of the caller's stays with the caller. */
const environment = (): Record<string, string | undefined> =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(?:HOME|PATH|XDG_\w+|SAMPAN_\w+)$/.test(name)),
  );

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

/** Resolves when every step up to the program's execve has been done; throws a LaunchError when one failed. */
export async function launch(plan: Plan): Promise<Connection> {
  const path = launcherPath();
  let started: ReturnType<typeof Bun.spawn>;
  try {
    started = Bun.spawn({ cmd: [path], env: environment(), stdio: ["ignore", "ignore", "inherit", "pipe"] });
  } catch (cause) {
    throw new SampanError("unavailable", `the launcher cannot be started: ${path}`, {
      hint: "It is built by `npm run build` and lies beside the executable.",
      cause,
    });
  }
  started.unref();
  const connection = await Connection.open({ fd: started.stdio[3] as unknown as number });
  connection.send(FRAME.plan, encode(plan));
  const report = await connection.reported;
  if (!report) throw new SampanError("system", "the launcher ended without a report");
  if (!report.ok) {
    connection.close();
    const { explainFailure } = await import("./failure.ts");
    throw new LaunchError(plan, report, explainFailure(plan, report));
  }
  return connection;
}
