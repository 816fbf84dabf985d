/** `pull`: which manifest a name means on this machine; its blobs; and only when every digest was right, its name. */
import { SampanError } from "../../common/error.ts";
import { adopt, isWhole, type Place } from "../adopt.ts";
import { adding } from "../gate.ts";
import {
  type Descriptor,
  MAX_CONFIG,
  type Manifest,
  MEDIA,
  parseConfig,
  parseManifest,
  parseObject,
} from "../manifest.ts";
import { checkPlatform, choose, hostPlatform, type Platform, platformText } from "../platform.ts";
import { familiarName, type Reference, referenceText, repository, withTag } from "../reference.ts";
import { type RawManifest, type Registry, RegistryError, saidBy } from "./client.ts";
import { fetchImage, type Pulling } from "./fetch.ts";
import { NetworkError } from "./http.ts";
import type { OnProgress } from "./progress.ts";
import { connect, type SessionOptions } from "./session.ts";

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

const MAX_NESTING = 3;

export async function pull(place: Place, reference: Reference, options: PullOptions = {}): Promise<Pulled[]> {
  const say = options.onProgress ?? (() => {});
  // One failure ends all that is on its way.
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const registries = await connect(place.paths.root, reference, { ...options, signal });
  const pulling: Pulling = { place, platform: options.platform, say, signal, running: [], inVain: [] };
  return adding(place.paths, async () => {
    try {
      const wanted = options.allTags ? await allTags(pulling, registries, reference) : [withTag(reference)];
      const pulled: Pulled[] = [];
      for (const each of wanted) pulled.push(await pullOne(pulling, registries, each));
      const newer = pulled.some((image) => image.newer);
      const name = familiarName(options.allTags ? withoutTag(reference) : withTag(reference));
      say({ status: `Status: ${newer ? "Downloaded newer image" : "Image is up to date"} for ${name}` });
      return pulled;
    } catch (error) {
      stop.abort(error);
      // Nobody writes any more when the caller hears of it.
      await Promise.allSettled(pulling.running);
      throw withMirrors(translate(error, reference), pulling.inVain);
    }
  });
}

const withoutTag = ({ domain, path }: Reference): Reference => ({ domain, path });

async function allTags(
  { inVain }: Pulling,
  registries: readonly Registry[],
  reference: Reference,
): Promise<Reference[]> {
  const { found } = await firstOf(inVain, registries, (registry) => registry.tags());
  if (found.length === 0) throw new RegistryError("name unknown: it has no tags", 404, "NAME_UNKNOWN");
  return found.sort().map((tag) => ({ ...withoutTag(reference), tag }));
}

/** Asks mirrors first; what the last one says counts, and what the others have said stands in `inVain` if none has it. */
async function firstOf<T>(
  inVain: string[],
  registries: readonly Registry[],
  ask: (registry: Registry) => Promise<T>,
): Promise<{ found: T; from: readonly Registry[] }> {
  for (const [index, registry] of registries.entries()) {
    try {
      const found = await ask(registry);
      inVain.length = 0;
      return { found, from: registries.slice(index) };
    } catch (error) {
      if (index === registries.length - 1) throw error;
      const { host } = registry.endpoint;
      const message = error instanceof Error ? error.message : String(error);
      inVain.push(message.includes(host) ? message : `${host}: ${message}`);
    }
  }
  throw new SampanError("invalid", "no registry");
}

async function pullOne(pulling: Pulling, all: readonly Registry[], reference: Reference): Promise<Pulled> {
  const { place, platform, say } = pulling;
  const { store, blobs } = place;
  const { digest: byDigest, tag } = reference;
  // A tag beside a digest says nothing more.
  const name = referenceText(
    byDigest === undefined ? reference : { ...withoutTag(reference), digest: byDigest },
  );
  const { found: top, from } = await firstOf(pulling.inVain, all, (registry) =>
    registry.manifest(byDigest ?? tag ?? ""),
  );
  say({ id: byDigest === undefined ? (tag ?? "") : name, status: `Pulling from ${reference.path}` });
  const { raw, manifest } = await resolve(pulling, from, top, reference, platform ?? hostPlatform(), 0);
  const id = manifest.config.digest;
  const references = [...(byDigest === undefined ? [name] : []), `${repository(reference)}@${top.digest}`];
  const before = store.db
    .query<{ image: string }, [string]>("SELECT image FROM tags WHERE reference = ?")
    .get(name)?.image;
  blobs.add(raw.bytes);
  if (!isWhole(place, id)) await fetchImage(pulling, from, manifest, reference);
  else if (platform)
    checkPlatform(parseConfig(blobs.read(id, MAX_CONFIG), `config ${id}`), familiarName(reference), platform);
  await adopt(place, raw.digest, references);
  say({ status: `Digest: ${top.digest}` });
  return { reference: name, id, digest: top.digest, newer: before !== id };
}

/** Follows indexes to the one manifest of this platform. */
async function resolve(
  pulling: Pulling,
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
  const { found } = await firstOf(pulling.inVain, registries, (registry) =>
    registry.manifest(fit.digest, fit.size),
  );
  return resolve(pulling, registries, found, reference, platform, depth + 1);
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
  }
  if (error instanceof RegistryError || error instanceof NetworkError)
    return new SampanError(
      "unavailable",
      `cannot pull ${familiarName(withTag(reference))}: ${saidBy(error)}`,
      {
        ...(error instanceof NetworkError && !error.again && { hint: HINT }),
        cause: error,
      },
    );
  return error;
}

/** What each of the mirrors has said that were asked in vain, above the hint that there is. */
function withMirrors(error: unknown, mirrors: readonly string[]): unknown {
  if (!(error instanceof SampanError) || mirrors.length === 0) return error;
  const { code, message, hint, kernel } = error;
  const before = `Asked before that: ${mirrors.join("; ")}.`;
  return new SampanError(code, message, {
    hint: hint === undefined ? before : `${before} ${hint}`,
    ...(kernel && { kernel }),
    cause: error.cause,
  });
}
