/**
 * The third plank: where the process lives. The root filesystem is put together inside the container's own mount
 * namespace, so the host never sees it and nothing is left to clean up. Every target is looked up beneath the new root
 * (the launcher does it with openat2), since what lies there was made by an image or by an earlier run.
 */

import { SampanError } from "../common/error.ts";
import { MOUNT_ATTR, MS } from "../kernel/flags.ts";
import { statSync } from "../kernel/fs.ts";
import type { Call, Step, StepBase } from "../launch/step.ts";
import { type CgroupHost } from "./cgroups/index.ts";
import { IDENTITY, idMap, isOwn, type Namespaces } from "./namespaces.ts";
import { type MountOptions, parseOptions } from "./options.ts";
import type { SpecMount } from "./spec.ts";

/** What the root is made of. Folders named here exist when the plan runs. */
export type Root =
  /** An overlay. `lower` top-most first; without `upper` it is read-only. `target` is an empty folder. */
  | {
      readonly kind: "layers";
      readonly lower: readonly string[];
      readonly upper?: string;
      readonly work?: string;
      readonly target: string;
      /** No fsync, ever: for containers that are thrown away. */
      readonly volatile?: boolean;
      /** Layers have user.overlay.* attributes instead of trusted.*: a caller without root made them. */
      readonly userxattr?: boolean;
    }
  /** This machine's own root beneath an upper folder of the container. `hide`: folders that must not be seen. */
  | {
      readonly kind: "host";
      readonly upper: string;
      readonly work: string;
      readonly target: string;
      readonly hide: readonly string[];
      readonly volatile?: boolean;
      readonly userxattr?: boolean;
    }
  /** A plain folder. `/` is the host's own root: then nothing is pivoted, and only what is asked for is mounted. */
  | { readonly kind: "directory"; readonly path: string };

/** What rootfs steps need to know of the rest. */
export interface RootfsContext {
  readonly namespaces: Namespaces;
  /** The mounter is not the host's root: it lives in a user namespace. */
  readonly userNamespace: boolean;
  readonly cgroupHost: CgroupHost;
  readonly cgroupPath: string | undefined;
  /** SELinux label of the files in filesystems that are the container's own; empty: none. */
  readonly mountLabel: string;
}

/** The kernel takes no label for proc, sysfs, mqueue and cgroups; there files have the policy's. */
const LABELLED: readonly string[] = ["tmpfs", "devpts"];

/** In quotes: its categories are parted by commas, as options are. */
export const labelOption = (label: string): string => `context="${label}"`;

export const isHostRoot = (root: Root): boolean => root.kind === "directory" && root.path === "/";

/** Makes a step of a call. The object is the caller's own literal, so it is completed rather than copied. */
export function inside<C extends Call>(why: string, call: C): StepBase & C {
  return Object.assign(call, { column: "inside" as const, why });
}

/** How mount events travel between the host and the container: not at all, unless a mount asks for it. */
export function propagationSteps(
  mounts: readonly SpecMount[],
  rootfsPropagation: number,
  root: Root,
): Step[] {
  let wanted = rootfsPropagation & ~MS.rec;
  for (const { options } of mounts)
    for (const option of options ?? []) {
      if (option === "rslave" || option === "slave") wanted ||= MS.slave;
      if (option === "rshared" || option === "shared") wanted = MS.shared;
    }
  if (wanted === MS.shared) {
    // The mount stays a peer of the host's; only what carries the new root must not, or the root would appear there.
    const above = root.kind === "directory" ? root.path : root.target;
    return [
      inside("rootfs propagation", {
        call: "propagation",
        flags: MS.private,
        path: mountPointOf(above),
      }),
    ];
  }
  const flags = MS.rec | (wanted === MS.slave ? MS.slave : MS.private);
  return [inside("mnt namespace", { call: "propagation", flags })];
}

/** What is mounted at `path` for the container alone stays unseen by the host, whatever the rest of the tree is. */
export const privateStep = (path: string, why: string): Step =>
  inside(why, { call: "propagation", flags: MS.private, path: mountPointOf(path) });

/** The nearest folder at or above `path` that lies on another device than its parent. */
function mountPointOf(path: string): string {
  let at = path;
  while (at !== "/" && at !== "") {
    const parent = at.slice(0, at.lastIndexOf("/")) || "/";
    const here = statSync(at, { throwIfNoEntry: false });
    if (here !== undefined && here.dev !== statSync(parent).dev) return at;
    at = parent;
  }
  return "/";
}

/** The filesystem itself, on its host path: the only part that needs the layers' own ownership and attributes. */
export function layerSteps(root: Root, mountLabel: string): Step[] {
  if (root.kind === "directory") {
    if (root.path === "/") return [];
    return [bindOntoItself(root.path, "--rootfs")];
  }
  // Without root `/` cannot be a layer: the upper folder is the root, and host-view.ts puts the parts into it.
  if (root.kind === "host" && root.userxattr)
    return [{ ...bindOntoItself(root.target, "rootfs"), source: root.upper } as Step];
  const options = [
    ...(root.userxattr ? ["userxattr"] : []),
    ...(root.volatile ? ["volatile"] : []),
    ...(mountLabel === "" ? [] : [labelOption(mountLabel)]),
  ];
  const lower = root.kind === "host" ? ["/"] : root.lower;
  const writable =
    root.upper !== undefined && root.work !== undefined ? { upper: root.upper, work: root.work } : {};
  // One layer and nothing to write: overlayfs wants two lower folders then; a bind of the one is the same.
  if (root.upper === undefined && lower.length === 1)
    return [{ ...bindOntoItself(root.target, "rootfs"), source: lower[0] as string } as Step];
  return [inside("rootfs", { call: "overlay", target: root.target, lower, ...writable, options })];
}

/** A mount point of its own, free of locks that a new user namespace put on it: what pivot_root asks for. */
export const bindOntoItself = (path: string, why: string): Step =>
  inside(why, {
    call: "bind",
    at: "host",
    source: path,
    target: path,
    recursive: true,
    set: 0,
    clear: 0,
    create: "none",
    propagation: 0,
  });

export const rootPath = (root: Root): string => (root.kind === "directory" ? root.path : root.target);

/** One mount of the specification → steps. */
export function mountSteps(mount: SpecMount, context: RootfsContext): Step[] {
  const options = parseOptions(mount.options);
  const { destination: target, type = "" } = mount;
  if (!target.startsWith("/"))
    throw new SampanError("invalid", `invalid mount target "${target}": mount path must be absolute`);
  const why = mount.why ?? mountWhy(mount);
  if (type === "bind" || options.bind) return bindSteps(mount, options, why, context);
  const bound = (source: string, set: number): Step[] => [
    inside(why, {
      call: "bind",
      at: "root",
      source,
      target,
      recursive: true,
      set,
      clear: 0,
      recursiveAttributes: true,
      create: "dir",
      propagation: 0,
    }),
  ];
  if (context.userNamespace) {
    // In a user namespace only what belongs to its own namespaces can be mounted anew; the rest is the host's, bound.
    if (type === "sysfs" && !owns(context.namespaces, "net")) return bound("/sys", MOUNT_ATTR.rdonly);
    // Not every machine has this one mounted.
    if (type === "mqueue" && !owns(context.namespaces, "ipc"))
      return bound("/dev/mqueue", 0).map((step) => ({ ...step, optional: true }));
    if (type === "proc" && context.namespaces.pid.kind === "host") return bound("/proc", 0);
    if (type === "proc" && !owns(context.namespaces, "pid"))
      throw new SampanError(
        "refused",
        "--pid: the other container's processes belong to another user namespace",
        {
          hint: "Join its user namespace too: --userns container:… as --pid.",
        },
      );
  }
  let { data } = options;
  if (context.mountLabel !== "" && LABELLED.includes(type) && !data.includes("context="))
    data = `${data === "" ? "" : `${data},`}${labelOption(context.mountLabel)}`;
  const step = {
    call: "mount",
    fstype: type,
    source: mount.source || type,
    target,
    flags: options.flags,
    data,
    create: "dir",
  } as const;
  // A gid that the user namespace does not map is refused; the slaves are then of the process's own group.
  const fallback =
    type === "devpts" && context.userNamespace
      ? data
          .split(",")
          .filter((word) => !word.startsWith("gid="))
          .join(",")
      : undefined;
  return [
    inside(why, {
      ...step,
      ...(options.copyUp ? { copyUp: true } : {}),
      ...(fallback === undefined ? {} : { fallback }),
    }),
    ...(options.propagation
      ? [
          inside(why, {
            call: "attributes",
            target,
            set: 0,
            clear: 0,
            recursive: false,
            propagation: options.propagation,
          }),
        ]
      : []),
  ];
}

/** Whether a namespace belongs to the container's user namespace: it is its own, or both are the same process's. */
function owns(namespaces: Namespaces, name: "net" | "ipc" | "pid"): boolean {
  const namespace = namespaces[name];
  if (namespace.kind === "own") return true;
  const { user } = namespaces;
  if (namespace.kind !== "join" || user.kind !== "join") return false;
  return user.peer.pid === namespace.peer.pid && !namespace.peer.foreign;
}

const API: readonly string[] = ["proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"];
const mountWhy = ({ type = "", destination, source }: SpecMount): string =>
  API.includes(type) || destination === "/dev" || destination === "/dev/shm"
    ? destination
    : type === "tmpfs"
      ? `--tmpfs ${destination}`
      : `-v ${source ?? ""}:${destination}`;

function bindSteps(mount: SpecMount, options: MountOptions, why: string, context: RootfsContext): Step[] {
  const source = mount.source ?? "";
  const { beneath } = mount;
  const found = beneath === undefined ? statSync(source, { throwIfNoEntry: false }) : undefined;
  if (found === undefined && beneath === undefined)
    throw new SampanError(
      "invalid",
      `invalid mount config for type "bind": bind source path does not exist: ${source}`,
      { hint: "Make it first, or use -v, which makes a missing folder." },
    );
  const recursiveAttributes = (options.recursiveSet | options.recursiveClear) !== 0;
  const { uidMappings, gidMappings } = mount;
  const idmap =
    uidMappings?.length || gidMappings?.length
      ? {
          idmap: {
            uid: idMap(uidMappings?.length ? uidMappings : IDENTITY),
            gid: idMap(gidMappings?.length ? gidMappings : IDENTITY),
          },
        }
      : {};
  if (uidMappings?.length && context.userNamespace)
    throw new SampanError("refused", `${why}: an id-mapped bind needs root outside of a user namespace`, {
      hint: "In a user namespace of yours root inside is you already: files that it writes are yours.",
    });
  const steps: Step[] = [
    inside(why, {
      call: "bind",
      at: "root",
      source,
      target: mount.destination,
      recursive: options.recursiveBind,
      set: recursiveAttributes ? options.recursiveSet : options.set,
      clear: recursiveAttributes ? options.recursiveClear : options.clear,
      ...(recursiveAttributes ? { recursiveAttributes } : {}),
      create: beneath !== undefined || found?.isDirectory() ? "dir" : "file",
      propagation: options.propagation,
      ...(beneath === undefined ? {} : { base: beneath }),
      ...idmap,
    }),
  ];
  if (recursiveAttributes && (options.set & ~options.recursiveSet) !== 0)
    steps.push(
      inside(why, {
        call: "attributes",
        target: mount.destination,
        set: options.set,
        clear: options.clear,
        recursive: false,
        propagation: 0,
      }),
    );
  return steps;
}

/** /sys/fs/cgroup: what the container may see of its own cgroup, read-only unless it is privileged. */
export function cgroupMountSteps(mount: SpecMount, context: RootfsContext): Step[] {
  const { cgroupHost: host, cgroupPath: path, namespaces } = context;
  const { flags } = parseOptions(mount.options);
  const target = mount.destination;
  const why = target;
  const filesystem = (fstype: string, at: string, data: string, mountFlags = flags): Step =>
    inside(why, {
      call: "mount",
      fstype,
      source: fstype,
      target: at,
      flags: mountFlags,
      data,
      create: "dir",
    });
  if (host.kind === "v2" || host.pure) {
    if (isOwn(namespaces, "cgroup") || !context.userNamespace) return [filesystem("cgroup2", target, "")];
    // The host's cgroup namespace belongs to another user namespace: what can be had is its view, read-only.
    const view = { at: "root", source: "/sys/fs/cgroup", target, recursive: true, create: "dir" } as const;
    const readonly = { set: MOUNT_ATTR.rdonly, clear: 0, recursiveAttributes: true, propagation: 0 };
    return [inside(why, { call: "bind", ...view, ...readonly })];
  }
  if (host.kind === "none" || (context.userNamespace && path === undefined)) return [];
  // A hierarchy can be mounted anew where the cgroup namespace is of the mounter's user namespace: in the host's.
  const anew = isOwn(namespaces, "cgroup") && !context.userNamespace;
  const steps: Step[] = [filesystem("tmpfs", target, "mode=755", flags & ~MS.rdonly)];
  for (const { mount: folder, controllers } of host.hierarchies) {
    const name = folder.slice(folder.lastIndexOf("/") + 1);
    const named = controllers[0]?.startsWith("name=") ?? false;
    if (anew)
      steps.push(
        filesystem("cgroup", `${target}/${name}`, named ? `none,${controllers[0]}` : controllers.join(",")),
      );
    else if (path !== undefined)
      // And from the host's cgroup namespace a fresh one would show every container: bind the own folder alone.
      steps.push(
        inside(why, {
          call: "bind",
          at: "root",
          source: folder + path,
          target: `${target}/${name}`,
          recursive: false,
          set: flags & (MS.rdonly | MS.nosuid | MS.nodev | MS.noexec),
          clear: 0,
          create: "dir",
          propagation: 0,
        }),
      );
    for (const controller of controllers)
      if (!named && controller !== name)
        steps.push(inside(why, { call: "symlink", target: `${target}/${controller}`, to: name }));
  }
  if (flags & MS.rdonly)
    steps.push(
      inside(why, {
        call: "attributes",
        target,
        set: MOUNT_ATTR.rdonly,
        clear: 0,
        recursive: false,
        propagation: 0,
      }),
    );
  return steps;
}

/** Paths of /proc and /sys that tell of the host or reach into it. */
export function maskSteps(masked: readonly string[], readonly: readonly string[]): Step[] {
  const steps: Step[] = [];
  for (const target of masked) steps.push(inside("masked paths", { call: "mask", target }));
  for (const target of readonly) steps.push(inside("read-only paths", { call: "readonly", target }));
  return steps;
}

/** `--read-only`: when everything that had to be made in it has been made. */
export const readonlyRootStep = (): Step =>
  inside("--read-only", {
    call: "attributes",
    target: "/",
    set: MOUNT_ATTR.rdonly,
    clear: 0,
    recursive: false,
    propagation: 0,
  });
