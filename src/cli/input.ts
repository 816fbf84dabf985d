/** Standard input where it is an archive: a pipe as a stream; a file from where whoever had it before has left off. */
import { accessSync, constants, fstatSync, readFileSync, readSync } from "node:fs";

const FILE = "/proc/self/fd/0";
const PIECE = 1 << 20;

/** All that is still to come. Bun's own stream of a file begins at its first byte, whatever was read of it. */
export function inputStream(): AsyncIterable<Uint8Array> {
  return fstatSync(0).isFile() ? fromPosition() : Bun.stdin.stream();
}

/** The same, as the path of a file where it is one of which nobody has read yet: such a file can be read in any order. */
export function inputSource(): string | AsyncIterable<Uint8Array> {
  return isWholeFile() ? FILE : inputStream();
}

function isWholeFile(): boolean {
  try {
    if (!fstatSync(0).isFile() || !/^pos:\s+0$/m.test(readFileSync("/proc/self/fdinfo/0", "utf8")))
      return false;
    accessSync(FILE, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

// oxlint-disable-next-line require-await -- a stream like the other one
async function* fromPosition(): AsyncGenerator<Uint8Array> {
  for (;;) {
    const piece = Buffer.allocUnsafe(PIECE);
    const n = readSync(0, piece, 0, PIECE, null);
    if (n === 0) return;
    yield piece.subarray(0, n);
  }
}
