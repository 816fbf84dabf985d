/**
 * The first plank: what the process sees. Each of the eight namespaces is its own, the host's, another container's or
 * one named by a path; this file says which, and makes the steps that enter or make them.
 *
 * One clone3 makes all of its own at once. What has to be joined is joined by the child. A process cannot enter a pid
 * namespace, only its children can: so after joining one the child is replaced by a sibling. And with a user
 * namespace under real root the root filesystem is mounted first, while the mounter is still the host's root (an
 * overlay mounted inside could not read the trusted.overlay.* attributes that layers carry): such a child is made in
 * two stages, first with a mount namespace alone, then replaced by a sibling with all the rest.
 */
import { SampanError } from "../common/error.ts";
import { CLONE, type NamespaceName, type Step } from "../launch/index.ts";
import type { SpecIdMapping, SpecLinux, SpecNamespaceType } from "./spec.ts";

/** Another process, whose namespaces are joined: never a pid alone. */
export interface Peer {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly start: bigint;
  /** What is joined there is not its own: another user namespace owns it. */
  readonly foreign?: true;
}

export type Namespace =
  | { readonly kind: "own" | "host" }
  | { readonly kind: "join"; readonly peer: Peer }
  | { readonly kind: "path"; readonly path: string };

export type Namespaces = Readonly<Record<NamespaceName, Namespace>>;
export type Joins = Readonly<Partial<Record<NamespaceName, Peer>>>;

const NAMES: Readonly<Record<SpecNamespaceType, NamespaceName>> = {
  mount: "mnt",
  network: "net",
  pid: "pid",
  ipc: "ipc",
  uts: "uts",
  user: "user",
  cgroup: "cgroup",
  time: "time",
};

const HOST: Namespace = { kind: "host" };
const OWN: Namespace = { kind: "own" };

/** OCI: a namespace that is listed is new, or the one at its path; one that is not listed is the caller's. */
export function namespacesOf(linux: SpecLinux | undefined, joins: Joins = {}): Namespaces {
  const found: Record<NamespaceName, Namespace> = {
    mnt: HOST,
    pid: HOST,
    net: HOST,
    ipc: HOST,
    uts: HOST,
    user: HOST,
    cgroup: HOST,
    time: HOST,
  };
  for (const { type, path } of linux?.namespaces ?? []) {
    const name = NAMES[type];
    if (name === undefined) throw new SampanError("invalid", `unknown namespace type "${type}"`);
    found[name] = path ? { kind: "path", path } : OWN;
  }
  for (const name in joins) {
    const peer = joins[name as NamespaceName];
    if (peer) found[name as NamespaceName] = { kind: "join", peer };
  }
  return found;
}

export const isOwn = (namespaces: Namespaces, name: NamespaceName): boolean =>
  namespaces[name].kind === "own";

/** CLONE_NEW* of those that are the container's own. */
export function ownFlags(namespaces: Namespaces): number {
  let flags = 0;
  for (const name in namespaces)
    if (namespaces[name as NamespaceName].kind === "own") flags |= CLONE[name as NamespaceName];
  return flags >>> 0;
}

/** One join for each process, with all that is wanted of it; one setns for each path. */
export function joinSteps(namespaces: Namespaces, why: (name: NamespaceName) => string): Step[] {
  const steps: Step[] = [];
  let any = false;
  for (const key in namespaces) {
    const { kind } = namespaces[key as NamespaceName];
    any ||= kind === "join" || kind === "path";
  }
  if (!any) return steps;
  const peers: { readonly peer: Peer; flags: number; names: NamespaceName[] }[] = [];
  for (const key in namespaces) {
    const name = key as NamespaceName;
    const namespace = namespaces[name];
    if (namespace.kind === "join") {
      const known = peers.find(({ peer }) => peer.pid === namespace.peer.pid);
      if (known) {
        known.flags |= CLONE[name];
        known.names.push(name);
      } else peers.push({ peer: namespace.peer, flags: CLONE[name], names: [name] });
    }
  }
  // All others, then user: entering a user namespace first would cost the right to enter what it does not own.
  for (const key of ["mnt", "pid", "net", "ipc", "uts", "cgroup", "time", "user"] as const) {
    const namespace = namespaces[key];
    if (namespace.kind === "path")
      steps.push({ call: "setns", column: "inside", why: why(key), path: namespace.path, flags: CLONE[key] });
  }
  const joins = peers.map(
    ({ peer, flags, names }): Step => ({
      call: "join",
      column: "inside",
      why: why(names[0] ?? "pid"),
      pid: peer.pid,
      start: peer.start,
      flags: flags >>> 0,
    }),
  );
  return [...joins.filter((step) => !isUserJoin(step)), ...steps, ...joins.filter(isUserJoin)];
}

const isUserJoin = (step: Step): boolean => step.call === "join" && (step.flags & CLONE.user) !== 0;

/**
 * A time namespace takes its offsets before its first process is in it (time_namespaces(7)): it is made for the children
 * alone, and the sibling that takes over is the first.
 */
export function clockSteps(offsets: SpecLinux["timeOffsets"], own: boolean): Step[] {
  const lines: string[] = [];
  for (const clock in offsets) {
    if (clock !== "monotonic" && clock !== "boottime")
      throw new SampanError("invalid", `linux.timeOffsets: "${clock}" is no clock of a time namespace`, {
        hint: "It takes monotonic and boottime.",
      });
    const { secs = 0, nanosecs = 0 } = offsets[clock] ?? {};
    lines.push(`${clock} ${secs} ${nanosecs}\n`);
  }
  if (lines.length === 0) return [];
  if (!own)
    throw new SampanError("invalid", "linux.timeOffsets needs a time namespace of the container's own");
  const why = "linux.timeOffsets";
  return [
    { call: "unshare", column: "inside", why, flags: CLONE.time },
    { call: "proc", column: "inside", why, path: "self/timens_offsets", data: lines.join("") },
  ];
}

/** Lines of uid_map and gid_map: id inside, id outside, how many. */
export const idMap = (mappings: readonly SpecIdMapping[]): string =>
  mappings.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join("");

/** Root's `--userns private`: every id is itself, only the powers are the namespace's own. */
export const IDENTITY: readonly SpecIdMapping[] = [{ containerID: 0, hostID: 0, size: 4294967295 }];

/** How the maps of a new user namespace get written: by root itself, or for a user. */
export interface IdMaps {
  readonly uid: readonly SpecIdMapping[];
  readonly gid: readonly SpecIdMapping[];
  /** The caller may map only itself: setgroups must be denied before gid_map is accepted (user_namespaces(7)). */
  readonly denySetgroups?: boolean;
  /** Why there is but one id, for whoever asks for another. */
  readonly single?: string;
  /** Paths of newuidmap and newgidmap, which map ranges of /etc/subuid for a user. */
  readonly helpers?: { readonly uid: string; readonly gid: string };
}

export function idMapSteps(maps: IdMaps, why: string): Step[] {
  if (maps.helpers) {
    const words = (mappings: readonly SpecIdMapping[]): string[] =>
      mappings.flatMap((m) => [`${m.containerID}`, `${m.hostID}`, `${m.size}`]);
    return [
      { call: "spawn", column: "outside", why, argv: [maps.helpers.uid, "{pid}", ...words(maps.uid)] },
      { call: "spawn", column: "outside", why, argv: [maps.helpers.gid, "{pid}", ...words(maps.gid)] },
    ];
  }
  const write = (file: string, data: string): Step => ({
    call: "write",
    column: "outside",
    why,
    path: `/proc/{pid}/${file}`,
    data,
    pid: true,
  });
  return [
    ...(maps.denySetgroups ? [write("setgroups", "deny")] : []),
    write("uid_map", idMap(maps.uid)),
    write("gid_map", idMap(maps.gid)),
  ];
}
