/** `--size`: what a container has written, and with its image's layers. */
import { lstatSync, readdirSync } from "node:fs";
import { containerDir } from "../common/paths.ts";
import type { ContainerRecord } from "../container/index.ts";
import type { Engine } from "../engine.ts";

export interface ContainerSize {
  readonly writable: number;
  readonly all: number;
}

/** Bytes of the files beneath a folder; one that several names lead to counts once. */
function bytesIn(folder: string, seen: Set<number>): number {
  let sum = 0;
  let entries: ReturnType<typeof names>;
  try {
    entries = names(folder);
  } catch {
    return 0;
  }
  for (const entry of entries) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) sum += bytesIn(path, seen);
    else if (entry.isFile()) {
      const { ino, size } = lstatSync(path);
      if (!seen.has(ino)) sum += size;
      seen.add(ino);
    }
  }
  return sum;
}
const names = (folder: string) => readdirSync(folder, { withFileTypes: true });

export function sizesOf(engine: Engine): (record: ContainerRecord) => ContainerSize {
  const images = new Map(engine.images.list().map(({ id, size }) => [id, size]));
  return ({ id, imageId }) => {
    const writable = bytesIn(`${containerDir(engine.paths, id)}/upper`, new Set());
    return { writable, all: writable + (images.get(imageId) ?? 0) };
  };
}
