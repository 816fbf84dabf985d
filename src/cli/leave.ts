/**
 * The end of the program: at once, by _exit(2). `process.exit` would close the database first, which for the last one who
 * has it open means a checkpoint, two fsyncs, and a log to be made anew by the next command. Everything that was written
 * is committed; what others must see has been sent.
 */
import { libc } from "../kernel/libc.ts";

export function leave(code: number): never {
  // What gives the terminal back.
  process.emit("exit", code);
  libc()._exit(code);
  process.exit(code);
}
