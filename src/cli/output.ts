/**
 * Writing to stdout and stderr, synchronously: `process.stdout` costs 20 ms at its first use. A terminal or pipe that
 * somebody else made non-blocking answers EAGAIN: wait a moment. A reader that has gone ends the program, as
 * SIGPIPE does it.
 */
import { fileReason, SampanError } from "../common/error.ts";
import { writeSync } from "../kernel/fs.ts";

const encoder = new TextEncoder();

const NAMES: Readonly<Record<number, string>> = { 1: "standard output", 2: "standard error" };

/** Writes all of it, however slow the reader. `name`: what to call it when that cannot be. */
export function write(fd: number, data: string | Uint8Array, name = NAMES[fd] ?? "the file"): void {
  let rest = typeof data === "string" ? encoder.encode(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === "EAGAIN") Bun.sleepSync(1);
      else if (code === "EPIPE") process.exit(128 + 13);
      else
        throw new SampanError("unavailable", `cannot write ${name}: ${fileReason(error)}`, { cause: error });
    }
  }
}

/** One line to stdout. */
export const print = (line: string): void => write(1, `${line}\n`);

/** One line to stderr. */
export const complain = (line: string): void => write(2, `${line}\n`);
