/** A container's processes, read from /proc, in the columns that ps would show for the same options. */
export interface ProcessTable {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}
export async function top(_c: unknown, _o: readonly string[]): Promise<ProcessTable> {
  throw new Error("not yet");
}
