/** Work on files of the caller's that belong to any of its ids: by root as it is, otherwise in a user namespace with those ids. */
import { CLONE, type Step } from "../launch/index.ts";
import { idMapSteps } from "./namespaces.ts";
import { callerIdMaps } from "./rootless.ts";

/** A plan of these `inside` steps alone; no program is executed. */
export function fileSteps(why: string, inside: readonly Step[]): Step[] {
  const maps = process.getuid?.() === 0 ? undefined : callerIdMaps();
  return [
    { call: "clone", column: "outside", why, flags: maps ? CLONE.user : 0 },
    ...(maps ? idMapSteps(maps, why) : []),
    ...(maps ? [{ call: "barrier", column: "inside", waits: "inside", why } as const] : []),
    ...inside,
  ];
}
