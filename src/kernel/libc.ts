/**
 * The calls of libc that a command makes on its way, opened once, at the first of them. What only some commands need is
 * opened where they need it. The types are those of the 64-bit ABI that x86_64 and aarch64 share; a size or
 * count comes back as an int, so no single call may be given more than 2 GB.
 */
import { dlopen, FFIType, read } from "bun:ffi";

const { i32, i64, u32, u64, pointer: p } = FFIType;

const load = () =>
  dlopen("libc.so.6", {
    __errno_location: { args: [], returns: p },
    _exit: { args: [i32], returns: FFIType.void },
    open: { args: [p, i32, u32], returns: i32 },
    close: { args: [i32], returns: i32 },
    read: { args: [i32, p, u64], returns: i32 },
    pread: { args: [i32, p, u64, i64], returns: i32 },
    write: { args: [i32, p, u64], returns: i32 },
    statx: { args: [i32, p, i32, u32, p], returns: i32 },
    statfs: { args: [p, p], returns: i32 },
    access: { args: [p, i32], returns: i32 },
    mkdir: { args: [p, u32], returns: i32 },
    rmdir: { args: [p], returns: i32 },
    unlink: { args: [p], returns: i32 },
    rename: { args: [p, p], returns: i32 },
    chmod: { args: [p, u32], returns: i32 },
    readlink: { args: [p, p, u64], returns: i32 },
    realpath: { args: [p, p], returns: p },
    getdents64: { args: [i32, p, u64], returns: i32 },
    clock_gettime: { args: [i32, p], returns: i32 },
    flock: { args: [i32, i32], returns: i32 },
    syscall: { args: [i64, i64, p, p, i64], returns: i64 },
    lgetxattr: { args: [p, p, p, u64], returns: i32 },
  }).symbols;

let opened: ReturnType<typeof load> | undefined;

/** The calls; every one reports as in C, by its result. */
export const libc = (): ReturnType<typeof load> => (opened ??= load());

/** errno of the call that has just failed: to be asked before anything else is called. */
export function errno(): number {
  const where = libc().__errno_location();
  return where === null ? 0 : read.i32(where);
}
