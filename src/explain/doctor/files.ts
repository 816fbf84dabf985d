/** The third plank: the state folder's filesystem, an overlay on it, and everything until the root is changed. */
import { mkdirSync, readFileSync, rmdirSync, statfsSync } from "node:fs";
import type { Paths } from "../../common/paths.ts";
import { removeFolder } from "../../container/index.ts";
import { MS, S_IF } from "../../kernel/flags.ts";
import { parseMountinfo } from "../../kernel/proc.ts";
import type { Step } from "../../launch/index.ts";
import { size } from "../layout.ts";
import { attempt, born, inside, isRootless, type Refusal } from "./attempt.ts";
import type { Finding } from "./types.ts";

const area = "root filesystem";
const GIB = 2 ** 30;

const mountOf = (path: string): { readonly fstype: string; readonly target: string } => {
  const mounts = parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"));
  const above = mounts.filter(
    ({ target }) => target === "/" || path === target || path.startsWith(`${target}/`),
  );
  return above.reduce((best, each) => (each.target.length >= best.target.length ? each : best), {
    fstype: "unknown",
    target: "",
  });
};

function disk(path: string): Finding {
  const { bavail, bsize, files, ffree } = statfsSync(path);
  const free = bavail * bsize;
  const { fstype } = mountOf(path);
  const detail = `${path} on ${fstype}, ${size(free)} free${files > 0 ? `, ${ffree} inodes` : ""}`;
  const tight = free < GIB || (files > 0 && ffree < 10_000);
  return {
    area,
    name: "state folder",
    state: tight ? "limited" : "works",
    detail,
    ...(tight
      ? {
          fix: "sampan container prune, sampan image prune, or --root on a larger disk",
          costs: "large images",
        }
      : {}),
    needed: true,
  };
}

const PRIVATE: Step = inside({ call: "propagation", flags: MS.rec | MS.private });

function overlay(place: string, options: readonly string[]): Step {
  return inside({
    call: "overlay",
    target: `${place}/root`,
    lower: [`${place}/lower`],
    upper: `${place}/upper`,
    work: `${place}/work`,
    options,
  });
}

/** A folder of the host becomes the root of the attempt. */
const ownRoot = (place: string): Step[] => [
  inside({
    call: "bind",
    at: "host",
    source: `${place}/lower`,
    target: `${place}/lower`,
    recursive: true,
    set: 0,
    clear: 0,
    create: "none",
    propagation: 0,
  }),
  inside({ call: "root", path: `${place}/lower` }),
];

const QUIET = MS.nosuid | MS.nodev | MS.noexec;

/** What every container has mounted. */
const FILESYSTEMS: readonly Step[] = (
  [
    ["proc", "/proc", ""],
    ["tmpfs", "/dev", "mode=755"],
    ["devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620"],
    ["sysfs", "/sys", ""],
    ["mqueue", "/dev/mqueue", ""],
  ] as const
).map(([fstype, target, data]) =>
  inside({ call: "mount", fstype, source: fstype, target, flags: QUIET, data, create: "dir" }),
);

const NODE: readonly Step[] = [
  inside({
    call: "mount",
    fstype: "tmpfs",
    source: "tmpfs",
    target: "/dev",
    flags: MS.nosuid,
    data: "",
    create: "dir",
  }),
  inside({ call: "mknod", target: "/dev/null", mode: S_IF.chr | 0o666, major: 1, minor: 3, uid: 0, gid: 0 }),
];

const finding = (
  name: string,
  refusal: Refusal | undefined,
  no: Pick<Finding, "costs"> & { readonly fix: string; readonly needed: boolean },
): Finding =>
  refusal
    ? { area, name, state: "no", detail: refusal.message, ...no }
    : { area, name, state: "works", detail: "", needed: no.needed };

/** Each has folders of its own, since all are tried at once. */
function folders(place: string, name: string): string {
  const own = `${place}/${name}`;
  for (const folder of ["lower/proc", "upper", "work", "root"])
    mkdirSync(`${own}/${folder}`, { recursive: true });
  return own;
}

export async function fileFindings(paths: Paths): Promise<Finding[]> {
  const place = `${paths.root}/tmp/doctor-${process.pid}`;
  let made: string | undefined;
  try {
    made = mkdirSync(place, { recursive: true });
  } catch (error) {
    const { code } = error as { code?: string };
    return [
      {
        area,
        name: "state folder",
        state: "no",
        detail: `${paths.root} cannot be written: ${code ?? String(error)}`,
        fix: "--root or SAMPAN_ROOT with a folder of yours",
        costs: "all of run",
        needed: true,
      },
    ];
  }
  try {
    const attributes = isRootless() ? ["userxattr"] : [];
    const whole = folders(place, "whole");
    const user = folders(place, "user");
    const bind = folders(place, "bind");
    const fresh = (name: string): Step[] => [
      ...born("mnt", "pid", "net", "ipc"),
      PRIVATE,
      ...ownRoot(folders(place, name)),
    ];
    const [plain, mounted, nodes, pivoted, nested, idmapped] = await Promise.all([
      attempt([...born("mnt", "pid"), PRIVATE, overlay(whole, attributes)]),
      attempt([...fresh("mounted"), ...FILESYSTEMS]),
      attempt([...fresh("nodes"), ...NODE]),
      attempt([...fresh("pivoted"), inside({ call: "pivot" })]),
      isRootless() ? undefined : attempt([...born("mnt", "user"), PRIVATE, overlay(user, ["userxattr"])]),
      isRootless()
        ? undefined
        : attempt([
            ...born("mnt"),
            PRIVATE,
            inside({
              call: "bind",
              at: "host",
              source: `${bind}/lower`,
              target: `${bind}/root`,
              recursive: false,
              set: 0,
              clear: 0,
              create: "none",
              propagation: 0,
              idmap: { uid: "0 1000 1\n", gid: "0 1000 1\n" },
            }),
          ]),
    ]);
    const found = [
      disk(paths.root),
      finding("overlay", plain, {
        fix: "put the state folder on ext4 or xfs (ftype=1): --root, SAMPAN_ROOT; modprobe overlay",
        costs: "all of run but --rootfs DIR",
        needed: true,
      }),
      finding("filesystems", mounted, {
        fix: "something hides parts of this /proc or /sys: in a container, --security-opt systempaths=unconfined",
        costs: "all of run",
        needed: true,
      }),
      finding("pivot_root", pivoted, {
        fix: "start from a root that is a mount, not the initramfs",
        costs: "all of run",
        needed: true,
      }),
    ];
    // Without root the machine's own nodes are bound instead.
    if (!isRootless())
      found.push(
        finding("device nodes", nodes, {
          fix: "a root with CAP_MKNOD, in a cgroup whose device rules let nodes be made (m)",
          costs: "all of run",
          needed: true,
        }),
      );
    if (!isRootless())
      found.push(
        finding("overlay, user namespace", nested, {
          fix: "Linux 5.11 or later",
          costs: "images for users without root",
          needed: false,
        }),
        finding("id-mapped mounts", idmapped, {
          fix: `Linux 5.12 or later, and a filesystem that has them (here: ${mountOf(paths.root).fstype})`,
          costs: "-v with bind-idmap=match-user",
          needed: false,
        }),
      );
    return found;
  } finally {
    // overlayfs leaves a folder without any permission.
    removeFolder(place);
    // A machine that is only asked keeps no folder of an engine that it does not have.
    for (const folder of made !== undefined && made.length <= paths.root.length
      ? [`${paths.root}/tmp`, paths.root]
      : [])
      try {
        rmdirSync(folder);
      } catch {
        // Somebody uses it.
      }
  }
}
