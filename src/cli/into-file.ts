/**
 * An archive into a file of the caller's, or to standard output where that is no terminal. The file is written beside and
 * renamed, so that one that was there is the old one or the new one, and never half of it.
 */
import { closeSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { fileReason, SampanError } from "../common/error.ts";
import { UsageError } from "./flags.ts";
import { write } from "./output.ts";
import { isTerminal } from "./terminal.ts";

/** `work` is given what writes; without `output` that is standard output. */
export async function intoFile(
  output: string | undefined,
  work: (write: (bytes: Uint8Array) => void) => Promise<void>,
): Promise<void> {
  if (!output) {
    if (isTerminal(1))
      throw new UsageError("cowardly refusing to save to a terminal. Use the -o flag or redirect", "plain");
    return work((bytes) => write(1, bytes));
  }
  // What is no file of its own, /dev/null or a fifo, is written as it is.
  const there = statSync(output, { throwIfNoEntry: false });
  const part = there && !there.isFile() ? output : `${output}.part-${process.pid}`;
  const fd = open(part, output, part !== output);
  try {
    await work((bytes) => write(fd, bytes, output));
    if (part !== output) renameSync(part, output);
  } catch (error) {
    if (part !== output) rmSync(part, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function open(part: string, output: string, fresh: boolean): number {
  try {
    return openSync(part, fresh ? "wx" : "w", 0o600);
  } catch (cause) {
    throw new SampanError("invalid", `cannot write ${output}: ${fileReason(cause)}`, { cause });
  }
}
