/** A container as an OCI runtime bundle: the specification that its plan is compiled from, completed for other runtimes. */
import { existsSync, readFileSync } from "node:fs";
import {
  builtinProfile,
  type CgroupHost,
  callerIdMaps,
  type IdMaps,
  parseSeccomp,
  parseUser,
  type Root,
  readCgroupHost,
  type Spec,
  type SpecMount,
} from "../runtime/index.ts";
import { type Context, places } from "./context.ts";
import { cgroupOf } from "./keeper.ts";
import { readInRoot } from "./root.ts";
import type { StoredContainer } from "./rows.ts";
import { buildSpec, isRootless } from "./spec.ts";
import { peerOf, readProfile, rootOf } from "./start.ts";

export interface Bundle {
  readonly spec: Spec;
  readonly root: Root;
  /**
   * The ids of a caller who is not root and whose root filesystem is one of layers: it can be mounted in a user namespace alone, so that
   * the runtime has to run in one with these ids. Otherwise the specification says it all.
   */
  readonly within?: IdMaps;
}

type Linux = NonNullable<Spec["linux"]>;
type Process = NonNullable<Spec["process"]>;

export async function bundle(context: Context, container: StoredContainer): Promise<Bundle> {
  const { config, id } = container;
  const at = places(context.paths, id);
  const root = rootOf(context, container);
  const user = parseUser(
    container.user,
    readInRoot(root, "/etc/passwd"),
    readInRoot(root, "/etc/group"),
    config.groups,
  );
  const cgroupPath = cgroupOf(container);
  const prepared = container.mounts
    ? await (await import("./oci-mounts.ts")).ociMounts(context, container)
    : undefined;
  const spec = buildSpec({
    record: container,
    user,
    places: { files: at.run, user, ...(prepared ? { prepared } : {}) },
    // The original may still be in its own.
    cgroupPath: `${cgroupPath.slice(0, cgroupPath.lastIndexOf("/"))}/${container.name}-again`,
  });
  const { process, linux = {} } = spec;
  const hidden = root.kind === "host" ? root.hide : [];
  const namespaces = [...(linux.namespaces ?? []), ...joined(context, container)];
  const maps = isRootless() ? callerIdMaps() : undefined;
  // Its own user namespace, unless another's is joined.
  const joinedUser = namespaces.some(({ type, path }) => type === "user" && path);
  const own = maps && root.kind === "directory" && !joinedUser;
  const others = maps ? namespaces.filter(({ type, path }) => type !== "user" || path) : namespaces;
  const host = maps && readCgroupHost();
  const whole: Linux = {
    ...linux,
    ...(host ? ofUser(linux, host) : {}),
    namespaces: own ? [...others, { type: "user" }] : others,
    ...(own ? { uidMappings: maps.uid, gidMappings: maps.gid } : {}),
    maskedPaths: [...(linux.maskedPaths ?? []), ...hidden],
    ...(await seccomp(container, process?.capabilities?.bounding ?? [])),
  };
  return {
    spec: {
      ...spec,
      // What every runtime of today takes: nothing here is younger.
      ociVersion: "1.0.2",
      root: { path: root.kind === "directory" ? root.path : "rootfs", readonly: config.readonlyRootfs },
      ...(process ? { process: processOf(process, maps) } : {}),
      mounts: [
        ...(root.kind === "host"
          ? [
              {
                destination: "/run",
                type: "tmpfs",
                source: "tmpfs",
                options: ["nosuid", "nodev", "mode=755"],
              },
            ]
          : []),
        ...mountsOf(spec.mounts ?? [], at.run, host, maps),
      ],
      linux: whole,
    },
    root,
    ...(maps && root.kind !== "directory" ? { within: maps } : {}),
  };
}

/** The container's own three files exist as long as it runs; a user has neither all cgroups nor all groups. */
function mountsOf(
  all: readonly SpecMount[],
  run: string,
  host: CgroupHost | undefined,
  maps: IdMaps | undefined,
): SpecMount[] {
  const mapped = (gid: number): boolean =>
    maps?.gid.some(({ containerID, size }) => gid >= containerID && gid < containerID + size) ?? true;
  return all.flatMap((mount): SpecMount[] => {
    const { source = "", type, options } = mount;
    if (source.startsWith(run) && !existsSync(source)) return [];
    if (type === "cgroup" && host?.kind === "none" && !host.pure) return [];
    if (type !== "devpts" || !options) return [mount];
    return [
      {
        ...mount,
        options: options.filter((each) => !each.startsWith("gid=") || mapped(Number(each.slice(4)))),
      },
    ];
  });
}

/** Of a user: cgroups where some are delegated, and no default that takes more ids than a user has. */
function ofUser({ sysctlDefault, resources, cgroupsPath = "" }: Linux, host: CgroupHost): Partial<Linux> {
  const { "net/ipv4/ping_group_range": _, ...sysctls } = sysctlDefault ?? {};
  const { devices: __, ...limits } = resources ?? {};
  const place =
    host.kind === "none"
      ? { cgroupsPath: undefined, resources: undefined }
      : { cgroupsPath: `${host.delegated ?? ""}${cgroupsPath}`, resources: limits };
  return { sysctlDefault: sysctls, ...place } as Partial<Linux>;
}

/** Where setgroups is denied nobody has further groups. */
function processOf(process: Process, maps: IdMaps | undefined): Process {
  const { additionalGids, ...user } = process.user;
  return {
    ...process,
    user: maps?.denySetgroups ? user : { ...user, ...(additionalGids ? { additionalGids } : {}) },
    rlimits: allowed(process.rlimits ?? []),
  };
}

const TYPES = { pid: "pid", net: "network", ipc: "ipc", uts: "uts", user: "user", cgroup: "cgroup" } as const;

/** Namespaces of other containers, by the files of a process in them. */
function joined(context: Context, { config }: StoredContainer): NonNullable<Linux["namespaces"]> {
  return Object.entries(config.namespaces).flatMap(([name, mode]) => {
    const type = TYPES[name as keyof typeof TYPES];
    if (mode.mode !== "container" || !type) return [];
    return [{ type, path: `/proc/${peerOf(context, mode.container, name).pid}/ns/${name}` }];
  });
}

async function seccomp(
  { config }: StoredContainer,
  capabilities: readonly string[],
): Promise<Pick<Linux, "seccomp">> {
  const wish = config.security.seccomp ?? (config.privileged ? "unconfined" : "builtin");
  if (wish === "unconfined") return {};
  if (wish === "builtin") return { seccomp: await builtinProfile(capabilities) };
  const text = wish.trimStart().startsWith("{") ? wish : readProfile(wish);
  return { seccomp: await parseSeccomp(text, capabilities) };
}

/** A limit that is only a default is as high as the caller may set it. */
function allowed(limits: NonNullable<Process["rlimits"]>): NonNullable<Process["rlimits"]> {
  const own = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1]);
  return limits.map(({ nearest, ...limit }) =>
    nearest && own < limit.hard ? { ...limit, soft: own, hard: own } : limit,
  );
}
