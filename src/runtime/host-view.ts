/**
 * The host image: this machine's own root as a copy-on-write view. An overlay shows the root filesystem alone, so what
 * the host has mounted in it is not there. Its real filesystems (/usr or /home on a disk of their own) are bound in,
 * read-only; its /proc, /sys, /dev and /run stay behind, and the engine's state is covered.
 */
import { readFileSync } from "node:fs";
import { MOUNT_ATTR, MS } from "../kernel/flags.ts";
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
    if (NOT_SHOWN.some((folder) => beneath(target, folder))) continue;
    found.push(target);
  }
  return found.sort();
}

export function hostViewSteps(root: Root): Step[] {
  if (root.kind !== "host") return [];
  const steps: Step[] = [
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
  for (const target of realMounts(readFileSync("/proc/self/mountinfo", "utf8")))
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
