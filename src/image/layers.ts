/**
 * Unpacked layers, layers/<chain>/: shared by all images whose layers up to this one are the same, and never touched
 * again. The chain id (image-spec, config.md) names a layer together with everything beneath it.
 */
import { closeSync, existsSync, mkdirSync, openSync, realpathSync, renameSync, rmSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { layerDir, type Paths } from "../common/paths.ts";
import type { Store } from "../store/index.ts";
import { sha256 } from "./blobs.ts";
import { alone } from "./gate.ts";
import type { UnpackJob, UnpackLimits } from "./unpack/child.ts";
import { startUnpack } from "./unpack/start.ts";

/** Hex chain ids of an image's layers, lowest first. */
export function chainIds(diffIds: readonly string[]): string[] {
  let chain = "";
  return diffIds.map((diff) => {
    chain = chain === "" ? diff : sha256(`${chain} ${diff}`);
    return chain.slice("sha256:".length);
  });
}

export interface LayerSource {
  /** sha256:… of the archive as it came, compressed or not. */
  readonly digest: string;
  /** The file that holds it. */
  readonly path: string;
  /** It is still arriving, elsewhere, and will have this size; `complete`: it is at `path` and is what it should be. */
  readonly growing?: {
    readonly path: string;
    readonly size: number;
    readonly complete: Promise<void>;
    /** Not growing but a part of a larger file, from here on. */
    readonly start?: number;
  };
  /** The file is open; what the child has read is this descriptor's position. */
  readonly opened?: (fd: number) => void;
}

/**
 * Unpacks one layer unless it is there; at any moment at most one process does so. `chains` are those of the image up to
 * this layer, the lowest first.
 */
export async function ensureLayer(
  store: Store,
  paths: Paths,
  chains: readonly string[],
  diffId: string,
  source: LayerSource,
  limits?: Partial<UnpackLimits>,
): Promise<void> {
  const chain = chains.at(-1) ?? "";
  if (isKnown(store, chain)) return;
  await alone(paths, chain, async (lock) => {
    if (isKnown(store, chain)) return;
    const folder = layerDir(paths, chain);
    const temporary = `${paths.root}/tmp/${chain}`;
    // What a killed process left: complete or not, no row names it.
    for (const left of [temporary, folder]) rmSync(left, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true, mode: 0o700 });
    const { growing } = source;
    const input = await openSource(source);
    try {
      // The child has a working folder of its own: a state folder named relatively would be another one there.
      const lower = chains
        .slice(0, -1)
        .toReversed()
        .map((below) => realpathSync(layerDir(paths, below)));
      const job = {
        folder: realpathSync(temporary),
        lower,
        digest: source.digest,
        ...(growing && bytesOf(growing)),
        ...(limits && { limits }),
      };
      const what = `layer ${source.digest}`;
      const stop = new AbortController();
      growing?.complete.catch(() => stop.abort());
      source.opened?.(input);
      const unpacked = await startUnpack(job, input, lock, what, stop.signal).catch(
        async (error: unknown) => {
          // If the bytes were not what they should have been, that is the reason.
          await growing?.complete;
          throw error;
        },
      );
      await growing?.complete;
      if (unpacked.diffId !== diffId)
        throw new SampanError(
          "invalid",
          `${what}: its content is ${unpacked.diffId}, the image's config says ${diffId}`,
        );
      install(store, paths, temporary, { chain, diff: diffId, blob: source.digest, size: unpacked.size });
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      throw error;
    } finally {
      closeSync(input);
    }
  });
}

const isKnown = (store: Store, chain: string): boolean =>
  store.db.query<{ chain: string }, [string]>("SELECT chain FROM layers WHERE chain = ?").get(chain) !== null;

interface LayerRow {
  readonly chain: string;
  readonly diff: string;
  readonly blob: string;
  readonly size: number;
}

/** Gives a folder that is complete its name, and then its row. */
function install(store: Store, paths: Paths, folder: string, { chain, diff, blob, size }: LayerRow): void {
  if (!existsSync(`${paths.root}/layers`))
    mkdirSync(`${paths.root}/layers`, { mode: 0o700, recursive: true });
  renameSync(folder, layerDir(paths, chain));
  store.transaction(() =>
    store.db
      .query("INSERT OR REPLACE INTO layers (chain, diff, blob, size) VALUES (?, ?, ?, ?)")
      .run(chain, diff, blob, size),
  );
}

/**
 * A new layer upon others, from an archive that is only now being made: its digest, and with it its place, is known at the
 * end. It is unpacked as it comes; one that turns out to be here already is thrown away. `digest` gives the archive's,
 * once all of it has been taken.
 */
export async function addLayer(
  store: Store,
  paths: Paths,
  below: readonly string[],
  archive: AsyncIterable<Uint8Array>,
  digest: () => string,
): Promise<void> {
  const name = `layer-${Bun.randomUUIDv7()}`;
  const temporary = `${paths.root}/tmp/${name}`;
  const lower = chainIds(below)
    .reverse()
    .map((chain) => realpathSync(layerDir(paths, chain)));
  await alone(paths, name, async (lock) => {
    try {
      mkdirSync(temporary, { recursive: true, mode: 0o700 });
      // The caller hashes what it sends: the child need not.
      const job = { folder: realpathSync(temporary), lower, digest: "" };
      const { size } = await startUnpack(job, archive, lock, "the new layer");
      const blob = digest();
      const chain = chainIds([...below, blob]).at(-1) ?? "";
      await alone(paths, chain, async () => {
        if (isKnown(store, chain)) return;
        rmSync(layerDir(paths, chain), { recursive: true, force: true });
        install(store, paths, temporary, { chain, diff: blob, blob, size });
      });
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
}

const bytesOf = ({ size, start }: NonNullable<LayerSource["growing"]>): Partial<UnpackJob> =>
  start === undefined ? { size } : { range: { start, length: size } };

async function openSource({ path, growing }: LayerSource): Promise<number> {
  if (!growing) return openSync(path, "r");
  try {
    return openSync(growing.path, "r");
  } catch {
    // It has got its name meanwhile, or never will.
    await growing.complete;
    return openSync(path, "r");
  }
}
