/** A container, an image and a network as the objects that `inspect` prints. */
import { containerDir, runDir } from "../common/paths.ts";
import { withAbsent } from "../docker/absent.ts";
import { inspectImage } from "../docker/images.ts";
import { inspectContainer } from "../docker/inspect.ts";
import { inspectNetwork } from "../docker/networks.ts";
import type { Engine } from "../engine.ts";
import { familiarName } from "../image/index.ts";
import type { Member, Network } from "../network/index.ts";
import { sizesOf } from "./sizes.ts";

export async function containerObject(engine: Engine, reference: string, size: boolean): Promise<object> {
  const record = engine.containers.get(reference);
  const attached = (await engine.networks.attached(record.id)).get(record.id);
  const bare = (attached?.endpoints.length ?? 0) === 0;
  const image = record.imageId === "" ? undefined : engine.images.ofContainer(record.imageId);
  const root = image && engine.images.root(image);
  const object = inspectContainer(record, {
    folder: containerDir(engine.paths, record.id),
    files: record.state.pid > 0 ? runDir(engine.paths, engine.containers.networkOwner(record.id)) : undefined,
    volumes: `${engine.paths.root}/volumes`,
    attached,
    ...(bare ? { uplink: await engine.containers.uplink(), ids: await bareIds(engine) } : {}),
    ...(root?.kind === "layers" ? { lower: root.lower } : {}),
  });
  if (!size) return withAbsent(object, { SizeRw: null, SizeRootFs: null });
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
  const bare = (network.driver === "host" || network.driver === "null") && !network.configOnly;
  return inspectNetwork(
    network,
    bare ? bareMembers(engine, network) : await engine.networks.members(network),
  );
}

/** The ids of host and none. Where they cannot be written down, on a full disk, they have none yet. */
async function bareIds({ networks }: Engine): Promise<Record<string, string>> {
  const all = await networks.list().catch(() => []);
  return Object.fromEntries(all.map(({ name, id }) => [name, id]));
}

/** Who runs on host or none: that is no row of its own, only what was asked for. */
const bareMembers = ({ containers }: Engine, network: Network): Member[] =>
  containers
    .list()
    .filter(({ config }) => config.namespaces.net?.mode === network.name)
    .map(({ id, name }) => ({
      container: id,
      containerName: name,
      network,
      asked: { network: network.name },
      active: true,
      interface: undefined,
      ipv4: undefined,
      ipv6: undefined,
      mac: undefined,
    }));
