/** How an error looks: what went wrong, and on a line of its own what to do about it. */
import { diskError, SampanError } from "../common/error.ts";
import { plainLines } from "../common/plain.ts";
import { complain } from "./output.ts";

/** Registries and archives have their words in a message: nothing of these controls a terminal. */
export function report(thrown: unknown, debug = false): void {
  const error = diskError(thrown, (thrown as { path?: string }).path ?? "a file");
  complain(`sampan: ${plainLines(error instanceof Error ? error.message : String(error))}`);
  if (error instanceof SampanError && error.hint) complain(plainLines(error.hint));
  if (debug && error instanceof Error && error.stack) complain(error.stack);
}
