/**
 * `pull`: a manifest for this machine, its config, its layers. Three blobs arrive at a time, and each layer is unpacked
 * while it arrives and those above it are on their way; nothing has a name before every digest was right.
 */
import { readFileSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import { adopt, type Place } from "../adopt.ts";
import { adding } from "../gate.ts";
import { chainIds, ensureLayer } from "../layers.ts";
import {
  type Descriptor,
  MAX_CONFIG,
  type Manifest,
  MEDIA,
  parseConfig,
  parseManifest,
  parseObject,
} from "../manifest.ts";
import { choose, hostPlatform, type Platform, platformText } from "../platform.ts";
import { familiarName, type Reference, referenceText, repository, withTag } from "../reference.ts";
import { type RawManifest, type Registry, RegistryError } from "./client.ts";
import { type Arrival, download } from "./download.ts";
import { NetworkError } from "./http.ts";
import { type OnProgress, shortDigest } from "./progress.ts";
import { connect, type SessionOptions } from "./session.ts";
import { Slots } from "./slots.ts";

export interface PullOptions extends SessionOptions {
  /** Default: this machine's. */
  readonly platform?: Platform;
  readonly allTags?: boolean;
  readonly onProgress?: OnProgress;
}

export interface Pulled {
  /** In full, with its tag or digest. */
  readonly reference: string;
  readonly id: string;
  /** Of what the registry has under this name: an index, or a manifest. */
  readonly digest: string;
  /** The name stood for another image until now, or for none. */
  readonly newer: boolean;
}

/** At a time, as Docker's max-concurrent-downloads. */
const PARALLEL = 3;
const MAX_NESTING = 3;

export async function pull(place: Place, reference: Reference, options: PullOptions = {}): Promise<Pulled[]> {
  const say = options.onProgress ?? (() => {});
  // One failure ends all that is on its way.
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const registries = await connect(place.paths.root, reference, { ...options, signal });
  try {
    return await adding(place.paths, async () => {
      const wanted = options.allTags ? await allTags(registries, reference) : [withTag(reference)];
      const pulled: Pulled[] = [];
      for (const each of wanted) pulled.push(await pullOne(place, registries, each, options, say));
      const newer = pulled.some((image) => image.newer);
      const name = familiarName(options.allTags ? withoutTag(reference) : withTag(reference));
      say({ status: `Status: ${newer ? "Downloaded newer image" : "Image is up to date"} for ${name}` });
      return pulled;
    });
  } catch (error) {
    stop.abort(error);
    throw translate(error, reference);
  }
}

const withoutTag = ({ domain, path }: Reference): Reference => ({ domain, path });

async function allTags(registries: readonly Registry[], reference: Reference): Promise<Reference[]> {
  const { found } = await firstOf(registries, (registry) => registry.tags());
  if (found.length === 0) throw new RegistryError("name unknown: it has no tags", 404, "NAME_UNKNOWN");
  return found.sort().map((tag) => ({ ...withoutTag(reference), tag }));
}

/** Asks mirrors first; what the last one says counts. */
async function firstOf<T>(
  registries: readonly Registry[],
  ask: (registry: Registry) => Promise<T>,
): Promise<{ found: T; from: readonly Registry[] }> {
  for (const [index, registry] of registries.entries()) {
    try {
      return { found: await ask(registry), from: registries.slice(index) };
    } catch (error) {
      if (index === registries.length - 1) throw error;
    }
  }
  throw new SampanError("invalid", "no registry");
}

async function pullOne(
  place: Place,
  all: readonly Registry[],
  reference: Reference,
  options: PullOptions,
  say: OnProgress,
): Promise<Pulled> {
  const { store, blobs } = place;
  const { digest: byDigest, tag } = reference;
  // A tag beside a digest says nothing more.
  const name = referenceText(
    byDigest === undefined ? reference : { ...withoutTag(reference), digest: byDigest },
  );
  const { found: top, from } = await firstOf(all, (registry) => registry.manifest(byDigest ?? tag ?? ""));
  say({ id: byDigest === undefined ? (tag ?? "") : name, status: `Pulling from ${reference.path}` });
  const { raw, manifest } = await resolve(from, top, reference, options.platform ?? hostPlatform(), 0);
  const id = manifest.config.digest;
  const references = [...(byDigest === undefined ? [name] : []), `${repository(reference)}@${top.digest}`];
  const before = store.db
    .query<{ image: string }, [string]>("SELECT image FROM tags WHERE reference = ?")
    .get(name)?.image;
  blobs.add(raw.bytes);
  const here = store.db.query("SELECT 1 FROM images WHERE id = ?").get(id) !== null;
  if (here) checkPlatform(blobs.read(id, MAX_CONFIG), id, reference, options.platform);
  else await fetchImage(place, from, manifest, reference, options.platform, say);
  await adopt(place, raw.digest, references);
  say({ status: `Digest: ${top.digest}` });
  return { reference: name, id, digest: top.digest, newer: before !== id };
}

/** Follows indexes to the one manifest of this platform. */
async function resolve(
  registries: readonly Registry[],
  raw: RawManifest,
  reference: Reference,
  platform: Platform,
  depth: number,
): Promise<{ raw: RawManifest; manifest: Manifest }> {
  const what = `manifest ${raw.digest}`;
  const parsed = parseManifest(raw.bytes, what);
  checkType(raw, "manifests" in parsed, what);
  if (!("manifests" in parsed)) return { raw, manifest: parsed };
  if (depth >= MAX_NESTING) throw new SampanError("invalid", `${what}: indexes are nested too deeply`);
  const fit = choose(parsed.manifests.filter(isManifest), platform)[0];
  if (!fit) {
    const has = parsed.manifests
      .filter(({ platform }) => platform && platform.os !== "unknown")
      .map(({ platform }) => platform && platformText(platform));
    throw new SampanError(
      "not-found",
      `no matching manifest for ${platformText(platform)} in the manifest list entries`,
      {
        hint: `${familiarName(reference)} is there for ${[...new Set(has)].join(", ") || "no platform at all"}.`,
      },
    );
  }
  const { found } = await firstOf(registries, (registry) => registry.manifest(fit.digest, fit.size));
  return resolve(registries, found, reference, platform, depth + 1);
}

const TYPES: ReadonlySet<string> = new Set([
  MEDIA.index,
  MEDIA.manifest,
  MEDIA.dockerList,
  MEDIA.dockerManifest,
]);
const isManifest = ({ mediaType }: Descriptor): boolean => mediaType === "" || TYPES.has(mediaType);

/** What it says of itself, what the registry says of it and what it is must agree (CVE-2021-41190). */
function checkType(raw: RawManifest, index: boolean, what: string): void {
  const own = parseObject(raw.bytes, what)["mediaType"];
  const isIndex = (type: string): boolean => type === MEDIA.index || type === MEDIA.dockerList;
  for (const type of [typeof own === "string" ? own : "", raw.type])
    if (TYPES.has(type) && isIndex(type) !== index)
      throw new SampanError(
        "invalid",
        `${what} is called ${type} but is ${index ? "an index" : "a manifest"}`,
      );
  if (typeof own === "string" && own !== "" && TYPES.has(raw.type) && own !== raw.type)
    throw new SampanError("invalid", `${what} says that it is ${own}, the registry says ${raw.type}`);
}

function checkPlatform(
  bytes: Uint8Array,
  id: string,
  reference: Reference,
  wanted: Platform | undefined,
): void {
  if (!wanted) return;
  const config = parseConfig(bytes, `config ${id}`);
  if (config.os === wanted.os && config.architecture === wanted.architecture) return;
  throw new SampanError(
    "not-found",
    `image with reference ${familiarName(reference)} was found but its platform (${platformText(config)}) does not match the specified platform (${platformText(wanted)})`,
  );
}

/** Config and layers into the store, and the layers unpacked. */
async function fetchImage(
  place: Place,
  registries: readonly Registry[],
  manifest: Manifest,
  reference: Reference,
  platform: Platform | undefined,
  say: OnProgress,
): Promise<void> {
  const { store, paths, blobs, limits } = place;
  const id = manifest.config.digest;
  if (manifest.config.size > MAX_CONFIG)
    throw new SampanError(
      "invalid",
      `config ${id} has ${manifest.config.size} bytes; the limit is ${MAX_CONFIG}`,
    );
  const fetching = download(place, registries, manifest.config);
  const arrivals = startLayers(place, registries, manifest.layers, say);
  await fetching.complete;
  const bytes = blobs.read(id, MAX_CONFIG);
  checkPlatform(bytes, id, reference, platform);
  const diffIds = parseConfig(bytes, `config ${id}`).rootfs.diff_ids;
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
    const source = {
      digest,
      path: blobs.path(digest),
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
      await ensureLayer(store, paths, chains.slice(0, index + 1), diffIds[index] ?? "", source, limits);
      await arrival.complete;
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
  place: Place,
  registries: readonly Registry[],
  layers: readonly Descriptor[],
  say: OnProgress,
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
    const existed = blobs.has(digest) && unpacked.get(digest) !== null;
    say({ id, status: existed ? "Already exists" : "Pulling fs layer" });
    let arrived = blobs.has(digest);
    const path = Promise.withResolvers<string>();
    const complete = Promise.withResolvers<void>();
    for (const { promise } of [path, complete]) promise.catch(() => {});
    starts.push(() => {
      if (!existed && slots.full) say({ id, status: "Waiting" });
      const run = slots.run(async () => {
        let shown = 0;
        const onBytes = (bytes: number): void => {
          const now = performance.now();
          if (now - shown < 100) return;
          shown = now;
          say({ id, status: "Downloading", current: bytes, total: size });
        };
        const arrival = download(place, registries, layer, { onBytes });
        arrival.path.then(path.resolve, path.reject);
        await arrival.complete;
        arrived = true;
        if (!existed) say({ id, status: "Download complete" });
      });
      run.then(complete.resolve, (error: unknown) => {
        path.reject(error);
        complete.reject(error);
      });
    });
    arrivals.set(digest, { path: path.promise, complete: complete.promise, existed, arrived: () => arrived });
  }
  for (const start of starts) start();
  return arrivals;
}

const HINT =
  "The image `host` is always here (sampan run -it host bash); `sampan load -i FILE` takes images from an archive " +
  "that docker save, podman save or skopeo wrote.";

/** Docker's words for what a registry refuses. */
function translate(error: unknown, reference: Reference): unknown {
  const name = familiarName(withoutTag(reference));
  if (error instanceof RegistryError) {
    const refused = error.http === 401 || error.http === 403 || error.reason === "DENIED";
    if (refused)
      return new SampanError(
        "not-found",
        `pull access denied for ${name}, repository does not exist or may require 'sampan login': ${error.message}`,
        { cause: error },
      );
    if (error.reason === "NAME_UNKNOWN")
      return new SampanError("not-found", `repository ${name} not found: ${error.message}`, { cause: error });
    if (error.http === 404)
      return new SampanError(
        "not-found",
        `manifest for ${familiarName(withTag(reference))} not found: ${error.message}`,
        {
          cause: error,
        },
      );
    return error;
  }
  if (error instanceof NetworkError && !error.again)
    return new SampanError(
      "unavailable",
      `cannot pull ${familiarName(withTag(reference))}: ${error.message}`,
      {
        hint: HINT,
        cause: error,
      },
    );
  return error;
}
