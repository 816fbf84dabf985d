/**
 * A container's volumes: which ones it gets when it is made, and how they come into its mount namespace when it starts.
 * Loaded only for containers that have any, or images, or copy-on-write folders, mounted.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { SampanError } from "../common/error.ts";
import { cleanPath, type Paths } from "../common/paths.ts";
import { type ImageConfig, noSuchImage } from "../image/index.ts";
import type { Step } from "../launch/index.ts";
import { labelOption, type SpecMount } from "../runtime/index.ts";
import { volumeRoom } from "../volume/index.ts";
import type { ContainerConfig, Mount } from "./config.ts";
import { type Context, places } from "./context.ts";
import type { NewEvent } from "./events.ts";
import type { Labels } from "./record.ts";
import type { Rows, StoredContainer } from "./rows.ts";
import { isRootless } from "./spec.ts";

const ANONYMOUS = "com.docker.volume.anonymous";

// ---- when it is made

/** What `create` writes down with the container. */
export interface Mounting {
  readonly mounts: readonly Mount[];
  /** In the transaction that adds the container: its volumes are there and are its own to use. */
  readonly claim: (container: string) => void;
  /** When it has been committed. */
  readonly tell: () => void;
}

export async function mountingOf(
  context: Context,
  config: ContainerConfig,
  image: ImageConfig | undefined,
): Promise<Mounting> {
  const room = await volumeRoom();
  const mounts = new Map<string, Mount>();
  for (const spec of config.volumesFrom)
    for (const mount of volumesFrom(context, spec)) mounts.set(cleanPath(mount.target), mount);
  for (const mount of config.mounts) mounts.set(cleanPath(mount.target), named(mount, room.anonymousName));
  for (const path of Object.keys(image?.config?.Volumes ?? {}).sort()) {
    const target = cleanPath(path);
    if (!mounts.has(target))
      mounts.set(target, named({ type: "volume", source: "", target }, room.anonymousName));
  }
  const volumes: Mount[] = [];
  const images: string[] = [];
  for (const [target, mount] of mounts)
    if (mount.type === "volume") volumes.push(mount);
    else if (mount.type === "image") {
      const imageId = mount.imageId ?? mountable(context, mount);
      images.push(imageId);
      mounts.set(target, { ...mount, imageId });
    }
  for (const mount of volumes) room.validateWish(mount.source, wishOf(mount));
  const made: string[] = [];
  const claim = (container: string): void => {
    for (const mount of volumes) {
      if (room.ensure(context, mount.source, wishOf(mount))) made.push(mount.source);
      room.use(context.store, container, mount.source);
    }
    for (const image of images) context.images.use(container, image);
  };
  const tell = (): void => {
    for (const id of made)
      context.events.append({ type: "volume", action: "create", id, attributes: { driver: "local" } });
  };
  return { mounts: [...mounts.values()], claim, tell };
}

const named = (mount: Mount, name: () => string): Mount =>
  mount.type === "volume" && mount.source === "" ? { ...mount, source: name(), anonymous: true } : mount;

const wishOf = ({ driver, driverOptions, labels, anonymous }: Mount) => ({
  ...(driver === undefined ? {} : { driver }),
  ...(driverOptions === undefined ? {} : { options: driverOptions }),
  labels: { ...labels, ...(anonymous ? { [ANONYMOUS]: "" } : {}) },
});

/** `CONTAINER[:ro|rw]` → its mounts. They have content already: nothing is copied into them. */
function volumesFrom(context: Context, spec: string): Mount[] {
  if (spec === "") throw new SampanError("invalid", "volumes-from specification cannot be an empty string");
  const colon = spec.indexOf(":");
  const mode = colon < 0 ? "" : spec.slice(colon + 1);
  const words = mode === "" ? [] : mode.split(",");
  if (words.filter((word) => word === "ro" || word === "rw").length > 1 || !words.every(isMode))
    throw new SampanError("invalid", `invalid mode: ${mode}`, { hint: "It takes :ro or :rw." });
  const donor = context.rows.find(colon < 0 ? spec : spec.slice(0, colon));
  return (donor.mounts ?? donor.config.mounts)
    .filter(({ tmpfsOptions }) => tmpfsOptions === undefined)
    .map((mount) => ({
      ...mount,
      short: false,
      noCopy: true,
      ...(words.includes("ro") ? { readonly: true } : {}),
    }));
}

const isMode = (word: string): boolean => ["ro", "rw", "z", "Z", "nocopy"].includes(word);

/** The id of an image that can be mounted. */
function mountable(context: Context, { source, target }: Mount): string {
  const image = context.images.resolve(source);
  // Not the error of an image that a container is made of, which may then be pulled.
  if (!image)
    throw new SampanError("invalid", noSuchImage(source).message, {
      hint: `It is to be mounted at ${target}: sampan pull ${source}`,
    });
  if (context.images.root(image).kind !== "layers")
    throw new SampanError(
      "invalid",
      `image "${source}" at ${target}: it is this machine itself, which has no layers to mount`,
      {
        hint: `Bind the folder that you mean: --mount type=bind,source=/usr,target=${target},readonly`,
      },
    );
  return image.id;
}

// ---- when it starts

/** Mounts that need something before they can be made, and what they need. */
export interface Prepared {
  /** By target. */
  readonly mounts: ReadonlyMap<string, SpecMount>;
  /** Filesystems that they are taken from, made in the container's mount namespace before its root is entered. */
  readonly staged: readonly Step[];
  /** Content of the image for volumes that have none. */
  readonly filled: readonly Step[];
}

export async function prepareMounts(context: Context, container: StoredContainer): Promise<Prepared> {
  const room = await volumeRoom();
  const at = places(context.paths, container.id);
  const mounts = new Map<string, SpecMount>();
  const staged: Step[] = [];
  const filled: Step[] = [];
  const asked = container.mounts ?? container.config.mounts;
  for (const [index, mount] of asked.entries()) {
    const stage = (): string => {
      const folder = `${at.staging}/${index}-mounted`;
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      return folder;
    };
    if (mount.type === "volume") {
      const volume = room.find(context, mount.source);
      if (!volume) throw room.noSuchVolume(mount.source);
      if (!existsSync(volume.mountpoint)) mkdirSync(volume.mountpoint, { recursive: true, mode: 0o755 });
      // By a link of its own: a keeper that starts it again finds the volume under the name that it has then.
      const folder = `${at.staging}/${index}`;
      pointAt(folder, room.volumeFolder(context.paths, volume.name));
      let base = `${folder}/_data`;
      if (Object.keys(volume.options).length > 0) {
        base = stage();
        const { driverSteps } = await import("./volume-driver.ts");
        staged.push(...(await driverSteps(volume, base)));
      } else if (wantsContent(container, mount)) {
        if (room.isEmpty(base) || existsSync(`${folder}/filling`))
          filled.push(fill(mount, volume.name, folder));
      }
      if (mount.subpath && base === `${folder}/_data`) assertBeneath(volume.mountpoint, mount.subpath);
      mounts.set(mount.target, based(mount, base));
    } else if (mount.type === "image")
      mounts.set(mount.target, imageMount(context, container, mount, stage, staged));
    else if (mount.overlay)
      mounts.set(mount.target, overlayBind(container, mount, `${at.binds}/${index}`, stage(), staged));
  }
  return { mounts, staged, filled };
}

/** Docker copies into a volume of its own making, whole and once. */
const wantsContent = ({ config }: StoredContainer, { noCopy, subpath }: Mount): boolean =>
  !noCopy && subpath === undefined && !(config.exactly && config.rootfs?.path === "/");

const fill = ({ target }: Mount, name: string, volume: string): Step => ({
  call: "copy",
  column: "inside",
  why: `volume ${name}`,
  path: cleanPath(target),
  volume,
  target: `${volume}/_data`,
});

/** A symbolic link that says `to` from now on, and never nothing. */
function pointAt(link: string, to: string): void {
  if (!existsSync(link)) {
    mkdirSync(link.slice(0, link.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    rmSync(link, { force: true });
    return symlinkSync(to, link);
  }
  const fresh = `${link}.new`;
  rmSync(fresh, { force: true });
  symlinkSync(to, fresh);
  renameSync(fresh, link);
}

/** Containers that run say a volume's new name in case that they start again. */
export async function relinkVolume(
  paths: Paths,
  rows: Rows,
  ids: readonly string[],
  name: string,
): Promise<void> {
  const { volumeFolder } = await volumeRoom();
  for (const id of ids)
    for (const [index, { type, source }] of (rows.byId(id)?.mounts ?? []).entries()) {
      const link = `${places(paths, id).staging}/${index}`;
      if (type === "volume" && source === name && existsSync(places(paths, id).run))
        pointAt(link, volumeFolder(paths, name));
    }
}

/** A mount of what lies at the subpath below a folder, and of nothing outside of it. */
function based(mount: Mount, base: string): SpecMount {
  const { target, subpath = "" } = mount;
  // An image's files are those of all its containers: nobody is let write there, whatever he asks for.
  const readonly = mount.readonly || mount.type === "image";
  return {
    destination: target,
    type: "bind",
    source: cleanPath(subpath),
    beneath: base,
    why: mount.type === "bind" ? `--mount ${target}` : `${mount.type} ${mount.source}`,
    options: ["rbind", mount.propagation ?? "rprivate", ...(readonly ? ["ro"] : [])],
  };
}

/** Said here in words; that it stays true until the mount is made is the kernel's care (RESOLVE_BENEATH). */
function assertBeneath(base: string, subpath: string): void {
  let real: string;
  try {
    real = realpathSync(`${base}/${subpath}`);
  } catch {
    throw new SampanError("invalid", `cannot access path ${base}/${subpath}: no such file or directory`, {
      hint: "A subpath must be there before the container starts.",
    });
  }
  const top = realpathSync(base);
  if (real !== top && !real.startsWith(`${top}/`))
    throw new SampanError(
      "refused",
      `path concatenation escapes the base directory, base: '${base}', subpath: '${subpath}'`,
      { hint: "A link in the volume leads out of it." },
    );
}

function imageMount(
  context: Context,
  { selinux }: StoredContainer,
  mount: Mount,
  stage: () => string,
  staged: Step[],
): SpecMount {
  const root = context.images.rootOf(mount.imageId ?? context.images.get(mount.source).id);
  const lower = root.kind === "layers" ? root.lower : [];
  const target = stage();
  const options = [...(isRootless() ? ["userxattr"] : []), ...labelOptions(selinux)];
  staged.push({
    call: "overlay",
    column: "inside",
    why: `image ${mount.source}`,
    target,
    // An overlay without an upper is read-only for ever. A layer that is bound would be so until somebody with CAP_SYS_ADMIN mounts it
    // anew; one alone is over the empty folder that it is mounted on, since overlayfs wants two.
    lower: lower.length === 1 ? [...lower, target] : lower,
    options,
  });
  return based(mount, target);
}

const labelOptions = (selinux: Labels | undefined): string[] => (selinux ? [labelOption(selinux.files)] : []);

/** The host's folder beneath a layer of the container's own. */
function overlayBind(
  container: StoredContainer,
  mount: Mount,
  folder: string,
  target: string,
  staged: Step[],
): SpecMount {
  const found = statSync(mount.source, { throwIfNoEntry: false });
  if (!found?.isDirectory())
    throw new SampanError(
      "invalid",
      `invalid mount config for type "bind": ${found ? "an overlay needs a folder, which this is not" : "bind source path does not exist"}: ${mount.source}`,
    );
  const [upper, work] = [`${folder}/upper`, `${folder}/work`];
  if (!existsSync(upper)) {
    mkdirSync(upper, { recursive: true, mode: 0o700 });
    // The top-most layer says what the folder itself is.
    if (!isRootless()) chownSync(upper, found.uid, found.gid);
    chmodSync(upper, found.mode & 0o7777);
  }
  mkdirSync(work, { recursive: true, mode: 0o700 });
  staged.push({
    call: "overlay",
    column: "inside",
    why: `--mount ${mount.target}`,
    target,
    lower: [mount.source],
    upper,
    work,
    options: [
      ...(isRootless() ? ["userxattr"] : []),
      ...(container.config.autoRemove ? ["volatile"] : []),
      ...labelOptions(container.selinux),
    ],
  });
  return based({ ...mount, subpath: "" }, target);
}

/** What others may want to know of a start. */
export function noteMounts(context: Context, { id, mounts = [] }: StoredContainer): void {
  const events: NewEvent[] = [];
  for (const { type, source, target, readonly } of mounts)
    if (type === "volume")
      events.push({
        type: "volume",
        action: "mount",
        id: source,
        attributes: {
          container: id,
          destination: target,
          driver: "local",
          propagation: "",
          "read/write": String(!readonly),
        },
      });
  if (events.length > 0) context.events.append(...events);
}
