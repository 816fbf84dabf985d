/**
 * `load`: images out of an archive. Two forms, and Docker since 25 writes both into one file: an OCI image layout
 * (oci-layout, index.json, blobs/) and Docker's own (manifest.json naming configs and layers). The OCI one is taken where
 * it is complete, since it keeps the digests that a registry knows.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { type Adopted, adopt, type Place } from "./adopt.ts";
import { Archive } from "./archive.ts";
import { type Compression, detect, MAGIC_LENGTH } from "./compression.ts";
import { adding } from "./gate.ts";
import { chainIds, ensureLayer } from "./layers.ts";
import type { Loaded } from "./loaded.ts";
import {
  type Descriptor,
  MAX_CONFIG,
  MAX_MANIFEST,
  MEDIA,
  parseConfig,
  parseManifest,
  parseObject,
} from "./manifest.ts";
import { choose, fits, hostPlatform, type Platform, platformText } from "./platform.ts";
import { parseReference, referenceText, withTag } from "./reference.ts";

/** Loads every image of an archive. Nothing becomes visible of an image whose archive is wrong. */
export async function load(
  place: Place,
  source: string | AsyncIterable<Uint8Array>,
  asked?: Platform,
): Promise<Loaded[]> {
  const has = new Set<string>();
  const wanted = { platform: asked ?? hostPlatform(), only: asked !== undefined, has };
  return adding(place.paths, async () => {
    const archive = await Archive.read(place.blobs, source, place.limits);
    try {
      const layout = archive.has("oci-layout") ? archive.json("index.json", MAX_MANIFEST) : undefined;
      const listed = archive.json("manifest.json", MAX_MANIFEST);
      const images = layout && (await ociImages(place, archive, layout, wanted));
      if (images && images.length > 0) return await adoptAll(place, images);
      const ours = listed && (await dockerImages(place, archive, listed, wanted));
      if (ours && (ours.length > 0 || !wanted.only)) return await adoptAll(place, ours);
      if (images || ours)
        throw new SampanError("invalid", `the archive has no image for ${platformText(wanted.platform)}`, {
          hint:
            has.size > 0
              ? `It has one for ${[...has].join(", ")}: --platform takes that.`
              : "Nothing in it says for which platform it is.",
        });
      if (archive.has("repositories"))
        throw new SampanError(
          "invalid",
          "this archive is of the form that Docker wrote before 1.10, without manifest.json, which is no longer read",
        );
      throw new SampanError(
        "invalid",
        "this is not an image archive: it has neither manifest.json nor index.json",
        {
          hint: "A plain archive of a root filesystem is for `sampan import`.",
        },
      );
    } finally {
      archive.discard();
    }
  });
}

/** For which platform images are taken. `only`: the user asked for it, so that one of another is not what is wanted. */
interface Wanted {
  readonly platform: Platform;
  readonly only: boolean;
  /** The platforms that were met, for the error when none of them is this one. */
  readonly has: Set<string>;
}

function meet({ has }: Wanted, entries: readonly Pick<Descriptor, "platform">[]): void {
  for (const { platform } of entries)
    if (platform?.architecture && platform.os !== "unknown") has.add(platformText(platform));
}

/** A manifest that is in the store with all of its blobs, and the names that it shall have. */
interface Found {
  readonly manifest: string;
  readonly references: readonly string[];
}

async function adoptAll(place: Place, images: readonly Found[]): Promise<Loaded[]> {
  const loaded: Loaded[] = [];
  for (const { manifest, references } of images) {
    const { id, moved }: Adopted = await adopt(place, manifest, references);
    if (references.length === 0) loaded.push({ id });
    for (const reference of references) {
      const replaced = moved.find((move) => move.reference === reference)?.from;
      loaded.push({ id, reference, ...(replaced !== undefined && { replaced }) });
    }
  }
  return loaded;
}

// ---- an OCI image layout

/** Images that the archive holds in full for this platform. */
async function ociImages(
  place: Place,
  archive: Archive,
  bytes: Uint8Array,
  wanted: Wanted,
): Promise<Found[]> {
  const index = parseManifest(bytes, "index.json");
  if (!("manifests" in index)) throw new SampanError("invalid", "index.json is not an index");
  const images = new Map<string, Set<string>>();
  meet(wanted, index.manifests);
  // Top-level entries are images of their own; only where all of them are platforms of one is one chosen.
  const unnamed = index.manifests.every((entry) => nameOf(entry) === undefined);
  const platforms = unnamed && index.manifests.length > 1 && index.manifests.every((entry) => entry.platform);
  for (const entry of platforms ? choose(index.manifests, wanted.platform).slice(0, 1) : index.manifests) {
    const manifest = await resolve(place, archive, entry, wanted, 0);
    if (manifest === undefined) continue;
    const names = images.get(manifest) ?? new Set();
    images.set(manifest, names);
    const name = nameOf(entry);
    if (name !== undefined) names.add(name);
  }
  return [...images].map(([manifest, references]) => ({ manifest, references: [...references] }));
}

/** The digest of the manifest behind a descriptor, its blobs moved into the store; undefined if something is missing. */
async function resolve(
  place: Place,
  archive: Archive,
  entry: Descriptor,
  wanted: Wanted,
  depth: number,
): Promise<string | undefined> {
  if (!isManifestType(entry.mediaType) || !archive.hasBlob(entry.digest)) return undefined;
  if (depth > 3) throw new SampanError("invalid", "the archive's indexes are nested too deeply");
  const bytes = blobJson(archive, entry, MAX_MANIFEST);
  const parsed = parseManifest(bytes, `manifest ${entry.digest}`);
  if ("manifests" in parsed) {
    meet(
      wanted,
      parsed.manifests.filter(({ digest }) => archive.hasBlob(digest)),
    );
    // An archive may hold some platforms only: the best of those that are there.
    for (const fit of choose(parsed.manifests, wanted.platform)) {
      const found = await resolve(place, archive, fit, wanted, depth + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const parts = [parsed.config, ...parsed.layers];
  if (!parts.every(({ digest }) => archive.hasBlob(digest))) {
    if (archive.has("manifest.json")) return undefined;
    const missing = parts.find(({ digest }) => !archive.hasBlob(digest));
    throw new SampanError(
      "invalid",
      `the archive does not hold ${missing?.digest}, which manifest ${entry.digest} needs`,
    );
  }
  const keep = async ({ digest, size }: Descriptor): Promise<void> => {
    const info = await archive.keepBlob(digest);
    if (info && info.size !== size)
      throw new SampanError("invalid", `${digest} has ${info.size} bytes, its descriptor says ${size}`);
  };
  for (const part of [entry, parsed.config]) await keep(part);
  const config = parseConfig(
    place.blobs.read(parsed.config.digest, MAX_CONFIG),
    `config ${parsed.config.digest}`,
  );
  meet(wanted, [{ platform: config }]);
  if (wanted.only && !fits(config, wanted.platform)) return undefined;
  const layers = parsed.layers.map((layer) => ({
    name: `blobs/sha256/${layer.digest.slice("sha256:".length)}`,
    digest: layer.digest,
    keep: () => keep(layer),
  }));
  await keepLayers(place, archive, config.rootfs.diff_ids, layers);
  return entry.digest;
}

const isManifestType = (type: string): boolean =>
  type === "" ||
  type === MEDIA.index ||
  type === MEDIA.manifest ||
  type === MEDIA.dockerList ||
  type === MEDIA.dockerManifest;

function blobJson(archive: Archive, { digest, size }: Descriptor, limit: number): Uint8Array {
  const bytes = archive.blob(digest, limit);
  if (bytes.length !== size)
    throw new SampanError("invalid", `${digest} has ${bytes.length} bytes, its descriptor says ${size}`);
  return bytes;
}

/** The name that an index gives to an entry: containerd's annotation in full, or OCI's where it is more than a tag. */
function nameOf(entry: Descriptor): string | undefined {
  const full = entry.annotations?.["io.containerd.image.name"];
  const name = full ?? entry.annotations?.["org.opencontainers.image.ref.name"];
  if (typeof name !== "string" || (full === undefined && !/[:/]/.test(name))) return undefined;
  return fullName(name);
}

function fullName(name: string): string | undefined {
  const reference = withTag(parseReference(name));
  return reference.tag === undefined ? undefined : referenceText(reference);
}

// ---- Docker's own form

interface DockerImage {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null;
  readonly Layers?: readonly string[] | null;
}

/** The images of manifest.json; an OCI manifest is made for each. */
async function dockerImages(
  place: Place,
  archive: Archive,
  bytes: Uint8Array,
  wanted: Wanted,
): Promise<Found[]> {
  const found: Found[] = [];
  for (const image of dockerList(bytes)) {
    const made = await dockerImage(place, archive, image, wanted);
    if (made) found.push(made);
  }
  return found;
}

async function dockerImage(
  place: Place,
  archive: Archive,
  { Config, RepoTags, Layers }: DockerImage,
  wanted: Wanted,
): Promise<Found | undefined> {
  const absent = (name: string): SampanError =>
    new SampanError("invalid", `the archive does not hold ${name}, which manifest.json names`);
  const configBytes = archive.json(Config, MAX_CONFIG);
  const config = configBytes && (await archive.keep(Config));
  if (!configBytes || !config) throw absent(Config);
  const parsed = parseConfig(configBytes, Config);
  meet(wanted, [{ platform: parsed }]);
  if (wanted.only && !fits(parsed, wanted.platform)) return undefined;
  const diffIds = parsed.rootfs.diff_ids;
  const names = Layers ?? [];
  if (diffIds.length !== names.length)
    throw new SampanError(
      "invalid",
      `invalid manifest, layers length mismatch: expected ${names.length}, got ${diffIds.length}`,
    );
  const layers: Descriptor[] = [];
  const keep = async (name: string, index: number): Promise<void> => {
    const layer = await archive.keep(name);
    if (!layer) throw absent(name);
    const compression = compressionOf(place.blobs.path(layer.digest));
    const diff = diffIds[index] ?? "";
    if (compression === "none" && layer.digest !== diff)
      throw new SampanError(
        "invalid",
        `layer ${name}: its content is ${layer.digest}, the image's config says ${diff}`,
      );
    const suffix = compression === "none" ? "" : `+${compression}`;
    layers[index] = { mediaType: `${MEDIA.layer}${suffix}`, digest: layer.digest, size: layer.size };
  };
  await keepLayers(
    place,
    archive,
    diffIds,
    // What is not compressed must be what the config says; of the rest nothing is known yet.
    names.map((name, index) => ({
      name,
      ...(archive.lies(name)?.compression === "none" && { digest: diffIds[index] ?? "" }),
      keep: () => keep(name, index),
    })),
  );
  const manifest = place.blobs.add(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, digest: config.digest, size: config.size },
      layers,
    }),
  );
  const references = (RepoTags ?? []).flatMap((tag) => fullName(tag) ?? []);
  return { manifest: manifest.digest, references };
}

/** A layer of the archive: what moves it into the store, and the digest that it must have where that is known before. */
interface Keeping {
  readonly name: string;
  readonly digest?: string;
  readonly keep: () => Promise<void>;
}

/**
 * Moves layers into the store and unpacks them: what lies in the archive's own file is unpacked from there, while it is being
 * copied and hashed. Others are unpacked when the image is adopted.
 */
async function keepLayers(
  place: Place,
  archive: Archive,
  diffIds: readonly string[],
  layers: readonly Keeping[],
): Promise<void> {
  const { store, paths, blobs, limits } = place;
  const chains = chainIds(diffIds);
  const kept = layers.map(() => Promise.withResolvers<void>());
  for (const { promise } of kept) promise.catch(() => {});
  const unpack = async (): Promise<void> => {
    for (const [index, { name, digest }] of layers.entries()) {
      const lies = archive.lies(name);
      if (archive.path === undefined || digest === undefined || !lies) return;
      const complete = kept[index]?.promise ?? Promise.resolve();
      const growing = { path: archive.path, start: lies.start, size: lies.length, complete };
      const source = { digest, path: blobs.path(digest), growing };
      await ensureLayer(store, paths, chains.slice(0, index + 1), diffIds[index] ?? "", source, limits);
    }
  };
  let failed = false;
  const unpacking = unpack();
  unpacking.catch(() => {
    failed = true;
  });
  try {
    for (const [index, layer] of layers.entries()) {
      // So that the first layer's unpacking has begun before its copying keeps this thread busy.
      await Bun.sleep(0);
      if (failed) break;
      await layer.keep();
      kept[index]?.resolve();
    }
  } catch (error) {
    for (const { reject } of kept) reject(error);
    // Nobody writes any more when the caller hears of it.
    await unpacking.catch(() => {});
    throw error;
  }
  await unpacking;
}

function dockerList(bytes: Uint8Array): DockerImage[] {
  // A list is no object: it is checked as a member of one.
  const wrapped = Buffer.concat([Buffer.from('{"images":'), bytes, Buffer.from("}")]);
  const { images } = parseObject(wrapped, "manifest.json");
  const texts = (value: unknown): boolean =>
    value === undefined ||
    value === null ||
    (Array.isArray(value) && value.every((item) => typeof item === "string"));
  if (!Array.isArray(images)) throw new SampanError("invalid", "manifest.json is not a list of images");
  for (const image of images as Record<string, unknown>[])
    if (typeof image?.["Config"] !== "string" || !texts(image["RepoTags"]) || !texts(image["Layers"]))
      throw new SampanError("invalid", "manifest.json is not a list of images");
  return images as DockerImage[];
}

function compressionOf(path: string): Compression {
  const head = new Uint8Array(MAGIC_LENGTH);
  const fd = openSync(path, "r");
  try {
    return detect(head.subarray(0, readSync(fd, head)));
  } finally {
    closeSync(fd);
  }
}
