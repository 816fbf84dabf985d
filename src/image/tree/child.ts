/**
 * The process that reaches into a container's files: this program started again, as `sampan tree JOB`. It opens the tree,
 * locks itself into it with chroot, and only then looks up what it was asked for, always beneath that open root; it loads
 * and executes nothing from there. Archives go by fds 0 and 1, the answer is one line of JSON on fd 2; what a path is
 * comes there first, before the archive of it.
 */
import { readFileSync, writeSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import { parseStat } from "../../kernel/proc.ts";
import { openCompressed } from "../compression.ts";
import { pieces } from "../pieces.ts";
import * as sys from "../sys.ts";
import { O, SysError } from "../sys.ts";
import { TarError } from "../tar/entry.ts";
import { TarReader } from "../tar/reader.ts";
import { busy } from "../unpack/start.ts";
import { type Change, changesOf, type Upper } from "./changes.ts";
import { isDir, isFile, openPath, Plain } from "./folder.ts";
import { Archive, type Form } from "./form.ts";
import type { TreeAnswer, TreeJob, TreeRoot } from "./job.ts";
import { Making } from "./making.ts";
import { isKernels, packed } from "./pack.ts";
import { packHost } from "./pack-host.ts";
import { absolute, baseName, describe, find, folderIn, type PathStat, statPath } from "./place.ts";
import { TreeFolder } from "./put.ts";
import { REASONS } from "./reasons.ts";
import { Records } from "./records.ts";

const PIPE = 1 << 20;

/** The exit code is 0 whatever the answer is. */
export async function main(args: readonly string[]): Promise<number> {
  const job = JSON.parse(args[0] ?? "") as TreeJob;
  busy();
  sys.load();
  process.umask(0);
  const answer = await work(job, args[1] ?? "").catch((error: unknown) => refusal(error, job));
  send(2, `${JSON.stringify(answer)}\n`);
  return 0;
}

/** `launcher`: its path. */
async function work(job: TreeJob, launcher: string): Promise<TreeAnswer> {
  if (job.do === "changes") return changes(job.uppers);
  sys.widenPipe(job.do === "put" ? 0 : 1, PIPE);
  if (job.do === "layer" || job.do === "merged") return archive(packHost(job));
  const root = openRoot(job.root);
  const path = absolute(job.path);
  // Outside the launcher has a name.
  const making = job.do === "put" ? makingFor(job, launcher, root, path) : undefined;
  enter(root, job.root);
  if (job.do === "put" && making) return put(root, path, making, job);
  if (job.do === "take") return take(root, path);
  return job.do === "pack" ? pack(root, path, job.as) : { ok: true, stat: statPath(root, path) };
}

const openRoot = (root: TreeRoot): number =>
  "path" in root ? openPath(root.path) : rootOfProcess(root.pid, root.start);

/** After this the host's files have no names. */
const enter = (fd: number, root: TreeRoot): void =>
  sys.chrootTo(fd, "path" in root ? root.path : `/proc/${root.pid}/root`);

class Gone extends Error {}

function rootOfProcess(pid: number, start: string): number {
  const gone = new Gone("the container has just ended");
  let folder: number;
  try {
    folder = openPath(`/proc/${pid}`);
  } catch {
    throw gone;
  }
  try {
    const root = sys.openat(folder, "root", O.rdonly | O.directory);
    // Read by the same fd, and after the root was opened: if it is right, the root was that process's.
    const stat = parseStat(readFileSync(`/proc/self/fd/${folder}/stat`, "utf8"));
    if (String(stat.start) !== start) throw gone;
    return root;
  } catch (error) {
    if (error instanceof SysError && error.errno !== "ENOENT" && error.errno !== "ESRCH") throw error;
    throw gone;
  } finally {
    sys.close(folder);
  }
}

function changes(uppers: readonly Upper[]): TreeAnswer {
  let lines = "";
  const say = (change: Change): void => {
    lines += `${JSON.stringify(change)}\n`;
    if (lines.length < PIPE) return;
    send(1, lines);
    lines = "";
  };
  for (const upper of uppers) for (const change of changesOf(upper)) say(change);
  send(1, lines);
  return { ok: true };
}

function archive(pieces: Iterable<Uint8Array>): TreeAnswer {
  for (const piece of pieces) send(1, piece);
  return { ok: true };
}

function pack(root: number, path: string, name = baseName(path)): TreeAnswer {
  const found = findToPack(root, path);
  send(2, `${JSON.stringify({ ok: true, stat: found.stat })}\n`);
  return archive(found.packed(new Archive({ reuse: true }), name));
}

function take(root: number, path: string): TreeAnswer {
  const found = findToPack(root, path);
  send(2, `${JSON.stringify({ ok: true, stat: found.stat })}\n`);
  const name = readFileSync(0, "utf8");
  // Who asked does not want it.
  if (name === "") return { ok: true };
  const form = new Records();
  archive(found.packed(form, JSON.parse(name) as string));
  return { ok: true, archived: form.archived };
}

/** What stands at the path, and how it is packed. */
function findToPack(
  root: number,
  path: string,
): { stat: PathStat; packed: (form: Form, name: string) => Iterable<Uint8Array> } {
  const { dir, base, status } = find(root, path);
  const stat = describe(root, path, status);
  if (isDir(status)) {
    const folder = new Plain(sys.openat(dir, base, O.rdonly | O.directory | O.nofollow));
    if (isKernels(folder.fd)) throw notAFile(path);
    return { stat, packed: (form, name) => packed({ form }, (packer) => packer.folder(folder, name)) };
  }
  if (isFile(status)) {
    const fd = sys.openat(dir, base, O.path | O.nofollow);
    if (isKernels(fd)) throw notAFile(path);
    sys.close(fd);
  }
  return {
    stat,
    packed: (form, name) => packed({ form }, (packer) => packer.file({ dir, status }, base, name)),
  };
}

const notAFile = (path: string): SampanError =>
  new SampanError("invalid", `${path} is made up by the kernel when it is read and cannot be copied`, {
    hint: `Read it in the container: sampan exec CONTAINER cat ${path}`,
  });

const makingFor = (
  { owner }: TreeJob & { do: "put" },
  launcher: string,
  root: number,
  path: string,
): Making => new Making({ launcher, root, at: path, shown: path, links: "inside", owner });

async function put(
  root: number,
  path: string,
  making: Making,
  { records = false, whole = false }: TreeJob & { do: "put" },
): Promise<TreeAnswer> {
  try {
    sys.close(folderIn(root, path));
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== "ENOTDIR") throw error;
    throw new SampanError("invalid", "extraction point is not a directory");
  }
  send(2, `${JSON.stringify({ ok: true })}\n`);
  try {
    if (records) for (const piece of pieces(0, undefined, { reused: true })) making.write(piece);
    else await read(new TreeFolder(making, { whole }));
    await making.finish();
  } catch (error) {
    throw await making.reason(error);
  }
  return { ok: true };
}

/** The archive on fd 0, compressed or not. */
async function read(folder: TreeFolder): Promise<void> {
  const reader = new TarReader(folder);
  const memory = { reused: false };
  const input = pieces(0, undefined, memory);
  const archive = await openCompressed(input, { free: Number.POSITIVE_INFINITY });
  memory.reused = archive.compression === "none";
  for await (const piece of archive.pieces) reader.push(piece);
  reader.finish();
  folder.finish();
}

/** All of it, however slow the reader is. One that has gone wants no more. */
function send(fd: number, data: string | Uint8Array): void {
  let rest = typeof data === "string" ? new TextEncoder().encode(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === "EPIPE") process.exit(0);
      if (code !== "EAGAIN") throw error;
      Bun.sleepSync(1);
    }
  }
}

function refusal(error: unknown, job: TreeJob): TreeAnswer {
  if (error instanceof Gone) return { ok: false, message: error.message, gone: true };
  if (error instanceof TarError) return { ok: false, message: error.message };
  if (error instanceof SampanError) {
    const { message, code, hint, kernel } = error;
    return { ok: false, message, code, ...(hint !== undefined && { hint }), ...(kernel && { kernel }) };
  }
  if (!(error instanceof SysError))
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  const { syscall, errno, path } = error;
  const asked = "path" in job && (absolute(job.path) === path || absolute(job.path).startsWith(`${path}/`));
  return {
    ok: false,
    message: `${syscall} ${path}: ${REASONS[errno] ?? errno}`,
    code:
      errno === "ENOSPC" || errno === "EDQUOT" ? "unavailable" : errno === "EROFS" ? "refused" : "invalid",
    kernel: { syscall, errno, path },
    ...(asked && errno === "ENOENT" && { missing: true as const }),
  };
}

if (import.meta.main && !import.meta.path.startsWith("/$bunfs/")) process.exit(await main(Bun.argv.slice(2)));
