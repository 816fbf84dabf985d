/** Networks: bridges, who has which address on them, and published ports. What is not needed at once is loaded when it is. */
import type { Place } from "./attach.ts";
import { postsOf } from "./dns/posts.ts";
import type { ProcessOf } from "./dns/responder.ts";

export type { Attached, Place, Wishes } from "./attach.ts";
export type { NetworkWish } from "./create.ts";
export { revive as reviveNames } from "./dns/posts.ts";
export { type NetworkEvent, Networks } from "./networks.ts";
export { expectRelease, release, releaseRows, sharersFile, tidyAgain, tidyLater } from "./release.ts";
export type { NetworkSteps } from "./steps.ts";
export type * from "./types.ts";
export type { Forwarded, Uplink, UplinkFacts } from "./uplink.ts";

/** Makes what is missing in the kernel for all containers, or takes the ports of one out that its keeper could not. */
export async function repair(place: Place, container?: string): Promise<void> {
  const { setUp, unpublish } = await import("./setup.ts");
  if (container === undefined) setUp(place);
  else unpublish(place, container);
}

/** Takes bridges and table away as soon as nobody has needed them for a while. */
export const tidyWhenIdle = async (place: Place): Promise<void> =>
  (await import("./idle.ts")).tidyWhenIdle(place);

/** All that a container with networks needs. */
export const load = () => import("./attach.ts");
/** For one that gets another network, or loses one. */
export const loadConnecting = () => import("./connect.ts");

/** What a user's container needs instead. */
export const loadUplink = () => import("./uplink.ts");

/**
 * Answers questions for names until no container needs it; false: another process does already. `processOf`: of a container that
 * runs.
 */
export async function serveNames(
  { paths, store }: Place,
  processOf: ProcessOf,
  ready: () => void,
): Promise<boolean> {
  const { serve } = await import("./dns/responder.ts");
  return serve(store, postsOf(paths), processOf, ready);
}
