/** An image's layers as a container would see them: a real overlay mount, in a mount namespace of its own. */
import { mkdirSync, rmSync } from "node:fs";
import { dockerArchive, layerTar, type Member } from "../support/image.ts";
import type { TestPlace } from "./place.ts";

export const ROOT = process.getuid?.() === 0;
export const WITHOUT_ROOT = ROOT ? "" : " (skipped: needs root)";

/** Loads layers of these members as the image `t:latest`. */
export async function loadLayers(place: TestPlace, ...layers: (readonly Member[])[]): Promise<void> {
  await place.load(dockerArchive([{ tags: ["t:latest"], layers: layers.map((layer) => layerTar(layer)) }]));
}

/** What `sh -c command` prints in the merged root. */
export function inMerged(place: TestPlace, command: string): string {
  const root = place.images.root(place.images.get("t"));
  if (root.kind !== "layers") throw new Error("not made of layers");
  const at = `${place.root}/merged`;
  mkdirSync(at, { recursive: true });
  const lower = root.lower.length === 1 ? [...root.lower, `${place.root}/merged`] : root.lower;
  const script = `mount -t overlay overlay -o lowerdir=${lower.join(":")} ${at} && cd ${at} && ${command}`;
  const run = Bun.spawnSync(["unshare", "-m", "sh", "-c", script]);
  rmSync(at, { recursive: true });
  if (!run.success) throw new Error(run.stderr.toString());
  return run.stdout.toString().replace(/\n$/, "");
}

/** Every file with type, mode, owner and target, sorted. */
export const listing = (place: TestPlace): string[] =>
  inMerged(place, "find . -mindepth 1 -printf '%y %m %U:%G %P %l\\n' | LC_ALL=C sort -k4")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter(Boolean);
