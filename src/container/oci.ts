/** A container as an OCI runtime bundle: the specification that its plan is compiled from, completed for other runtimes. */
import { existsSync, readFileSync } from "node:fs";
import {
  builtinProfile,
  callerIdMaps,
  parseSeccomp,
  parseUser,
  type Root,
  type Spec,
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
  const whole: Linux = {
    ...linux,
    namespaces:
      maps && !namespaces.some(({ type }) => type === "user")
        ? [...namespaces, { type: "user" }]
        : namespaces,
    ...(maps ? { uidMappings: maps.uid, gidMappings: maps.gid } : {}),
    maskedPaths: [...(linux.maskedPaths ?? []), ...hidden],
    ...(await seccomp(container, process?.capabilities?.bounding ?? [])),
  };
  return {
    spec: {
      ...spec,
      // What every runtime of today takes: nothing here is younger.
      ociVersion: "1.0.2",
      root: { path: root.kind === "directory" ? root.path : "rootfs", readonly: config.readonlyRootfs },
      ...(process ? { process: { ...process, rlimits: allowed(process.rlimits ?? []) } } : {}),
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
        // Its own three files exist as long as it runs.
        ...(spec.mounts ?? []).filter(({ source = "" }) => !source.startsWith(at.run) || existsSync(source)),
      ],
      linux: whole,
    },
    root,
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
