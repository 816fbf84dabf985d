/**
 * The process that unpacks one layer: this program started again, as `sampan unpack JOB`. It opens what it needs, locks
 * itself into the layer's folder with chroot, and only then looks at the archive, which comes on fd 0. It answers with
 * one line of JSON on fd 1. Without root there is no chroot; LayerFolder's own care is then the only wall.
 */
import { fstatSync } from "node:fs";
import { diskError, SampanError } from "../../common/error.ts";
import { detect, type InflateLimits, MAGIC_LENGTH, openCompressed } from "../compression.ts";
import { growing, pieces } from "../pieces.ts";
import { chroot, load, SysError } from "../sys.ts";
import { TarError } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import { TarReader } from "../tar/reader.ts";
import { LayerFolder } from "./layer.ts";
import { Lower } from "./lower.ts";
import { busy } from "./start.ts";

export interface UnpackJob {
  /** Where to: an empty folder. */
  readonly folder: string;
  /** Unpacked layers beneath, top-most first. */
  readonly lower: readonly string[];
  /** Part of the file on fd 0; the whole stream without it. */
  readonly range?: { readonly start: number; readonly length: number };
  /** The file is still being written and will have this size. */
  readonly size?: number;
  /** The process that writes it; whoever starts the child fills it in. */
  readonly parent?: number;
  /** sha256:… of the input, which the caller sees to: of an uncompressed archive that is its diffID. Empty: the caller will know. */
  readonly digest?: string;
  readonly limits?: Partial<UnpackLimits>;
}

/** An archive bomb is stopped by the first of these that it meets. */
export interface UnpackLimits extends InflateLimits {
  /** Members of the archive. */
  readonly entries: number;
}

export type UnpackAnswer =
  | {
      readonly ok: true;
      /** sha256:… of the uncompressed archive. */
      readonly diffId: string;
      /** Bytes of its files. */
      readonly size: number;
      readonly entries: number;
    }
  | {
      readonly ok: false;
      readonly message: string;
      readonly hint?: string;
      readonly kernel?: { readonly syscall: string; readonly errno: string; readonly path: string };
    };

/** Answers on fd 1; the exit code is 0 whatever the answer is. */
export async function main(args: readonly string[]): Promise<number> {
  busy();
  const answer = await unpack(JSON.parse(args[0] ?? "") as UnpackJob).catch(refusal);
  await Bun.write(Bun.stdout, `${JSON.stringify(answer)}\n`);
  return 0;
}

async function unpack(job: UnpackJob): Promise<UnpackAnswer> {
  const privileged = process.getuid?.() === 0;
  load();
  process.umask(0);
  const lower = new Lower(job.lower, !privileged);
  const content = await openContent(job);
  if (privileged) chroot(job.folder);
  const folder = new LayerFolder({
    root: privileged ? "" : job.folder,
    lower,
    userxattr: !privileged,
    privileged,
  });
  const reader = new TarReader(folder, job.limits);
  for await (const piece of content.pieces) reader.push(piece);
  reader.finish();
  folder.finish();
  return { ok: true, diffId: content.digest(), size: folder.size, entries: reader.entries };
}

/** The uncompressed archive, and what it has for its digest once all of it was taken. */
interface Content {
  readonly pieces: AsyncIterable<Uint8Array>;
  readonly digest: () => string;
}

/** Compressed bytes from which on threads pay, which take milliseconds to start. */
const LARGE = 4 << 20;

async function openContent(job: UnpackJob): Promise<Content> {
  const { range, size, parent = 0, limits } = job;
  const memory = { reused: false };
  const input = size === undefined ? pieces(0, range, memory) : growing(0, size, parent, memory);
  const head = firstOf(input);
  const compression = detect(head);
  const length = size ?? range?.length ?? fstatSync(0).size;
  if ((compression === "gzip" || compression === "zstd") && length >= LARGE) {
    const inflated = await (await import("./threads.ts")).Inflated.start();
    return {
      pieces: inflated.pieces({ compression, limits, head, range, size, parent }),
      digest: () => inflated.digest,
    };
  }
  const opened = await openCompressed(joined(head, input), limits);
  if (compression === "none" && job.digest !== undefined) {
    const digest = job.digest;
    memory.reused = true;
    return { pieces: opened.pieces, digest: () => digest };
  }
  const hash = new Bun.CryptoHasher("sha256");
  return { pieces: hashed(opened.pieces, hash), digest: () => `sha256:${hash.digest("hex")}` };
}

/** As much of the beginning as tells how it is compressed, if there is so much. */
function firstOf(input: Generator<Uint8Array>): Uint8Array {
  let head: Uint8Array = new Uint8Array();
  while (head.length < MAGIC_LENGTH) {
    const { value, done } = input.next();
    if (done) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  return head;
}

function* joined(head: Uint8Array, rest: Iterable<Uint8Array>): Generator<Uint8Array> {
  if (head.length > 0) yield head;
  yield* rest;
}

async function* hashed(
  pieces: AsyncIterable<Uint8Array>,
  hash: Bun.CryptoHasher,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    hash.update(piece);
    yield piece;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENAMETOOLONG: "the file name is too long for this filesystem",
  EFBIG: "the file is too large for this filesystem",
  EPERM: "the operation is not permitted",
  EACCES: "permission denied",
};

function refusal(error: unknown): UnpackAnswer {
  if (error instanceof TarError) return { ok: false, message: error.message };
  if (error instanceof SampanError)
    return { ok: false, message: error.message, ...(error.hint !== undefined && { hint: error.hint }) };
  if (error instanceof SysError) {
    const { syscall, errno, path } = error;
    const name = quote(path.replace(/^\//, ""));
    const full = diskError({ code: errno }, name);
    if (full instanceof SampanError) return refusal(full);
    const message = `${name}: ${REASONS[errno] ?? `${syscall} says ${errno}`}`;
    return { ok: false, message, kernel: { syscall, errno, path } };
  }
  return { ok: false, message: error instanceof Error ? error.message : String(error) };
}

if (import.meta.main && !import.meta.path.startsWith("/$bunfs/")) process.exit(await main(Bun.argv.slice(2)));
