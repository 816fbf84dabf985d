/** Networks: bridges, who has which address on them, and published ports. */
export { NetworkRows } from "./rows.ts";
export type * from "./types.ts";
