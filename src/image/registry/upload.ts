/**
 * One blob to a registry: not at all if it has it, by mounting it from another repository there, or with its bytes. Small
 * ones go in one PUT; large ones as one stream (PATCH), in chunks where that is too much for the registry, and on from where
 * the connection broke.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import type { Descriptor } from "../manifest.ts";
import { type Registry, RegistryError } from "./client.ts";
import { type Answer, NetworkError } from "./http.ts";

export type Uploaded =
  | { readonly how: "existed" }
  | { readonly how: "pushed" }
  | { readonly how: "mounted"; readonly from: string };

const SMALL = 4 << 20;
const PIECE = 1 << 20;
const CHUNK = 8 << 20;

export async function upload(
  registry: Registry,
  { digest, size }: Pick<Descriptor, "digest" | "size">,
  path: string,
  options: { readonly mountFrom?: string; readonly onBytes?: (bytes: number) => void } = {},
): Promise<Uploaded> {
  const scopes = [registry.pushScope];
  const url = await registry.url(`blobs/${digest}`);
  const head = await registry.send(url, { method: "HEAD", scopes, expect: [404] });
  head.discard();
  if (head.ok) return { how: "existed" };
  const begun = await begin(registry, digest, options.mountFrom);
  if (begun === undefined) return { how: "mounted", from: options.mountFrom ?? "" };
  await new Upload(registry, digest, size, path, begun, options.onBytes).run();
  return { how: "pushed" };
}

interface Begun {
  readonly location: URL;
  /** The least that a chunk may have. */
  readonly least: number;
}

/** Opens an upload; undefined: the blob was mounted and nothing has to be sent. */
async function begin(registry: Registry, digest: string, from?: string): Promise<Begun | undefined> {
  const url = await registry.url("blobs/uploads/");
  if (from !== undefined) {
    const mount = new URL(url);
    mount.searchParams.set("mount", digest);
    mount.searchParams.set("from", from);
    const scopes = [registry.pushScope, `repository:${from}:pull`];
    const answer = await registry
      .send(mount, { method: "POST", scopes, headers: { "content-length": "0" } })
      .catch((error: unknown) => {
        // Not allowed to read there: then it is sent.
        if (error instanceof RegistryError || error instanceof SampanError) return undefined;
        throw error;
      });
    answer?.discard();
    if (answer?.status === 201) return undefined;
    // 202: this upload is open, and another one must not be begun.
    if (answer) return opened(answer);
  }
  const headers = { "content-length": "0" };
  const answer = await registry.send(url, { method: "POST", scopes: [registry.pushScope], headers });
  answer.discard();
  return opened(answer);
}

function opened(answer: Answer): Begun {
  const least = Number(answer.header("oci-chunk-min-length") ?? 0);
  return { location: next(answer), least: Number.isSafeInteger(least) ? least : 0 };
}

/** Where to go on; it may be relative. */
function next(answer: Answer, before?: URL): URL {
  const location = answer.header("location");
  if (location !== undefined) return new URL(location, answer.url);
  if (before) return before;
  throw new SampanError("unavailable", `${answer.url.host} has opened an upload without saying where`);
}

class Upload {
  readonly #registry: Registry;
  readonly #digest: string;
  readonly #size: number;
  readonly #path: string;
  readonly #onBytes: ((bytes: number) => void) | undefined;
  #at: Begun;
  /** Bytes that the registry has. */
  #offset = 0;
  #chunked = false;

  constructor(
    registry: Registry,
    digest: string,
    size: number,
    path: string,
    at: Begun,
    onBytes?: (bytes: number) => void,
  ) {
    this.#registry = registry;
    this.#digest = digest;
    this.#size = size;
    this.#path = path;
    this.#at = at;
    this.#onBytes = onBytes;
  }

  async run(): Promise<void> {
    const { tries, backoff } = this.#registry.patience;
    let most = 0;
    for (let failures = 0; ; ) {
      try {
        if (this.#size <= SMALL && this.#offset === 0) return await this.#finish(true);
        while (this.#offset < this.#size) await this.#send();
        return await this.#finish(false);
      } catch (error) {
        if (error instanceof RegistryError && error.http === 413 && !this.#chunked) this.#chunked = true;
        else if (!isPassing(error)) throw error;
        failures = this.#offset > most ? 0 : failures + 1;
        most = Math.max(most, this.#offset);
        if (failures >= tries) throw error;
        if (failures > 0) await this.#registry.pause(backoff * 2 ** (failures - 1));
        await this.#whereabouts();
      }
    }
  }

  /** One PATCH: all that is left, or a chunk of it. */
  async #send(): Promise<void> {
    const start = this.#offset;
    const length = this.#chunked ? Math.max(CHUNK, this.#at.least) : this.#size;
    const end = Math.min(start + length, this.#size);
    const answer = await this.#registry.send(this.#at.location, {
      method: "PATCH",
      scopes: [this.#registry.pushScope],
      once: true,
      headers: {
        "content-type": "application/octet-stream",
        // Docker's own way has none: some registries know no other.
        ...((this.#chunked || start > 0) && { "content-range": `${start}-${end - 1}` }),
      },
      body: (alive) => this.#stream(start, end, alive),
    });
    answer.discard();
    this.#at = { ...this.#at, location: next(answer, this.#at.location) };
    this.#offset = end;
    const has = reached(answer);
    if (has !== undefined && has < end) this.#offset = has;
  }

  async #finish(whole: boolean): Promise<void> {
    const url = new URL(this.#at.location);
    // The URL may have a query of its own.
    url.searchParams.set("digest", this.#digest);
    const answer = await this.#registry.send(url, {
      method: "PUT",
      scopes: [this.#registry.pushScope],
      once: true,
      headers: { "content-type": "application/octet-stream", ...(!whole && { "content-length": "0" }) },
      ...(whole && { body: () => Bun.file(this.#path) }),
    });
    answer.discard();
  }

  /** After a failure: what has the registry got, and where does it go on? */
  async #whereabouts(): Promise<void> {
    const scopes = [this.#registry.pushScope];
    const asked = { method: "GET", scopes, expect: [400, 404, 405, 416] };
    const answer = await this.#registry.send(this.#at.location, asked);
    answer.discard();
    const has = reached(answer);
    if (answer.ok && has !== undefined) {
      this.#at = { ...this.#at, location: next(answer, this.#at.location) };
      this.#offset = Math.min(has, this.#size);
      return;
    }
    const begun = await begin(this.#registry, this.#digest);
    if (!begun) return;
    this.#at = begun;
    this.#offset = 0;
  }

  #stream(start: number, end: number, alive: () => void): ReadableStream<Uint8Array> {
    const fd = openSync(this.#path, "r");
    let at = start;
    let open = true;
    const close = (): void => {
      if (open) closeSync(fd);
      open = false;
    };
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          alive();
          const buffer = Buffer.allocUnsafe(Math.min(PIECE, end - at));
          const n = at < end ? readSync(fd, buffer, 0, buffer.length, at) : 0;
          if (n === 0) {
            close();
            controller.close();
            return;
          }
          at += n;
          this.#onBytes?.(at);
          controller.enqueue(buffer.subarray(0, n));
        },
        cancel: close,
      },
      { highWaterMark: 1 },
    );
  }
}

/** `Range: 0-n` means n + 1 bytes; a registry that has none yet says `0-0`, which may also mean one. */
function reached(answer: Answer): number | undefined {
  const last = /^(?:bytes=)?0-(\d+)$/.exec(answer.header("range") ?? "")?.[1];
  if (last === undefined) return undefined;
  return last === "0" ? 0 : Number(last) + 1;
}

const isPassing = (error: unknown): boolean =>
  (error instanceof NetworkError && error.again) ||
  (error instanceof RegistryError && (error.http >= 500 || error.http === 429 || error.http === 416));
