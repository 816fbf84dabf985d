/**
 * Specification → plan: the ordered story of how a container comes to be. Read it from top to bottom; the launcher
 * does exactly this, in this order.
 *
 *   outside (keeper, on the host)             inside (the child, before its program)
 *   cgroup v2: folder, limits, devices
 *   clone ────────────────────────────────▶   (born in that folder)
 *   id maps of a user namespace     ─────▶    private mount propagation, overlay
 *   cgroup v1: folders, limits, devices       mounts, devices, masks
 *                                   ─────▶    into its v1 cgroups; cgroup namespace, /sys/fs/cgroup
 *                                             pivot_root, hostname, sysctls, limits
 *                                             terminal, user, capabilities, seccomp
 *                                             execve
 *   … when it has ended: kill what is left, read what it used, remove the cgroup
 *
 * In all that a start runs there are plain loops: JavaScriptCore compiles map, filter, find and their like from source
 * when they are first used, at 15 to 100 microseconds each, which is as much as everything around them.
 */
import { SampanError } from "../common/error.ts";
import { CLONE, type NamespaceName, type Step } from "../launch/index.ts";
import { type CgroupHost, type CgroupSteps, cgroupSteps, judgedAsMaker } from "./cgroups/index.ts";
import { DEFAULT_DEVICE_RULES, deviceSteps } from "./devices.ts";
import { hostViewSteps } from "./host-view.ts";
import { loopbackUp } from "./loopback.ts";
import {
  clockSteps,
  IDENTITY,
  type IdMaps,
  idMapSteps,
  isOwn,
  type Joins,
  joinSteps,
  type Namespaces,
  namespacesOf,
  ownFlags,
} from "./namespaces.ts";
import { propagationOf } from "./options.ts";
import { type ProcessContext, pdeathsigStep, processSteps, settingSteps } from "./process.ts";
import {
  bindOntoItself,
  cgroupMountSteps,
  isHostRoot,
  layerSteps,
  maskSteps,
  mountSteps,
  privateStep,
  propagationSteps,
  type Root,
  type RootfsContext,
  readonlyRootStep,
  rootPath,
} from "./rootfs.ts";
import type { Filter } from "./seccomp/index.ts";
import type { Spec, SpecDeviceRule, SpecMount, SpecProcess, SpecResources } from "./spec.ts";
import { sysctlSteps } from "./sysctls.ts";

export interface Compile {
  readonly id: string;
  readonly spec: Spec;
  readonly root: Root;
  readonly cgroupHost: CgroupHost;
  /** Absolute in every hierarchy (see cgroupPath); absent: the process stays in the caller's cgroup. */
  readonly cgroupPath?: string;
  /** Namespaces of other containers: these win over what the specification says of the same kind. */
  readonly joins?: Joins;
  /** Absent: unconfined (see seccompFilter). */
  readonly seccomp?: Filter;
  readonly init?: boolean;
  /** Filesystems that mounts are taken from, made below this folder of the run folder before the root is entered. */
  readonly staged?: { readonly folder: string; readonly steps: readonly Step[] };
  /** What is copied from the root into new volumes, before anything is mounted over it. */
  readonly filled?: readonly Step[];
  /** What connects a network namespace of its own with the world, made beforehand (see src/network/steps.ts). */
  readonly network?: {
    readonly outside: readonly Step[];
    readonly inside: readonly Step[];
    readonly after: readonly Step[];
  };
  /** Of the caller who is not root, whose container lives in a user namespace (see callerIdMaps). */
  readonly rootless?: IdMaps;
  /** What connects a network namespace of the container's own to the host's without root. */
  readonly uplink?: readonly Step[];
}

/** What compile works out once and hands to each part of the story. */
interface Story extends Compile {
  readonly process: SpecProcess;
  readonly mounts: readonly SpecMount[];
  readonly namespaces: Namespaces;
  readonly maps: IdMaps | undefined;
  readonly rootfs: RootfsContext;
  readonly hostRoot: boolean;
}

const FLAG: Readonly<Record<NamespaceName, string>> = {
  mnt: "mnt namespace",
  pid: "--pid",
  net: "--network",
  ipc: "--ipc",
  uts: "--uts",
  user: "--userns",
  cgroup: "--cgroupns",
  time: "time namespace",
};

export function compile(input: Compile): Step[] {
  const story = begin(input);
  const { spec, namespaces } = story;
  const cgroup =
    story.cgroupPath === undefined
      ? { before: [], beside: [], join: [], after: [] }
      : cgroupSteps(story.cgroupHost, story.cgroupPath, withDeviceRules(spec.linux?.resources ?? {}));

  return [
    // Whatever comes first, the process is never for a moment in a cgroup without its limits.
    ...cgroup.before,
    ...birth(story, cgroup),
    ...(story.network && isReplaced(story) ? [barrier("outside", "--network"), ...wires(story)] : []),
    ...filesystem(story),
    ...(entersEarly(story) ? [] : enterCgroup(story, cgroup)),
    ...(isReplaced(story) ? [] : wires(story)),
    ...cgroupView(story),
    ...(story.hostRoot || !isOwn(namespaces, "mnt") ? [] : leaveHost(story)),
    ...identity(story),
    ...settingSteps(story.process, context(story)),
    ...processSteps(story.process, context(story)),
    ...(story.network?.after ?? []),
    ...cgroup.after,
  ];
}

function begin(input: Compile): Story {
  const { spec, root } = input;
  if (!spec.process) throw new SampanError("invalid", "the specification has no process");
  const namespaces = namespacesOf(spec.linux, input.joins);
  const hostRoot = isHostRoot(root);
  if (!hostRoot && namespaces.mnt.kind !== "own")
    throw new SampanError("invalid", "a root filesystem needs a mount namespace of its own", {
      hint: "Add mnt to --namespaces, or use --rootfs /.",
    });
  const mounts = spec.mounts ?? [];
  if (namespaces.mnt.kind === "host" && mounts.length > 0)
    throw new SampanError("invalid", "mounts need a mount namespace of the container's own", {
      hint: "Add mnt to --namespaces: otherwise they would be the host's.",
    });
  const own = isOwn(namespaces, "user");
  const { uidMappings, gidMappings } = spec.linux ?? {};
  const maps = !own
    ? undefined
    : (input.rootless ?? { uid: uidMappings ?? IDENTITY, gid: gidMappings ?? IDENTITY });
  if (maps) checkMapped(spec.process, maps);
  return {
    ...input,
    process: spec.process,
    mounts,
    namespaces,
    maps,
    hostRoot,
    rootfs: {
      namespaces,
      userNamespace: namespaces.user.kind !== "host",
      cgroupHost: input.cgroupHost,
      cgroupPath: input.cgroupPath,
      mountLabel: spec.linux?.mountLabel ?? "",
    },
  };
}

/** Ids that the user namespace has no name for cannot be taken: said here, where it is known why. */
function checkMapped({ user }: SpecProcess, maps: IdMaps): void {
  const has = (list: IdMaps["uid"], id: number): boolean =>
    list.some(({ containerID, size }) => id >= containerID && id < containerID + size);
  for (const [kind, list, id] of [
    ["uid", maps.uid, user.uid],
    ["gid", maps.gid, user.gid],
  ] as const)
    if (!has(list, id))
      throw new SampanError(
        "refused",
        `--user: ${kind} ${id} is not mapped in this user namespace${maps.single ? `: ${maps.single}` : ""}`,
        { hint: "Only ids that the caller was given (/etc/subuid, /etc/subgid) can be used inside." },
      );
}

const context = (story: Story): ProcessContext => ({
  id: story.id,
  ...(story.seccomp ? { seccomp: story.seccomp } : {}),
  ...(story.init ? { init: true } : {}),
  ...(story.rootless?.denySetgroups || story.maps?.denySetgroups ? { denySetgroups: true } : {}),
});

const FIRST_DEFAULT = DEFAULT_DEVICE_RULES[1] as SpecDeviceRule;

/** A rule list that does not open everything gets the devices that every container needs, as OCI asks. */
function withDeviceRules(resources: SpecResources): SpecResources {
  const { devices } = resources;
  if (!devices || devices.length === 0) return resources;
  let last: SpecDeviceRule | undefined;
  for (const rule of devices) if (rule.type === undefined || rule.type === "a") last = rule;
  if (last === undefined || last.allow || devices.includes(FIRST_DEFAULT)) return resources;
  return { ...resources, devices: [...devices, ...DEFAULT_DEVICE_RULES.slice(1)] };
}

/** A child that is to give up the host's rights joins its cgroup before it does. */
const entersEarly = ({ namespaces, rootless }: Story): boolean =>
  namespaces.user.kind === "join" || (namespaces.user.kind !== "host" && rootless === undefined);

/** The child that is told to the kernel as the links' other end must be the one that stays. */
function isReplaced(story: Story): boolean {
  for (const _ in story.spec.linux?.timeOffsets) return true;
  return entersEarly(story) || joinsPid(story);
}
/** Only children enter a pid namespace that was joined. */
const joinsPid = ({ namespaces }: Story): boolean =>
  namespaces.pid.kind === "join" || namespaces.pid.kind === "path";

/** The keeper's part of the network, once its cgroups are made: the child, which waits for those, goes on meanwhile. */
const wires = ({ network }: Story): readonly Step[] => network?.outside ?? [];

/** Into the v1 hierarchies, as soon as the keeper has made their folders. */
const joinCgroup = ({ beside, join }: CgroupSteps): Step[] => [
  ...(beside.length > 0 ? [barrier("inside", "cgroup")] : []),
  ...join,
];

/** The same, then the namespace that begins there. */
const enterCgroup = ({ namespaces }: Story, cgroup: CgroupSteps): Step[] => [
  ...joinCgroup(cgroup),
  ...(isOwn(namespaces, "cgroup")
    ? [{ call: "unshare", column: "inside", why: "--cgroupns", flags: CLONE.cgroup } as const]
    : []),
];

/** The child in its namespaces, its ids mapped, its root filesystem put together; the keeper makes cgroups meanwhile. */
function birth(story: Story, cgroup: CgroupSteps): Step[] {
  const { namespaces, root, mounts, spec } = story;
  const own = ownFlags(namespaces) & ~CLONE.cgroup;
  const mnt = isOwn(namespaces, "mnt");
  const born = (flags: number): Step => ({
    call: "clone",
    column: "outside",
    why: "namespaces",
    flags: flags >>> 0,
    ...(cgroup.birth === undefined ? {} : { cgroup: cgroup.birth }),
  });
  const sibling = (flags: number, why: string): Step => ({
    call: "clone",
    column: "inside",
    why,
    flags: flags >>> 0,
  });
  const layers = mnt
    ? [
        ...propagationSteps(mounts, propagationOf(spec.linux?.rootfsPropagation), root),
        ...layerSteps(root, story.rootfs.mountLabel),
        ...stagedSteps(story),
      ]
    : [];
  const joins = joinSteps(namespaces, (name) => FLAG[name]);
  const clocks = clockSteps(spec.linux?.timeOffsets, isOwn(namespaces, "time"));
  // A namespace whose clocks were shifted is there already.
  const rest = clocks.length > 0 ? own & ~CLONE.time : own;
  const maps = story.maps ? idMapSteps(story.maps, "--userns") : [];
  // The uplink joins the child's namespaces by its files in /proc, which after its first barrier are closed to a user.
  const mapped = maps.length > 0 ? [...maps, ...(story.uplink ?? []), barrier("inside", "--userns")] : [];

  if (entersEarly(story)) {
    // A caller without root has its rights in that user namespace alone: what is the container's own is made in it.
    if (story.rootless !== undefined)
      return [
        born(0),
        ...joins,
        ...clocks,
        sibling(rest, "namespaces"),
        ...cgroup.beside,
        ...enterCgroup(story, cgroup),
        pdeathsigStep(),
        ...layers,
      ];
    // Two stages: the layers are mounted as the host's root, then a sibling takes over inside the user namespace. Its cgroup
    // namespace has to be that one's too: whoever mounts cgroup2 needs rights over it.
    return [
      born(own & CLONE.mnt),
      ...cgroup.beside,
      ...joinCgroup(cgroup),
      ...layers,
      ...joins,
      ...clocks,
      sibling(rest | (ownFlags(namespaces) & CLONE.cgroup), "--userns"),
      // Its maps are written when it is there, and it waits for them.
      ...(maps.length > 0 ? [barrier("outside", "--userns"), ...mapped] : []),
      pdeathsigStep(),
      // Mounts that were copied into a less privileged namespace are locked; a fresh bind of the root is not.
      ...(mnt && !story.hostRoot ? [bindOntoItself(rootPath(root), "rootfs")] : []),
    ];
  }
  const first = clocks.length > 0 ? own & CLONE.user : own;
  return [
    born(first),
    ...cgroup.beside,
    ...mapped,
    ...joins,
    ...clocks,
    ...(joinsPid(story) || clocks.length > 0
      ? [sibling(rest & ~first, joinsPid(story) ? "--pid" : "namespaces")]
      : []),
    pdeathsigStep(),
    ...layers,
  ];
}

function stagedSteps(story: Story): readonly Step[] {
  const { staged, cgroupHost, cgroupPath } = story;
  if (staged === undefined || staged.steps.length === 0) return [];
  const steps: Step[] = [privateStep(staged.folder, "mounts")];
  for (const step of staged.steps)
    if (isOfDisk(step) && cgroupPath !== undefined && story.rootless === undefined)
      steps.push(...judgedAsMaker(cgroupHost, cgroupPath, entersEarly(story), [step]));
    else steps.push(step);
  return steps;
}

const isOfDisk = (step: Step): boolean => step.call === "mount" && step.source.startsWith("/dev/");

const barrier = (waits: "inside" | "outside", why: string): Step => ({
  call: "barrier",
  column: waits,
  waits,
  why,
});

/** Everything that is mounted, made and masked beneath the root. */
function filesystem(story: Story): Step[] {
  const { spec, mounts, namespaces, rootfs, root, hostRoot, process } = story;
  if (!isOwn(namespaces, "mnt")) return [];
  const masked = spec.linux?.maskedPaths ?? [];
  const readonly = spec.linux?.readonlyPaths ?? [];
  const nothing = hostRoot && mounts.length === 0 && masked.length === 0 && readonly.length === 0;
  const steps: Step[] = [];
  // On the host's own root the terminal is only opened; nothing of the host's /dev is covered.
  if (hostRoot && process.terminal) steps.push(consoleStep(process));
  if (nothing) return steps;
  steps.push({ call: "root", column: "inside", why: "rootfs", path: rootPath(root) });
  steps.push(...hostViewSteps(root));
  if (root.kind === "layers" && root.upper !== undefined) steps.push(MOUNTS_LINK);
  if (story.filled) steps.push(...story.filled);
  for (const mount of mounts) if (!isCgroupView(mount)) steps.push(...mountSteps(mount, rootfs));
  // A /dev of its own, which is a fresh tmpfs: nodes and links go there.
  if (hasOwnDev(mounts)) steps.push(...deviceSteps(spec.linux?.devices ?? [], rootfs.userNamespace));
  if (!hostRoot && process.terminal) steps.push(consoleStep(process));
  if (!hostRoot && process.cwd !== "/" && process.cwd !== "")
    steps.push({
      call: "mkdir",
      column: "inside",
      why: "--workdir",
      at: "root",
      path: process.cwd,
      mode: 0o755,
      // Where it cannot be made, chdir says why in better words.
      optional: true,
    });
  steps.push(...maskSteps(masked, readonly));
  return steps;
}

/**
 * Programs that ask libc where the list of mounts is are told /etc/mtab: Java, for one. Images mostly leave it to the engine; one
 * that has its own keeps it.
 */
const MOUNTS_LINK: Step = {
  call: "symlink",
  column: "inside",
  why: "rootfs",
  target: "/etc/mtab",
  to: "/proc/mounts",
  optional: true,
};

function hasOwnDev(mounts: readonly SpecMount[]): boolean {
  for (const { destination, type, options } of mounts)
    if (destination === "/dev")
      return type !== "bind" && !options?.includes("bind") && !options?.includes("rbind");
  return false;
}

const CGROUPS = "/sys/fs/cgroup";
const isCgroup = ({ type }: SpecMount): boolean => type === "cgroup" || type === "cgroup2";
const isCgroupView = (mount: SpecMount): boolean =>
  isCgroup(mount) || mount.destination.startsWith(`${CGROUPS}/`);

/** /sys/fs/cgroup, and what somebody mounts beneath it: what it shows begins where the process is now. */
function cgroupView({ mounts, namespaces, rootfs }: Story): Step[] {
  const steps: Step[] = [];
  if (!isOwn(namespaces, "mnt")) return steps;
  for (const mount of mounts)
    if (isCgroup(mount)) steps.push(...cgroupMountSteps(mount, rootfs));
    else if (isCgroupView(mount)) steps.push(...mountSteps(mount, rootfs));
  return steps;
}

function consoleStep(process: SpecProcess): Step {
  const { height = 0, width = 0 } = process.consoleSize ?? {};
  return { call: "console", column: "inside", why: "--tty", rows: height, columns: width };
}

/** The host's files are out of reach after this. */
function leaveHost(story: Story): Step[] {
  return [
    ...(story.spec.root?.readonly ? [readonlyRootStep()] : []),
    { call: "pivot", column: "inside", why: "rootfs" },
  ];
}

/** What the container is called, and kernel settings that its own namespaces hold. */
function identity(story: Story): Step[] {
  const { spec, namespaces, network } = story;
  const steps: Step[] = [];
  if (isOwn(namespaces, "uts")) {
    if (spec.hostname)
      steps.push({ call: "hostname", column: "inside", why: "--hostname", name: spec.hostname });
    if (spec.domainname)
      steps.push({ call: "domainname", column: "inside", why: "--domainname", name: spec.domainname });
  }
  if (network) steps.push(barrier("inside", "--network"), ...network.inside);
  else if (isOwn(namespaces, "net"))
    steps.push({ call: "netlink", column: "inside", why: "--network", protocol: 0, messages: loopbackUp() });
  if (isOwn(namespaces, "net"))
    for (const path in spec.linux?.sysctlDefault)
      steps.push({
        call: "proc",
        column: "inside",
        why: "default sysctl",
        path: `sys/${path}`,
        data: spec.linux?.sysctlDefault[path] ?? "",
        optional: true,
      });
  steps.push(...sysctlSteps(spec.linux?.sysctl, (name) => isOwn(namespaces, name)));
  return steps;
}
