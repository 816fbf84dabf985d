/**
 * Without root a container's files may belong to ids of the caller's range, which only a user namespace with that range
 * may touch. So the removal of what is left is a process in one.
 */
import { existsSync } from "node:fs";
import { ATTACH, Launcher, NO_KEEPER } from "../launch/index.ts";
import { allCapabilities, callerIdMaps, compile, readCgroupHost } from "../runtime/index.ts";
import { volumeRoom } from "../volume/index.ts";
import type { Context } from "./context.ts";
import { removeFolder } from "./finish.ts";
import { capabilitySets, isRootless } from "./spec.ts";

/** Removes folders with all that is in them. */
export async function removeTrees(folders: readonly string[]): Promise<void> {
  for (const folder of folders) removeFolder(folder);
  await removeMapped(folders);
}

/** Removes the folders of volumes that went with their container. */
export async function removeOrphans({ store, paths, orphans }: Context): Promise<void> {
  const { collectGarbage } = await volumeRoom();
  await removeTrees(collectGarbage(store, paths, orphans.splice(0)));
}

/** Removes folders that the caller alone could not; those that are gone cost nothing. */
export async function removeMapped(folders: readonly string[]): Promise<void> {
  const left = folders.filter((folder) => existsSync(folder));
  if (left.length === 0 || !isRootless()) return;
  const steps = compile({
    id: "remove",
    spec: {
      ociVersion: "1.2.0",
      process: {
        user: { uid: 0, gid: 0 },
        args: ["rm", "-rf", "--", ...left],
        env: ["PATH=/usr/bin:/bin"],
        cwd: "/",
        capabilities: capabilitySets(allCapabilities()),
      },
      linux: { namespaces: [{ type: "user" }] },
    },
    root: { kind: "directory", path: "/" },
    cgroupHost: readCgroupHost(),
    rootless: callerIdMaps(),
  });
  const connection = await Launcher.start().launch({ steps, keeper: NO_KEEPER });
  connection.attach(ATTACH.stdout | ATTACH.stderr);
  await connection.exit;
  connection.close();
}
