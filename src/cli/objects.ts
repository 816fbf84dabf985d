/** A container, an image and a network as the objects that `inspect` prints. */
import { containerDir } from "../common/paths.ts";
import { inspectImage } from "../docker/images.ts";
import { inspectContainer } from "../docker/inspect.ts";
import { inspectNetwork } from "../docker/networks.ts";
import type { Engine } from "../engine.ts";
import { familiarName } from "../image/index.ts";
import { sizesOf } from "./sizes.ts";

export async function containerObject(engine: Engine, reference: string, size: boolean): Promise<object> {
  const record = engine.containers.get(reference);
  const attached = (await engine.networks.attached(record.id)).get(record.id);
  const image = record.imageId === "" ? undefined : engine.images.resolve(record.imageId);
  const root = image && engine.images.root(image);
  const object = inspectContainer(record, {
    folder: containerDir(engine.paths, record.id),
    volumes: `${engine.paths.root}/volumes`,
    attached,
    ...(root?.kind === "layers" ? { lower: root.lower } : {}),
  });
  if (!size) return object;
  const { writable, all } = sizesOf(engine)(record);
  return { ...object, SizeRw: writable, SizeRootFs: all };
}

export function imageObject(engine: Engine, reference: string): object {
  const image = engine.images.get(reference);
  const root = image.config.rootfs.diff_ids.length > 0 ? engine.images.root(image) : undefined;
  return inspectImage(image, familiarName, root?.kind === "layers" ? root.lower : []);
}

export async function networkObject(engine: Engine, reference: string): Promise<object> {
  const network = await engine.networks.get(reference);
  return inspectNetwork(network, await engine.networks.members(network));
}
