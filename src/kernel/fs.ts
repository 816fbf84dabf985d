/**
 * Files, by libc, with node:fs's names, arguments and errors: of it just what commands use that are waited for. Loading node:fs costs
 * a command 1.5 ms, more than all the files that it touches; this costs nothing beside the libc that is opened anyway.
 * What nobody waits for takes node:fs itself.
 *
 * Text is read as UTF-8, or as Latin-1, one character a byte. Every fd is close-on-exec. A call that a signal
 * interrupts is made again.
 */
import { type Pointer, ptr } from "bun:ffi";
import type { Dirent } from "node:fs";
import { errnoName, errnoText } from "./errno.ts";
import { errno, libc } from "./libc.ts";

const EINTR = 4;
const ENOENT = 2;
const EAGAIN = 11;
const EEXIST = 17;
const ENOTDIR = 20;
const EISDIR = 21;
const ERANGE = 34;
const ENODATA = 61;
const EOPNOTSUPP = 95;

const O_WRONLY = 0o1;
const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_CLOEXEC = 0o2000000;
/** O_DIRECTORY and O_NOFOLLOW have other values on aarch64. */
const ARM = process.arch === "arm64";
const O_DIRECTORY = ARM ? 0o40000 : 0o200000;

export const constants = {
  O_DIRECTORY,
  O_NOCTTY: 0o400,
  O_RDONLY: 0,
  O_NONBLOCK: 0o4000,
  O_NOFOLLOW: ARM ? 0o100000 : 0o400000,
  R_OK: 4,
  W_OK: 2,
  X_OK: 1,
} as const;

const FLAGS: Readonly<Record<string, number>> = {
  r: 0,
  "r+": O_RDWR,
  w: O_WRONLY | O_CREAT | O_TRUNC,
  "wx+": O_RDWR | O_CREAT | O_EXCL | O_TRUNC,
  a: O_WRONLY | O_CREAT | O_APPEND,
};

/** A failed call, as node:fs throws it. */
export class FileError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path?: string;

  constructor(number: number, syscall: string, path?: string) {
    const code = errnoName(number);
    super(`${code}: ${errnoText(number)}, ${syscall}${path === undefined ? "" : ` '${path}'`}`);
    this.code = code;
    this.errno = -number;
    this.syscall = syscall;
    if (path !== undefined) this.path = path;
  }
}

const encoder = new TextEncoder();
/** A mark of the byte order is the file's, as with node:fs. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Memory that is never given back: its addresses are asked for once. A path and the NUL behind it (one that is longer gets
 * a place of its own); what statx(2), readlink(2) and realpath(3) write, at most PATH_MAX; and what is read.
 */
const place = new Uint8Array(1024);
const placeAt = ptr(place);
const room = new ArrayBuffer(4096);
const answer = new Uint8Array(room);
const answerAt = ptr(answer);
const view = new DataView(room);
const common = new Uint8Array(8192);
const commonAt = ptr(common);

/** What a call reads must not be collected before it is made: an address keeps nothing. */
const kept = [place, place];

/** The path where one call finds it: in a place of its own, or in the common one until the next call. */
function at(path: string, own = false): Pointer {
  if (path.includes("\0")) throw new TypeError("a path must not hold a NUL byte");
  if (own || path.length * 3 >= place.length) {
    const bytes = encoder.encode(`${path}\0`);
    kept[own ? 1 : 0] = bytes;
    return ptr(bytes);
  }
  const { written } = encoder.encodeInto(path, place);
  place[written] = 0;
  return placeAt;
}

/** The result of a call, or its error thrown. */
function check(result: number, syscall: string, path?: string): number {
  if (result < 0) throw new FileError(errno(), syscall, path);
  return result;
}

export const existsSync = (path: string): boolean => libc().access(at(path), 0) === 0;

/** openat2(2) has one number on every architecture. */
const SYS_OPENAT2 = 437;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;

/**
 * Opens `path` for reading as if the folder behind the fd `root` were `/`: links in it, also absolute ones and `..`, never
 * lead out. node:fs has nothing of the kind.
 */
export function openInRoot(root: number, path: string, flags: number): number {
  const how = BigUint64Array.of(
    BigInt(flags | O_CLOEXEC),
    0n,
    BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS),
  );
  for (let tries = 0; ; tries++) {
    const fd = Number(libc().syscall(SYS_OPENAT2, root, at(path), ptr(how), how.byteLength));
    if (fd >= 0) return fd;
    // EAGAIN: something was renamed meanwhile, so the kernel could not be sure.
    const number = errno();
    if ((number !== EAGAIN && number !== EINTR) || tries > 100) throw new FileError(number, "openat2", path);
  }
}

export function accessSync(path: string, mode: number): void {
  check(libc().access(at(path), mode), "access", path);
}

export function openSync(path: string, flags: string | number = "r", mode = 0o666): number {
  const bits = typeof flags === "number" ? flags : FLAGS[flags];
  if (bits === undefined) throw new TypeError(`unknown flags: ${flags}`);
  for (;;) {
    const fd = libc().open(at(path), bits | O_CLOEXEC, mode);
    if (fd >= 0) return fd;
    const number = errno();
    if (number !== EINTR) throw new FileError(number, "open", path);
  }
}

/** Never made again: the fd is free afterwards, whatever the kernel says. */
export function closeSync(fd: number): void {
  check(libc().close(fd), "close");
}

/** Bytes read: at `position`, or where the fd stands. */
export function readSync(
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number | null = null,
): number {
  if (length === 0) return 0;
  const to = ptr(buffer, offset);
  for (;;) {
    const count = position === null ? libc().read(fd, to, length) : libc().pread(fd, to, length, position);
    if (count >= 0) return count;
    const number = errno();
    if (number !== EINTR) throw new FileError(number, "read");
  }
}

/** Bytes written, which may be fewer. */
export function writeSync(fd: number, data: Uint8Array | string): number {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  if (bytes.length === 0) return 0;
  for (;;) {
    const count = libc().write(fd, ptr(bytes), bytes.length);
    if (count >= 0) return count;
    const number = errno();
    if (number !== EINTR) throw new FileError(number, "write");
  }
}

/** The bytes of a file; nearly every file here fits into the common place, where the next one is read to. */
function readAll(path: string): Uint8Array {
  const fd = openSync(path);
  try {
    let bytes = common;
    let length = 0;
    for (;;) {
      const to = bytes === common ? ((commonAt + length) as Pointer) : ptr(bytes, length);
      const count = libc().read(fd, to, bytes.length - length);
      if (count === 0) return bytes.subarray(0, length);
      if (count < 0) {
        const number = errno();
        if (number !== EINTR) throw new FileError(number, "read");
        continue;
      }
      length += count;
      if (length < bytes.length) continue;
      const more = new Uint8Array(4 * bytes.length);
      more.set(bytes);
      bytes = more;
    }
  } finally {
    closeSync(fd);
  }
}

/** The whole file. */
export function readFileSync(path: string): Uint8Array;
export function readFileSync(path: string, encoding: "utf8" | "latin1"): string;
export function readFileSync(path: string, encoding?: "utf8" | "latin1"): string | Uint8Array {
  const bytes = readAll(path);
  if (encoding === undefined) return bytes.slice();
  return encoding === "utf8" ? decoder.decode(bytes) : latin1(bytes);
}

/** `TextDecoder` means Windows-1252 by this name. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  // No call takes arguments without end.
  for (let from = 0; from < bytes.length; from += 8192)
    text += String.fromCharCode.apply(null, bytes.subarray(from, from + 8192) as unknown as number[]);
  return text;
}

/** Writes a file anew. */
export function writeFileSync(
  path: string,
  data: Uint8Array | string,
  { mode = 0o666 }: { readonly mode?: number } = {},
): void {
  const fd = openSync(path, "w", mode);
  try {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    let done = writeSync(fd, bytes);
    while (done < bytes.length) done += writeSync(fd, bytes.subarray(done));
  } finally {
    closeSync(fd);
  }
}

const S_IFMT = 0o170000;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;

/** A number of 64 bits, as far as it is exact. */
const long = (offset: number): number =>
  view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true);

/** As makedev(3) makes them. */
const device = (major: number, minor: number): number =>
  (major >>> 12) * 2 ** 44 + (minor >>> 8) * 2 ** 20 + (major & 0xfff) * 2 ** 8 + (minor & 0xff);

/** What statx(2) has written, in fields of the same layout everywhere. */
export class Stats {
  readonly nlink = view.getUint32(16, true);
  readonly uid = view.getUint32(20, true);
  readonly gid = view.getUint32(24, true);
  readonly mode = view.getUint16(28, true);
  readonly ino = long(32);
  readonly size = long(40);
  readonly rdev = device(view.getUint32(128, true), view.getUint32(132, true));
  readonly dev = device(view.getUint32(136, true), view.getUint32(140, true));

  isFile(): boolean {
    return (this.mode & S_IFMT) === 0o100000;
  }
  isDirectory(): boolean {
    return (this.mode & S_IFMT) === 0o040000;
  }
  isSymbolicLink(): boolean {
    return (this.mode & S_IFMT) === 0o120000;
  }
  isCharacterDevice(): boolean {
    return (this.mode & S_IFMT) === 0o020000;
  }
  isBlockDevice(): boolean {
    return (this.mode & S_IFMT) === 0o060000;
  }
}

interface MayMiss {
  readonly throwIfNoEntry: false;
}

function stat(name: string, path: string, flags: number, missing: boolean): Stats | undefined {
  if (libc().statx(AT_FDCWD, at(path), flags, STATX_BASIC_STATS, answerAt) === 0) return new Stats();
  const number = errno();
  if (missing && number === ENOENT) return undefined;
  throw new FileError(number, name, path);
}

export function statSync(path: string): Stats;
export function statSync(path: string, options: MayMiss): Stats | undefined;
export function statSync(path: string, options?: MayMiss): Stats | undefined {
  return stat("stat", path, 0, options !== undefined);
}

/** Of the link, if it is one. */
export function lstatSync(path: string, options?: MayMiss): Stats | undefined {
  return stat("lstat", path, AT_SYMLINK_NOFOLLOW, options !== undefined);
}

export function fstatSync(fd: number): Stats {
  check(libc().statx(fd, at(""), AT_EMPTY_PATH, STATX_BASIC_STATS, answerAt), "fstat");
  return new Stats();
}

/** The type of the filesystem that a path is on: f_type of statfs(2). */
export function filesystemType(path: string): number {
  check(libc().statfs(at(path), answerAt), "statfs", path);
  return view.getUint32(0, true);
}

export function mkdirSync(
  path: string,
  options: number | { readonly mode?: number; readonly recursive?: boolean } = {},
): void {
  const { mode = 0o777, recursive = false } = typeof options === "number" ? { mode: options } : options;
  if (libc().mkdir(at(path), mode) === 0) return;
  const number = errno();
  if (recursive && number === EEXIST && statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (!recursive || number !== ENOENT || parent === "") throw new FileError(number, "mkdir", path);
  mkdirSync(parent, { mode, recursive });
  // Not from the beginning again: /proc says of every new folder that it is not there.
  if (libc().mkdir(at(path), mode) === 0) return;
  const last = errno();
  if (last !== EEXIST || !statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new FileError(last, "mkdir", path);
}

export function rmdirSync(path: string): void {
  check(libc().rmdir(at(path)), "rmdir", path);
}

export function unlinkSync(path: string): void {
  check(libc().unlink(at(path)), "unlink", path);
}

/** With `force` what is not there is no error; a folder is removed with all that is in it, if that is asked for. */
export function rmSync(
  path: string,
  options: { readonly recursive?: boolean; readonly force?: boolean } = {},
): void {
  if (libc().unlink(at(path)) === 0) return;
  const number = errno();
  if (number === EISDIR && options.recursive) process.getBuiltinModule("node:fs").rmSync(path, options);
  else if (!options.force || (number !== ENOENT && number !== ENOTDIR))
    throw new FileError(number, "rm", path);
}

export function renameSync(from: string, to: string): void {
  check(libc().rename(at(from), at(to, true)), "rename", from);
}

export function chmodSync(path: string, mode: number): void {
  check(libc().chmod(at(path), mode), "chmod", path);
}

export function readlinkSync(path: string): string {
  return decoder.decode(
    answer.subarray(0, check(libc().readlink(at(path), answerAt, answer.length), "readlink", path)),
  );
}

/** The path without links in it. */
export function realpathSync(path: string): string {
  if (libc().realpath(at(path), answerAt) === null) throw new FileError(errno(), "realpath", path);
  return decoder.decode(answer.subarray(0, answer.indexOf(0)));
}

/** An extended attribute, of the link itself if it is one; undefined: there is none, or the filesystem has no such thing. */
export function getXattr(path: string, name: string): Uint8Array | undefined {
  if (name.includes("\0")) throw new TypeError("a name must not hold a NUL byte");
  const key = encoder.encode(`${name}\0`);
  for (let size = 256; ; size *= 4) {
    const value = new Uint8Array(size);
    const length = libc().lgetxattr(at(path), ptr(key), ptr(value), size);
    if (length >= 0) return value.subarray(0, length);
    const number = errno();
    if (number === ENODATA || number === EOPNOTSUPP) return undefined;
    if (number !== ERANGE || size > 65_536) throw new FileError(number, "lgetxattr", path);
  }
}

/** Of struct linux_dirent64: its length, what it is, and where its name begins. */
const D_RECLEN = 16;
const D_TYPE = 18;
const D_NAME = 19;

/** What an entry of a folder is, as DT_*; 0: the filesystem does not say. */
export const ENTRY = { unknown: 0, character: 2, directory: 4 } as const;

/** Calls `each` with every entry of a folder, in the order in which it has them: where its name begins in `bytes`, and its type. */
export function eachEntry(path: string, each: (bytes: Uint8Array, at: number, type: number) => void): void {
  const fd = openFolder(path);
  try {
    const bytes = new Uint8Array(32_768);
    for (;;) {
      const length = check(libc().getdents64(fd, ptr(bytes), bytes.length), "scandir", path);
      if (length === 0) return;
      for (let from = 0; from < length; ) {
        each(bytes, from + D_NAME, bytes[from + D_TYPE] ?? ENTRY.unknown);
        from += (bytes[from + D_RECLEN] ?? 0) + 256 * (bytes[from + D_RECLEN + 1] ?? 0);
      }
    }
  } finally {
    closeSync(fd);
  }
}

const isDots = (name: string): boolean => name === "." || name === "..";
const nameAt = (bytes: Uint8Array, at: number): string =>
  decoder.decode(bytes.subarray(at, bytes.indexOf(0, at)));

/** The names in a folder. */
export function readdirSync(path: string): string[];
/** With what each is. */
export function readdirSync(path: string, options: { readonly withFileTypes: true }): Dirent[];
export function readdirSync(path: string, options?: { readonly withFileTypes: true }): string[] | Dirent[] {
  if (options) return process.getBuiltinModule("node:fs").readdirSync(path, options);
  const names: string[] = [];
  eachEntry(path, (bytes, at) => {
    const name = nameAt(bytes, at);
    if (!isDots(name)) names.push(name);
  });
  return names;
}

/** The names in a folder with what each is, one of ENTRY or another DT_*. */
export function readTypes(path: string): (readonly [name: string, type: number])[] {
  const entries: (readonly [string, number])[] = [];
  eachEntry(path, (bytes, at, type) => {
    const name = nameAt(bytes, at);
    if (!isDots(name)) entries.push([name, type]);
  });
  return entries;
}

/** Names of a folder that are numbers, such as the processes in /proc: no string is made of any. */
export function readNumbers(path: string): number[] {
  const numbers: number[] = [];
  eachEntry(path, (bytes, at) => {
    let number = 0;
    let digit = bytes[at] ?? 0;
    for (let next = at + 1; digit >= 48 && digit <= 57; digit = bytes[next++] ?? 0)
      number = number * 10 + digit - 48;
    if (digit === 0) numbers.push(number);
  });
  return numbers;
}

function openFolder(path: string): number {
  try {
    return openSync(path, O_DIRECTORY);
  } catch (error) {
    throw error instanceof FileError ? new FileError(-error.errno, "scandir", path) : error;
  }
}
