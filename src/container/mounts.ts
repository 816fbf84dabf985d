/**
 * What is mounted in a container: the filesystems that every one has, its three files, and what was asked for. A mount
 * that was asked for replaces a standard one at the same place.
 */

import { fileReason, SampanError } from "../common/error.ts";
import { cleanPath } from "../common/paths.ts";
import { existsSync, mkdirSync, readFileSync, realpathSync, statSync } from "../kernel/fs.ts";
import { type MountEntry, parseMountinfo } from "../kernel/proc.ts";
import { defaultMounts, matchUser, orderMounts, type SpecMount } from "../runtime/index.ts";
import type { ContainerConfig, Mount } from "./config.ts";

export interface Places {
  /** The folder that holds hostname, hosts and resolv.conf. */
  readonly files: string;
  /** A host folder that is /dev/shm, for containers that share it; undefined: a tmpfs of its own. */
  readonly shm?: string;
  /** The uid and gid of the container's process as the host sees them: for `match-user`. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** Volumes, images and copy-on-write folders, by target. */
  readonly prepared?: ReadonlyMap<string, SpecMount>;
}

const ownFile = (folder: string, name: string): SpecMount => ({
  destination: `/etc/${name}`,
  type: "bind",
  source: `${folder}/${name}`,
  options: ["rbind", "rprivate"],
});

/** A later option of the same kind replaces an earlier one, as mount(8) has it. */
function tmpfs(mount: Mount): SpecMount {
  const options = new Map<string, string>();
  const say = (option: string): void => {
    const key = option.split("=", 1)[0] ?? option;
    options.set(key.replace(/^no(?=exec|suid|dev|atime)/, "").replace(/^r[ow]$/, "access"), option);
  };
  for (const option of ["noexec", "nosuid", "nodev", ...(mount.tmpfsOptions ?? [])])
    if (option !== "") say(option);
  if (mount.tmpfsSize) say(`size=${mount.tmpfsSize}`);
  if (mount.tmpfsMode !== undefined) say(`mode=${mount.tmpfsMode.toString(8)}`);
  if (mount.readonly) say("ro");
  return { destination: mount.target, type: "tmpfs", source: "tmpfs", options: [...options.values()] };
}

/** The source of a bind is there, or is made if that is wanted. */
export function assertSource({ source, createSource }: Mount): void {
  if (!source.startsWith("/"))
    throw new SampanError(
      "invalid",
      `invalid mount config for type "bind": invalid mount path: '${source}' mount path must be absolute`,
    );
  let found: unknown;
  try {
    found = statSync(source, { throwIfNoEntry: false });
  } catch (cause) {
    throw new SampanError(
      "invalid",
      `invalid mount config for type "bind": stat ${source}: ${fileReason(cause)}`,
      { cause },
    );
  }
  if (found) return;
  if (!createSource)
    throw new SampanError(
      "invalid",
      `invalid mount config for type "bind": bind source path does not exist: ${source}`,
      { hint: "Make it first; -v makes a missing folder, --mount does not." },
    );
  try {
    mkdirSync(source, { recursive: true });
  } catch (cause) {
    throw new SampanError(
      "system",
      `error while creating mount source path '${source}': mkdir ${source}: ${fileReason(cause)}`,
      { hint: "-v makes a folder that is missing; name one that is there.", cause },
    );
  }
}

/**
 * What is mounted in a container comes out by a mount of this machine that is shared, and by no other; what this machine mounts
 * comes in by one that is shared or a slave itself.
 */
function assertTravels(source: string, outwards: boolean): void {
  const path = realpathSync(source);
  let at: MountEntry | undefined;
  // Of several at one place the last is on top.
  for (const mount of parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"))) {
    const { target } = mount;
    const above = target === path || path.startsWith(target === "/" ? "/" : `${target}/`);
    if (above && target.length >= (at?.target.length ?? 0)) at = mount;
  }
  if (!at) return;
  for (const tag of at.tags)
    if (tag.startsWith("shared:") || (!outwards && tag.startsWith("master:"))) return;
  const [kind, who] = outwards
    ? ["shared", "What the container mounts there would not be seen outside"]
    : ["shared or slave", "What this machine mounts there would not be seen inside"];
  throw new SampanError("conflict", `path ${path} is mounted on ${at.target} but it is not a ${kind} mount`, {
    hint: `${who}. Make it one: mount --make-rshared ${at.target}`,
  });
}

function bind(mount: Mount, places: Places): SpecMount {
  const { source, target, readonly = false, recursive = "enabled" } = mount;
  assertSource(mount);
  const { propagation = "rprivate" } = mount;
  if (/shared|slave/.test(propagation)) assertTravels(source, propagation.endsWith("shared"));
  const options = [recursive === "disabled" ? "bind" : "rbind", mount.propagation ?? "rprivate"];
  if (readonly) options.push(recursive === "enabled" || recursive === "readonly" ? "rro" : "ro");
  const common = { destination: target, type: "bind", source };
  if (mount.idmap !== "match-user") return { ...common, options };
  const owner = mount.owner ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  // What the caller owns on disk is the container user's inside.
  return {
    ...common,
    options: [...options, "idmap"],
    uidMappings: matchUser(owner.uid, places.user.uid),
    gidMappings: matchUser(owner.gid, places.user.gid),
  };
}

function asked(mount: Mount, places: Places): SpecMount {
  if (mount.type === "tmpfs") return tmpfs(mount);
  return places.prepared?.get(mount.target) ?? bind(mount, places);
}

/**
 * Whether something is mounted, or may be, where the container's three files are: they come on top of it. Any path of the root's can
 * be a link to /etc. Not on a folder that may not be written and has no place for them.
 */
function covered(mounts: readonly Mount[]): boolean {
  let perhaps = false;
  for (const { target, type, source, readonly } of mounts) {
    const path = cleanPath(target);
    const fits = !(type === "bind" && readonly && !existsSync(`${source}/resolv.conf`));
    if (path === "/etc") return fits;
    perhaps ||= fits && path.lastIndexOf("/") === 0;
  }
  return perhaps;
}

/** All mounts of a container, in the order in which they are made. */
export function specMounts(config: ContainerConfig, mounts: readonly Mount[], places: Places): SpecMount[] {
  const own: SpecMount[] = [];
  for (const mount of mounts) own.push({ ...asked(mount, places), destination: cleanPath(mount.target) });
  // A root that is this machine's own, in a copy of its mount namespace: nothing is added that was not asked for.
  if (config.exactly && config.rootfs?.path === "/") return orderMounts([], own);
  let standard = defaultMounts({
    privileged: config.privileged,
    ...(config.shmSize === undefined ? {} : { shmSize: config.shmSize }),
    ...(places.shm === undefined ? {} : { shm: places.shm }),
  });
  if (config.namespaces.ipc?.mode === "none") standard = standard.filter((m) => m.destination !== "/dev/shm");
  const { files } = places;
  const ownFiles = [ownFile(files, "resolv.conf"), ownFile(files, "hostname"), ownFile(files, "hosts")];
  if (!covered(mounts)) {
    standard.push(...ownFiles);
    return own.length === 0 ? standard : orderMounts(standard, own);
  }
  for (const file of ownFiles)
    if (!own.some((mount) => mount.destination === file.destination)) own.push(file);
  return orderMounts(standard, own);
}
