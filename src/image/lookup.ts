/**
 * Reads a file of an image without mounting it: the layers are looked at as overlayfs would show them. Every component
 * is looked up by itself and links are resolved inside, so that none leads out; on the way of every `run`, therefore
 * node:fs only, and attributes are asked for only where an upper layer's folder does not have the name.
 */

import {
  closeSync,
  constants,
  fstatSync,
  getXattr,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from "../kernel/fs.ts";
import type { ImageRoot } from "./record.ts";

const MAX_LINKS = 40;
const OPAQUE = ["trusted.overlay.opaque", "user.overlay.opaque"];
const YES = "y".charCodeAt(0);
const DEFAULT_LIMIT = 4 << 20;

/** What is at a path of an image, links followed inside. */
export interface Look {
  readonly kind: "file" | "dir" | "other";
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** The first `limit` bytes of a regular file; undefined of anything else, or if it was changed while we looked. */
  readonly read: (limit: number) => Uint8Array | undefined;
}

/** Looks a path up in layers: host folders, top-most first; "" is the host's root. */
export function lookInLayers(layers: readonly string[], path: string): Look | undefined {
  const found = locate(layers, path);
  if (!found) return undefined;
  const { layer, at, status } = found;
  const kind = status.isFile() ? "file" : status.isDirectory() ? "dir" : "other";
  const { uid, gid, size } = status;
  const read = (limit: number): Uint8Array | undefined =>
    kind === "file" ? readHead(layer, at, limit) : undefined;
  return { kind, mode: status.mode & 0o7777, uid, gid, size, read };
}

/** The content of a regular file in layers; undefined if there is none by that name, or it is larger than `limit`. */
export function readFileInLayers(
  layers: readonly string[],
  path: string,
  limit = DEFAULT_LIMIT,
): Uint8Array | undefined {
  const found = lookInLayers(layers, path);
  return found === undefined || found.size > limit ? undefined : found.read(limit);
}

/** The same in an image's root, with a container's own upper folder on top where there is one. */
export function readFileInImage(
  root: ImageRoot,
  path: string,
  upper?: string,
  limit = DEFAULT_LIMIT,
): Uint8Array | undefined {
  const lower = root.kind === "layers" ? root.lower : [""];
  return readFileInLayers(upper === undefined ? lower : [upper, ...lower], path, limit);
}

interface Place {
  readonly layer: string;
  /** Inside the layer, with a slash in front and no link in it; "" is its root. */
  readonly at: string;
  readonly status: Stats;
}

/** The layer that shows this path: of a folder the top-most one. */
function locate(layers: readonly string[], path: string): Place | undefined {
  // The merged folders from the root to where we are; each is its folders in the layers that have it, by index.
  // In all this there are plain loops: see common/loops.ts.
  const all: number[] = [];
  for (let index = 0; index < layers.length; index++) all.push(index);
  const stack: Merged[] = [{ at: "", layers: all }];
  const rest = namesBackwards(path);
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "..") {
      if (stack.length > 1) stack.pop();
      continue;
    }
    const here = stack[stack.length - 1];
    const next = here && step(layers, here, name);
    if (!next) return undefined;
    if ("layers" in next) stack.push(next);
    else if (next.status.isSymbolicLink()) {
      if (++links > MAX_LINKS) return undefined;
      const target = readlinkSync(next.layer + next.at);
      if (target.startsWith("/")) stack.length = 1;
      rest.push(...namesBackwards(target));
    } else return rest.length === 0 ? next : undefined;
  }
  const { at = "", layers: [index = 0] = [] } = stack[stack.length - 1] ?? {};
  const layer = layers[index] ?? "";
  const status = lstatSync(layer + at || "/", { throwIfNoEntry: false });
  return status && { layer, at, status };
}

interface Merged {
  readonly at: string;
  readonly layers: readonly number[];
}

/** One name in a merged folder: a merged folder again, or what the top-most layer that has it holds. */
function step(layers: readonly string[], here: Merged, name: string): Merged | Place | undefined {
  const at = `${here.at}/${name}`;
  const folders: number[] = [];
  let above: number | undefined;
  for (const index of here.layers) {
    const layer = layers[index] ?? "";
    if (above !== undefined && isOpaque((layers[above] ?? "") + here.at)) break;
    above = index;
    const status = lstatSync(layer + at, { throwIfNoEntry: false });
    if (!status) continue;
    if (status.isDirectory()) {
      folders.push(index);
      continue;
    }
    // Anything else hides what is below; below a folder it is hidden itself.
    if (folders.length > 0) break;
    return status.isCharacterDevice() && status.rdev === 0 ? undefined : { layer, at, status };
  }
  return folders.length > 0 ? { at, layers: folders } : undefined;
}

/** The names of a path, the last one first: a stack of what is to be looked up. */
function namesBackwards(path: string): string[] {
  const parts = path.split("/");
  const names: string[] = [];
  for (let i = parts.length - 1; i >= 0; i--) {
    const name = parts[i];
    if (name !== undefined && name !== "" && name !== ".") names.push(name);
  }
  return names;
}

/** Opens a file that `locate` found, and makes sure that it is this one: a running container may change its upper folder. */
function readHead(layer: string, path: string, limit: number): Uint8Array | undefined {
  const real = layer === "" ? "" : realpathSync(layer);
  let fd: number;
  try {
    fd = openSync(real + path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const status = fstatSync(fd);
    if (!status.isFile() || readlinkSync(`/proc/self/fd/${fd}`) !== real + path) return undefined;
    const head = new Uint8Array(Math.min(limit, status.size));
    return head.subarray(0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** Whether a folder of a layer hides those beneath it. */
function isOpaque(path: string): boolean {
  for (const name of OPAQUE) if (getXattr(path || "/", name)?.[0] === YES) return true;
  return false;
}
