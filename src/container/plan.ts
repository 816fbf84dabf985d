/**
 * The plan that made a container's process, kept beside it with what came of each step: it is what `explain` shows. It holds
 * whatever the plan holds, the environment too, so that it is for its owner alone. Nothing else depends on it.
 */
import { readFileSync, writeFileSync } from "../kernel/fs.ts";
import type { Plan, Report, Step } from "../launch/index.ts";
import { type Context, places } from "./context.ts";

export interface KeptPlan {
  readonly steps: readonly Step[];
  readonly report: Report;
}

/** JSON knows neither: numbers of 64 bits and bytes are objects with one member that nothing else has. */
function pack(value: unknown): unknown {
  if (typeof value === "bigint") return { $big: String(value) };
  return value instanceof Uint8Array ? { $bytes: value.toBase64() } : value;
}

/** The steps as JSON can have them. Not by a replacer, which is called for each of two thousand values. */
function packed(steps: readonly Step[]): unknown[] {
  const all: unknown[] = [];
  for (const step of steps) {
    let copy: Record<string, unknown> | undefined;
    for (const key in step) {
      const value = step[key as keyof Step] as unknown;
      if (typeof value !== "bigint" && typeof value !== "object") continue;
      const fit = pack(value);
      if (fit === value) continue;
      copy ??= { ...step };
      copy[key] = fit;
    }
    all.push(copy ?? step);
  }
  return all;
}

/** A step as it was; it is changed in place. Not by a reviver either. */
function unpack(step: Record<string, unknown>): void {
  for (const key in step) {
    const value = step[key];
    if (typeof value !== "object" || value === null) continue;
    if ("$big" in value) step[key] = BigInt(String(value.$big));
    else if ("$bytes" in value) step[key] = Uint8Array.fromBase64(String(value.$bytes));
  }
}

/** A container that goes away when it ends, and is watched, is mostly gone before anybody could ask. */
const SHORT = 5;

export interface Keeping {
  /** Somebody waits for its output, and it is removed at its end. */
  readonly passing: boolean;
}

/**
 * Writes it while the container runs already: half a millisecond that nobody waits for. A disk that is full now is not the
 * container's fault.
 */
export function keepPlan(
  context: Context,
  id: string,
  plan: Plan,
  report: Report,
  { passing }: Keeping,
): void {
  const write = (): void => {
    try {
      const text = JSON.stringify({ steps: packed(plan.steps), report });
      writeFileSync(places(context.paths, id).plan, text, { mode: 0o600 });
    } catch {
      // Or it has ended, and was removed.
    }
  };
  if (passing) setTimeout(write, SHORT).unref();
  else write();
}

/** Of the last start; undefined: it has never been started, or by an engine that kept none. */
export function readPlan(context: Context, id: string): KeptPlan | undefined {
  try {
    const kept = JSON.parse(readFileSync(places(context.paths, id).plan, "utf8")) as KeptPlan;
    for (const step of kept.steps) unpack(step as unknown as Record<string, unknown>);
    return kept;
  } catch {
    return undefined;
  }
}
