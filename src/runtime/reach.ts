/**
 * A host program put where it can reach a container's files: where the ids that own them have a meaning (a user namespace,
 * without root), and where a root filesystem that nobody has mounted is mounted, in a mount namespace that ends with the
 * program. It stays outside of that root: what it executes is the host's.
 */
import { CLONE, type Step } from "../launch/index.ts";
import type { CgroupHost } from "./cgroups/index.ts";
import { hostViewSteps } from "./host-view.ts";
import { type IdMaps, idMapSteps, type Namespaces, namespacesOf, type Peer } from "./namespaces.ts";
import { pdeathsigStep } from "./process.ts";
import {
  inside,
  layerSteps,
  mountSteps,
  privateStep,
  propagationSteps,
  type Root,
  readonlyRootStep,
  rootPath,
} from "./rootfs.ts";
import type { SpecMount } from "./spec.ts";

export interface Reach {
  readonly argv: readonly string[];
  /** Without root: a container's process, whose user namespace is joined, or the maps of a new one. */
  readonly ids?: { readonly peer: Peer } | { readonly maps: IdMaps };
  /** The root to be mounted, at the path that it names as its target, and what is mounted in it. */
  readonly mount?: {
    readonly root: Root;
    readonly mounts: readonly SpecMount[];
    readonly readonly: boolean;
    /** Filesystems that mounts are taken from, and the folder in which they are made. */
    readonly staged?: { readonly folder: string; readonly steps: readonly Step[] };
    /** Content of the root for mounts that have none, copied before it is covered by them. */
    readonly filled?: readonly Step[];
  };
  readonly cgroupHost: CgroupHost;
}

const WHY = "reach";

export function compileReach({ argv, ids, mount, cgroupHost }: Reach): Step[] {
  const maps = ids && "maps" in ids ? ids.maps : undefined;
  const peer = ids && "peer" in ids ? ids.peer : undefined;
  const flags = (mount ? CLONE.mnt : 0) | (maps ? CLONE.user : 0);
  return [
    { call: "clone", column: "outside", why: WHY, flags: flags >>> 0 },
    ...(maps ? idMapSteps(maps, WHY) : []),
    ...(maps ? [{ call: "barrier", column: "inside", waits: "inside", why: WHY } as const] : []),
    ...(peer ? [inside(WHY, { call: "join", pid: peer.pid, start: peer.start, flags: CLONE.user })] : []),
    pdeathsigStep(),
    ...(mount ? mountingSteps(mount, cgroupHost, maps !== undefined) : []),
    inside(WHY, { call: "setsid" }),
    inside(WHY, { call: "stdio" }),
    inside(WHY, { call: "no_new_privs" }),
    inside(WHY, { call: "execve", candidates: [argv[0] ?? ""], argv, env: [] }),
  ];
}

function mountingSteps(
  { root, mounts, readonly, staged, filled = [] }: NonNullable<Reach["mount"]>,
  cgroupHost: CgroupHost,
  userNamespace: boolean,
): Step[] {
  const namespaces: Namespaces = namespacesOf({
    namespaces: userNamespace ? [{ type: "mount" }, { type: "user" }] : [{ type: "mount" }],
  });
  const context = { namespaces, userNamespace, cgroupHost, cgroupPath: undefined, mountLabel: "" };
  return [
    ...propagationSteps(mounts, 0, root),
    ...layerSteps(root, ""),
    ...(staged && staged.steps.length > 0 ? [privateStep(staged.folder, WHY), ...staged.steps] : []),
    inside(WHY, { call: "root", path: rootPath(root) }),
    ...hostViewSteps(root),
    ...filled,
    ...mounts.flatMap((each) => mountSteps(each, context)),
    ...(readonly ? [readonlyRootStep()] : []),
  ];
}
