/** Brings one blob from a registry into the store, however often the connection breaks. */
import { SampanError } from "../../common/error.ts";
import type { Place } from "../adopt.ts";
import { alone } from "../gate.ts";
import type { Descriptor } from "../manifest.ts";
import { type Registry, RegistryError } from "./client.ts";
import { NetworkError } from "./http.ts";
import { PartialBlob } from "./partial.ts";

/** A blob that is arriving. */
export interface Arrival {
  /** The file that it is in, as soon as there is one: still growing, or complete. Rejects as `complete` does. */
  readonly path: Promise<string>;
  /** Its digest is right and it has its name. */
  readonly complete: Promise<void>;
  /** What was first read at `path` turned out wrong, and was fetched once more. */
  readonly restarted: () => boolean;
}

export interface DownloadOptions {
  /** Bytes that are here now. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Fetches a blob unless it is here in its full size. Of all processes that want the same one at most one fetches it, and the others wait.
 * `registries` are asked in this order.
 */
export function download(
  place: Place,
  registries: readonly Registry[],
  { digest, size }: Descriptor,
  { onBytes, signal }: DownloadOptions = {},
): Arrival {
  const { blobs, paths } = place;
  const begun = Promise.withResolvers<string>();
  let restarted = false;
  const fetch = async (): Promise<void> => {
    if (blobs.holds({ digest, size })) return;
    for (;;) {
      const partial = new PartialBlob(paths.root, digest, size);
      const resumed = partial.size > 0;
      begun.resolve(partial.path);
      try {
        await fetchAll(registries, digest, partial, onBytes);
      } catch (error) {
        partial.keep();
        throw error;
      }
      try {
        return partial.commit(blobs);
      } catch (error) {
        // The old half may have been wrong: all of it is fetched once more.
        if (!resumed) throw error;
        restarted = true;
      }
    }
  };
  const work = async (): Promise<void> => {
    // Either somebody has been at the store, and it is fetched again, or the descriptor is wrong.
    if (blobs.has(digest) && !blobs.holds({ digest, size }) && blobs.contentDigest(digest) === digest)
      throw new SampanError(
        "invalid",
        `${digest} has ${blobs.size(digest)} bytes, its descriptor says ${size}`,
      );
    if (!blobs.holds({ digest, size }))
      await alone(paths, `blob-${digest.slice("sha256:".length)}`, fetch, signal);
    begun.resolve(blobs.path(digest));
  };
  const complete = work();
  complete.catch(begun.reject);
  begun.promise.catch(() => {});
  return { path: begun.promise, complete, restarted: () => restarted };
}

async function fetchAll(
  registries: readonly Registry[],
  digest: string,
  partial: PartialBlob,
  onBytes?: (bytes: number) => void,
): Promise<void> {
  for (const [index, registry] of registries.entries()) {
    try {
      return await fetchFrom(registry, digest, partial, onBytes);
    } catch (error) {
      const elsewhere = error instanceof NetworkError || error instanceof RegistryError;
      if (elsewhere && index < registries.length - 1) continue;
      if (error instanceof RegistryError && error.http === 404)
        throw new SampanError(
          "not-found",
          `${registry.endpoint.host} does not have ${digest}, which the image is made of: ${error.message}`,
          { cause: error },
        );
      throw error;
    }
  }
}

/** Goes on where the connection broke, as long as every few attempts bring something new. */
async function fetchFrom(
  registry: Registry,
  digest: string,
  partial: PartialBlob,
  onBytes?: (bytes: number) => void,
): Promise<void> {
  const { tries, backoff } = registry.patience;
  let most = partial.size;
  for (let failures = 0; !partial.complete; ) {
    try {
      await fetchRest(registry, digest, partial, onBytes);
    } catch (error) {
      if (!(error instanceof NetworkError) || !error.again) throw error;
      failures = partial.size > most ? 0 : failures + 1;
      most = Math.max(most, partial.size);
      if (failures >= tries) throw error;
      if (failures > 0) await registry.pause(backoff * 2 ** (failures - 1));
    }
  }
}

async function fetchRest(
  registry: Registry,
  digest: string,
  partial: PartialBlob,
  onBytes?: (bytes: number) => void,
): Promise<void> {
  const start = partial.size;
  const answer = await registry.blob(digest, start);
  const host = registry.endpoint.host;
  if (answer.status === 416) {
    answer.discard();
    partial.restart();
    throw new NetworkError(host, `cannot continue ${digest}`, true);
  }
  if (start > 0) {
    const from = /^bytes (\d+)-/.exec(answer.header("content-range") ?? "")?.[1];
    // Without ranges it begins again, and so do we.
    if (answer.status !== 206) partial.restart();
    else if (from !== undefined && Number(from) !== start) {
      answer.discard();
      partial.restart();
      throw new NetworkError(host, `sends another part of ${digest} than was asked for`, true);
    }
  }
  for await (const piece of answer.pieces()) {
    partial.write(piece);
    onBytes?.(partial.size);
  }
  if (!partial.complete) throw new NetworkError(host, `ended ${digest} after ${partial.size} bytes`, true);
}
