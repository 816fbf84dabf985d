/**
 * What is mounted in a container: the filesystems that every one has, its three files, and what was asked for. A mount
 * that was asked for replaces a standard one at the same place.
 */
import { mkdirSync, statSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import type { SpecMount } from "../runtime/index.ts";
import type { ContainerConfig, Mount } from "./config.ts";

const SHM_SIZE = 64 * 1024 * 1024;

export interface Places {
  /** The folder that holds hostname, hosts and resolv.conf. */
  readonly files: string;
  /** A host folder that is /dev/shm, for containers that share it; undefined: a tmpfs of its own. */
  readonly shm?: string;
  /** The uid and gid of the container's process as the host sees them: for `match-user`. */
  readonly user: { readonly uid: number; readonly gid: number };
}

/** Docker's, in its order. */
function standard(config: ContainerConfig, places: Places): SpecMount[] {
  const { privileged } = config;
  const nodev = ["nosuid", "noexec", "nodev"];
  const access = privileged ? "rw" : "ro";
  const shm: SpecMount = places.shm
    ? { destination: "/dev/shm", type: "bind", source: places.shm, options: ["rbind", "rw", "nosuid", "noexec", "nodev"] }
    : {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: [...nodev, "mode=1777", `size=${config.shmSize || SHM_SIZE}`],
      };
  return [
    { destination: "/proc", type: "proc", source: "proc", options: nodev },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...nodev, access] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [access, ...nodev] },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: nodev },
    ...(config.namespaces.ipc?.mode === "none" ? [] : [shm]),
  ];
}

const ownFiles = (folder: string): SpecMount[] =>
  ["resolv.conf", "hostname", "hosts"].map((name) => ({
    destination: `/etc/${name}`,
    type: "bind",
    source: `${folder}/${name}`,
    options: ["rbind", "rprivate"],
  }));

/** A later option of the same kind replaces an earlier one, as mount(8) has it. */
function tmpfs(mount: Mount): SpecMount {
  const options = new Map<string, string>();
  const say = (option: string): void => {
    const key = option.split("=", 1)[0] ?? option;
    options.set(key.replace(/^no(?=exec|suid|dev|atime)/, "").replace(/^r[ow]$/, "access"), option);
  };
  for (const option of ["noexec", "nosuid", "nodev", ...(mount.tmpfsOptions ?? [])]) if (option !== "") say(option);
  if (mount.tmpfsSize) say(`size=${mount.tmpfsSize}`);
  if (mount.tmpfsMode !== undefined) say(`mode=${mount.tmpfsMode.toString(8)}`);
  if (mount.readonly) say("ro");
  return { destination: mount.target, type: "tmpfs", source: "tmpfs", options: [...options.values()] };
}

function bind(mount: Mount, places: Places): SpecMount {
  const { source, target, readonly = false, recursive = "enabled" } = mount;
  if (!source.startsWith("/"))
    throw new SampanError("invalid", `invalid mount config for type "bind": invalid mount path: '${source}' mount path must be absolute`);
  if (!statSync(source, { throwIfNoEntry: false })) {
    if (!mount.createSource)
      throw new SampanError(
        "invalid",
        `invalid mount config for type "bind": bind source path does not exist: ${source}`,
        { hint: "Make it first; -v makes a missing folder, --mount does not." },
      );
    mkdirSync(source, { recursive: true });
  }
  const options = [recursive === "disabled" ? "bind" : "rbind", mount.propagation ?? "rprivate"];
  if (readonly) options.push(recursive === "enabled" || recursive === "readonly" ? "rro" : "ro");
  const common = { destination: target, type: "bind", source };
  if (mount.idmap !== "match-user") return { ...common, options };
  const owner = mount.owner ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  // What the caller owns on disk is the container user's inside, and the other way round.
  return {
    ...common,
    options: [...options, "idmap"],
    uidMappings: [{ containerID: owner.uid, hostID: places.user.uid, size: 1 }],
    gidMappings: [{ containerID: owner.gid, hostID: places.user.gid, size: 1 }],
  };
}

function asked(mount: Mount, places: Places): SpecMount {
  switch (mount.type) {
    case "tmpfs":
      return tmpfs(mount);
    case "bind":
      return bind(mount, places);
    case "volume":
      throw new SampanError("unavailable", `volume "${mount.source}": there are no named volumes yet`, {
        hint: `Bind a folder of this machine instead: -v /path:${mount.target}`,
      });
    case "image":
      throw new SampanError("unavailable", `mount of type image at ${mount.target}: not available yet`);
  }
}

const plain = (path: string): string => path.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
const depth = (path: string): number => plain(path).split("/").length;

/** All mounts of a container, in the order in which they are made. */
export function specMounts(config: ContainerConfig, places: Places): SpecMount[] {
  const own = config.mounts.map((mount) => asked(mount, places));
  own.sort((a, b) => depth(a.destination) - depth(b.destination));
  // A root that is this machine's own, in a mount namespace that is a copy of it: there is nothing to be added.
  if (config.exactly && (config.rootfs?.path === "/" || !config.exactly.includes("mnt"))) return own;
  const base = [...standard(config, places), ...ownFiles(places.files)];
  if (own.length === 0) return base;
  const taken = new Set(own.map((mount) => plain(mount.destination)));
  const covered = (path: string): boolean =>
    taken.has(path) || (taken.has("/dev") && path.startsWith("/dev/")) || (taken.has("/sys") && path.startsWith("/sys/"));
  return [...base.filter((mount) => !covered(mount.destination)), ...own];
}
