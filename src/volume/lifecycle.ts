/** How volumes come and go. */
import { SampanError } from "../common/error.ts";
import { bytesIn } from "../common/tree.ts";
import { collectGarbage } from "./folders.ts";
import { validateName, validateWish } from "./name.ts";
import type { VolumeRecord, VolumeWish } from "./record.ts";
import {
  ANONYMOUS,
  all,
  anonymousName,
  drop,
  ensure,
  find,
  links,
  noSuchVolume,
  type Place,
  rename as renameRow,
  users,
} from "./rows.ts";
import type { PrunedVolumes, VolumeHooks } from "./volumes.ts";

export type Whole = Place & { readonly hooks: VolumeHooks };

const driver = { driver: "local" };

export function create(place: Whole, wish: VolumeWish): VolumeRecord {
  const { name = anonymousName(), labels = {}, options = {} } = wish;
  validateWish(name, wish);
  const kept = { options, labels: wish.name === undefined ? { ...labels, [ANONYMOUS]: "" } : labels };
  const made = place.store.transaction(() => ensure(place, name, kept));
  if (made) place.hooks.tell({ action: "create", id: name, attributes: driver });
  const volume = find(place, name);
  if (!volume) throw new SampanError("conflict", `create ${name}: somebody removed it at once`);
  return volume;
}

export async function remove(place: Whole, name: string): Promise<void> {
  if (!drop(place, name)) throw noSuchVolume(name);
  place.hooks.tell({ action: "destroy", id: name, attributes: driver });
  await place.hooks.removeTrees(collectGarbage(place.store, place.paths, [name]));
}

export async function prune(
  place: Whole,
  options: { readonly all?: boolean; readonly filter?: (volume: VolumeRecord) => boolean },
): Promise<PrunedVolumes> {
  const used = links(place.store);
  const removed: string[] = [];
  const problems: Error[] = [];
  let reclaimed = 0;
  for (const volume of all(place)) {
    if (used.has(volume.name) || !(options.all || volume.anonymous)) continue;
    if (!(options.filter?.(volume) ?? true)) continue;
    if (volume.problem) {
      problems.push(volume.problem);
      continue;
    }
    const size = bytesIn(volume.mountpoint);
    try {
      if (!drop(place, volume.name)) continue;
    } catch {
      // A container has come to use it meanwhile.
      continue;
    }
    place.hooks.tell({ action: "destroy", id: volume.name, attributes: driver });
    removed.push(volume.name);
    reclaimed += size;
  }
  place.hooks.tell({ action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  await place.hooks.removeTrees(collectGarbage(place.store, place.paths));
  return { removed, reclaimed, problems };
}

/** A new name; the containers that use it follow, those that run too: what is mounted stays mounted. */
export async function rename(place: Whole, from: string, to: string): Promise<VolumeRecord> {
  validateName(to);
  renameRow(place, from, to, (containers) => place.hooks.renameIn(containers, from, to));
  await place.hooks.relink(users(place.store, to), to);
  const volume = find(place, to);
  if (!volume) throw noSuchVolume(to);
  place.hooks.tell({ action: "rename", id: to, attributes: { ...driver, oldName: from } });
  return volume;
}
