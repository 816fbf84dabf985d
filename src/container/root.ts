/** A look into a container's root filesystem from outside, whatever it is made of: for its users, and for diagnoses. */
import { lookInLayers, readFileInLayers } from "../image/index.ts";
import type { Root } from "../runtime/index.ts";
import type { Seen } from "./diagnose.ts";

/** Host folders, top-most first; "" is this machine's own root. */
export function layersOf(root: Root): readonly string[] {
  if (root.kind === "directory") return [root.path === "/" ? "" : root.path];
  const lower = root.kind === "host" ? [""] : root.lower;
  return root.upper === undefined ? lower : [root.upper, ...lower];
}

/** The root as it is before anything is written to it. */
export function withoutUpper(root: Root): Root {
  if (root.kind === "host") return { kind: "directory", path: "/" };
  if (root.kind === "directory") return root;
  const { upper: _, ...rest } = root;
  return rest;
}

/** A text file of the container; empty if it has none. */
export function readInRoot(root: Root, path: string): string {
  const bytes = readFileInLayers(layersOf(root), path);
  return bytes === undefined ? "" : new TextDecoder().decode(bytes);
}

/** As much of a program as says what it is. */
const HEAD = 16_384;
const NOTHING = new Uint8Array(0);

/** A file or folder of the container, links followed inside. */
export function seeInRoot(root: Root, path: string): Seen | undefined {
  const found = lookInLayers(layersOf(root), path);
  return found && { ...found, head: () => found.read(HEAD) ?? NOTHING };
}
