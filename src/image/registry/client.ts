/**
 * One registry, spoken to by the distribution specification 1.1: requests with authorization and patience, and the
 * objects that it has: manifests, blobs, lists of tags. Uploads are in upload.ts.
 */
import { SampanError } from "../../common/error.ts";
import { sha256 } from "../blobs.ts";
import { MAX_MANIFEST, MEDIA, parseObject } from "../manifest.ts";
import { checkDigest } from "../reference.ts";
import { Auth } from "./auth.ts";
import type { Credentials } from "./credentials.ts";
import { type Answer, Http, NetworkError, type Patience, type Request } from "./http.ts";
import type { Endpoint } from "./registries.ts";
import type { Trust } from "./trust.ts";

/** What a registry refused. `http` is its status, `reason` its own code, such as MANIFEST_UNKNOWN. */
export class RegistryError extends SampanError {
  constructor(
    message: string,
    readonly http: number,
    readonly reason: string,
    /** Who has refused it. */
    readonly host = "",
  ) {
    super(http === 404 ? "not-found" : http === 401 || http === 403 ? "refused" : "unavailable", message);
  }
}

export interface RegistryOptions {
  readonly endpoint: Endpoint;
  readonly trust: Trust;
  readonly patience: Patience;
  readonly credentials: () => Promise<Credentials | undefined>;
  readonly signal?: AbortSignal;
}

export interface RawManifest {
  readonly bytes: Uint8Array;
  /** Of the bytes as they came. */
  readonly digest: string;
  /** What the registry calls it; "" where it says nothing. */
  readonly type: string;
}

export interface Asked extends Omit<Partial<Request>, "url"> {
  readonly method: string;
  readonly scopes: readonly string[];
  /** It changes something and must not be sent twice. */
  readonly once?: boolean;
  /** Statuses that the caller wants to see besides 2xx. */
  readonly expect?: readonly number[];
}

const ACCEPT = [MEDIA.index, MEDIA.manifest, MEDIA.dockerList, MEDIA.dockerManifest].join(", ");
const MAX_ERROR = 64 << 10;
const MAX_LIST = 16 << 20;
const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);

export class Registry {
  readonly endpoint: Endpoint;
  readonly patience: Patience;
  readonly #http: Http;
  readonly #auth: Auth;
  readonly #signal: AbortSignal | undefined;
  #base: Promise<URL> | undefined;

  constructor({ endpoint, trust, patience, credentials, signal }: RegistryOptions) {
    this.endpoint = endpoint;
    this.patience = patience;
    this.#http = new Http(trust, patience);
    this.#auth = new Auth(this.#http, credentials);
    this.#signal = signal;
  }

  get pullScope(): string {
    return `repository:${this.endpoint.path}:pull`;
  }

  get pushScope(): string {
    return `repository:${this.endpoint.path}:pull,push`;
  }

  /** `https://host/v2/`. Only registries that may be spoken to without TLS are asked which it is. */
  base(): Promise<URL> {
    this.#base ??= this.#find().catch((error: unknown) => {
      this.#base = undefined;
      throw error;
    });
    return this.#base;
  }

  async #find(): Promise<URL> {
    const { host, scheme, insecure } = this.endpoint;
    const of = (scheme: string): URL => new URL(`${scheme}://${host}/v2/`);
    if (scheme !== undefined) return of(scheme);
    if (!insecure) return of("https");
    try {
      (await this.#http.send({ method: "GET", url: of("https"), headers: {}, ...this.#with() })).discard();
      return of("https");
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      const answer = await this.#http
        .send({ method: "GET", url: of("http"), headers: {}, ...this.#with() })
        .catch(() => undefined);
      if (!answer) throw error;
      answer.discard();
      return of("http");
    }
  }

  #with(): { signal?: AbortSignal } {
    return this.#signal ? { signal: this.#signal } : {};
  }

  /** A URL beneath this repository. */
  async url(rest: string): Promise<URL> {
    return new URL(`${this.endpoint.path}/${rest}`, await this.base());
  }

  /**
   * One request, with authorization, tried again while that makes sense. What is neither 2xx nor expected is thrown as a
   * RegistryError.
   */
  async send(url: URL, asked: Asked): Promise<Answer> {
    const { scopes, expect = [], once, headers, ...rest } = asked;
    const { backoff } = this.patience;
    const tries = once ? 1 : this.patience.tries;
    const base = await this.base();
    // An upload may go on elsewhere, with leave of its own in the URL.
    const own = url.host === base.host;
    let authorization = own ? await this.#auth.header(scopes) : undefined;
    let refused = 0;
    for (let attempt = 1; ; attempt++) {
      let answer: Answer;
      try {
        answer = await this.#http.send({
          ...rest,
          url,
          headers: { ...headers, ...(authorization !== undefined && { authorization }) },
          ...this.#with(),
        });
      } catch (error) {
        if (!(error instanceof NetworkError) || !error.again || attempt >= tries) throw error;
        await this.pause(backoff * 2 ** (attempt - 1));
        continue;
      }
      if (answer.status === 401 && own && refused < 2 && !expect.includes(401)) {
        const www = answer.header("www-authenticate");
        const next = await this.#auth.answer(www, base, scopes, authorization);
        if (next !== undefined) {
          answer.discard();
          authorization = next;
          refused++;
          attempt--;
          continue;
        }
      }
      if (answer.ok || expect.includes(answer.status)) return answer;
      if (!AGAIN.has(answer.status) || attempt >= tries) throw await refusal(answer);
      const wait = retryAfter(answer.header("retry-after")) ?? backoff * 2 ** (attempt - 1);
      if (wait > this.patience.longest) throw await refusal(answer);
      answer.discard();
      await this.pause(wait);
    }
  }

  /** Waits, unless the user has had enough. */
  async pause(ms: number): Promise<void> {
    await Bun.sleep(ms);
    this.#signal?.throwIfAborted();
  }

  /** Asks for nothing but an answer: does the registry take these credentials? */
  async ping(): Promise<void> {
    (await this.send(await this.base(), { method: "GET", scopes: [] })).discard();
  }

  /** A manifest's or index's raw bytes, by tag or digest; verified against the digest. */
  async manifest(reference: string, size?: number): Promise<RawManifest> {
    const answer = await this.send(await this.url(`manifests/${reference}`), {
      method: "GET",
      scopes: [this.pullScope],
      headers: { accept: ACCEPT },
    });
    const what = `manifest ${reference}`;
    refuseHtml(answer, this.endpoint.host, what);
    const bytes = await answer.bytes(MAX_MANIFEST);
    if (!bytes)
      throw new SampanError(
        "invalid",
        `${what} of ${this.endpoint.host} is larger than ${MAX_MANIFEST} bytes`,
      );
    const digest = sha256(bytes);
    const promised = reference.includes(":") ? reference : answer.header("docker-content-digest");
    if (promised !== undefined) {
      checkDigest(promised, `${what} of ${this.endpoint.host}`);
      const is = promised.startsWith("sha256:") ? digest : hash(promised, bytes);
      if (is !== promised)
        throw new SampanError(
          "invalid",
          `${what} of ${this.endpoint.host}: its content is ${is}, not ${promised}`,
        );
    }
    if (size !== undefined && size !== bytes.length)
      throw new SampanError("invalid", `${what} has ${bytes.length} bytes, its descriptor says ${size}`);
    return { bytes, digest, type: answer.type };
  }

  /** A blob's bytes from `start`; 200 instead of 206 means all of it. */
  async blob(digest: string, start: number): Promise<Answer> {
    const answer = await this.send(await this.url(`blobs/${digest}`), {
      method: "GET",
      scopes: [this.pullScope],
      headers: start > 0 ? { range: `bytes=${start}-` } : {},
      expect: [416],
    });
    refuseHtml(answer, this.endpoint.host, `blob ${digest}`);
    return answer;
  }

  /** All tags of the repository, page by page. */
  async tags(): Promise<string[]> {
    const tags: string[] = [];
    let url: URL | undefined = await this.url("tags/list");
    const asked = new Set<string>();
    while (url && !asked.has(url.href) && asked.size < 10_000) {
      asked.add(url.href);
      const answer = await this.send(url, { method: "GET", scopes: [this.pullScope] });
      const what = `the list of tags of ${this.endpoint.host}`;
      refuseHtml(answer, this.endpoint.host, "the list of tags");
      const bytes = await answer.bytes(MAX_LIST);
      if (!bytes) throw new SampanError("invalid", `${what} is larger than ${MAX_LIST} bytes`);
      const { tags: list } = parseObject(bytes, what);
      if (Array.isArray(list)) tags.push(...list.filter((tag): tag is string => typeof tag === "string"));
      const next = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(answer.header("link") ?? "")?.[1];
      const before: URL = url;
      url = next === undefined ? undefined : new URL(next, before);
      // Credentials go with it: it must stay where it was.
      if (url && url.host !== before.host) url = undefined;
    }
    return [...new Set(tags)];
  }
}

function hash(promised: string, bytes: Uint8Array): string {
  const algorithm = promised.slice(0, promised.indexOf(":")) as "sha384" | "sha512";
  return `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}`;
}

/** A portal, a proxy or a shop window: whatever it is, it is no registry. */
function refuseHtml(answer: Answer, host: string, what: string): void {
  if (answer.type !== "text/html" && answer.type !== "application/xhtml+xml") return;
  answer.discard();
  throw new SampanError(
    "unavailable",
    `${host} has answered with a web page (text/html) instead of ${what}`,
    {
      hint: "Is it a registry? A proxy or a login page on the way answers like this, too.",
    },
  );
}

/** The registry's own words for its refusal. */
export async function refusal(answer: Answer): Promise<RegistryError> {
  const host = answer.url.host;
  if (answer.type === "text/html") {
    answer.discard();
    return new RegistryError(
      `${host} has answered ${answer.status} with a web page (text/html)`,
      answer.status,
      "",
      host,
    );
  }
  const bytes = await answer.bytes(MAX_ERROR).catch(() => undefined);
  try {
    const { errors, details } = JSON.parse(new TextDecoder().decode(bytes)) as {
      errors?: { code?: unknown; message?: unknown }[];
      details?: unknown;
    };
    const first = errors?.[0];
    if (first && typeof first.code === "string") {
      const words = first.code.toLowerCase().replaceAll("_", " ");
      const message = typeof first.message === "string" && first.message !== "" ? first.message : words;
      const code = answer.status === 429 ? words.replaceAll(" ", "") : words;
      return new RegistryError(`${code}: ${message}`, answer.status, first.code, host);
    }
    if (typeof details === "string") return new RegistryError(details, answer.status, "", host);
  } catch {
    // Not the specification's form.
  }
  const words: Readonly<Record<number, string>> = {
    401: "unauthorized: authentication required",
    403: "denied: requested access to the resource is denied",
    429: "toomanyrequests: too many requests",
  };
  return new RegistryError(
    words[answer.status] ?? `${host} has answered ${answer.status}`,
    answer.status,
    "",
    host,
  );
}

/** What a registry or the way to it has answered, with the registry's name. */
export function saidBy(error: RegistryError | NetworkError): string {
  const host = error instanceof RegistryError ? error.host : "";
  return error.message.includes(host) ? error.message : `${host}: ${error.message}`;
}

/** Milliseconds: the header has seconds or a date. */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isFinite(date) ? Math.max(date - Date.now(), 0) : undefined;
}
