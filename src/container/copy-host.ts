/**
 * `cp` between this machine and a container, by Docker's rules: whether the target is there, is a folder or ends in a slash
 * decides where things go and what they are called, and a source that ends in `/.` means what is in it.
 */
import { existsSync, lstatSync, readlinkSync, realpathSync, type Stats, statSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { cleanPath } from "../common/paths.ts";
import { type PathStat, trees } from "../image/index.ts";
import type { Context } from "./context.ts";
import { type PutOptions, pathStat, putIn, type Taken, takeOut } from "./copy.ts";
import type { StoredContainer } from "./rows.ts";

export interface CopyOptions {
  /** A link that is the source itself stands for what it points to. */
  readonly followLinks?: boolean;
  /** Owners are kept. Otherwise what is made belongs to root in a container, to the caller on this machine. */
  readonly archive?: boolean;
  /** Told the bytes that have passed; in the end, and into a container all the time, those of an archive with all its headers. */
  readonly onBytes?: (total: number) => void;
}

/** A container, as far as copying needs it. */
interface Files {
  pathStat(path: string): Promise<PathStat>;
  takeOut(path: string): Promise<Taken>;
  putIn(folder: string, records: Iterable<Uint8Array>, options: PutOptions): Promise<void>;
}

/** Those of one container; that there is one is looked up when it is reached for. */
export const filesOf = (context: Context, reference: string): Files => {
  const container = (): StoredContainer => context.rows.find(reference);
  return {
    pathStat: (path) => pathStat(context, container(), path),
    takeOut: (path) => takeOut(context, container(), path),
    putIn: (folder, records, options) => putIn(context, container(), folder, records, options),
  };
};

/** Where something is to go: a folder that is there, and the name that it gets in it. */
interface Target {
  readonly folder: string;
  readonly name: string;
}

interface TargetPath {
  readonly path: string;
  /** undefined: nothing is there yet. */
  readonly isDir: boolean | undefined;
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const DEVICES: readonly number[] = [0o020000, 0o060000];

const asksForFolder = (path: string): boolean => /(?:^|\/)\.?$/.test(path);
const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

function place(
  source: { readonly name: string; readonly isDir: boolean },
  { path, isDir }: TargetPath,
): Target {
  if (isDir) return { folder: path, name: source.name };
  if (isDir === false && source.isDir) throw new SampanError("invalid", "cannot copy directory");
  if (asksForFolder(path) && !source.isDir) throw new SampanError("invalid", "no such directory");
  // What is in `x/.` needs an x that is there.
  const plain = path.replace(/\/$/, "");
  return { folder: parentOf(plain), name: plain.slice(plain.lastIndexOf("/") + 1) };
}

// ---- into a container

/** What lies on this machine at `source` goes to `target` in the container. */
export async function copyFromHost(
  files: Files,
  source: string,
  target: string,
  { followLinks = false, archive = false, onBytes }: CopyOptions = {},
): Promise<void> {
  const { packPath, baseName } = await trees();
  const path = absoluteOnHost(source);
  const from = hostSource(path, followLinks);
  const { folder, name } = place(
    { name: baseName(path), isDir: from.isDir },
    await containerTarget(files, target),
  );
  await files.putIn(folder, packPath(from.path, name, onBytes), { owner: archive ? "archive" : "root" });
}

/** Where an archive for this path would go; a link at its end leads on, inside the container. */
export async function containerTarget(files: Pick<Files, "pathStat">, target: string): Promise<TargetPath> {
  // What is relative is so to the root.
  let path = target === "" || target.startsWith("/") ? target : `/${target}`;
  let stat = await orMissing(files.pathStat(path));
  if (stat && (stat.mode & S_IFMT) === S_IFLNK) {
    path = stat.linkTarget;
    stat = await orMissing(files.pathStat(path));
  }
  if (stat && DEVICES.includes(stat.mode & S_IFMT)) throw gotDevice(`destination "${target}"`);
  return { path, isDir: stat && (stat.mode & S_IFMT) === S_IFDIR };
}

const gotDevice = (what: string): SampanError =>
  new SampanError("invalid", `${what} must be a directory or a regular file: got a device`);

async function orMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    // `x/` and `x/y` of a file are not there either.
    if (error instanceof SampanError && (error.code === "not-found" || error.kernel?.errno === "ENOTDIR"))
      if (!error.message.startsWith("No such container")) return undefined;
    throw error;
  }
}

/** What is to be copied, the links on its way followed; with a slash or `/.` behind it, it must be a folder. */
function hostSource(path: string, followLinks: boolean): { path: string; isDir: boolean } {
  const whole = followLinks || asksForFolder(path);
  const slash = path.lastIndexOf("/");
  try {
    const parent = whole ? "" : realpathSync(path.slice(0, slash) || "/");
    const real = whole ? realpathSync(path) : `${parent === "/" ? "" : parent}/${path.slice(slash + 1)}`;
    const isDir = lstatSync(real).isDirectory();
    if (asksForFolder(path) && !isDir) throw Object.assign(new Error("not a directory"), { code: "ENOTDIR" });
    return { path: real, isDir };
  } catch (cause) {
    throw hostError(path, cause);
  }
}

// ---- out of a container

/** What stands at `source` in the container goes to `target` on this machine. */
export async function copyToHost(
  files: Files,
  source: string,
  target: string,
  { followLinks = false, archive: keepOwners = false, onBytes }: CopyOptions = {},
): Promise<void> {
  const to = absoluteOnHost(target);
  assertOutput(to);
  const { absolute, baseName, putInto } = await trees();
  let path = source;
  if (followLinks) {
    const stat = await orMissing(files.pathStat(source));
    if (stat && (stat.mode & S_IFMT) === S_IFLNK) path = stat.linkTarget;
  }
  const { stat, records, close } = await files.takeOut(path);
  try {
    const name = baseName(absolute(source));
    const goes = place({ name, isDir: (stat.mode & S_IFMT) === S_IFDIR }, hostTarget(to));
    const caller = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    const owner = keepOwners ? "archive" : caller;
    await putInto({ folder: goes.folder, owner }, records(goes.name, onBytes));
  } finally {
    close();
  }
}

/** Said before anything is asked of the container. */
export function assertOutput(path: string): void {
  const folder = parentOf(cleanPath(path));
  if (!existsSync(folder))
    throw new SampanError(
      "invalid",
      `invalid output path: directory ${JSON.stringify(folder)} does not exist`,
    );
  let status: Stats | undefined;
  try {
    status = statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw hostError(path, cause);
  }
  if (status && DEVICES.includes(status.mode & S_IFMT))
    throw gotDevice(`invalid output path: ${JSON.stringify(path)}`);
}

const MAX_LINKS = 10;

/** Where links lead in the end; what is not there yet needs a folder that it can be made in. */
function hostTarget(path: string): TargetPath {
  let at = path;
  try {
    let status = lstatSync(at, { throwIfNoEntry: false });
    for (let links = 0; status?.isSymbolicLink(); links++) {
      if (links > MAX_LINKS) throw new SampanError("invalid", `too many symlinks in ${path}`);
      const link = readlinkSync(at);
      at = link.startsWith("/") ? link : `${parentOf(at)}/${link}`;
      status = lstatSync(at, { throwIfNoEntry: false });
    }
    if (status) return { path: at, isDir: status.isDirectory() };
    if (!statSync(parentOf(at.replace(/\/$/, ""))).isDirectory())
      throw new SampanError("invalid", "not a directory");
    return { path: at, isDir: undefined };
  } catch (error) {
    throw error instanceof SampanError ? error : hostError(at, error);
  }
}

// ---- on this machine

/** From the working folder; without `.` and `..`, but a slash or `/.` at its end stays. */
function absoluteOnHost(path: string): string {
  const clean = cleanPath(path.startsWith("/") ? path : `${process.cwd()}/${path}`);
  if (clean === "/") return clean;
  return /(?:^|\/)\.$/.test(path) ? `${clean}/.` : path.endsWith("/") ? `${clean}/` : clean;
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  EACCES: "permission denied",
  ELOOP: "too many levels of symbolic links",
  ENAMETOOLONG: "file name too long",
};

function hostError(path: string, cause: unknown): SampanError {
  const errno = String((cause as { code?: unknown }).code ?? "EIO");
  return new SampanError("invalid", `lstat ${path}: ${WORDS[errno] ?? errno}`, {
    kernel: { syscall: "lstat", errno, path },
    cause,
  });
}
