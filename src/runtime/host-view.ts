/**
 * The host image: this machine's own root as a copy-on-write view. An overlay shows the root filesystem alone, so what
 * the host has mounted in it is not there. Its real filesystems (/usr or /home on a disk of their own) are bound in,
 * read-only; its /proc, /sys, /dev and /run stay behind, and the engine's state is covered.
 */

import { MOUNT_ATTR, MS } from "../kernel/flags.ts";
import { readdirSync, readFileSync, readlinkSync } from "../kernel/fs.ts";
import { parseMountinfo } from "../kernel/proc.ts";
import type { Step } from "../launch/index.ts";
import { inside, type Root } from "./rootfs.ts";

/** Never part of the view, nor anything beneath. */
const NOT_SHOWN: readonly string[] = ["/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/media"];
const NETWORK: readonly string[] = ["nfs", "nfs4", "cifs", "ceph", "9p", "virtiofs", "zfs", "btrfs"];

const beneath = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** Targets of the host's real filesystems beside its root, those above before those beneath. */
export function realMounts(mountinfo: string): string[] {
  const found: string[] = [];
  for (const { target, source, fstype } of parseMountinfo(mountinfo)) {
    if (target === "/" || found.includes(target)) continue;
    if (!source.startsWith("/dev/") && !NETWORK.includes(fstype)) continue;
    let hidden = false;
    for (const folder of NOT_SHOWN) hidden ||= beneath(target, folder);
    if (!hidden) found.push(target);
  }
  return found.sort();
}

/** Folders of `/` that a container has of its own, whoever it belongs to. */
const FRESH: readonly string[] = ["/proc", "/sys", "/dev", "/run", "/lost+found"];

/**
 * The view of a caller without root. `/` with all that is mounted in it came into the user namespace as one piece that
 * may not be taken apart, so it cannot be a lower layer; its folders can, one overlay for each. One that has mounts
 * beneath it is shown read-only instead.
 */
function partSteps(root: Root & { kind: "host" }, mountinfo: string): Step[] {
  const mounted = parseMountinfo(mountinfo).map(({ target }) => target);
  const options = ["userxattr", ...(root.volatile ? ["volatile"] : [])];
  return readdirSync("/", { withFileTypes: true }).flatMap((entry): Step[] => {
    const path = `/${entry.name}`;
    if (entry.isSymbolicLink())
      return [inside("host image", { call: "symlink", target: path, to: readlinkSync(path) })];
    if (FRESH.includes(path)) return [];
    const divided = mounted.some((target) => target.startsWith(`${path}/`));
    if (!entry.isDirectory() || divided)
      return [
        inside("host image", {
          call: "bind",
          at: "root",
          source: path,
          target: path,
          recursive: divided,
          set: MOUNT_ATTR.rdonly,
          clear: 0,
          recursiveAttributes: divided,
          create: entry.isDirectory() ? "dir" : "file",
          propagation: 0,
        }),
      ];
    const part = `${root.work}/${entry.name}`;
    const mkdir = (folder: string): Step =>
      inside("host image", { call: "mkdir", at: "host", path: folder, mode: 0o755 });
    return [
      mkdir(`${root.target}${path}`),
      mkdir(`${part}/upper`),
      mkdir(`${part}/work`),
      inside("host image", {
        call: "overlay",
        target: `${root.target}${path}`,
        lower: [path],
        upper: `${part}/upper`,
        work: `${part}/work`,
        options,
      }),
    ];
  });
}

export function hostViewSteps(root: Root): Step[] {
  if (root.kind !== "host") return [];
  const mountinfo = readFileSync("/proc/self/mountinfo", "utf8");
  const steps: Step[] = [
    ...(root.userxattr ? partSteps(root, mountinfo) : []),
    inside("host image", {
      call: "mount",
      fstype: "tmpfs",
      source: "tmpfs",
      target: "/run",
      flags: MS.nosuid | MS.nodev,
      data: "mode=755",
      create: "dir",
    }),
  ];
  for (const target of root.userxattr ? [] : realMounts(mountinfo))
    steps.push(
      inside("host image", {
        call: "bind",
        at: "root",
        source: target,
        target,
        recursive: false,
        set: MOUNT_ATTR.rdonly,
        clear: 0,
        create: "dir",
        propagation: 0,
      }),
    );
  for (const target of root.hide) steps.push(inside("host image", { call: "mask", target }));
  return steps;
}
