/**
 * The plan of a container's last start: every step in the words of its system call, who asked for it and how long it
 * took, by the plank that it belongs to. It is what the launcher did, not what it would do now.
 */
import { SampanError } from "../common/error.ts";
import type { ContainerRecord, KeptPlan } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import type { CallName, Column } from "../launch/index.ts";
import { askedBy } from "./cgroups.ts";
import { type Plank, phrase, plankOf } from "./phrase.ts";
import { containerOf, findTarget } from "./target.ts";

export interface PlanLine {
  readonly index: number;
  readonly column: Column;
  readonly plank: Plank;
  readonly call: CallName;
  /** The call and its object. */
  readonly words: string;
  /** The flag or the field that asked for it. */
  readonly why: string;
  /** Microseconds that it took, and from the launcher's start to its end. Absent: it has not been done. */
  readonly us?: number;
  readonly at?: number;
  /** An optional step that failed. */
  readonly errno?: number;
}

export interface PlanExplanation {
  readonly name: string;
  readonly id: string;
  /** RFC 3339, with milliseconds. */
  readonly startedAt: string;
  /** Microseconds from the launcher's start to the process's execve. */
  readonly took: number;
  /** Steps of the start; those at the end come on top. */
  readonly steps: number;
  readonly lines: readonly PlanLine[];
}

/** The same container as `explain` means by this word, running or ended. */
function startedOf(engine: Engine, reference: string): ContainerRecord {
  const known = containerOf(engine, reference);
  if (known) return known;
  const { container, target } = findTarget(engine, reference);
  if (container) return container;
  throw new SampanError("not-found", `the plan of process ${target.pid} (${target.comm}) is not known`, {
    hint: "Only of containers that this engine started is it kept.",
  });
}

export async function explainPlan(engine: Engine, reference: string): Promise<PlanExplanation> {
  const { id, name, config } = startedOf(engine, reference);
  const kept = await engine.containers.plan(id);
  if (kept) return planLines(kept, { id, name, run: engine.paths.run, config });
  throw new SampanError("not-found", `container ${name} has no plan: it has not been started`, {
    hint: `Start it first: sampan start ${name}`,
  });
}

/** `run`: the engine's folder of running containers; what it binds over /etc from there was asked for by nobody. */
export function planLines(
  { steps, report }: KeptPlan,
  { id, name, run, config }: Pick<ContainerRecord, "id" | "name" | "config"> & { readonly run: string },
): PlanExplanation {
  const lines = steps.map((step, index): PlanLine => {
    const { us, at, errno } = report.steps[index] ?? {};
    const { why } = step;
    return {
      index,
      column: step.column,
      plank: plankOf(step),
      call: step.call,
      words: phrase(step),
      why: why.startsWith(`-v ${run}/`)
        ? why.slice(why.lastIndexOf(":") + 1)
        : askedBy(why, config.resources),
      ...(us === undefined ? {} : { us }),
      ...(at === undefined ? {} : { at }),
      ...(errno === undefined ? {} : { errno }),
    };
  });
  return {
    name,
    id,
    startedAt: new Date(report.startedAt).toISOString(),
    ...startOf({ steps, report }),
    lines,
  };
}

/** How many steps the start had, and the microseconds until the program was there. */
export function startOf({ steps, report }: KeptPlan): Pick<PlanExplanation, "steps" | "took"> {
  let count = 0;
  let took = 0;
  for (const [index, { column }] of steps.entries()) {
    if (column === "after") continue;
    count++;
    took = Math.max(took, report.steps[index]?.at ?? 0);
  }
  return { steps: count, took };
}
