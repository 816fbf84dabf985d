/** `--size`: what a container has written, and with its image's layers. */
import { containerDir } from "../common/paths.ts";
import { bytesIn } from "../common/tree.ts";
import type { ContainerRecord } from "../container/index.ts";
import type { Engine } from "../engine.ts";

export interface ContainerSize {
  readonly writable: number;
  readonly all: number;
}

export function sizesOf(engine: Engine): (record: ContainerRecord) => ContainerSize {
  const images = new Map(engine.images.list().map(({ id, size }) => [id, size]));
  return ({ id, imageId }) => {
    const writable = bytesIn(`${containerDir(engine.paths, id)}/upper`);
    return { writable, all: writable + (images.get(imageId) ?? 0) };
  };
}
