/** How much a folder holds. */
import { lstatSync, readdirSync } from "node:fs";

/** Bytes of the files and symlinks beneath a folder; one that several names lead to counts once, and what vanishes meanwhile not at all. */
export function bytesIn(folder: string, seen = new Set<number>()): number {
  let sum = 0;
  let entries: ReturnType<typeof list>;
  try {
    entries = list(folder);
  } catch {
    return 0;
  }
  for (const entry of entries) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) sum += bytesIn(path, seen);
    else if (entry.isFile() || entry.isSymbolicLink()) {
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (!found || (found.nlink > 1 && seen.has(found.ino))) continue;
      if (found.nlink > 1) seen.add(found.ino);
      sum += found.size;
    }
  }
  return sum;
}

const list = (folder: string) => readdirSync(folder, { withFileTypes: true });
