/**
 * The system calls of packing and unpacking, by bun:ffi: node:fs rounds times, cannot make devices, set xattrs, chroot or
 * look beneath an open folder, and loses names that are not UTF-8. Paths are the strings of tar/name.ts. A failure is a
 * SysError with the errno's name.
 */
import { dlopen, FFIType, type Pointer, ptr, read } from "bun:ffi";
import { errnoName } from "../kernel/errno.ts";
import { decodeName, encodeName } from "./tar/name.ts";

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const PATH_MAX = 4096;
const UTIME_OMIT = 0x3ffffffen;

export const O = {
  rdonly: 0,
  wronly: 0o1,
  creat: 0o100,
  excl: 0o200,
  // These two differ between x86_64 and aarch64.
  directory: process.arch === "arm64" ? 0o40000 : 0o200000,
  nofollow: process.arch === "arm64" ? 0o100000 : 0o400000,
  nonblock: 0o4000,
  path: 0o10000000,
  cloexec: 0o2000000,
} as const;

export const S_IFMT = 0o170000;
export const S_IF = {
  fifo: 0o010000,
  char: 0o020000,
  dir: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;

const open_ = () =>
  dlopen("libc.so.6", {
    __errno_location: { args: [], returns: "ptr" },
    chroot: { args: ["ptr"], returns: "i32" },
    chdir: { args: ["ptr"], returns: "i32" },
    lseek: { args: ["i32", "i64", "i32"], returns: FFIType.i64_fast },
    openat: { args: ["i32", "ptr", "i32", "u32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
    read: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
    pwrite: { args: ["i32", "ptr", "u64", "i64"], returns: FFIType.i64_fast },
    ftruncate: { args: ["i32", "i64"], returns: "i32" },
    fchown: { args: ["i32", "u32", "u32"], returns: "i32" },
    fchmod: { args: ["i32", "u32"], returns: "i32" },
    futimens: { args: ["i32", "ptr"], returns: "i32" },
    fsetxattr: { args: ["i32", "ptr", "ptr", "u64", "i32"], returns: "i32" },
    fgetxattr: { args: ["i32", "ptr", "ptr", "u64"], returns: FFIType.i64_fast },
    flistxattr: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
    lsetxattr: { args: ["ptr", "ptr", "ptr", "u64", "i32"], returns: "i32" },
    mkdir: { args: ["ptr", "u32"], returns: "i32" },
    unlink: { args: ["ptr"], returns: "i32" },
    symlink: { args: ["ptr", "ptr"], returns: "i32" },
    link: { args: ["ptr", "ptr"], returns: "i32" },
    readlinkat: { args: ["i32", "ptr", "ptr", "u64"], returns: FFIType.i64_fast },
    mknod: { args: ["ptr", "u32", "u64"], returns: "i32" },
    lchown: { args: ["ptr", "u32", "u32"], returns: "i32" },
    chmod: { args: ["ptr", "u32"], returns: "i32" },
    utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
    statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
    syscall: { args: ["i64", "i64", "ptr", "ptr", "i64"], returns: FFIType.i64_fast },
    getdents64: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
    pipe2: { args: ["ptr", "i32"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "u64"], returns: "i32" },
    fstatfs: { args: ["i32", "ptr"], returns: "i32" },
    fchdir: { args: ["i32"], returns: "i32" },
    mkdirat: { args: ["i32", "ptr", "u32"], returns: "i32" },
    symlinkat: { args: ["ptr", "i32", "ptr"], returns: "i32" },
    linkat: { args: ["i32", "ptr", "i32", "ptr", "i32"], returns: "i32" },
    mknodat: { args: ["i32", "ptr", "u32", "u64"], returns: "i32" },
    fchownat: { args: ["i32", "ptr", "u32", "u32", "i32"], returns: "i32" },
    unlinkat: { args: ["i32", "ptr", "i32"], returns: "i32" },
  }).symbols;

let libc: ReturnType<typeof open_> | undefined;
let errnoAt: Pointer | undefined;

/** Loads libc; must be called before any other function here, and before chroot. */
export function load(): void {
  if (libc) return;
  libc = open_();
  errnoAt = (libc.__errno_location() ?? undefined) as Pointer | undefined;
  ownFds = libc.openat(AT_FDCWD, put(first, "/proc/self/fd", "open"), O.rdonly | O.directory | O.cloexec);
}
let ownFds = -1;

const c = (): ReturnType<typeof open_> => {
  if (!libc) load();
  return libc as ReturnType<typeof open_>;
};

export class SysError extends Error {
  override readonly name = "SysError";
  readonly syscall: string;
  readonly errno: string;
  readonly path: string;

  constructor(syscall: string, errno: string, path: string) {
    super(`${syscall} ${path}: ${errno}`);
    this.syscall = syscall;
    this.errno = errno;
    this.path = path;
  }
}

// One buffer for each of two paths and one for a value's name: nothing is allocated for a call.
const first = Buffer.alloc(PATH_MAX + 1);
const second = Buffer.alloc(PATH_MAX + 1);
const key = Buffer.alloc(257);
/** The access time and the modification time, each in seconds and nanoseconds: the first is left as it is. */
const times = BigInt64Array.of(0n, UTIME_OMIT, 0n, 0n);
/** struct statx, which is the same on every architecture; seen as words of 32 bits. */
const words = new Uint32Array(64);
const status = Buffer.from(words.buffer);
/** What `first` holds: a file's name is asked about several times in a row. */
let firstText: string | undefined;

function put(buffer: Buffer, text: string, syscall: string): Buffer {
  if (buffer === first) {
    if (text === firstText) return buffer;
    firstText = undefined;
  }
  // Three bytes a character is the most that UTF-8 needs.
  if (text.length * 3 < buffer.length && text.isWellFormed()) {
    buffer[buffer.write(text, 0, "utf8")] = 0;
    if (buffer === first) firstText = text;
    return buffer;
  }
  const bytes = encodeName(text);
  if (bytes.length >= buffer.length - 1) throw new SysError(syscall, "ENAMETOOLONG", text);
  buffer.set(bytes);
  buffer[bytes.length] = 0;
  return buffer;
}

const errno = (): string => {
  const value = errnoAt === undefined ? 0 : read.i32(errnoAt, 0);
  return errnoName(value);
};

/** Throws if the result says so; otherwise gives it back. */
const check = (result: number | bigint, syscall: string, path: string): number => {
  if (result < 0) throw new SysError(syscall, errno(), path);
  return Number(result);
};

export const chroot = (path: string): void => {
  check(c().chroot(put(first, path, "chroot")), "chroot", path);
  check(c().chdir(put(first, "/", "chdir")), "chdir", "/");
};

/** Opens beneath a folder's fd, or from the working folder. The fd is close-on-exec. */
export const openat = (dir: number, path: string, flags: number, mode = 0): number =>
  check(c().openat(dir, put(first, path, "open"), flags | O.cloexec, mode), "open", path);
export const open = (path: string, flags: number, mode = 0): number => openat(AT_FDCWD, path, flags, mode);

/**
 * Opens a file for reading, if it is one: looked at before, by an fd that cannot do anything yet. A device that took its
 * place would come alive by being opened.
 */
export function openFile(dir: number, name: string): { fd: number; status: Status } | undefined {
  const handle = openat(dir, name, O.path | O.nofollow);
  try {
    const found = lstatat(handle, "");
    if (!found || (found.mode & S_IFMT) !== S_IF.file) return undefined;
    return { fd: openat(ownFds, String(handle), O.rdonly | O.nonblock), status: found };
  } finally {
    close(handle);
  }
}

export const close = (fd: number): void => {
  c().close(fd);
};

export const readInto = (fd: number, into: Uint8Array): number =>
  check(c().read(fd, into, into.length), "read", `fd ${fd}`);

/** The same into a buffer that is known by its address: `addressOf` of its memory, and so many bytes on. */
export const readTo = (fd: number, address: number, length: number): number =>
  check(c().read(fd, address as Pointer, length), "read", `fd ${fd}`);
export const addressOf = (bytes: Uint8Array): number => ptr(bytes);

const SEEK_SET = 0;
const SEEK_DATA = 3;

/** How many bytes from this position on nobody has written, of `left` that there are; a filesystem that does not tell says 0. */
export function holeAt(fd: number, position: number, left: number): number {
  const data = Number(c().lseek(fd, position, SEEK_DATA));
  // ENXIO: nothing but a hole comes.
  const hole = data < 0 ? (errno() === "ENXIO" ? left : 0) : Math.min(data - position, left);
  // Where it looked is where the next read would begin.
  check(c().lseek(fd, position, SEEK_SET), "seek", `fd ${fd}`);
  return hole;
}

export const RESOLVE = {
  noXdev: 0x01,
  noMagiclinks: 0x02,
  noSymlinks: 0x04,
  beneath: 0x08,
  inRoot: 0x10,
} as const;

/** openat2(2): opens beneath a folder's fd with the kernel's own care for what lies on the way (RESOLVE). */
export function openat2(dir: number, path: string, flags: number, resolve: number): number {
  how[0] = BigInt(flags | O.cloexec);
  how[2] = BigInt(resolve);
  for (let tries = 0; ; tries++) {
    const fd = Number(c().syscall(SYS_OPENAT2, dir, put(first, path, "open"), how, how.byteLength));
    if (fd >= 0) return fd;
    const name = errno();
    // EAGAIN: something was renamed meanwhile, so the kernel could not be sure.
    if (name !== "EAGAIN" || tries > 100) throw new SysError("open", name, path);
  }
}
/** One number on every architecture. */
const SYS_OPENAT2 = 437;
const how = new BigUint64Array(3);

/** The names in an open folder, in byte order as far as they are ASCII. One that was removed meanwhile has none. */
export function names(dir: number): string[] {
  const found: string[] = [];
  for (;;) {
    const result = Number(c().getdents64(dir, entries, entries.length));
    const length = result < 0 && errno() === "ENOENT" ? 0 : check(result, "getdents", `fd ${dir}`);
    if (length === 0) return found.sort();
    // struct linux_dirent64: inode, offset, length of the record, type, name.
    for (let at = 0; at < length; at += entries.readUInt16LE(at + 16)) {
      const start = at + 19;
      const name = decodeName(entries.subarray(start, entries.indexOf(0, start)));
      if (name !== "." && name !== "..") found.push(name);
    }
  }
}
const entries = Buffer.alloc(65536);

/** Both ends close-on-exec; the one that is written to does not block, unless it is to. */
export function pipe({ blocking = false } = {}): { readonly read: number; readonly write: number } {
  const F_SETFL = 4;
  check(c().pipe2(ends, O.cloexec), "pipe", "");
  const [read = -1, write = -1] = ends;
  if (!blocking) c().fcntl(write, F_SETFL, O.nonblock);
  return { read, write };
}
const ends = new Int32Array(2);

/** A pipe that holds this many bytes lets both sides work at once; refused beyond the caller's limit, which is fine. */
export const widenPipe = (fd: number, bytes: number): void => {
  const F_SETPIPE_SZ = 1031;
  c().fcntl(fd, F_SETPIPE_SZ, bytes);
};

/** Writes all of it. */
export function writeAt(fd: number, bytes: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < bytes.length; )
    done += check(
      c().pwrite(fd, done === 0 ? bytes : bytes.subarray(done), bytes.length - done, position + done),
      "write",
      path,
    );
}

export const ftruncate = (fd: number, size: number, path: string): void => {
  check(c().ftruncate(fd, size), "ftruncate", path);
};
export const fchown = (fd: number, uid: number, gid: number, path: string): void => {
  check(c().fchown(fd, uid, gid), "chown", path);
};
export const fchmod = (fd: number, mode: number, path: string): void => {
  check(c().fchmod(fd, mode), "chmod", path);
};

const NANO = 1_000_000_000n;

/** Modification time in `times`; the access time stays. */
function setTimes(mtime: bigint): BigInt64Array {
  let seconds = mtime / NANO;
  let nanos = mtime - seconds * NANO;
  if (nanos < 0n) {
    nanos += NANO;
    seconds--;
  }
  times[2] = seconds;
  times[3] = nanos;
  return times;
}

export const futimens = (fd: number, mtime: bigint, path: string): void => {
  check(c().futimens(fd, setTimes(mtime)), "utimensat", path);
};
/** Of a symlink itself, not of what it points to. */
export const lutimens = (path: string, mtime: bigint): void => {
  check(
    c().utimensat(AT_FDCWD, put(first, path, "utimensat"), setTimes(mtime), AT_SYMLINK_NOFOLLOW),
    "utimensat",
    path,
  );
};

const EMPTY = new Uint8Array(1);

export const fsetxattr = (fd: number, name: string, value: Uint8Array, path: string): void => {
  check(
    c().fsetxattr(fd, put(key, name, "setxattr"), value.length ? value : EMPTY, value.length, 0),
    "setxattr",
    path,
  );
};
export const lsetxattr = (path: string, name: string, value: Uint8Array): void => {
  check(
    c().lsetxattr(
      put(first, path, "setxattr"),
      put(key, name, "setxattr"),
      value.length ? value : EMPTY,
      value.length,
      0,
    ),
    "setxattr",
    path,
  );
};
/** undefined where there is none of that name. */
export function fgetxattr(fd: number, name: string): Uint8Array | undefined {
  const length = Number(c().fgetxattr(fd, put(key, name, "getxattr"), large, large.length));
  return length < 0 ? undefined : Uint8Array.prototype.slice.call(large, 0, length);
}
export function flistxattr(fd: number): readonly string[] {
  const length = Number(c().flistxattr(fd, large, large.length));
  return length <= 0 ? NO_KEYS : large.toString("utf8", 0, length).split("\0").filter(Boolean);
}
const NO_KEYS: readonly string[] = [];
const large = Buffer.alloc(65536);

export const mkdir = (path: string, mode: number): void => {
  check(c().mkdir(put(first, path, "mkdir"), mode), "mkdir", path);
};
export const unlink = (path: string): void => {
  check(c().unlink(put(first, path, "unlink")), "unlink", path);
};
export const symlink = (target: string, path: string): void => {
  check(c().symlink(put(first, target, "symlink"), put(second, path, "symlink")), "symlink", path);
};
export const link = (target: string, path: string): void => {
  check(c().link(put(first, target, "link"), put(second, path, "link")), "link", path);
};
export const mknod = (path: string, mode: number, major: number, minor: number): void => {
  check(c().mknod(put(first, path, "mknod"), mode, makedev(major, minor)), "mknod", path);
};
/** glibc's makedev: both numbers are cut in two. */
export const makedev = (major: number, minor: number): bigint =>
  (BigInt(major & 0xfff) << 8n) |
  (BigInt(major & ~0xfff) << 32n) |
  BigInt(minor & 0xff) |
  (BigInt(minor & ~0xff) << 12n);
export const lchown = (path: string, uid: number, gid: number): void => {
  check(c().lchown(put(first, path, "chown"), uid, gid), "chown", path);
};
/** Follows symlinks: for what is known to be none. */
export const chmod = (path: string, mode: number): void => {
  check(c().chmod(put(first, path, "chmod"), mode), "chmod", path);
};

export function readlinkat(dir: number, path: string): Uint8Array {
  const target = new Uint8Array(PATH_MAX);
  const length = check(
    c().readlinkat(dir, put(first, path, "readlink"), target, target.length),
    "readlink",
    path,
  );
  return target.slice(0, length);
}
export const readlink = (path: string): Uint8Array => readlinkat(AT_FDCWD, path);

// ---- one name in an open folder: no path, so nothing on the way can be exchanged meanwhile

export const mkdirat = (dir: number, name: string, mode: number): void => {
  check(c().mkdirat(dir, put(first, name, "mkdir"), mode), "mkdir", name);
};
export const symlinkat = (target: string, dir: number, name: string): void => {
  check(c().symlinkat(put(first, target, "symlink"), dir, put(second, name, "symlink")), "symlink", name);
};
/** Of a symlink a second name for the link itself. */
export const linkat = (fromDir: number, from: string, dir: number, name: string): void => {
  check(c().linkat(fromDir, put(first, from, "link"), dir, put(second, name, "link"), 0), "link", name);
};
export const mknodat = (dir: number, name: string, mode: number, major: number, minor: number): void => {
  check(c().mknodat(dir, put(first, name, "mknod"), mode, makedev(major, minor)), "mknod", name);
};
export const lchownat = (dir: number, name: string, uid: number, gid: number): void => {
  check(c().fchownat(dir, put(first, name, "chown"), uid, gid, AT_SYMLINK_NOFOLLOW), "chown", name);
};
/** `folder`: an empty folder instead of anything else. */
export const unlinkat = (dir: number, name: string, folder = false): void => {
  const AT_REMOVEDIR = 0x200;
  check(c().unlinkat(dir, put(first, name, "unlink"), folder ? AT_REMOVEDIR : 0), "unlink", name);
};
export const lutimensat = (dir: number, name: string, mtime: bigint): void => {
  const path = put(first, name, "utimensat");
  check(c().utimensat(dir, path, setTimes(mtime), AT_SYMLINK_NOFOLLOW), "utimensat", name);
};
/** chroot to an open folder. */
export const chrootTo = (dir: number, path: string): void => {
  check(c().fchdir(dir), "fchdir", path);
  chroot(".");
};

/** What statx(2) says, as it was when this was made. */
export class Status {
  /** With the file's type: S_IFMT. */
  readonly mode = (words[7] ?? 0) & 0xffff;
  readonly uid = words[5] ?? 0;
  readonly gid = words[6] ?? 0;
  readonly size = wide(10);
  /** Of 512 bytes each, that it takes of the disk. */
  readonly blocks = wide(12);
  /** Of the last change: seconds since 1970, negative before, and nanoseconds upon them. */
  readonly seconds = (words[28] ?? 0) + ((words[29] ?? 0) | 0) * 0x1_0000_0000;
  readonly nanos = words[30] ?? 0;
  readonly major = words[32] ?? 0;
  readonly minor = words[33] ?? 0;
  readonly nlink = words[4] ?? 0;
  /** What is the same for all names of one file: device and inode. Empty where there is but one name. */
  readonly identity = this.nlink > 1 ? `${words[34]}:${words[35]}:${words[8]}:${words[9]}` : "";
  /** The mount that it is in; 0 where the kernel does not say. */
  readonly mount = ((words[0] ?? 0) & STATX_MNT_ID) === 0 ? 0 : wide(36);

  /** The time of the last change in nanoseconds. */
  get mtime(): bigint {
    return BigInt(this.seconds) * NANO + BigInt(this.nanos);
  }
}

const STATX_MNT_ID = 0x1000;
const STATX_BASIC_AND_MNT_ID = 0x17ff;

/** 64 bits of what statx said, which stay below 2^53 here. */
const wide = (word: number): number => (words[word] ?? 0) + (words[word + 1] ?? 0) * 0x1_0000_0000;

/** Of the last component itself; undefined if there is nothing by that name. */
export function lstatat(dir: number, path: string): Status | undefined {
  const flags = AT_SYMLINK_NOFOLLOW | (path === "" ? AT_EMPTY_PATH : 0);
  if (c().statx(dir, put(first, path, "stat"), flags, STATX_BASIC_AND_MNT_ID, status) < 0) {
    const name = errno();
    if (name === "ENOENT" || name === "ENOTDIR") return undefined;
    throw new SysError("stat", name, path);
  }
  return new Status();
}
/** The kind of filesystem that an open file or folder is on: its magic number, statfs(2). */
export function filesystem(fd: number): number {
  check(c().fstatfs(fd, status), "statfs", `fd ${fd}`);
  return status.readUInt32LE(0);
}
export const lstat = (path: string): Status | undefined => lstatat(AT_FDCWD, path);

/** What overlayfs takes for "removed": a character device 0:0. Anybody may make one. */
export const isWhiteout = (status: Status): boolean =>
  (status.mode & S_IFMT) === S_IF.char && status.major === 0 && status.minor === 0;
