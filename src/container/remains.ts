/**
 * What is left of a container that has run, beside what its row says: how its keeper saw it end and the last that it wrote.
 * It is read while the container is removed, so nothing here is parsed: whoever asks does that.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "../kernel/fs.ts";
import type { Remains, StoredState } from "./rows.ts";

/** Bytes of a log that are kept: some twenty lines. */
const LOG = 4096;
const NOTHING = new Uint8Array(0);

/** The last whole lines of a file. */
function endOf(path: string): Uint8Array {
  let fd = -1;
  try {
    fd = openSync(path, "r");
    const { size } = fstatSync(fd);
    if (size === 0) return NOTHING;
    const bytes = new Uint8Array(Math.min(size, LOG));
    const end = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    // The first subarray of a process costs as much as the file.
    if (size <= LOG && end === bytes.length) return bytes;
    return bytes.subarray(size > LOG ? bytes.indexOf(0x0a) + 1 : 0, end);
  } catch {
    return NOTHING;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** Undefined: it has never run. */
export function remainsOf(
  at: { readonly exit: string; readonly log: string },
  { status }: StoredState,
): Remains | undefined {
  let exit = "";
  try {
    exit = readFileSync(at.exit, "utf8");
  } catch {
    if (status !== "exited") return undefined;
  }
  return { exit, log: endOf(at.log) };
}
