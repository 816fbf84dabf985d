/**
 * The few system calls that node:fs lacks, through libc, which is opened at the first use. Paths are bytes to the
 * kernel; here they are strings without NUL. A call that fails throws with `code`, `syscall` and `path` as node:fs does.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { errnoName, errnoText } from "./errno.ts";
import { libc as common, errno } from "./libc.ts";

const { i32, i64, u32, u64, pointer: p } = FFIType;

const load = () =>
  dlopen("libc.so.6", {
    syscall: { args: [i64, i64, p, p, i64], returns: i64 },
    chroot: { args: [p], returns: i32 },
    mknod: { args: [p, u32, u64], returns: i32 },
    lsetxattr: { args: [p, p, p, u64, i32], returns: i32 },
    llistxattr: { args: [p, p, u64], returns: i64 },
    lremovexattr: { args: [p, p], returns: i32 },
  }).symbols;

let libc: ReturnType<typeof load> | undefined;
const c = (): ReturnType<typeof load> => (libc ??= load());

const encoder = new TextEncoder();
/** Not a Buffer: the first of a process costs 0.2 ms. */
const text = (value: string): Uint8Array => {
  if (value.includes("\0")) throw new TypeError("a path or name must not hold a NUL byte");
  return encoder.encode(`${value}\0`);
};

export class SystemError extends Error {
  override readonly name = "SystemError";
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path: string;

  constructor(number: number, syscall: string, path: string) {
    super(`${syscall} ${path}: ${errnoText(number)}`);
    this.errno = number;
    this.code = errnoName(number);
    this.syscall = syscall;
    this.path = path;
  }
}

function check(result: number | bigint, syscall: string, path: string): number {
  if (Number(result) < 0) throw new SystemError(errno(), syscall, path);
  return Number(result);
}

const EAGAIN = 11;
const ERANGE = 34;
const ENODATA = 61;
const EOPNOTSUPP = 95;

/** openat2(2) has one number on every architecture. */
const SYS_OPENAT2 = 437;
const RESOLVE_IN_ROOT = 0x10;
const RESOLVE_NO_MAGICLINKS = 0x02;
const O_CLOEXEC = 0o2000000;
const O_CREAT = 0o100;
const O_TMPFILE = 0o20000000;

/**
 * Opens `path` as if the folder behind the fd `root` were `/`: links in it, also absolute ones and `..`, never lead
 * out (openat2, RESOLVE_IN_ROOT). The new fd is close-on-exec.
 */
export function openInRoot(root: number, path: string, flags: number, mode = 0): number {
  const how = new BigUint64Array(3);
  how[0] = BigInt(flags | O_CLOEXEC);
  // A mode without O_CREAT or O_TMPFILE is refused.
  how[1] = BigInt((flags & (O_CREAT | O_TMPFILE)) === 0 ? 0 : mode);
  how[2] = BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  const name = text(path);
  for (let tries = 0; ; tries++) {
    const fd = Number(c().syscall(SYS_OPENAT2, root, ptr(name), ptr(how), how.byteLength));
    if (fd >= 0) return fd;
    // EAGAIN: something was renamed meanwhile, so the kernel could not be sure.
    const number = errno();
    if (number !== EAGAIN || tries > 100) throw new SystemError(number, "openat2", path);
  }
}

/** Only in a child process of one's own: it is the whole process that changes its root. */
export const chroot = (path: string): void => {
  check(c().chroot(ptr(text(path))), "chroot", path);
};

const deviceNumber = (major: number, minor: number): bigint => {
  const a = BigInt(major);
  const b = BigInt(minor);
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffffff00n) << 12n) | (b & 0xffn);
};

/** `mode` with S_IFCHR, S_IFBLK or S_IFIFO. */
export const mknod = (path: string, mode: number, major: number, minor: number): void => {
  check(c().mknod(ptr(text(path)), mode, deviceNumber(major, minor)), "mknod", path);
};

/** Extended attributes, of the path itself if it is a link. */
export const setXattr = (path: string, name: string, value: Uint8Array): void => {
  // An empty value still needs an address.
  const data = value.length > 0 ? value : new Uint8Array(1);
  check(c().lsetxattr(ptr(text(path)), ptr(text(name)), ptr(data), value.length, 0), "lsetxattr", path);
};

/** undefined: the path has no such attribute, or its filesystem none at all. */
export function getXattr(path: string, name: string): Uint8Array | undefined {
  const where = text(path);
  const what = text(name);
  for (let size = 256; ; size *= 4) {
    const buffer = new Uint8Array(size);
    const length = common().lgetxattr(ptr(where), ptr(what), ptr(buffer), size);
    if (length >= 0) return buffer.subarray(0, length);
    const number = errno();
    if (number === ENODATA || number === EOPNOTSUPP) return undefined;
    if (number !== ERANGE || size > 65536) throw new SystemError(number, "lgetxattr", path);
  }
}

export function listXattr(path: string): string[] {
  const where = text(path);
  for (let size = 1024; ; size *= 4) {
    const buffer = new Uint8Array(size);
    const length = Number(c().llistxattr(ptr(where), ptr(buffer), size));
    if (length >= 0)
      return Buffer.from(buffer.buffer, 0, length).toString("utf8").split("\0").filter(Boolean);
    const number = errno();
    if (number === EOPNOTSUPP) return [];
    if (number !== ERANGE || size > 65536) throw new SystemError(number, "llistxattr", path);
  }
}

export const removeXattr = (path: string, name: string): void => {
  check(c().lremovexattr(ptr(text(path)), ptr(text(name))), "lremovexattr", path);
};
