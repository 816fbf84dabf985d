/** A file's bytes in pieces of 1 MiB: large enough that a piece's own costs vanish, small enough for many at once. */
import { readSync } from "node:fs";

const PIECE = 1 << 20;

/** From the current position to the end; or a part of the file, whatever the position is. */
export async function* pieces(
  fd: number,
  range?: { readonly start: number; readonly length: number },
): AsyncGenerator<Uint8Array> {
  const length = range?.length ?? Number.POSITIVE_INFINITY;
  for (let done = 0; done < length; ) {
    // Not one buffer again and again: a decompressor may still look at the last one.
    const buffer = Buffer.allocUnsafe(Math.min(PIECE, length - done));
    const n = readSync(fd, buffer, 0, buffer.length, range ? range.start + done : null);
    if (n === 0) return;
    done += n;
    yield buffer.subarray(0, n);
  }
}
