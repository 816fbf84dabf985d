/**
 * A container's start: everything that was asked for becomes one plan, and the plan a process. What fails on the way is
 * said with its cause, and the container is left as one that has not started.
 */

import { diskError, SampanError } from "../common/error.ts";
import { chmodSync, mkdirSync, readFileSync, rmSync } from "../kernel/fs.ts";
import {
  type Connection,
  LaunchError,
  type Launcher,
  type NamespaceName,
  type Plan,
} from "../launch/index.ts";
import { type Attached, load, loadUplink, type Surroundings, type Uplink } from "../network/index.ts";
import {
  type Compile,
  callerIdMaps,
  compile,
  type Joins,
  type Peer,
  parseSeccomp,
  parseUser,
  type Root,
  readCgroupHost,
  type SeccompChoice,
  seccompFilter,
  undelegated,
} from "../runtime/index.ts";
import type { ContainerConfig } from "./config.ts";
import { type Context, mountTarget, places, sharedShm } from "./context.ts";
import { writeFiles } from "./files.ts";
import { clearCgroup, discard, lostState, record, removeRun } from "./finish.ts";
import { healthSteps } from "./health.ts";
import { cgroupOf, hasHealthcheck, keeperPlan } from "./keeper.ts";
import { isLocked, readPidFile } from "./live.ts";
import { hasUplink, leftNetworks, loadNetwork, networkOwner, releaseNetwork } from "./networking.ts";
import { keepPlan } from "./plan.ts";
import { mergeEnv } from "./resolve.ts";
import { readInRoot, withoutUpper } from "./root.ts";
import { CREATED, type StoredContainer } from "./rows.ts";
import { buildSpec, isRootless, type Size } from "./spec.ts";

export interface StartOptions {
  /** The caller reads the output and stays until the end. */
  readonly attach?: boolean;
  /** Of the terminal, from the first moment. */
  readonly size?: Size;
  /** A keeper wants it started again: it has been so often already. */
  readonly restarts?: number;
  /** Told what the container will have to do without, though nobody asked for less. */
  readonly warn?: (text: string) => void;
}

export interface Start extends StartOptions {
  /** It was made just now. */
  readonly fresh?: boolean;
  /** What it has got of its networks. */
  readonly attached?: Attached | undefined;
}

/** The process whose namespaces another container joins. */
export function peerOf(context: Context, id: string, what: string): Peer {
  const at = places(context.paths, id);
  const live = readPidFile(at.pid);
  if (!live || live.pid === 0 || !isLocked(at.lock))
    throw new SampanError("conflict", `cannot join ${what} of a non running container: ${id}`, {
      hint: `Start it first: sampan start ${id.slice(0, 12)}`,
    });
  return { pid: live.pid, start: live.start };
}

const SPOKEN: Readonly<Partial<Record<NamespaceName, string>>> = { net: "network", pid: "PID", ipc: "IPC" };

async function joinsOf(context: Context, config: ContainerConfig): Promise<Joins> {
  const joins: Partial<Record<NamespaceName, Peer>> = {};
  for (const key in config.namespaces) {
    const name = key as NamespaceName;
    const mode = config.namespaces[name];
    if (mode?.mode !== "container") continue;
    const peer = peerOf(context, mode.container, SPOKEN[name] ?? name);
    // What is this machine's anyway is not joined, and so nobody takes it for a container's.
    if (!(await isOurs(peer, name)))
      joins[name] = isForeign(context, mode.container, name) ? { ...peer, foreign: true } : peer;
    if (isRootless()) joins.user = peer;
  }
  return joins;
}

/** Whether another container has this machine's own namespace. */
async function isOurs({ pid }: Peer, name: NamespaceName): Promise<boolean> {
  const { readNamespace, sameLink } = await import("../kernel/namespace-link.ts");
  const its = readNamespace(pid, name)?.slice();
  const ours = readNamespace(process.pid, name);
  return its !== undefined && ours !== undefined && sameLink(its, ours);
}

/** Whether what a container has of others belongs to another user namespace than its own. */
function isForeign(context: Context, id: string, name: NamespaceName): boolean {
  const { [name]: its, user } = context.rows.byId(id)?.config.namespaces ?? {};
  if (its?.mode === "path") return true;
  if (its?.mode !== "container" || isRootless()) return false;
  return (
    user?.mode !== "container" || user.container !== its.container || isForeign(context, its.container, name)
  );
}

/** Where the root comes from. Folders that it needs are there. */
export function rootOf(
  context: Context,
  container: Pick<StoredContainer, "id" | "config" | "imageId">,
): Root {
  const { config, id } = container;
  const { rootfs } = config;
  if (rootfs && !rootfs.copyOnWrite) return { kind: "directory", path: rootfs.path };
  const at = places(context.paths, id);
  const target = mountTarget(context);
  const writable = {
    upper: at.upper,
    work: at.work,
    target,
    ...(config.autoRemove ? { volatile: true } : {}),
    ...(isRootless() ? { userxattr: true } : {}),
  };
  const engine = [context.paths.root, context.paths.run];
  if (rootfs?.path === "/") return { kind: "host", hide: engine, ...writable };
  if (rootfs) return { kind: "layers", lower: [rootfs.path], ...writable };
  const root = context.images.rootOf(container.imageId);
  if (root.kind === "host")
    return { kind: "host", hide: [...new Set([...root.hide, ...engine])], ...writable };
  return { kind: "layers", lower: root.lower, ...writable };
}

/** The filter for a process of this container with these capabilities in its bounding set. */
export async function seccompOf(
  config: ContainerConfig,
  capabilities: readonly string[],
): Promise<Compile["seccomp"]> {
  const wish = config.security.seccomp ?? (config.privileged ? "unconfined" : "builtin");
  let choice: SeccompChoice;
  if (wish === "builtin" || wish === "unconfined") choice = wish;
  else choice = await parseSeccomp(wish.trimStart().startsWith("{") ? wish : readProfile(wish), capabilities);
  return seccompFilter(choice, capabilities);
}

export function readProfile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new SampanError(
      "invalid",
      `opening seccomp profile (${path}) failed: open ${path}: no such file or directory`,
      {
        cause,
      },
    );
  }
}

function shmOf(config: ContainerConfig, id: string): string | undefined {
  const ipc = config.namespaces.ipc;
  if (ipc?.mode === "host") return "/dev/shm";
  if (ipc?.mode !== "shareable" && ipc?.mode !== "container") return undefined;
  const folder = sharedShm(ipc.mode === "container" ? ipc.container : id);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o1777);
  return folder;
}

/** Without root a network namespace of one's own is connected to the host's by a program of the caller's. */
async function uplinkOf(
  { config }: StoredContainer,
  run: string,
  { attached, warn }: Start,
): Promise<Uplink | undefined> {
  if (!hasUplink(config)) return undefined;
  const { refuseNetworks, uplink } = await loadUplink();
  refuseNetworks(config.networks);
  const found = uplink(run, attached?.ports ?? []);
  if (found.warning !== undefined) warn?.(found.warning);
  return found;
}

/** What a user's container may know of where it is. */
const surroundings = (uplink: Uplink | undefined): Surroundings | undefined =>
  uplink && { addresses: [], links: [], ...(uplink.server === undefined ? {} : { server: uplink.server }) };

/** What was asked of a cgroup that this caller has none of. Limits the runtime refuses itself. */
function refuseUndelegated({ deviceCgroupRules, cgroupParent }: ContainerConfig, note?: string): void {
  if (note === undefined) return;
  if (deviceCgroupRules.length > 0) throw undelegated("--device-cgroup-rule", note);
  if (cgroupParent !== undefined) throw undelegated("--cgroup-parent", note);
}

export async function buildPlan(context: Context, container: StoredContainer, options: Start): Promise<Plan> {
  const { config, id } = container;
  const at = places(context.paths, id);
  const joins = await joinsOf(context, config);
  const root = rootOf(context, container);
  // overlayfs marks what it must not trust after a crash; this one was unmounted in order.
  if (config.autoRemove && !options.fresh)
    rmSync(`${at.work}/work/incompat`, { recursive: true, force: true });
  // A new container has written nothing yet: its users are the image's.
  const files = options.fresh && root.kind !== "directory" ? withoutUpper(root) : root;
  const passwd = readInRoot(files, "/etc/passwd");
  const group = readInRoot(files, "/etc/group");
  const user = parseUser(container.user, passwd, group, config.groups);
  const maps = isRootless() ? callerIdMaps() : undefined;
  if (maps?.denySetgroups && config.groups?.length)
    throw new SampanError(
      "refused",
      `--group-add ${config.groups[0]}: a user namespace of one id has no other groups`,
      { hint: "With ids of one's own (/etc/subuid and /etc/subgid) there are more." },
    );
  const net = config.namespaces.net;
  const owner = net?.mode === "container" ? networkOwner(context, net.container) : undefined;
  if (owner !== undefined) await (await import("./connect.ts")).noteSharer(context, owner, id);
  const uplink = await uplinkOf(container, at.run, options);
  const network = await loadNetwork(config);
  const { attached } = options;
  const around =
    network && attached && !uplink ? network.surroundingsOf(context, attached) : surroundings(uplink);
  const warning = owner !== undefined ? undefined : writeFiles(at.run, container, around);
  if (warning !== undefined) options.warn?.(warning);
  const shm = shmOf(config, id);
  const cgroupPath = cgroupOf(container);
  const cgroupHost = readCgroupHost();
  refuseUndelegated(config, cgroupHost.note);
  const prepared = container.mounts
    ? await (await import("./volumes.ts")).prepareMounts(context, container)
    : undefined;
  const links = around?.links.length
    ? (await import("./link-env.ts")).writeLinks(context.rows, at.run, container, around.links)
    : undefined;
  const spec = buildSpec({
    record: links ? { ...container, env: mergeEnv(links, container.env) } : container,
    user,
    places: {
      files: owner === undefined ? at.run : places(context.paths, owner).run,
      user,
      ...(shm === undefined ? {} : { shm }),
      ...(prepared ? { prepared: prepared.mounts } : {}),
    },
    cgroupPath,
    size: options.size,
  });
  const capabilities = spec.process?.capabilities?.bounding ?? [];
  const seccomp = await seccompOf(config, capabilities);
  const steps = compile({
    id,
    spec,
    root,
    cgroupHost,
    cgroupPath,
    joins,
    ...(seccomp ? { seccomp } : {}),
    ...(config.init ? { init: true } : {}),
    ...(maps ? { rootless: maps } : {}),
    ...(network && attached && !uplink ? { network: network.stepsOf(context, attached) } : {}),
    ...(prepared ? { staged: { folder: at.run, steps: prepared.staged }, filled: prepared.filled } : {}),
    ...(uplink ? { uplink: uplink.steps } : {}),
  });
  const health = hasHealthcheck(config.healthcheck)
    ? healthSteps(container, spec, {
        cgroupHost,
        cgroupPath,
        ...(seccomp ? { seccomp } : {}),
        ...(maps?.denySetgroups ? { denySetgroups: true } : {}),
      })
    : undefined;
  const keeper = keeperPlan(context, container, {
    foreground: options.attach ?? false,
    ...(options.restarts === undefined ? {} : { restarts: options.restarts }),
    ...(health ? { healthSteps: health } : {}),
  });
  return { steps, keeper };
}

/** Whether the responder serves what this container needs of it; made so. */
async function isServed(context: Context, { attached }: Start): Promise<boolean> {
  return attached ? (await load()).ensureResponder(context, attached) : true;
}

/** Milliseconds that a container in the foreground must have lasted: many end before. */
const LASTS = 100;

/** What is carried to it that it does not wait for. */
async function carrySoon(context: Context, { attached, attach }: Start): Promise<void> {
  if (attached && attached.ports.length > 0) (await load()).carrySoon(context, attached, attach ? LASTS : 0);
}

/** Docker's codes for a container that did not come to be: its clients pass them on. */
export function startExitCode(error: SampanError): number {
  if (error.code === "command-not-found") return 127;
  return error.code === "not-executable" ? 126 : 128;
}

/**
 * Starts a container whose row says `starting`. The claim is the caller's, and is released by it. On failure the row
 * says why, or is removed if that is what the container is for.
 */
export async function start(
  context: Context,
  container: StoredContainer,
  options: Start,
  launcher: Launcher,
): Promise<Connection> {
  const at = places(context.paths, container.id);
  let launched = false;
  try {
    const plan = await buildPlan(context, container, options);
    const served = await isServed(context, options);
    if (container.selinux) await (await import("./selinux.ts")).labelFiles(context, container);
    launched = true;
    const connection = await launcher.launch(plan);
    if (!served) await isServed(context, options);
    await carrySoon(context, options);
    const passing = options.attach === true && container.config.autoRemove;
    if (container.mounts) (await import("./volumes.ts")).noteMounts(context, container);
    if (connection.report) keepPlan(context, container.id, plan, connection.report, { passing });
    return connection;
  } catch (thrown) {
    if (!launched) launcher.abandon();
    const error =
      thrown instanceof LaunchError
        ? await explain(context, container, thrown)
        : diskError(thrown, at.folder);
    const unsaid = launched && !(thrown instanceof LaunchError);
    // A keeper that was killed when the container ran already, and nobody had been told so: others have seen it run.
    const lost = unsaid && !isLocked(at.lock) ? readPidFile(at.pid) : undefined;
    if (launched) clearCgroup(container);
    releaseNetwork(context, container, unsaid);
    if (lost) record(context, container, lostState(container, lost), false, true);
    else if (container.config.autoRemove) discard(context, container, true);
    else {
      const said = error instanceof SampanError ? error : undefined;
      context.rows.setState(container.id, {
        ...CREATED,
        restartCount: options.restarts ?? 0,
        exitCode: said ? startExitCode(said) : 128,
        error: error instanceof Error ? error.message : String(error),
      });
      rmSync(at.exit, { force: true });
      removeRun(context, container.id);
    }
    leftNetworks(context, container);
    if (context.orphans.length > 0) await (await import("./remove-mapped.ts")).removeOrphans(context);
    throw error;
  }
}

async function explain(
  context: Context,
  container: StoredContainer,
  error: LaunchError,
): Promise<SampanError> {
  const { plan, report } = error;
  const step = report.failed === undefined ? undefined : plan.steps[report.failed];
  if (step?.call === "hold") return (await load()).explainHold(step, error);
  const { explainStart } = await import("./explain-start.ts");
  return explainStart(error, rootOf(context, container), container.config);
}
