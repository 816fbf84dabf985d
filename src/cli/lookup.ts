/** What filters ask the engine: which container, which image, and what was built on it. */
import type { ContainerLookup, ImageLookup } from "../docker/filters.ts";
import type { Engine } from "../engine.ts";
import { familiarName } from "../image/index.ts";
import type { Attached } from "../network/index.ts";

const orUndefined = <T>(find: () => T): T | undefined => {
  try {
    return find();
  } catch {
    return undefined;
  }
};

export const containerLookup = (
  engine: Engine,
  attached: ReadonlyMap<string, Attached> = new Map(),
  uplink?: string,
): ContainerLookup => ({
  uplink,
  attached: (id) => attached.get(id),
  find: (reference) => orUndefined(() => engine.containers.get(reference)),
  images: (reference) => {
    const base = orUndefined(() => engine.images.resolve(reference));
    if (!base) return new Set();
    const layers = base.config.rootfs.diff_ids;
    const built =
      layers.length === 0
        ? []
        : engine.images
            .list()
            .filter(({ config }) => layers.every((layer, i) => config.rootfs.diff_ids[i] === layer));
    return new Set([base.id, ...built.map(({ id }) => id)]);
  },
});

export const imageLookup = (engine: Engine): ImageLookup => ({
  find: (reference) => orUndefined(() => engine.images.resolve(reference)),
  familiar: familiarName,
});
