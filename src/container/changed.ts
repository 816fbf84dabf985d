/**
 * What a container has changed in its root filesystem, and that root as an archive: read from its folders, whether it runs or
 * not. What is mounted in it is no part of either.
 */
import { existsSync, readdirSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { type Change, type TreeJob, trees, type Upper } from "../image/index.ts";
import { type Context, note, places } from "./context.ts";
import { type Overlay, overlaysOf } from "./overlays.ts";
import { startPlainly } from "./reach.ts";
import { layersOf } from "./root.ts";
import type { StoredContainer } from "./rows.ts";
import { isRootless } from "./spec.ts";
import { rootOf } from "./start.ts";

/** Where every container has something mounted, and the list of its mounts: made in its own folder if its image has no such place. */
export const MADE: readonly string[] = [
  "/dev",
  "/proc",
  "/sys",
  "/etc",
  "/etc/hostname",
  "/etc/hosts",
  "/etc/mtab",
  "/etc/resolv.conf",
];

/** The container's own folder and what lies beneath; one that has none is refused. */
export function upperOf(context: Context, container: StoredContainer): Upper {
  const root = rootOf(context, container);
  if (root.kind === "directory")
    throw new SampanError(
      "invalid",
      `container ${container.name} writes to ${root.path} itself (--rootfs): nothing tells what was there before`,
      { hint: `--rootfs ${root.path}:O keeps its changes apart.` },
    );
  return {
    upper: places(context.paths, container.id).upper,
    lower: root.kind === "host" ? ["/"] : root.lower,
    made: MADE,
  };
}

/** Of its root, and of each bind that keeps what is written to it (`overlay`). */
function uppersOf(context: Context, container: StoredContainer): Upper[] {
  return [...rootUppers(context, container), ...overlaysOf(context, container).flatMap(overlayUpper)];
}

/** One that was never started has none. */
export function overlayUpper({ own, folder, at }: Overlay): Upper[] {
  const upper = `${own}/upper`;
  return existsSync(upper) ? [{ upper, lower: [folder], at }] : [];
}

function rootUppers(context: Context, container: StoredContainer): Upper[] {
  const root = rootOf(context, container);
  const whole = upperOf(context, container);
  if (root.kind !== "host" || !root.userxattr) return [whole];
  // Without root this machine's own files are an overlay for each of its folders, mounted in the container's.
  const parts = existsSync(root.work) ? readdirSync(root.work).sort() : [];
  // Where nothing was written there may have been nothing to look at either: /root of the machine's.
  const written = (folder: string): boolean => existsSync(folder) && readdirSync(folder).length > 0;
  const overlays = parts.filter((part) => written(`${root.work}/${part}/upper`));
  const host = readdirSync("/").map((name) => `/${name}`);
  return [
    { ...whole, except: host },
    ...overlays.map((part) => ({
      upper: `${root.work}/${part}/upper`,
      lower: [`/${part}`],
      at: `/${part}`,
      part: true,
    })),
  ];
}

/** Each folder before what is in it, names in order. */
export const diff = (context: Context, container: StoredContainer): AsyncGenerator<Change> =>
  changesIn(uppersOf(context, container));

export async function* changesIn(uppers: readonly Upper[]): AsyncGenerator<Change> {
  const { Answers, changesOf, linesOf } = await trees();
  if (!isRootless()) {
    for (const upper of uppers) yield* changesOf(upper);
    return;
  }
  const process = await startPlainly({ do: "changes", uppers });
  for await (const line of linesOf(process.output)) yield JSON.parse(line) as Change;
  await new Answers(process).next();
}

/** The container's root filesystem as a tar archive. */
export async function* exportRoot(context: Context, container: StoredContainer): AsyncGenerator<Uint8Array> {
  const root = rootOf(context, container);
  const isHost = root.kind === "host" || (root.kind === "directory" && root.path === "/");
  if (isHost && isRootless())
    throw new SampanError(
      "refused",
      `container ${container.name}: without root not all of this machine can be read`,
      {
        hint: "As root `sampan export` takes it; `sampan cp` takes what you may read.",
      },
    );
  const engine = isHost
    ? [context.paths.root, context.paths.run].map((path) => path.replace(/^\/+/, ""))
    : [];
  const layers = layersOf(root).map((path) => path || "/");
  note(context, container, "export");
  yield* packPlainly({ do: "merged", layers, hidden: engine });
}

/** The engine's own folders as an archive: read right here, or without root where the ids that own them have a meaning. */
export async function* packPlainly(job: TreeJob & { do: "layer" | "merged" }): AsyncGenerator<Uint8Array> {
  const { archiveOf, packHost } = await trees();
  yield* isRootless() ? archiveOf(await startPlainly(job)) : packHost(job);
}
