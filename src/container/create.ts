/** A new container: what was asked for is checked, resolved against its image and written down. Nothing runs yet. */

import { diskError, SampanError } from "../common/error.ts";
import { checkPlatform, type ImageRecord, parsePlatform } from "../image/index.ts";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from "../kernel/fs.ts";
import type { NamespaceName } from "../launch/index.ts";
import type { Attached } from "../network/index.ts";
import { chooseCapabilities, hasSELinux, RLIMITS, sysctlNamespace } from "../runtime/index.ts";
import { type Release, tryClaim } from "./claim.ts";
import type { ContainerConfig, NamespaceMode } from "./config.ts";
import { attributesOf, type Context, mountTarget, places } from "./context.ts";
import { newId } from "./ids.ts";
import { cgroupOf, logPlan } from "./keeper.ts";
import { assertSource } from "./mounts.ts";
import { enterNetwork, loadNetwork, networksOf } from "./networking.ts";
import { fromTheLiving } from "./reconcile.ts";
import type { Labels } from "./record.ts";
import { resolve } from "./resolve.ts";
import { CREATED, type StoredContainer } from "./rows.ts";
import { foreignNamespaces, joinsOthers, validateNamespaces } from "./spec.ts";
import { validateConfig, validateName } from "./validate.ts";

export interface CreateOptions {
  readonly name?: string;
  /** Of one that starts at once: the caller reads its output. */
  readonly attach?: boolean;
}

/** Names of other containers become ids: a rename must not change who is meant. */
function withIds(context: Context, config: ContainerConfig): ContainerConfig {
  if (!joinsOthers(config)) return config;
  const namespaces: Partial<Record<NamespaceName, NamespaceMode>> = {};
  for (const [name, mode] of Object.entries(config.namespaces)) {
    const donor = mode.mode === "container" ? context.rows.find(mode.container) : undefined;
    // The kernel refuses to enter the user namespace that one is in.
    const ours = donor && name === "user" && !foreignNamespaces(donor.config).includes("user");
    namespaces[name as NamespaceName] =
      donor === undefined ? mode : ours ? { mode: "host" } : { mode: "container", container: donor.id };
  }
  const ipc = namespaces.ipc;
  if (ipc?.mode === "container") {
    const donor = context.rows.byId(ipc.container)?.config.namespaces.ipc?.mode;
    if (donor !== "shareable" && donor !== "host")
      throw new SampanError(
        "conflict",
        `cannot join IPC of container ${ipc.container}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
        { hint: "Start that one with --ipc shareable." },
      );
  }
  return { ...config, namespaces };
}

/** Where no network leads to them they are only asked for, as by Docker. */
function checkLinks(context: Context, links: readonly string[]): void {
  for (const link of links) {
    const colon = link.indexOf(":");
    const reference = colon < 0 ? link : link.slice(0, colon);
    try {
      context.rows.find(reference);
    } catch (error) {
      if (!(error instanceof SampanError)) throw error;
      throw new SampanError(error.code, `could not get container for ${reference}: ${error.message}`, {
        hint: `--link ${link} leads nowhere beside --network none, but the container has to be there.`,
      });
    }
  }
}

/** Everything that can be refused, before anything is made. */
function check(config: ContainerConfig): void {
  validateConfig(config);
  validateNamespaces(config);
  if (config.capAdd.length + config.capDrop.length > 0)
    chooseCapabilities(config.capAdd, config.capDrop, config.privileged);
  if (Object.keys(config.log.options).length > 0) logPlan(config.log, "");
  if (config.cgroupParent !== undefined) cgroupOf({ id: "", config });
  checkLimits(config);
  for (const mount of config.mounts) if (mount.type === "bind" && !mount.createSource) assertSource(mount);
  const { rootfs } = config;
  if (rootfs && !statSync(rootfs.path, { throwIfNoEntry: false })?.isDirectory())
    throw new SampanError("invalid", `--rootfs ${rootfs.path}: no such folder`);
}

/** Names that only the kernel's lists tell right from wrong. */
function checkLimits({ ulimits, sysctls, security }: ContainerConfig): void {
  for (const { name, soft, hard } of ulimits) {
    if (RLIMITS[name] === undefined) throw new SampanError("invalid", `invalid ulimit type: ${name}`);
    if (hard >= 0 && (soft < 0 || soft > hard))
      throw new SampanError(
        "invalid",
        `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
      );
  }
  for (const key in sysctls)
    if (sysctlNamespace(key.replaceAll("/", ".")) === undefined)
      throw new SampanError(
        "invalid",
        `sysctl '${key}=${sysctls[key]}' is not allowed: no namespace holds it`,
        {
          hint: "A container may set net.*, fs.mqueue.*, kernel.domainname and the kernel.msg*, sem and shm* of IPC.",
        },
      );
  if (security.label?.some((option) => option !== "disable") && !hasSELinux())
    throw new SampanError("refused", "--security-opt label: this kernel runs without SELinux", {
      hint: "Leave the option out.",
    });
}

const hostname = (): string => readFileSync("/proc/sys/kernel/hostname", "latin1").trim();

/** Folders of the container. The root of its files has the mode that every root has, whatever the caller's umask is. */
function makeFolders(context: Context, id: string, writable: boolean): void {
  const at = places(context.paths, id);
  const all = `${context.paths.root}/containers`;
  try {
    mkdirSync(at.folder, { mode: 0o700 });
  } catch {
    mkdirSync(all, { recursive: true, mode: 0o700 });
    mkdirSync(at.folder, { mode: 0o700 });
  }
  if (!writable) return;
  mkdirSync(at.upper, 0o755);
  mkdirSync(at.work, 0o700);
  if (process.umask() & 0o055) chmodSync(at.upper, 0o755);
}

export interface Created {
  readonly container: StoredContainer;
  /** undefined: it stands on a folder of the user's. */
  readonly image: ImageRecord | undefined;
  /** Held with `starting`: nobody else touches it until the caller releases it. */
  readonly release: Release | undefined;
  /** With `starting`: what it has got of its networks. */
  readonly attached?: Attached;
}

/** Whether anything is mounted that has to be looked up or made first. */
function hasVolumes({ mounts, volumesFrom }: ContainerConfig, image: ImageRecord | undefined): boolean {
  for (const { type, overlay } of mounts) if (type === "volume" || type === "image" || overlay) return true;
  if (volumesFrom.length > 0) return true;
  for (const _ in image?.config.config?.Volumes) return true;
  return false;
}

export type Draft = Omit<StoredContainer, "name" | "state" | "mounts"> & {
  readonly image: ImageRecord | undefined;
};

/** What was asked for, checked and resolved: everything that can be refused before anything is made. */
export function draft(context: Context, given: ContainerConfig): Draft {
  check(given);
  if (given.links) checkLinks(context, given.links);
  const image = given.rootfs ? undefined : context.images.get(given.image);
  if (image && given.platform)
    checkPlatform(image.config, given.image, parsePlatform(given.platform.toLowerCase()));
  const id = newId();
  const resolved = resolve(id, withIds(context, given), image?.config, (peer) =>
    peer === undefined ? hostname() : context.rows.find(peer).hostname,
  );
  return { ...resolved, id, created: Date.now(), imageId: image?.id ?? "", image };
}

/** Its SELinux labels, on a kernel that has a meaning for them. */
export const labelsOf = async (context: Context, config: ContainerConfig): Promise<Labels | undefined> =>
  hasSELinux() ? (await import("./selinux.ts")).chooseLabels(context, config) : undefined;

export async function create(
  context: Context,
  given: ContainerConfig,
  options: CreateOptions,
  starting: boolean,
): Promise<Created> {
  // Docker's own way to write a name begins with a slash.
  const name = options.name?.startsWith("/") ? options.name.slice(1) : options.name;
  if (name !== undefined) validateName(name);
  const { image, ...asked } = draft(context, given);
  const { id } = asked;
  const selinux = await labelsOf(context, asked.config);
  const mounting = hasVolumes(given, image)
    ? await (await import("./volumes.ts")).mountingOf(context, given, image?.config)
    : undefined;
  const network = await loadNetwork(given);
  const { folder } = places(context.paths, id);
  let release: Release | undefined;
  const created: Omit<StoredContainer, "name"> = {
    ...asked,
    ...(mounting ? { mounts: mounting.mounts } : {}),
    ...(selinux ? { selinux } : {}),
    state: starting ? { ...CREATED, status: "starting" } : CREATED,
  };
  try {
    makeFolders(context, id, given.rootfs === undefined || given.rootfs.copyOnWrite);
    if (starting) {
      release = tryClaim(folder);
      makeRun(context, id);
    }
    let attached: Attached | undefined;
    const claim = (): void => {
      mounting?.claim(id);
      if (network && starting) attached = enterNetwork(network, context, created);
      else network?.joinAll(context, id, networksOf(given), false);
    };
    const called = fromTheLiving(context, () => context.rows.insert(created, name, claim));
    const container = { ...created, name: called };
    mounting?.tell();
    const made = { type: "container", action: "create", id, attributes: attributesOf(container) } as const;
    // One write for both: who runs it stays with it.
    if (starting && options.attach) context.events.append(made, { ...made, action: "attach" });
    else context.events.append(made);
    return { container, image, release, ...(attached ? { attached } : {}) };
  } catch (error) {
    release?.();
    dropFolders(context, id);
    throw diskError(error, folder);
  }
}

/** The run folder of a container that is about to start, empty. */
export function makeRun(context: Context, id: string): void {
  const { run } = places(context.paths, id);
  const target = mountTarget(context);
  try {
    mkdirSync(run, { mode: 0o700 });
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") mkdirSync(target, { recursive: true, mode: 0o700 });
    else rmSync(run, { recursive: true, force: true });
    mkdirSync(run, { mode: 0o700 });
  }
  if (!existsSync(target)) mkdirSync(target, { mode: 0o700 });
}

function dropFolders(context: Context, id: string): void {
  const at = places(context.paths, id);
  rmSync(at.run, { recursive: true, force: true });
  rmSync(at.folder, { recursive: true, force: true });
}
