/** How an error looks: what went wrong, and on a line of its own what to do about it. */
import { diskError, SampanError } from "../common/error.ts";
import { complain } from "./output.ts";

export function report(thrown: unknown, debug = false): void {
  const error = diskError(thrown, (thrown as { path?: string }).path ?? "a file");
  complain(`sampan: ${printable(error instanceof Error ? error.message : String(error))}`);
  if (error instanceof SampanError && error.hint) complain(printable(error.hint));
  if (debug && error instanceof Error && error.stack) complain(error.stack);
}

/** Registries and archives have their words in it, and nothing of these controls a terminal. */
const printable = (text: string): string => text.replace(/[^\P{Cc}\t\n]/gu, "?");
