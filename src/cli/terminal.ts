/**
 * The caller's terminal: is it one, how big is it, raw mode and back. By libc through bun:ffi, because node:tty costs
 * 14 ms to load. The constants are Linux's, the same on x86_64 and aarch64.
 */
import { dlopen, ptr } from "bun:ffi";

const TIOCGWINSZ = 0x5413;
const TCSADRAIN = 1;
/** sizeof(struct termios) in glibc and musl. */
const TERMIOS = 60;

const open = () =>
  dlopen("libc.so.6", {
    tcgetattr: { args: ["i32", "ptr"], returns: "i32" },
    tcsetattr: { args: ["i32", "i32", "ptr"], returns: "i32" },
    cfmakeraw: { args: ["ptr"], returns: "void" },
    ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  }).symbols;
let libc: ReturnType<typeof open> | undefined;
const call = (): ReturnType<typeof open> => {
  libc ??= open();
  return libc;
};

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** Rows and columns of the terminal at `fd`; undefined if it is none. */
export function windowSize(fd: number): WindowSize | undefined {
  const size = new Uint16Array(4);
  if (call().ioctl(fd, TIOCGWINSZ, ptr(size)) !== 0) return undefined;
  return { rows: size[0] ?? 0, columns: size[1] ?? 0 };
}

export const isTerminal = (fd: number): boolean => call().tcgetattr(fd, ptr(new Uint8Array(TERMIOS))) === 0;

/**
 * Every key goes through as it is typed, until `restore` is called; `again` sets it once more after a job-control stop.
 */
export function rawMode(fd: number): { readonly restore: () => void; readonly again: () => void } {
  const before = new Uint8Array(TERMIOS);
  if (call().tcgetattr(fd, ptr(before)) !== 0) return { restore: () => {}, again: () => {} };
  const raw = before.slice();
  call().cfmakeraw(ptr(raw));
  const set = (mode: Uint8Array) => (): void => {
    call().tcsetattr(fd, TCSADRAIN, ptr(mode));
  };
  set(raw)();
  return { restore: set(before), again: set(raw) };
}

/** The offset of c_lflag in struct termios, and its bit ECHO. */
const LFLAG = 12;
const ECHO = 0o10;

/** What is typed is not shown, until the function that it gives is called. */
export function hideTyping(fd: number): () => void {
  const before = new Uint8Array(TERMIOS);
  if (call().tcgetattr(fd, ptr(before)) !== 0) return () => {};
  const hidden = before.slice();
  hidden[LFLAG] = (hidden[LFLAG] ?? 0) & ~ECHO;
  call().tcsetattr(fd, TCSADRAIN, ptr(hidden));
  return () => call().tcsetattr(fd, TCSADRAIN, ptr(before));
}
