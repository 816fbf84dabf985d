/**
 * One thing tried for real: a plan of a few steps whose last one executes a program that does not exist. Whoever gets so
 * far has done all the others, and no process is left of it.
 */
import { errnoName, errnoText } from "../../kernel/errno.ts";
import {
  CLONE,
  type Column,
  LaunchError,
  launch,
  type NamespaceName,
  NO_KEEPER,
  type Step,
} from "../../launch/index.ts";
import { callerIdMaps, IDENTITY, idMapSteps } from "../../runtime/index.ts";

/** A call without what every step carries besides. */
type Bare = Step extends infer S ? (S extends Step ? Omit<S, "column" | "why"> : never) : never;
const at =
  (column: Column) =>
  (call: Bare): Step =>
    ({ ...call, column, why: "doctor" }) as Step;
export const inside = at("inside");
export const outside = at("outside");

export const isRootless = (): boolean => process.getuid?.() !== 0;

/** A process in these namespaces; in a user namespace, with root's ids in it. A caller without root always has one. */
export function born(...names: readonly NamespaceName[]): Step[] {
  const user = names.includes("user") || isRootless();
  let flags = user ? CLONE.user : 0;
  for (const name of names) flags |= CLONE[name];
  const clone = outside({ call: "clone", flags: flags >>> 0 });
  if (!user) return [clone];
  const maps = isRootless() ? callerIdMaps() : { uid: IDENTITY, gid: IDENTITY };
  return [
    clone,
    ...idMapSteps(maps, "doctor"),
    { call: "barrier", column: "inside", waits: "inside", why: "doctor" },
  ];
}

export interface Refusal {
  /** The step that failed; undefined: the launcher itself could not do its part. */
  readonly step?: Step;
  /** `EPERM` */
  readonly errno: string;
  readonly message: string;
}

/** Undefined: it works. */
export async function attempt(steps: readonly Step[]): Promise<Refusal | undefined> {
  const nothing = inside({ call: "execve", candidates: ["/.sampan-doctor"], argv: ["doctor"], env: [] });
  try {
    (await launch({ steps: [...steps, nothing], keeper: NO_KEEPER })).close();
    return undefined;
  } catch (error) {
    if (!(error instanceof LaunchError))
      return { errno: "", message: error instanceof Error ? error.message : String(error) };
    const { failed, errno = 0, detail } = error.report;
    if (failed === steps.length) return undefined;
    const step = failed === undefined ? undefined : steps[failed];
    return {
      ...(step ? { step } : {}),
      errno: errnoName(errno),
      message: `${step ? `${step.call}: ` : ""}${errnoText(errno)}${detail ? ` (${detail})` : ""}`,
    };
  }
}
