/** Which system calls a process may make. */
export type { Filter } from "./filter.ts";
