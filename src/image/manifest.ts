/**
 * Manifests, indexes and configs: what they may hold. Formats: OCI image-spec 1.1 (manifest.md, image-index.md,
 * config.md) and Docker's image manifest v2, schema 2.
 */
import { SampanError } from "../common/error.ts";
import type { Platform } from "./platform.ts";
import type { ImageConfig } from "./record.ts";
import { checkDigest } from "./reference.ts";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly urls?: readonly string[];
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Index {
  readonly manifests: readonly Descriptor[];
}

export const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
} as const;

export const MAX_MANIFEST = 4 << 20;
export const MAX_CONFIG = 8 << 20;

const decoder = new TextDecoder();
type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A JSON object; `what` names it in the error. */
export function parseObject(bytes: Uint8Array, what: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new SampanError("invalid", `${what} is not JSON`, { cause: error });
  }
  if (!isObject(value)) throw new SampanError("invalid", `${what} is not a JSON object`);
  return value;
}

/** What stands behind a descriptor of an index: a manifest, or another index. */
export function parseManifest(bytes: Uint8Array, what: string): Manifest | Index {
  const json = parseObject(bytes, what);
  // One that is both would be read as this by one tool and as that by another (CVE-2021-41190).
  const hasIndex = json["manifests"] !== undefined;
  const hasManifest = json["layers"] !== undefined || json["config"] !== undefined;
  if (hasIndex && hasManifest) throw new SampanError("invalid", `${what} is a manifest and an index at once`);
  if (json["schemaVersion"] === 1 || json["fsLayers"] !== undefined)
    throw new SampanError("invalid", `${what} is a manifest of schema 1, which is no longer supported`);
  if (hasIndex) return { manifests: list(json["manifests"], `${what}: manifests`) };
  if (!hasManifest) throw new SampanError("invalid", `${what} is neither an image manifest nor an index`);
  const config = descriptor(json["config"], `${what}: config`);
  const layers = list(json["layers"] ?? [], `${what}: layers`);
  const strange = [config, ...layers].find(({ mediaType }) => !isImageType(mediaType));
  if (strange)
    throw new SampanError(
      "invalid",
      `${what} is not an image but an artifact: it holds ${strange.mediaType}`,
    );
  const foreign = layers.find(({ mediaType }) => /nondistributable|foreign/.test(mediaType));
  if (foreign)
    throw new SampanError(
      "invalid",
      `${what}: layer ${foreign.digest} is foreign, it must come from elsewhere`,
    );
  return { config, layers };
}

const isImageType = (type: string): boolean =>
  type === MEDIA.config ||
  type === "application/vnd.docker.container.image.v1+json" ||
  type.startsWith("application/vnd.oci.image.layer.") ||
  type.startsWith("application/vnd.docker.image.rootfs.");

function list(value: unknown, what: string): Descriptor[] {
  if (!Array.isArray(value)) throw new SampanError("invalid", `${what} is not a list`);
  return value.map((item) => descriptor(item, what));
}

function descriptor(value: unknown, what: string): Descriptor {
  const { digest, size } = isObject(value) ? value : {};
  if (
    !isObject(value) ||
    typeof digest !== "string" ||
    typeof size !== "number" ||
    !Number.isSafeInteger(size) ||
    size < 0
  )
    throw new SampanError("invalid", `${what} holds something that is not a descriptor`);
  checkDigest(digest, what);
  const { mediaType, annotations, platform, urls } = value;
  return {
    digest,
    size,
    mediaType: typeof mediaType === "string" ? mediaType : "",
    ...(isObject(annotations) && { annotations: annotations as Record<string, string> }),
    ...(isObject(platform) && { platform: platform as unknown as Platform }),
    ...(Array.isArray(urls) && { urls: urls as string[] }),
  };
}

/** An image's config, with the members that the engine relies on checked. */
export function parseConfig(bytes: Uint8Array, what: string): ImageConfig {
  const json = parseObject(bytes, what);
  const rootfs = json["rootfs"];
  const diffIds = isObject(rootfs) ? (rootfs["diff_ids"] ?? []) : undefined;
  if (!isObject(rootfs) || rootfs["type"] !== "layers" || !Array.isArray(diffIds))
    throw new SampanError("invalid", `${what} is not an image config: rootfs.diff_ids is missing`);
  for (const diff of diffIds) checkDigest(String(diff), `${what}: rootfs.diff_ids`);
  if (json["os"] !== undefined && json["os"] !== "" && json["os"] !== "linux")
    throw new SampanError("invalid", `${what} is for ${String(json["os"])}, not for linux`);
  const history = json["history"];
  if (Array.isArray(history) && history.length > 0) {
    const filled = history.filter((entry) => !(isObject(entry) && entry["empty_layer"] === true)).length;
    if (filled !== diffIds.length)
      throw new SampanError("invalid", `${what} has ${diffIds.length} layers but a history of ${filled}`);
  }
  checkMembers(json, TOP, what);
  const config = isObject(json["config"]) ? { ...json["config"] } : undefined;
  // Docker takes one text for a list of one.
  for (const name of ["Cmd", "Entrypoint", "Shell"])
    if (typeof config?.[name] === "string") config[name] = [config[name]];
  if (config) checkMembers(config, CONFIG, what);
  if (isObject(config?.["Healthcheck"])) checkMembers(config["Healthcheck"], HEALTHCHECK, what);
  return {
    ...json,
    ...(config && { config }),
    rootfs: { type: "layers", diff_ids: diffIds },
  } as unknown as ImageConfig;
}

const isText = (value: unknown): boolean => typeof value === "string";

/** What a member of a config may be. One that is null is as good as one that is missing. */
const KINDS = {
  "a text": isText,
  "a number": (value: unknown) => typeof value === "number",
  "an object": isObject,
  "a list of texts": (value: unknown) => Array.isArray(value) && value.every(isText),
  "a list of objects": (value: unknown) => Array.isArray(value) && value.every(isObject),
  "an object of texts": (value: unknown) =>
    isObject(value) && Object.values(value).every((each) => each === null || isText(each)),
} as const;
type Members = Readonly<Record<string, keyof typeof KINDS>>;

const TOP: Members = {
  architecture: "a text",
  variant: "a text",
  created: "a text",
  author: "a text",
  comment: "a text",
  docker_version: "a text",
  config: "an object",
  history: "a list of objects",
};

const CONFIG: Members = {
  User: "a text",
  WorkingDir: "a text",
  StopSignal: "a text",
  Env: "a list of texts",
  Cmd: "a list of texts",
  Entrypoint: "a list of texts",
  Shell: "a list of texts",
  OnBuild: "a list of texts",
  Labels: "an object of texts",
  Volumes: "an object",
  ExposedPorts: "an object",
  Healthcheck: "an object",
};

const HEALTHCHECK: Members = {
  Test: "a list of texts",
  Interval: "a number",
  Timeout: "a number",
  StartPeriod: "a number",
  StartInterval: "a number",
  Retries: "a number",
};

function checkMembers(json: Json, members: Members, what: string): void {
  for (const [name, kind] of Object.entries(members)) {
    const value = json[name];
    if (value !== undefined && value !== null && !KINDS[kind](value))
      throw new SampanError("invalid", `${what} is not an image config: ${name} is not ${kind}`);
  }
}
