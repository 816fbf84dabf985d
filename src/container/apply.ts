/**
 * What a container changed in folders that it has copy-on-write (`--mount type=bind,…,overlay`), accepted: done to the folders
 * themselves. The changes are those that `diff` shows; the launcher does each one, so that no link is followed out of the
 * folder and files of any of the caller's ids can be written.
 */
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { SampanError } from "../common/error.ts";
import { cleanPath } from "../common/paths.ts";
import type { Change } from "../image/index.ts";
import { getXattr } from "../kernel/fs.ts";
import { parseMountinfo } from "../kernel/proc.ts";
import { Launcher, NO_KEEPER, type Step } from "../launch/index.ts";
import { fileSteps } from "../runtime/index.ts";
import { changesIn, overlayUpper } from "./changed.ts";
import type { Context } from "./context.ts";
import { type Overlay, overlaysOf } from "./overlays.ts";
import type { StoredContainer } from "./rows.ts";

interface Found extends Change {
  readonly overlay: Overlay;
  /** Below the overlay, with a slash in front. */
  readonly below: string;
}

export interface ApplyOptions {
  /** Also over what has changed in the folder since the container took its copy. */
  readonly force?: boolean;
}

/** Without paths all of it. Gives what was done. */
export async function apply(
  context: Context,
  container: StoredContainer,
  paths: readonly string[],
  { force = false }: ApplyOptions,
): Promise<Change[]> {
  const overlays = overlaysOf(context, container);
  if (overlays.length === 0)
    throw new SampanError("invalid", `${container.name} has no copy-on-write folder`, {
      hint: "It has one for each --mount type=bind,source=DIR,target=DIR,overlay.",
    });
  const changes: Change[] = [];
  for await (const change of changesIn(overlays.flatMap(overlayUpper))) changes.push(change);
  const found = choose(locate(changes, overlays), paths, container.name);
  const notes = new Map(overlays.map((overlay) => [overlay, readNotes(overlay)]));
  const clashes = force ? [] : found.filter((each) => clashesWith(each, notes.get(each.overlay) ?? {}));
  if (clashes.length > 0)
    throw new SampanError(
      "conflict",
      `changed on this machine since ${container.name} took its copy: ${clashes.map(({ overlay, below }) => overlay.folder + below).join(", ")}`,
      { hint: "Nothing was applied. Name the other paths, or use --force to overwrite these." },
    );
  assertNothingMounted(found);
  assertHarmless(found, paths, container.name);
  if (found.length > 0) await carryOut(found);
  for (const [overlay, known] of notes) writeNotes(overlay, known, found);
  return found.map(({ kind, path }) => ({ kind, path }));
}

function locate(changes: readonly Change[], overlays: readonly Overlay[]): Found[] {
  const found: Found[] = [];
  for (const change of changes) {
    const overlay = overlays.find(({ at }) => change.path.startsWith(`${at}/`));
    if (overlay) found.push({ ...change, overlay, below: change.path.slice(overlay.at.length) });
  }
  return found;
}

const isBelow = (path: string, above: string): boolean => path === above || path.startsWith(`${above}/`);

/** Those at and below the paths, and the new folders that they lie in; without paths all. */
function choose(found: readonly Found[], paths: readonly string[], name: string): Found[] {
  if (paths.length === 0) return [...found];
  const wanted = paths.map(cleanPath);
  for (const [index, path] of wanted.entries())
    if (!found.some((each) => isBelow(each.path, path)))
      throw new SampanError("not-found", `${paths[index]} is not among what ${name} changed`, {
        hint: `\`sampan diff ${name}\` lists what is, by its path in the container.`,
      });
  const chosen = (each: Found): boolean => wanted.some((path) => isBelow(each.path, path));
  const above = (each: Found): boolean =>
    each.kind === "A" && wanted.some((path) => path.startsWith(`${each.path}/`));
  return found.filter((each) => chosen(each) || above(each));
}

const upperPath = ({ own }: Overlay, below = ""): string => `${own}/upper${below}`;
const notesPath = ({ own }: Overlay): string => `${own}/applied.json`;

const look = (path: string): Stats | undefined => {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // Of another of the caller's ids.
    return undefined;
  }
};

const noteOf = ({ ino, ctimeMs }: Stats): string => `${ino} ${ctimeMs}`;

/**
 * Whether the folder's own has changed after the container's copy of it came to be. Of what was deleted the container keeps
 * no copy: then the last change of the folder that it was in counts.
 */
function clashesWith({ kind, overlay, below }: Found, known: Notes): boolean {
  const host = look(overlay.folder + below);
  if (!host) return false;
  if (kind === "D") {
    const parent = look(upperPath(overlay, below.slice(0, below.lastIndexOf("/"))));
    return parent !== undefined && changedSince(overlay, below, parent.mtimeMs, known);
  }
  const own = look(upperPath(overlay, below));
  if (!own || (own.isDirectory() && host.isDirectory())) return false;
  return own.birthtimeMs > 0 && changedSince(overlay, below, own.birthtimeMs, known);
}

/** Whether it or anything in it has changed, other than by our own doing. What cannot be read may have. */
function changedSince(overlay: Overlay, below: string, since: number, known: Notes): boolean {
  const path = overlay.folder + below;
  try {
    const host = lstatSync(path);
    if (known[below] === noteOf(host)) return false;
    if (host.ctimeMs > since) return true;
    return (
      host.isDirectory() &&
      readdirSync(path).some((name) => changedSince(overlay, `${below}/${name}`, since, known))
    );
  } catch {
    return true;
  }
}

/** What is mounted where something is to go belongs to nobody's copy: not even by force is it emptied. */
function assertNothingMounted(found: readonly Found[]): void {
  const mounts = parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"));
  for (const { kind, overlay, below } of found) {
    if (kind !== "D" && look(upperPath(overlay, below))?.isDirectory()) continue;
    const path = (existsSync(overlay.folder) ? realpathSync(overlay.folder) : overlay.folder) + below;
    const mount = mounts.find(({ target }) => isBelow(target, path));
    if (mount)
      throw new SampanError("conflict", `${mount.target} is a mount point on this machine`, {
        hint: "Nothing was applied. Unmount it, or name the other paths.",
      });
  }
}

/**
 * What lends rights to whoever runs or opens it, which a list of paths does not show: programs that are set-uid, set-gid or have
 * capabilities, and devices. Who wants one says so by its own path.
 */
function assertHarmless(found: readonly Found[], paths: readonly string[], name: string): void {
  const named = new Set(paths.map(cleanPath));
  const lending = found.filter(
    ({ kind, path, overlay, below }) =>
      kind !== "D" && !named.has(path) && lendsRights(upperPath(overlay, below)),
  );
  if (lending.length > 0)
    throw new SampanError(
      "forbidden",
      `set-uid, set-gid, with capabilities or a device: ${lending.map(({ path }) => path).join(", ")}`,
      {
        hint: `Nothing was applied. Name each that you want as it is (sampan apply ${name} ${lending[0]?.path}), and the other paths.`,
      },
    );
}

const SET_UID = 0o4000;
/** A group's bit without the right to execute says something else. */
const SET_GID = 0o2010;

function lendsRights(path: string): boolean {
  const own = look(path);
  if (!own) return false;
  if (own.isCharacterDevice() || own.isBlockDevice()) return true;
  if (!own.isFile()) return false;
  if ((own.mode & SET_UID) !== 0 || (own.mode & SET_GID) === SET_GID) return true;
  try {
    return getXattr(path, "security.capability") !== undefined;
  } catch {
    return false;
  }
}

async function carryOut(found: readonly Found[]): Promise<void> {
  const why = "sampan apply";
  const steps: Step[] = [];
  for (const { kind, overlay, below } of found)
    steps.push({
      call: "apply",
      column: "inside",
      why,
      upper: upperPath(overlay),
      folder: overlay.folder,
      path: below,
      ...(kind === "D" ? { remove: true } : {}),
    });
  (await Launcher.start().launch({ steps: fileSteps(why, steps), keeper: NO_KEEPER })).close();
}

type Notes = Readonly<Record<string, string>>;

function readNotes(overlay: Overlay): Notes {
  try {
    return JSON.parse(readFileSync(notesPath(overlay), "utf8")) as Notes;
  } catch {
    return {};
  }
}

/** Which files are there by our own doing: the next call must not take them for somebody else's. */
function writeNotes(overlay: Overlay, known: Notes, found: readonly Found[]): void {
  const notes: Record<string, string> = { ...known };
  for (const each of found) {
    if (each.overlay !== overlay) continue;
    const host = look(overlay.folder + each.below);
    if (host && !host.isDirectory()) notes[each.below] = noteOf(host);
    else delete notes[each.below];
  }
  if (Object.keys(notes).length > 0)
    writeFileSync(notesPath(overlay), JSON.stringify(notes), { mode: 0o600 });
}
