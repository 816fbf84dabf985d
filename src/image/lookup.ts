/**
 * Reads a file of an image without mounting it: the layers are looked at as overlayfs would show them. Every component
 * is looked up by itself and links are resolved inside, so that none leads out; on the way of every `run`, therefore
 * node:fs only, and attributes are asked for only where an upper layer's folder does not have the name.
 */
import { dlopen } from "bun:ffi";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
} from "node:fs";
import type { ImageRoot } from "./record.ts";

const MAX_LINKS = 40;
const DEFAULT_LIMIT = 4 << 20;

/**
 * The content of a regular file in layers (host folders, top-most first; "" is the host's root); undefined if there is
 * none by that name, if it is larger than `limit` bytes, or if it was changed while we looked.
 */
export function readFileInLayers(
  layers: readonly string[],
  path: string,
  limit = DEFAULT_LIMIT,
): Uint8Array | undefined {
  const found = locate(layers, path);
  return found === undefined ? undefined : readExactly(found.layer, found.path, limit);
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
  /** Inside the layer, with a slash in front and no link in it. */
  readonly path: string;
}

/** The layer that shows this file. */
function locate(layers: readonly string[], path: string): Place | undefined {
  // The merged folders from the root to where we are; each is its folders in the layers that have it, by index.
  const all = layers.map((_, index) => index);
  const stack: { readonly at: string; readonly layers: readonly number[] }[] = [{ at: "", layers: all }];
  const rest = names(path).reverse();
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "..") {
      if (stack.length > 1) stack.pop();
      continue;
    }
    const here = stack.at(-1);
    if (!here) return undefined;
    const at = `${here.at}/${name}`;
    const folders: number[] = [];
    let followed = false;
    for (const [position, index] of here.layers.entries()) {
      const layer = layers[index] ?? "";
      const above = here.layers[position - 1];
      if (above !== undefined && isOpaque(`${layers[above] ?? ""}${here.at}`)) break;
      const status = lstatSync(layer + at, { throwIfNoEntry: false });
      if (!status) continue;
      if (status.isDirectory()) {
        folders.push(index);
        continue;
      }
      // Anything else hides what is below; below a folder it is hidden itself.
      if (folders.length > 0 || (status.isCharacterDevice() && status.rdev === 0)) break;
      if (status.isFile()) return rest.length === 0 ? { layer, path: at } : undefined;
      if (!status.isSymbolicLink() || ++links > MAX_LINKS) return undefined;
      const target = readlinkSync(layer + at);
      if (target.startsWith("/")) stack.length = 1;
      rest.push(...names(target).reverse());
      followed = true;
      break;
    }
    if (folders.length > 0) stack.push({ at, layers: folders });
    else if (!followed) return undefined;
  }
  return undefined;
}

const names = (path: string): string[] => path.split("/").filter((name) => name !== "" && name !== ".");

/** Opens a file that `locate` found, and makes sure that it is this one: a running container may change its upper folder. */
function readExactly(layer: string, path: string, limit: number): Uint8Array | undefined {
  const real = layer === "" ? "" : realpathSync(layer);
  let fd: number;
  try {
    fd = openSync(real + path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const status = fstatSync(fd);
    if (!status.isFile() || status.size > limit || readlinkSync(`/proc/self/fd/${fd}`) !== real + path)
      return undefined;
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

let libc: { lgetxattr(path: Buffer, name: Buffer, value: Buffer, size: number): number | bigint } | undefined;
const OPAQUE = ["trusted.overlay.opaque\0", "user.overlay.opaque\0"].map((name) => Buffer.from(name));

/** Whether a folder of a layer hides those beneath it. */
function isOpaque(path: string): boolean {
  libc ??= dlopen("libc.so.6", { lgetxattr: { args: ["ptr", "ptr", "ptr", "u64"], returns: "i64" } }).symbols;
  const value = Buffer.alloc(1);
  const bytes = Buffer.from(`${path}\0`);
  return OPAQUE.some((name) => Number(libc?.lgetxattr(bytes, name, value, 1)) === 1 && value[0] === 121);
}
