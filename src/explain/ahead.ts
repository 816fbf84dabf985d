/** A container before there is one: what `run` would do, step by step, and what this machine would refuse of it. */
import type { ContainerConfig } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import { procFile } from "../kernel/proc.ts";
import { doctorRows, type Step } from "../launch/index.ts";
import { doctor, type Finding } from "./doctor/index.ts";
import { type PlanLine, planLines } from "./plan.ts";

export interface Obstacle {
  readonly row: Finding;
  /** Indices of the steps that need it. */
  readonly steps: readonly number[];
  /** Short of something, or only for a default: the container would come to be. */
  readonly passable: boolean;
}

export interface Ahead {
  readonly summary: string;
  /** Folders of this machine and volumes that would be made. */
  readonly makes: readonly string[];
  readonly lines: readonly PlanLine[];
  readonly obstacles: readonly Obstacle[];
}

export async function explainAhead(
  engine: Engine,
  config: ContainerConfig,
  where: { readonly root?: string } = {},
): Promise<Ahead> {
  // One after the other: a wish that is refused ends the command, and what the doctor makes would stay.
  const { steps, id, makes } = await engine.containers.preview(config);
  const { findings } = await doctor(where);
  const report = { ok: true, keeper: 0, pid: 0, startedAt: 0, startedNs: "0", steps: [] };
  const { lines } = planLines({ steps, report }, { id, name: "new", run: engine.paths.run, config });
  const obstacles = findings.flatMap((row): Obstacle[] => {
    if (row.state === "works") return [];
    const needing = steps.flatMap((step, index) =>
      doctorRows(step).includes(row.name) && wants(step, row) ? [index] : [],
    );
    if (needing.length === 0) return [];
    const passable =
      (row.state === "limited" && row.name !== "root's rights") ||
      needing.every((index) => steps[index]?.optional === true);
    return [{ row, steps: needing, passable }];
  });
  return { summary: summary(lines, makes, obstacles), makes, lines, obstacles };
}

/** Most rows are about the thing itself; of root's rights a step needs only some, which this root may have. */
function wants(step: Step, { name }: Finding): boolean {
  if (name !== "root's rights") return true;
  if (step.call === "capabilities") return (step.permitted & ~ownRights()) !== 0n;
  return (
    step.call === "rlimit" &&
    step.nearest !== true &&
    (ownRights() & SYS_RESOURCE) === 0n &&
    step.hard > ownLimit(step.resource)
  );
}

const SYS_RESOURCE = 1n << 24n;

const ownRights = (): bigint =>
  BigInt(`0x${/^CapBnd:\s*(\w+)$/m.exec(procFile("self", "status") ?? "")?.[1] ?? "0"}`);

/** Of /proc/PID/limits, whose lines are in the order of the limits' numbers. */
function ownLimit(resource: number): bigint {
  const line = (procFile("self", "limits") ?? "").split("\n")[resource + 1] ?? "";
  const hard = line.slice(26).trim().split(/\s+/)[1] ?? "unlimited";
  return hard === "unlimited" ? 2n ** 64n - 1n : BigInt(hard);
}

function summary(
  lines: readonly PlanLine[],
  makes: readonly string[],
  obstacles: readonly Obstacle[],
): string {
  const start = lines.filter(({ column }) => column !== "after").length;
  const program = lines.find(({ call }) => call === "execve")?.words.replace(/^execve /, "") ?? "";
  const made = makes.length > 0 ? ` It would make ${makes.join(", ")}.` : "";
  const hard = obstacles.filter(({ passable }) => !passable);
  const verdict =
    hard.length > 0
      ? `This machine would refuse it: ${hard.map(({ row }) => row.name).join(", ")}.`
      : "Nothing of it is refused on this machine.";
  return `${program} would be started in ${start} steps; nothing has been made.${made} ${verdict}`;
}
