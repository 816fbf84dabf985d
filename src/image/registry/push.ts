/**
 * `push`: layers and config first, then the manifest, so that whoever sees it finds all that it names. What came from a
 * registry goes back with its own bytes and digests; what is kept uncompressed goes compressed, and the manifest names it so.
 */
import { SampanError } from "../../common/error.ts";
import { type Place, setTag } from "../adopt.ts";
import { sha256 } from "../blobs.ts";
import { adding } from "../gate.ts";
import {
  type Descriptor,
  MAX_CONFIG,
  MAX_MANIFEST,
  MEDIA,
  parseConfig,
  parseManifest,
  parseObject,
} from "../manifest.ts";
import { familiarName, parseReference, type Reference, referenceText, repository } from "../reference.ts";
import { outgoing } from "../sent.ts";
import { type Registry, RegistryError, saidBy } from "./client.ts";
import { NetworkError } from "./http.ts";
import { type OnProgress, shortDigest } from "./progress.ts";
import { endpoints, type Registries, readRegistries } from "./registries.ts";
import { open, type SessionOptions } from "./session.ts";
import { Slots } from "./slots.ts";
import { upload } from "./upload.ts";

export interface PushOptions extends SessionOptions {
  readonly onProgress?: OnProgress;
}

/** An image that is here, and the name under which it goes out. */
export interface Outgoing {
  /** With a tag. */
  readonly reference: Reference;
  readonly id: string;
  /** Its manifest's digest. */
  readonly manifest: string;
}

export interface Pushed {
  readonly reference: string;
  readonly digest: string;
  /** Bytes of the manifest. */
  readonly size: number;
}

/** At a time, as Docker's max-concurrent-uploads. */
const PARALLEL = 5;

export async function push(
  place: Place,
  images: readonly Outgoing[],
  options: PushOptions = {},
): Promise<Pushed[]> {
  const first = images[0];
  if (!first) return [];
  const say = options.onProgress ?? (() => {});
  const registries = readRegistries(place.paths.root);
  const endpoint = endpoints(registries, first.reference).at(-1);
  if (!endpoint) return [];
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const registry = await open(place.paths.root, endpoint, { ...options, signal });
  say({ status: `The push refers to repository [${repository(first.reference)}]` });
  try {
    // Nothing of it is collected while it is being sent.
    return await adding(place.paths, async () => {
      const pushed: Pushed[] = [];
      for (const image of images) pushed.push(await pushOne(place, registry, registries, image, say, signal));
      return pushed;
    });
  } catch (error) {
    stop.abort(error);
    throw translate(error, first.reference);
  }
}

async function pushOne(
  place: Place,
  registry: Registry,
  registries: Registries,
  { reference, id, manifest }: Outgoing,
  say: OnProgress,
  signal: AbortSignal,
): Promise<Pushed> {
  const { blobs, store } = place;
  const kept = blobs.read(manifest, MAX_MANIFEST);
  const parsed = parseManifest(kept, `manifest ${manifest}`);
  if ("manifests" in parsed) throw new SampanError("invalid", `${manifest} is an index`);
  const diffIds = parseConfig(blobs.read(id, MAX_CONFIG), `config ${id}`).rootfs.diff_ids;
  const layers = new Map(
    parsed.layers.map((layer, index) => [layer.digest, { layer, diff: diffIds[index] ?? "" }]),
  );
  for (const { diff } of [...layers.values()].reverse()) say({ id: shortDigest(diff), status: "Preparing" });
  const slots = new Slots(PARALLEL);
  const sent = new Map<string, Descriptor>();
  await Promise.all(
    [...layers.values()].map(({ layer, diff }) => {
      const name = shortDigest(diff);
      if (slots.full) say({ id: name, status: "Waiting" });
      return slots.run(async () => {
        let shown = Number.NEGATIVE_INFINITY;
        const shows =
          (status: string, total: number) =>
          (current: number): void => {
            const now = performance.now();
            if (now - shown < 100) return;
            shown = now;
            say({ id: name, status, current, total });
          };
        const out = await outgoing(place, layer, diff, {
          signal,
          onBytes: shows("Compressing", layer.size),
        });
        sent.set(layer.digest, out);
        const mountFrom = elsewhere(place, registries, registry, layer.digest, reference);
        const uploaded = await upload(registry, out, blobs.path(out.digest), {
          ...(mountFrom !== undefined && { mountFrom }),
          onBytes: shows("Pushing", out.size),
        });
        const words = { existed: "Layer already exists", pushed: "Pushed" };
        say({
          id: name,
          status: uploaded.how === "mounted" ? `Mounted from ${uploaded.from}` : words[uploaded.how],
        });
      });
    }),
  );
  await upload(registry, parsed.config, blobs.path(parsed.config.digest));
  const tag = reference.tag ?? "latest";
  const { bytes, mediaType } = outgoingManifest(kept, manifest, sent);
  const answer = await registry.send(await registry.url(`manifests/${tag}`), {
    method: "PUT",
    scopes: [registry.pushScope],
    headers: {
      "content-type": mediaType,
    },
    body: () => bytes,
  });
  answer.discard();
  const digest = sha256(bytes);
  const told = answer.header("docker-content-digest");
  if (told?.startsWith("sha256:") && told !== digest)
    throw new SampanError("unavailable", `${registry.endpoint.host} has made ${told} of manifest ${digest}`);
  say({ status: `${tag}: digest: ${digest} size: ${bytes.length}` });
  store.transaction(() => setTag(store, `${repository(reference)}@${digest}`, id));
  return {
    reference: referenceText({ domain: reference.domain, path: reference.path, tag }),
    digest,
    size: bytes.length,
  };
}

/** The manifest with the layers as they were sent; with its own bytes where none of them is another one. */
function outgoingManifest(
  kept: Uint8Array,
  what: string,
  sent: ReadonlyMap<string, Descriptor>,
): { bytes: Uint8Array; mediaType: string } {
  const json = parseObject(kept, what);
  const layers = json["layers"] as Descriptor[];
  const told = json["mediaType"];
  const mediaType = typeof told === "string" && told !== "" ? told : MEDIA.manifest;
  const outs = layers.map((layer) => {
    const out = sent.get(layer.digest);
    return out && out.digest !== layer.digest ? { ...layer, ...out } : layer;
  });
  if (outs.every((out, index) => out === layers[index])) return { bytes: kept, mediaType };
  return { bytes: new TextEncoder().encode(JSON.stringify({ ...json, layers: outs })), mediaType };
}

/** Another repository of the same registry that is known to have this layer. */
function elsewhere(
  { store }: Place,
  registries: Registries,
  registry: Registry,
  blob: string,
  own: Reference,
): string | undefined {
  const known = store.db
    .query<{ reference: string }, [string]>(
      `SELECT DISTINCT t.reference FROM layers l JOIN image_layers il ON il.chain = l.chain
       JOIN tags t ON t.image = il.image WHERE l.blob = ? AND t.reference LIKE '%@%' LIMIT 100`,
    )
    .all(blob);
  for (const reference of known.map(({ reference }) => parseReference(reference))) {
    if (reference.domain !== own.domain || reference.path === own.path) continue;
    const there = endpoints(registries, reference).at(-1);
    if (there?.host === registry.endpoint.host && there.path !== registry.endpoint.path) return there.path;
  }
  return undefined;
}

/** Docker's words for what a registry refuses. */
function translate(error: unknown, { domain, path }: Reference): unknown {
  if (!(error instanceof RegistryError || error instanceof NetworkError)) return error;
  const name = familiarName({ domain, path });
  if (error instanceof RegistryError && (error.http === 401 || error.http === 403))
    return new SampanError("refused", `push access denied for ${name}: ${error.message}`, {
      hint: `sampan login ${domain} tells the registry who you are.`,
      cause: error,
    });
  return new SampanError("unavailable", `cannot push ${name}: ${saidBy(error)}`, { cause: error });
}
