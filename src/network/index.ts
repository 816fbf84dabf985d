/** Networks: bridges, who has which address on them, and published ports. */
export { NetworkRows } from "./rows.ts";
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
