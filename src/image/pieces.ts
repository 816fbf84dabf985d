/** A file's bytes in pieces of 1 MiB: large enough that a piece's own costs vanish, small enough for many at once. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { fileReason, SampanError } from "../common/error.ts";

const PIECE = 1 << 20;

/** Opens a file that the user has named, for reading. */
export function openFile(path: string): number {
  const refuse = (syscall: string, error: unknown): SampanError =>
    new SampanError("invalid", `${syscall} ${path}: ${fileReason(error)}`, {
      kernel: { syscall, errno: (error as { code?: string }).code ?? "EIO", path },
    });
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw refuse("open", error);
  }
  if (!fstatSync(fd).isDirectory()) return fd;
  closeSync(fd);
  throw refuse("read", { code: "EISDIR" });
}

/** How the pieces' memory is used: `reused` may be set when it is known that nobody looks at a piece after taking the next. */
export interface PieceMemory {
  reused: boolean;
}

/** From the current position to the end; or a part of the file, whatever the position is. */
export function* pieces(
  fd: number,
  range?: { readonly start: number; readonly length: number },
  memory: PieceMemory = { reused: false },
): Generator<Uint8Array> {
  const length = range?.length ?? Number.POSITIVE_INFINITY;
  let buffer: Buffer | undefined;
  for (let done = 0; done < length; ) {
    const most = Math.min(PIECE, length - done);
    // A decompressor may still look at the last one; and what is new the kernel has to clear.
    if (!buffer || !memory.reused) buffer = Buffer.allocUnsafe(most);
    const n = readSync(fd, buffer, 0, Math.min(most, buffer.length), range ? range.start + done : null);
    if (n === 0) return;
    done += n;
    yield buffer.subarray(0, n);
  }
}

/** Milliseconds between two looks at a file that has not grown. */
const PAUSE = 4;

/**
 * A file that another process, our parent, is still writing: waits for what has not come yet, up to `size` bytes. For a thread that has
 * nothing else to do. `parent` is what the parent called itself: it may be gone before anybody here looks.
 */
export function* growing(
  fd: number,
  size: number,
  parent: number,
  memory: PieceMemory = { reused: false },
): Generator<Uint8Array> {
  let buffer: Buffer | undefined;
  for (let done = 0; done < size; ) {
    const most = Math.min(PIECE, size - done);
    if (!buffer || !memory.reused) buffer = Buffer.allocUnsafe(most);
    const n = readSync(fd, buffer, 0, Math.min(most, buffer.length), null);
    if (n > 0) {
      done += n;
      yield buffer.subarray(0, n);
      continue;
    }
    if (process.ppid !== parent) throw new Error("the process that fetches the layer has gone");
    Bun.sleepSync(PAUSE);
  }
}
