/**
 * One path of a container: which mount it lies on, and in an overlay which layer it comes from, or that the container itself
 * made, changed or deleted it. The layers are looked at one by one, as overlayfs does when somebody opens the file.
 */
import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { SampanError } from "../common/error.ts";
import type { ContainerRecord } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import { getXattr } from "../kernel/fs.ts";
import { type MountEntry, parseMountinfo } from "../kernel/proc.ts";
import { duration, size } from "./layout.ts";
import { Look } from "./look.ts";
import { isMask, layers, overlayFolders, sourceOf } from "./rootfs.ts";
import { containerOf, findTarget } from "./target.ts";
import type { Layer } from "./types.ts";

/** A layer that has something at the path. */
export interface Trace {
  /** `upper`, or the layer's number, 1 being the lowest. */
  readonly layer: "upper" | number;
  readonly folder: string;
  /** The instruction that made the layer. */
  readonly madeBy?: string;
  /** `deletion`: overlayfs's mark that what lies below is gone. */
  readonly kind: "file" | "folder" | "link" | "other" | "deletion";
  readonly size: number;
  /** RFC 3339. */
  readonly modified: string;
}

export interface PathExplanation {
  readonly summary: string;
  /** As asked, and with all links followed. */
  readonly path: string;
  readonly real: string;
  readonly state: /** Of a layer, as it is there. */
    | "layer"
    /** In the upper layer only: the container made it. */
    | "made"
    /** In the upper layer, copied up from a layer and changed. */
    | "changed"
    | "deleted"
    | "absent"
    /** On another mount than the root. */
    | "mount"
    | "masked"
    /** The root is a plain folder. */
    | "folder";
  /** Where there is one of its own above it: what is mounted there and whence. */
  readonly mount?: {
    readonly target: string;
    readonly fstype: string;
    readonly source: string;
    readonly readonly: boolean;
  };
  /** Top-most first. */
  readonly traces: readonly Trace[];
}

interface Stack {
  /** Host folders, top-most first. */
  readonly folders: readonly string[];
  readonly upper: boolean;
  readonly layers: readonly Layer[];
}

/** `path`: absolute, as the container has it. */
export async function explainPath(engine: Engine, reference: string, path: string): Promise<PathExplanation> {
  const container = containerOf(engine, reference);
  const running = container === undefined || container.state.pid > 0;
  if (!running) return ended(engine, container, path);
  const { target, container: owner } = findTarget(engine, reference);
  const look = new Look();
  const text = look.text(`/proc/${target.pid}/mountinfo`, "mounts");
  if (text === undefined)
    throw new SampanError("refused", `the mounts of process ${target.pid} may not be read by this user`, {
      hint: "Root may.",
    });
  const mounts = parseMountinfo(text);
  const root = mounts.findLast((mount) => mount.target === "/");
  if (!root) throw new SampanError("not-found", `process ${target.pid} has no root filesystem`);
  const stackOf = (overlay: MountEntry): Stack => {
    const { lower, upper } = overlayFolders(overlay);
    return {
      folders: [...(upper === undefined ? [] : [upper]), ...lower.toReversed()],
      upper: upper !== undefined,
      layers: layers(engine, lower, owner),
    };
  };
  const stack = stackOf(root);
  const real = root.fstype === "overlay" ? follow(stack.folders, path) : path;
  const mount = mounts.findLast((each) => each !== root && covers(each.target, real));
  const hosts = parseMountinfo(look.text("/proc/self/mountinfo", "mounts") ?? "");
  if (mount?.fstype === "overlay" && !isMask(mount)) return inStack(path, real, stackOf(mount), mount.target);
  if (mount) return onMount(path, real, mount, hosts);
  const from = sourceOf(root, hosts);
  if (root.fstype !== "overlay")
    return plain(
      path,
      `lies in the root filesystem, ${root.fstype} from ${from === "/" ? root.source : from}`,
    );
  return inStack(path, real, stack);
}

/** Its mounts are gone with it; the layers are there. */
async function ended(engine: Engine, container: ContainerRecord, path: string): Promise<PathExplanation> {
  const { root } = await engine.containers.bundle(container.id);
  if (root.kind === "directory")
    return plain(path, `lies in the folder ${root.path}, which is the container's root`);
  const lower = root.kind === "host" ? ["/"] : root.lower;
  const stack: Stack = {
    folders: [...(root.upper === undefined ? [] : [root.upper]), ...lower],
    upper: root.upper !== undefined,
    layers: layers(engine, lower.toReversed(), container),
  };
  const real = follow(stack.folders, path);
  const mount = (container.mounts ?? container.config.mounts).find((each) => covers(each.target, real));
  if (!mount) return inStack(path, real, stack);
  const place = {
    target: mount.target,
    fstype: mount.type,
    source: mount.source,
    readonly: mount.readonly ?? false,
  };
  return { summary: mountWords(real, place), path, real, state: "mount", mount: place, traces: [] };
}

const plain = (path: string, words: string): PathExplanation => ({
  summary: `${path} ${words}.`,
  path,
  real: path,
  state: "folder",
  traces: [],
});

const covers = (target: string, path: string): boolean => path === target || path.startsWith(`${target}/`);

function onMount(
  path: string,
  real: string,
  mount: MountEntry,
  hosts: readonly MountEntry[],
): PathExplanation {
  const readonly = mount.options.includes("ro");
  const place = { target: mount.target, fstype: mount.fstype, source: sourceOf(mount, hosts), readonly };
  if (isMask(mount))
    return {
      summary: `${real} is masked: ${mount.root === "/null" ? "/dev/null" : "an empty folder"} was mounted over ${mount.target}, so that nothing can be seen there.`,
      path,
      real,
      state: "masked",
      mount: place,
      traces: [],
    };
  return { summary: mountWords(real, place), path, real, state: "mount", mount: place, traces: [] };
}

function mountWords(
  real: string,
  { target, fstype, source, readonly }: NonNullable<PathExplanation["mount"]>,
): string {
  const below = real === target ? "" : real.slice(target.length);
  const from = source.startsWith("/")
    ? `: it is ${source === "/" ? "" : source}${below} of this machine`
    : "";
  return `${real} ${real === target ? "is a mount" : `lies on the mount at ${target}`}, ${fstype}${readonly ? ", read-only" : ""}${from}.`;
}

// ---- layers

const MAX_LINKS = 40;

const look = (path: string): Stats | undefined => {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // A file where a folder would have to be.
    return undefined;
  }
};

const isWhiteout = (status: Stats): boolean => status.isCharacterDevice() && status.rdev === 0;

const isOpaque = (folder: string): boolean =>
  ["trusted.overlay.opaque", "user.overlay.opaque"].some((name) => getXattr(folder, name)?.[0] === 121);

/** What the top-most layer that has something at the path has there. */
function top(
  folders: readonly string[],
  path: string,
): { readonly folder: string; readonly status: Stats } | undefined {
  for (const folder of folders) {
    const status = look(folder + path);
    if (status) return { folder, status };
  }
  return undefined;
}

/** Links on the way, and `..`, resolved inside; the last name is not followed if nothing is there. */
function follow(folders: readonly string[], path: string): string {
  const rest = path.split("/").reverse();
  let at = "";
  for (let links = 0, name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      at = at.slice(0, Math.max(0, at.lastIndexOf("/")));
      continue;
    }
    const found = top(folders, `${at}/${name}`);
    if (found?.status.isSymbolicLink() && ++links <= MAX_LINKS) {
      const to = readlinkSync(`${found.folder}${at}/${name}`);
      if (to.startsWith("/")) at = "";
      rest.push(...to.split("/").reverse());
    } else at = `${at}/${name}`;
  }
  return at || "/";
}

/**
 * Every layer that has something at the path, down to the one beneath which overlayfs looks no further; beneath a deletion
 * also what it deleted.
 */
function tracesOf({ folders, upper, layers: known }: Stack, path: string): Trace[] {
  const found: Trace[] = [];
  const parents = path.split("/").slice(1, -1);
  for (const [index, folder] of folders.entries()) {
    const layer = upper && index === 0 ? ("upper" as const) : folders.length - index;
    const madeBy = layer === "upper" ? undefined : known[layer - 1]?.madeBy;
    const note = (kind: Trace["kind"], status: Stats): void => {
      found.push({
        layer,
        folder,
        ...(madeBy === undefined ? {} : { madeBy }),
        kind,
        size: status.size,
        modified: new Date(kind === "deletion" ? status.ctimeMs : status.mtimeMs).toISOString(),
      });
    };
    let at = folder;
    let opaque = false;
    let above: Stats | undefined;
    for (const name of parents) {
      at += `/${name}`;
      above = look(at);
      // A layer that has not even the folder says nothing; one that has something else there hides all below.
      if (!above?.isDirectory()) break;
      opaque ||= isOpaque(at);
    }
    if (above && !above.isDirectory()) {
      if (!isWhiteout(above)) return found;
      note("deletion", above);
      continue;
    }
    const status = look(folder + path);
    if (status) note(kindOf(status), status);
    const deletes = found.at(-1)?.kind === "deletion";
    if (opaque || (status && !deletes && found.some(({ kind }) => kind === "deletion"))) return found;
  }
  return found;
}

function kindOf(status: Stats): Trace["kind"] {
  if (isWhiteout(status)) return "deletion";
  if (status.isDirectory()) return "folder";
  if (status.isSymbolicLink()) return "link";
  return status.isFile() ? "file" : "other";
}

/** `mounted`: where the overlay is, if it is not the root; a user's image `host` is one for each folder of `/`. */
function inStack(path: string, real: string, stack: Stack, mounted = ""): PathExplanation {
  const traces = tracesOf(stack, real.slice(mounted.length));
  const [first, second] = traces;
  const about = { path, real, traces };
  if (!first) return { ...about, summary: `${real} is not there: no layer has it.`, state: "absent" };
  const from = (trace: Trace): string =>
    `layer ${trace.layer} (${trace.madeBy ? trace.madeBy : trace.folder})`;
  const ago = duration(Date.now() - Date.parse(first.modified));
  if (first.kind === "deletion") {
    const was = second && second.kind !== "deletion" ? ` It was of ${from(second)}.` : "";
    return first.layer === "upper"
      ? { ...about, summary: `${real} was deleted by the container ${ago} ago.${was}`, state: "deleted" }
      : { ...about, summary: `${real} is not there: ${from(first)} deleted it.`, state: "absent" };
  }
  const what = `${first.kind}${first.kind === "file" ? ` of ${size(first.size)}` : ""}`;
  if (first.layer !== "upper")
    return { ...about, summary: `${real} is a ${what} of ${from(first)}, as it is there.`, state: "layer" };
  if (second && second.kind !== "deletion" && first.kind !== "folder")
    return {
      ...about,
      summary: `${real} was changed by the container ${ago} ago: a ${what} in its upper layer. As it was before it is in ${from(second)}.`,
      state: "changed",
    };
  if (second && first.kind === "folder" && second.kind === "folder")
    return {
      ...about,
      summary: `${real} is a folder of ${from(second)}, in which the container changed something, the last time ${ago} ago.`,
      state: "changed",
    };
  return {
    ...about,
    summary: `${real} was made by the container ${ago} ago: a ${what} in its upper layer.`,
    state: "made",
  };
}
