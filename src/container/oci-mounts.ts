/**
 * Volumes, mounted images and copy-on-write folders as any OCI runtime takes them: binds and overlays by the paths that they
 * have on this host. Nothing is made; whatever else a start does for them (content, a look at links) is not in it.
 */
import { existsSync } from "node:fs";
import { cleanPath } from "../common/paths.ts";
import type { SpecMount } from "../runtime/index.ts";
import { volumeRoom } from "../volume/index.ts";
import type { Mount } from "./config.ts";
import type { Context } from "./context.ts";
import { overlaysOf } from "./overlays.ts";
import type { StoredContainer } from "./rows.ts";

type Source = Pick<SpecMount, "type" | "source" | "options">;

const access = ({ readonly, type }: Mount): string[] => (readonly || type === "image" ? ["ro"] : []);

/** By target. */
export async function ociMounts(
  context: Context,
  container: StoredContainer,
): Promise<ReadonlyMap<string, SpecMount>> {
  const { find } = await volumeRoom();
  const overlays = overlaysOf(context, container);
  const found = new Map<string, SpecMount>();
  for (const mount of container.mounts ?? []) {
    const target = cleanPath(mount.target);
    const overlay = overlays.find(({ at }) => at === target);
    const volume = mount.type === "volume" ? find(context, mount.source) : undefined;
    const source = overlay
      ? layered([overlay.folder], mount, [`upperdir=${overlay.own}/upper`, `workdir=${overlay.own}/work`])
      : mount.type === "image"
        ? imageSource(context, mount)
        : volume && volumeSource(volume.mountpoint, volume.options, mount);
    if (source) found.set(mount.target, { destination: target, ...source });
  }
  return found;
}

function volumeSource(folder: string, options: Readonly<Record<string, string>>, mount: Mount): Source {
  const { type, device = "", o = "" } = options;
  if (type === undefined) return bound(`${folder}/${mount.subpath ?? ""}`, mount);
  const words = [...o.split(",").filter(Boolean), ...access(mount)];
  return { type: type === "none" ? "bind" : type, source: device, options: words };
}

function imageSource({ images }: Context, mount: Mount): Source {
  const root = images.rootOf(mount.imageId ?? images.get(mount.source).id);
  const lower = (root.kind === "layers" ? root.lower : [])
    .map((layer) => cleanPath(`${layer}/${mount.subpath ?? ""}`))
    .filter((path) => existsSync(path));
  return lower.length === 1 ? bound(lower[0] ?? "", mount) : layered(lower, mount);
}

const bound = (path: string, mount: Mount): Source => ({
  type: "bind",
  source: cleanPath(path),
  options: ["rbind", mount.propagation ?? "rprivate", ...access(mount)],
});

const layered = (lower: readonly string[], mount: Mount, upper: readonly string[] = []): Source => ({
  type: "overlay",
  source: "overlay",
  options: [`lowerdir=${lower.join(":")}`, ...upper, ...access(mount)],
});
