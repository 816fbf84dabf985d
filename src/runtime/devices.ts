/** Device nodes: those that every container has, those of the host that it is given, and the rules that go with them. */

import { SampanError } from "../common/error.ts";
import { MOUNT_ATTR, S_IF } from "../kernel/flags.ts";
import { lstatSync, readdirSync, type Stats, statSync } from "../kernel/fs.ts";
import type { Step } from "../launch/index.ts";
import type { SpecDevice, SpecDeviceRule } from "./spec.ts";

/** OCI config-linux.md, "Default Devices"; console and ptmx come from the container's own devpts. */
export const DEFAULT_DEVICES: readonly SpecDevice[] = [
  { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o666 },
  { path: "/dev/zero", type: "c", major: 1, minor: 5, fileMode: 0o666 },
  { path: "/dev/full", type: "c", major: 1, minor: 7, fileMode: 0o666 },
  { path: "/dev/random", type: "c", major: 1, minor: 8, fileMode: 0o666 },
  { path: "/dev/urandom", type: "c", major: 1, minor: 9, fileMode: 0o666 },
  { path: "/dev/tty", type: "c", major: 5, minor: 0, fileMode: 0o666 },
];

const rule = (
  major: number | undefined,
  minor: number | undefined,
  access: string,
  type = "c",
): SpecDeviceRule => ({
  allow: true,
  type,
  ...(major === undefined ? {} : { major }),
  ...(minor === undefined ? {} : { minor }),
  access,
});

/** Any node may be made (making is harmless), only these may be opened. */
export const DEFAULT_DEVICE_RULES: readonly SpecDeviceRule[] = [
  { allow: false, access: "rwm" },
  rule(undefined, undefined, "m"),
  rule(undefined, undefined, "m", "b"),
  rule(1, 3, "rwm"),
  rule(1, 5, "rwm"),
  rule(1, 7, "rwm"),
  rule(1, 8, "rwm"),
  rule(1, 9, "rwm"),
  rule(5, 0, "rwm"),
  rule(5, 1, "rwm"),
  rule(5, 2, "rwm"),
  rule(136, undefined, "rwm"),
];

/** Everything: `--privileged`. */
export const ALL_DEVICES: readonly SpecDeviceRule[] = [{ allow: true, access: "rwm" }];

/** Links of every container's /dev. */
const LINKS: readonly (readonly [string, string])[] = [
  ["/dev/fd", "/proc/self/fd"],
  ["/dev/stdin", "/proc/self/fd/0"],
  ["/dev/stdout", "/proc/self/fd/1"],
  ["/dev/stderr", "/proc/self/fd/2"],
  ["/dev/core", "/proc/kcore"],
  ["/dev/ptmx", "pts/ptmx"],
];

const TYPES: Readonly<Record<string, number>> = { c: S_IF.chr, u: S_IF.chr, b: S_IF.blk, p: S_IF.fifo };

/** linux/kdev_t.h as glibc's gnu_dev_major and gnu_dev_minor read it. */
export function splitDevice(rdev: number): { major: number; minor: number } {
  const n = BigInt(rdev);
  return {
    major: Number(((n >> 8n) & 0xfffn) | ((n >> 32n) & 0xfffff000n)),
    minor: Number((n & 0xffn) | ((n >> 12n) & 0xffffff00n)),
  };
}

function stat(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** The node at a host path, as it appears at `target` in the container. */
export function hostDevice(host: string, target = host): SpecDevice {
  const found = stat(host);
  if (found === undefined)
    throw new SampanError(
      "invalid",
      `error gathering device information while adding custom device "${host}": no such file or directory`,
      {
        hint: "--device takes a device node of this host.",
      },
    );
  const kind = found.mode & S_IF.mask;
  if (kind !== S_IF.chr && kind !== S_IF.blk)
    throw new SampanError(
      "invalid",
      `error gathering device information while adding custom device "${host}": not a device node`,
    );
  return {
    path: target,
    type: kind === S_IF.blk ? "b" : "c",
    ...splitDevice(found.rdev),
    fileMode: found.mode & 0o777,
    uid: found.uid,
    gid: found.gid,
  };
}

/** Like hostDevice; a folder stands for all nodes in it, as Docker takes `--device /dev/snd`. */
export function hostDevices(host: string, target = host): SpecDevice[] {
  return stat(host)?.isDirectory() ? walk(host, target) : [hostDevice(host, target)];
}

function walk(folder: string, target: string): SpecDevice[] {
  const found: SpecDevice[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) found.push(...walk(path, `${target}/${entry.name}`));
    else if (entry.isBlockDevice() || entry.isCharacterDevice())
      try {
        found.push(hostDevice(path, `${target}/${entry.name}`));
      } catch (error) {
        if (!(error instanceof SampanError)) throw error;
      }
  }
  return found;
}

/** All nodes of this host's /dev, without those that a container has of its own: `--privileged`. */
export function allHostDevices(): SpecDevice[] {
  const own = new Set([...DEFAULT_DEVICES.map(({ path }) => path), "/dev/console", "/dev/ptmx"]);
  const skip = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"]);
  const found: SpecDevice[] = [];
  for (const entry of readdirSync("/dev", { withFileTypes: true })) {
    if (skip.has(entry.name)) continue;
    const path = `/dev/${entry.name}`;
    if (entry.isDirectory()) found.push(...walk(path, path));
    else if ((entry.isBlockDevice() || entry.isCharacterDevice()) && !own.has(path))
      found.push(hostDevice(path));
  }
  return found;
}

/** `--device-cgroup-rule`: `c 1:3 mr`, `b 7:* rmw`, `a *:* rwm`. */
export function parseDeviceRule(text: string): SpecDeviceRule {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null)
    throw new SampanError("invalid", `invalid device cgroup format '${text}'`, {
      hint: "A rule is a type (a, b, c), major:minor numbers or *, and some of r, w, m: 'c 42:* rmw'.",
    });
  const [, type = "a", major = "*", minor = "*", access = "rwm"] = match;
  const number = (word: string): number | undefined => (word === "*" ? undefined : Number(word));
  return rule(number(major), number(minor), access, type);
}

export const ruleFor = (device: SpecDevice, access: string): SpecDeviceRule =>
  rule(device.major, device.minor, access, device.type);

/** Major and minor of the block device at a host path: what `--device-read-bps` and its like name. */
export function blockDevice(path: string): { major: number; minor: number } {
  const found = stat(path);
  if (found === undefined || (found.mode & S_IF.mask) !== S_IF.blk)
    throw new SampanError("invalid", `${path} is not a block device`);
  return splitDevice(found.rdev);
}

/** Nodes and links. Where nodes cannot be made (a user namespace), the host's are bound instead. */
export function deviceSteps(devices: readonly SpecDevice[], bind: boolean): Step[] {
  const steps: Step[] = [];
  const node = (device: SpecDevice, why: string): void => {
    const type = TYPES[device.type];
    if (type === undefined)
      throw new SampanError("invalid", `${device.path}: unknown device type "${device.type}"`);
    if (bind && type !== S_IF.fifo)
      steps.push({
        call: "bind",
        column: "inside",
        why,
        at: "root",
        source: hostPath(device),
        target: device.path,
        recursive: false,
        // A device is written all the same; whose the host's node is, and its mode, is not the container's to change.
        set: MOUNT_ATTR.rdonly,
        clear: 0,
        create: "file",
        propagation: 0,
      });
    else
      steps.push({
        call: "mknod",
        column: "inside",
        why,
        target: device.path,
        mode: type | (device.fileMode ?? 0o666),
        major: device.major ?? 0,
        minor: device.minor ?? 0,
        uid: device.uid ?? 0,
        gid: device.gid ?? 0,
      });
  };
  for (const device of DEFAULT_DEVICES) node(device, "devices");
  for (const [target, to] of LINKS)
    steps.push({ call: "symlink", column: "inside", why: "devices", target, to });
  for (const device of devices) node(device, `--device ${device.path}`);
  return steps;
}

/** Where the host has the node: mostly under the same name, otherwise by its numbers. */
function hostPath(device: SpecDevice): string {
  const found = stat(device.path);
  const same = found && splitDevice(found.rdev);
  if (same?.major === device.major && same?.minor === device.minor) return device.path;
  const byNumber = `/dev/${device.type === "b" ? "block" : "char"}/${device.major}:${device.minor}`;
  if (stat(byNumber)) return byNumber;
  // These links are udev's, which not every machine has.
  for (const name of readdirSync("/dev")) {
    const other = lstatSync(`/dev/${name}`, { throwIfNoEntry: false });
    const numbers = other && splitDevice(other.rdev);
    if (numbers?.major === device.major && numbers?.minor === device.minor) return `/dev/${name}`;
  }
  return byNumber;
}
