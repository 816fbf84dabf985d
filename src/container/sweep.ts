/**
 * What no row points at is garbage: folders of containers, run folders and empty cgroups that a command left when it was
 * killed half way. Young ones are left alone, since their command may still be at it.
 */
import { readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { cgroupFolders, readCgroupHost } from "../runtime/index.ts";
import { volumeRoom } from "../volume/index.ts";
import { tryClaim } from "./claim.ts";
import type { Context } from "./context.ts";
import { removeFolder } from "./finish.ts";
import { shortId } from "./ids.ts";
import { cgroupParent } from "./keeper.ts";
import { isLocked } from "./live.ts";
import { removeMapped, removeTrees } from "./remove-mapped.ts";
import { isRootless } from "./spec.ts";

const YOUNG = 60_000;

function isOld(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && Date.now() - found.mtimeMs > YOUNG;
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export async function sweep({ store, paths, rows }: Context): Promise<void> {
  const folders = names(`${paths.root}/containers`);
  const runs = names(paths.run);
  const ids = rows.ids();
  const left: string[] = [];
  for (const id of folders) {
    const folder = `${paths.root}/containers/${id}`;
    if (ids.has(id) || !isOld(folder)) continue;
    const release = tryClaim(folder);
    if (!release) continue;
    removeFolder(folder);
    left.push(folder);
    release();
  }
  if (isRootless()) await removeMapped(left);
  const short = new Set([...ids].map(shortId));
  for (const name of runs) {
    const folder = `${paths.run}/${name}`;
    if (!/^[0-9a-f]{12}$/.test(name) || short.has(name) || !isOld(folder) || isLocked(`${folder}/lock`))
      continue;
    rmSync(folder, { recursive: true, force: true });
  }
  for (const folder of cgroupFolders(readCgroupHost(), cgroupParent()))
    for (const name of names(folder))
      if (/^[0-9a-f]{64}$/.test(name) && !ids.has(name) && isOld(`${folder}/${name}`))
        try {
          rmdirSync(`${folder}/${name}`);
        } catch {
          // Something lives in it: another engine's container, of another state folder.
        }
  const { collectGarbage } = await volumeRoom();
  await removeTrees(collectGarbage(store, paths));
}
