/**
 * The third plank, as the kernel has it: the mounts of the process's mount namespace, and for an overlay its layers. What an
 * image says of them (size, instruction) is added where this engine has the image.
 */

import type { ContainerRecord } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import { ENTRY, lstatSync, readTypes } from "../kernel/fs.ts";
import { type MountEntry, parseMountinfo } from "../kernel/proc.ts";
import type { Look } from "./look.ts";
import type { Changes, Layer, MountLine, Rootfs } from "./types.ts";

/** Counting ends here: an explanation must not wait for a large disk. */
const MOST_CHANGES = 20_000;

export interface RootfsInput {
  readonly engine: Engine;
  readonly pid: number;
  readonly container: ContainerRecord | undefined;
  /** The mount namespace is not the reader's; undefined: it would not say. */
  readonly own: boolean | undefined;
  readonly look: Look;
}

export function rootfs({ engine, pid, container, own, look }: RootfsInput): Rootfs | undefined {
  const content = look.text(`/proc/${pid}/mountinfo`, "mounts");
  if (!content) return undefined;
  const all = parseMountinfo(content);
  const root = all.findLast(({ target }) => target === "/");
  if (!root) return undefined;
  const hosts = parseMountinfo(look.text("/proc/self/mountinfo", "mounts") ?? "");
  // A mount's number is its own on the whole machine: who has the reader's root has the reader's mounts.
  const apart = own ?? hosts.findLast(({ target }) => target === "/")?.id !== root.id;
  const proc = all.find(({ fstype, root: at }) => fstype === "proc" && at === "/");
  const masked: string[] = [];
  const readonlyPaths: string[] = [];
  const mounts: MountLine[] = [];
  for (const mount of all) {
    if (mount === root) continue;
    const guarded = /^\/(?:proc|sys)\//.test(mount.target);
    if (guarded && proc?.device === mount.device && proc.root !== mount.root)
      readonlyPaths.push(mount.target);
    else if (isMask(mount)) masked.push(mount.target);
    else mounts.push(mountLine(mount, hosts));
  }
  const { lower, upper } = overlayFolders(root);
  return {
    fstype: root.fstype,
    source: root.fstype === "overlay" || !apart ? root.source : sourceOf(root, hosts),
    readonly: root.options.includes("ro"),
    host: !apart,
    layers: layers(engine, lower, container),
    ...(upper === undefined ? {} : { upper: changes(upper, look) }),
    mounts,
    masked,
    readonlyPaths,
  };
}

/** Nothing can be read there: /dev/null over a file, an empty read-only tmpfs over a folder. */
export function isMask({ target, root, fstype, options, superOptions }: MountEntry): boolean {
  // In a user namespace devices are bound, /dev/null onto itself.
  if (root === "/null" && target !== "/dev/null" && (fstype === "devtmpfs" || fstype === "tmpfs"))
    return true;
  if (fstype !== "tmpfs" || root !== "/" || !options.includes("ro")) return false;
  return superOptions.includes("size=0k") || /^\/(?:proc|sys\/(?:firmware|devices))(?:\/|$)/.test(target);
}

/** Of an overlay's options; kernels write the layers as `lowerdir=a:b` or `lowerdir+=a,lowerdir+=b`, top-most first. */
export function overlayFolders({ fstype, superOptions }: MountEntry): { lower: string[]; upper?: string } {
  const lower: string[] = [];
  let upper: string | undefined;
  if (fstype !== "overlay") return { lower };
  for (const option of superOptions) {
    const [key = "", ...rest] = option.split("=");
    const value = rest
      .join("=")
      .replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (key === "lowerdir") lower.push(...value.split(":").filter(Boolean));
    else if (key === "lowerdir+" || key === "datadir+") lower.push(value);
    else if (key === "upperdir") upper = value;
  }
  return { lower: lower.reverse(), ...(upper === undefined ? {} : { upper }) };
}

export function layers(
  engine: Engine,
  lower: readonly string[],
  container: ContainerRecord | undefined,
): Layer[] {
  const plain = lower.map((path) => ({ path }));
  if (!container?.imageId) return plain;
  try {
    const image = engine.images.get(container.imageId);
    const history = engine.images.history(container.imageId).toReversed();
    const steps = image.config.history ?? [];
    if (image.config.rootfs.diff_ids.length === 0)
      return plain.map((layer) => ({ ...layer, madeBy: steps[0]?.created_by ?? "" }));
    // Empty steps made no layer.
    const made = history.filter((_, index) => !steps[index]?.empty_layer);
    if (made.length !== plain.length) return plain;
    return plain.map((layer, index) => {
      const { size, createdBy } = made[index] ?? { size: 0, createdBy: "" };
      return { ...layer, size, madeBy: createdBy };
    });
  } catch {
    // The image was removed meanwhile.
    return plain;
  }
}

/** What the container wrote, by overlayfs's own marks: a character device 0:0 deletes. */
function changes(path: string, look: Look): Changes {
  let changed = 0;
  let deleted = 0;
  let open = [path];
  while (open.length > 0) {
    const next: string[] = [];
    for (const folder of open) {
      let entries: ReturnType<typeof readTypes>;
      try {
        entries = readTypes(folder);
      } catch (error) {
        const { code } = error as { code?: string };
        if (folder !== path) continue;
        if (code === "EACCES" || code === "EPERM") look.refused.add("the upper layer");
        return { path };
      }
      for (const [name, type] of entries) {
        if (changed + deleted >= MOST_CHANGES) return { path, changed, deleted, more: true };
        if (type === ENTRY.directory) next.push(`${folder}/${name}`);
        else if (type === ENTRY.character && isWhiteout(`${folder}/${name}`)) deleted++;
        else changed++;
      }
    }
    open = next;
  }
  return { path, changed, deleted };
}

const isWhiteout = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.rdev === 0;

function mountLine(mount: MountEntry, hosts: readonly MountEntry[]): MountLine {
  return {
    target: mount.target,
    fstype: mount.fstype,
    source: sourceOf(mount, hosts),
    flags: mount.options.filter((option) => option !== "relatime" && option !== "rw"),
    propagation: mount.tags,
  };
}

/** A path of the machine where the same filesystem is mounted there too; otherwise what the filesystem calls itself. */
export function sourceOf(mount: MountEntry, hosts: readonly MountEntry[]): string {
  let best: MountEntry | undefined;
  for (const host of hosts) {
    if (host.device !== mount.device) continue;
    const covers = host.root === "/" || mount.root === host.root || mount.root.startsWith(`${host.root}/`);
    if (covers && host.root.length >= (best?.root.length ?? 0)) best = host;
  }
  if (!best) return mount.root === "/" ? mount.source : `${mount.source}[${mount.root}]`;
  const below = best.root === "/" ? mount.root : mount.root.slice(best.root.length);
  const path = `${best.target === "/" ? "" : best.target}${below === "/" ? "" : below}`;
  return path === "" ? "/" : path;
}
