/**
 * What was changed since a tree was a copy of others: the upper folder of an overlay, read without mounting it. Whoever
 * has an overlay can ask: a container's root, a bind that is an overlay. Format: the kernel's overlayfs.rst; layers that
 * were made with redirect_dir or metacopy, which the engine never uses, are refused by name.
 */
import { SampanError } from "../../common/error.ts";
import * as sys from "../sys.ts";
import { type Found, ifThere, isDir, isFile, isOpaque, Merged, openFolder, openPath } from "./folder.ts";
import { MadePlaces } from "./made.ts";

/** An overlay. */
export interface Upper {
  readonly upper: string;
  /** What lies beneath, top-most first. */
  readonly lower: readonly string[];
  /** Where the overlay is seen: put in front of every path. Default: at the root. */
  readonly at?: string;
  /** The place itself counts as changed when something in it is. */
  readonly part?: boolean;
  /** Paths that the engine makes as places to mount on: while they are new and empty they are nobody's change. */
  readonly made?: readonly string[];
  /** Paths that are not looked at. */
  readonly except?: readonly string[];
}

/** Docker's letters: added, changed, deleted. */
export interface Change {
  readonly kind: "A" | "C" | "D";
  readonly path: string;
}

/**
 * The changes, each folder before what is in it, names in order. A folder is changed if its own mode or owner is, or
 * anything in it; of what was deleted only the top-most name is said.
 */
export function* changesOf({
  upper,
  lower,
  at = "",
  part,
  made = [],
  except = [],
}: Upper): Generator<Change> {
  const fd = openPath(upper);
  const below = Merged.layers(lower);
  try {
    const inside = inFolder(
      fd,
      below,
      at,
      isOpaque(fd),
      new MadePlaces(
        made.map((path) => at + path),
        new Set(except),
      ),
    );
    const first = inside.next();
    if (first.done) return;
    if (part) yield { kind: "C", path: at };
    yield first.value;
    yield* inside;
  } finally {
    below.close();
    sys.close(fd);
  }
}

function* inFolder(
  upper: number,
  lower: Merged | undefined,
  path: string,
  opaque: boolean,
  made: MadePlaces,
): Generator<Change> {
  assertPlain(upper, path);
  // What an opaque folder hides is gone, name by name.
  const names =
    opaque && lower ? [...new Set([...sys.names(upper), ...lower.names()])].sort() : sys.names(upper);
  for (const name of names) {
    const at = `${path}/${name}`;
    if (made.has(upper, name, at, lower)) continue;
    const status = sys.lstatat(upper, name);
    const below = lower?.look(name);
    if (!status || sys.isWhiteout(status)) {
      if (below) yield { kind: "D", path: at };
    } else if (isDir(status)) {
      yield* folder({ dir: upper, status }, name, lower, below, at, made);
    } else if (!below) {
      yield { kind: "A", path: at };
    } else {
      if (differs({ dir: upper, status }, below, name)) yield { kind: "C", path: at };
      if (isDir(below.status) && lower) yield* lost(lower, name, at);
    }
  }
}

function* folder(
  here: Found,
  name: string,
  lower: Merged | undefined,
  below: Found | undefined,
  path: string,
  made: MadePlaces,
): Generator<Change> {
  const both = below !== undefined && isDir(below.status);
  const fd = ifThere(() => openFolder(here.dir, name));
  if (fd === undefined) return;
  const beneath = both ? lower?.open(name) : undefined;
  try {
    const inside = inFolder(fd, beneath, path, isOpaque(fd), made);
    const first = inside.next();
    if (!below) yield { kind: "A", path };
    else if (!both || !first.done || differs(here, below, name)) yield { kind: "C", path };
    if (first.done) return;
    yield first.value;
    yield* inside;
  } finally {
    beneath?.close();
    sys.close(fd);
  }
}

/** What was in a folder that is none any more. */
function* lost(lower: Merged, name: string, path: string): Generator<Change> {
  const folder = lower.open(name);
  try {
    for (const child of folder.names()) if (folder.look(child)) yield { kind: "D", path: `${path}/${child}` };
  } finally {
    folder.close();
  }
}

/** By what can be seen without reading them; a folder's size and time are no change of its own. */
function differs(upper: Found, lower: Found, name: string): boolean {
  const [a, b] = [upper.status, lower.status];
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return true;
  if (isDir(a)) return false;
  if (a.size !== b.size || a.mtime !== b.mtime || a.major !== b.major || a.minor !== b.minor) return true;
  return isFile(a) && capability(upper, name) !== capability(lower, name);
}

function capability({ dir }: Found, name: string): string {
  const opened = ifThere(() => sys.openFile(dir, name));
  if (!opened) return "";
  try {
    return sys.fgetxattr(opened.fd, "security.capability")?.toString() ?? "";
  } finally {
    sys.close(opened.fd);
  }
}

const UNREADABLE = /^(?:trusted|user)\.overlay\.(redirect|metacopy)$/;

/** Features of overlayfs that make an upper folder mean something else than what stands in it. */
export function assertPlain(fd: number, path: string): void {
  for (const key of sys.flistxattr(fd)) {
    const feature = UNREADABLE.exec(key)?.[1];
    if (feature !== undefined)
      throw new SampanError("refused", `${path || "/"} was changed by an overlay with ${feature}`, {
        hint: "The engine mounts without it: turn it off for whatever else mounted this folder.",
      });
  }
}
