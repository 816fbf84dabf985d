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
import { choose, hostPlatform, type Platform, platformText } from "./platform.ts";
import { parseReference, referenceText, withTag } from "./reference.ts";

/** Loads every image of an archive. Nothing becomes visible of an image whose archive is wrong. */
export async function load(
  place: Place,
  source: AsyncIterable<Uint8Array>,
  platform: Platform = hostPlatform(),
): Promise<Loaded[]> {
  return adding(place.paths, async () => {
    const archive = await Archive.read(place.blobs, source, place.limits);
    try {
      const layout = archive.has("oci-layout") ? archive.json("index.json", MAX_MANIFEST) : undefined;
      const listed = archive.json("manifest.json", MAX_MANIFEST);
      const images = layout && ociImages(archive, layout, platform);
      if (images && images.length > 0) return await adoptAll(place, images);
      if (listed) return await adoptAll(place, dockerImages(place, archive, listed));
      if (images)
        throw new SampanError("invalid", `the archive has no image for ${platformText(platform)}`, {
          hint: "--platform chooses another one of the archive.",
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
function ociImages(archive: Archive, bytes: Uint8Array, platform: Platform): Found[] {
  const index = parseManifest(bytes, "index.json");
  if (!("manifests" in index)) throw new SampanError("invalid", "index.json is not an index");
  const images = new Map<string, Set<string>>();
  // Top-level entries are images of their own; only where all of them are platforms of one is one chosen.
  const unnamed = index.manifests.every((entry) => nameOf(entry) === undefined);
  const platforms = unnamed && index.manifests.length > 1 && index.manifests.every((entry) => entry.platform);
  for (const entry of platforms ? choose(index.manifests, platform).slice(0, 1) : index.manifests) {
    const manifest = resolve(archive, entry, platform, 0);
    if (manifest === undefined) continue;
    const names = images.get(manifest) ?? new Set();
    images.set(manifest, names);
    const name = nameOf(entry);
    if (name !== undefined) names.add(name);
  }
  return [...images].map(([manifest, references]) => ({ manifest, references: [...references] }));
}

/** The digest of the manifest behind a descriptor, its blobs moved into the store; undefined if something is missing. */
function resolve(archive: Archive, entry: Descriptor, platform: Platform, depth: number): string | undefined {
  if (!isManifestType(entry.mediaType) || !archive.hasBlob(entry.digest)) return undefined;
  if (depth > 3) throw new SampanError("invalid", "the archive's indexes are nested too deeply");
  const bytes = blobJson(archive, entry, MAX_MANIFEST);
  const parsed = parseManifest(bytes, `manifest ${entry.digest}`);
  if ("manifests" in parsed) {
    // An archive may hold some platforms only: the best of those that are there.
    for (const fit of choose(parsed.manifests, platform)) {
      const found = resolve(archive, fit, platform, depth + 1);
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
  for (const { digest, size } of [entry, ...parts]) {
    const info = archive.keepBlob(digest);
    if (info && info.size !== size)
      throw new SampanError("invalid", `${digest} has ${info.size} bytes, its descriptor says ${size}`);
  }
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
function dockerImages(place: Place, archive: Archive, bytes: Uint8Array): Found[] {
  return dockerList(bytes).map(({ Config, RepoTags, Layers }) => {
    const configBytes = archive.json(Config, MAX_CONFIG);
    const config = configBytes && archive.keep(Config);
    if (!configBytes || !config)
      throw new SampanError("invalid", `the archive does not hold ${Config}, which manifest.json names`);
    const { rootfs } = parseConfig(configBytes, Config);
    const names = Layers ?? [];
    if (rootfs.diff_ids.length !== names.length)
      throw new SampanError(
        "invalid",
        `invalid manifest, layers length mismatch: expected ${names.length}, got ${rootfs.diff_ids.length}`,
      );
    const layers = names.map((name, index) => {
      const layer = archive.keep(name);
      if (!layer)
        throw new SampanError("invalid", `the archive does not hold ${name}, which manifest.json names`);
      const compression = compressionOf(place.blobs.path(layer.digest));
      const diff = rootfs.diff_ids[index] ?? "";
      if (compression === "none" && layer.digest !== diff)
        throw new SampanError(
          "invalid",
          `layer ${name}: its content is ${layer.digest}, the image's config says ${diff}`,
        );
      const suffix = compression === "none" ? "" : `+${compression}`;
      return { mediaType: `${MEDIA.layer}${suffix}`, digest: layer.digest, size: layer.size };
    });
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
  });
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
