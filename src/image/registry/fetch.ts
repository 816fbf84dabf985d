/**
 * The blobs of one image: all arrive at once, a few at a time, and each layer is unpacked while it arrives and those above
 * it are on their way.
 */
import { readFileSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import type { Place } from "../adopt.ts";
import { chainIds, ensureLayer, type LayerSource } from "../layers.ts";
import { type Descriptor, MAX_CONFIG, type Manifest, parseConfig } from "../manifest.ts";
import { checkPlatform, type Platform } from "../platform.ts";
import { familiarName, type Reference } from "../reference.ts";
import { rememberSent } from "../sent.ts";
import type { Registry } from "./client.ts";
import { type Arrival, download } from "./download.ts";
import { type OnProgress, shortDigest } from "./progress.ts";
import { Slots } from "./slots.ts";

/** What belongs to one call of `pull`. */
export interface Pulling {
  readonly place: Place;
  /** Only if the user has said it. */
  readonly platform: Platform | undefined;
  readonly say: OnProgress;
  readonly signal: AbortSignal;
  /** Everything that is on its way, or was. */
  readonly running: Promise<unknown>[];
  /** What those have said that were asked first and did not have it. */
  readonly inVain: string[];
}

/** At a time, as Docker's max-concurrent-downloads. */
const PARALLEL = 3;

/** Config and layers into the store, and the layers unpacked. */
export async function fetchImage(
  pulling: Pulling,
  registries: readonly Registry[],
  manifest: Manifest,
  reference: Reference,
): Promise<void> {
  const { place, platform, say, signal, running } = pulling;
  const { store, paths, blobs, limits } = place;
  const id = manifest.config.digest;
  if (manifest.config.size > MAX_CONFIG)
    throw new SampanError(
      "invalid",
      `config ${id} has ${manifest.config.size} bytes; the limit is ${MAX_CONFIG}`,
    );
  const fetching = download(place, registries, manifest.config, { signal });
  running.push(fetching.complete);
  const arrivals = startLayers(pulling, registries, manifest.layers);
  await fetching.complete;
  const bytes = blobs.read(id, MAX_CONFIG);
  const config = parseConfig(bytes, `config ${id}`);
  if (platform) checkPlatform(config, familiarName(reference), platform);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length)
    throw new SampanError(
      "invalid",
      `invalid manifest, layers length mismatch: expected ${manifest.layers.length}, got ${diffIds.length}`,
    );
  const chains = chainIds(diffIds);
  for (const [index, { digest, size }] of manifest.layers.entries()) {
    const arrival = arrivals.get(digest);
    if (!arrival) continue;
    const growing = { path: await arrival.path, size, complete: arrival.complete };
    const end = (): void => clearInterval(watch);
    let watch: Timer | undefined;
    const whole = { digest, path: blobs.path(digest) };
    const source = {
      ...whole,
      growing,
      opened: (fd: number) => {
        // The child reads through the same open file, so its position is to be seen here.
        watch = setInterval(() => {
          if (arrival.arrived())
            say({ id: shortDigest(digest), status: "Extracting", current: position(fd), total: size });
        }, 100);
      },
    };
    try {
      const unpack = (from: LayerSource): Promise<void> =>
        ensureLayer(store, paths, chains.slice(0, index + 1), diffIds[index] ?? "", from, limits);
      await unpack(source).catch(async (error: unknown) => {
        await arrival.complete;
        if (!arrival.restarted()) throw error;
        await unpack(whole);
      });
      await arrival.complete;
      if (digest === diffIds[index]) rememberSent(store, digest, { digest, size });
    } finally {
      end();
    }
    if (!arrival.existed) say({ id: shortDigest(digest), status: "Pull complete" });
  }
}

const position = (fd: number): number =>
  Number(/^pos:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? 0);

interface Layer extends Arrival {
  /** It was here, unpacked, before. */
  readonly existed: boolean;
  readonly arrived: () => boolean;
}

/** Lets all layers come, a few at a time and the lowest first. */
function startLayers(
  { place, say, signal, running }: Pulling,
  registries: readonly Registry[],
  layers: readonly Descriptor[],
): Map<string, Layer> {
  const { store, blobs } = place;
  const unpacked = store.db.query<unknown, [string]>("SELECT 1 FROM layers WHERE blob = ?");
  const arrivals = new Map<string, Layer>();
  const slots = new Slots(PARALLEL);
  const starts: (() => void)[] = [];
  for (const layer of layers) {
    const { digest, size } = layer;
    if (arrivals.has(digest)) continue;
    const id = shortDigest(digest);
    const existed = blobs.holds(layer) && unpacked.get(digest) !== null;
    say({ id, status: existed ? "Already exists" : "Pulling fs layer" });
    let arrived = blobs.holds(layer);
    let arrival: Arrival | undefined;
    const path = Promise.withResolvers<string>();
    const complete = Promise.withResolvers<void>();
    for (const { promise } of [path, complete]) promise.catch(() => {});
    starts.push(() => {
      if (!existed && slots.full) say({ id, status: "Waiting" });
      const run = slots.run(async () => {
        let shown = Number.NEGATIVE_INFINITY;
        const onBytes = (bytes: number): void => {
          const now = performance.now();
          if (now - shown < 100) return;
          shown = now;
          say({ id, status: "Downloading", current: bytes, total: size });
        };
        arrival = download(place, registries, layer, { onBytes, signal });
        arrival.path.then(path.resolve, path.reject);
        await arrival.complete;
        arrived = true;
        if (!existed) say({ id, status: "Download complete" });
      });
      running.push(run);
      run.then(complete.resolve, (error: unknown) => {
        path.reject(error);
        complete.reject(error);
      });
    });
    arrivals.set(digest, {
      path: path.promise,
      complete: complete.promise,
      existed,
      arrived: () => arrived,
      restarted: () => arrival?.restarted() ?? false,
    });
  }
  for (const start of starts) start();
  return arrivals;
}
