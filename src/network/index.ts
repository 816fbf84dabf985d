/** Networks: bridges, who has which address on them, and published ports. What is not needed at once is loaded when it is. */
import type { Place } from "./attach.ts";

export type { Attached, Place, Wishes } from "./attach.ts";
export type { NetworkWish } from "./create.ts";
export { type NetworkEvent, Networks } from "./networks.ts";
export { release, releaseRows } from "./release.ts";
export type { NetworkSteps } from "./steps.ts";
export type * from "./types.ts";
export {
  explainUplink,
  type Forwarded,
  forwarded,
  type Uplink,
  type UplinkFacts,
  uplink,
  uplinkFacts,
} from "./uplink.ts";

/** Makes what is missing in the kernel for all containers, or takes the ports of one out that its keeper could not. */
export async function repair(place: Place, container?: string): Promise<void> {
  const { setUp, unpublish } = await import("./setup.ts");
  if (container === undefined) setUp(place);
  else unpublish(place, container);
}

/** All that a container with networks needs. */
export const load = () => import("./attach.ts");
/** For one that gets another network, or loses one. */
export const loadConnecting = () => import("./connect.ts");
