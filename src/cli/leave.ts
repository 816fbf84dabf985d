/**
 * The end of the program: at once, by _exit(2). `process.exit` would close the database first, which for the last one who
 * has it open means a checkpoint, two fsyncs, and a log to be made anew by the next command. Everything that was written
 * is committed; what others must see has been sent.
 */
import { dlopen } from "bun:ffi";

let exit: ((code: number) => void) | undefined;

/** Has the end ready: for a command that waits for somebody else's. */
export function expectLeave(): void {
  exit ??= dlopen("libc.so.6", { _exit: { args: ["i32"], returns: "void" } }).symbols._exit;
}

export function leave(code: number): never {
  // What gives the terminal back.
  process.emit("exit", code);
  expectLeave();
  exit?.(code);
  process.exit(code);
}
