/**
 * One request and its answer. Redirects are followed here, since what was meant for the registry must not reach another
 * host; nothing is waited for endlessly; and what the network does wrong gets a name.
 */
import { SampanError } from "../../common/error.ts";
import { proxyFor } from "./proxy.ts";
import { machineAuthorities, type Trust } from "./trust.ts";

/** How long to wait for what, in milliseconds, and how often to try. */
export interface Patience {
  /** Until an answer begins. */
  readonly answer: number;
  /** Without a single byte. */
  readonly stall: number;
  readonly tries: number;
  /** Before the second try; doubled before each one after. */
  readonly backoff: number;
  /** The longest wait that a registry may ask for. */
  readonly longest: number;
}

export const PATIENCE: Patience = { answer: 30_000, stall: 30_000, tries: 6, backoff: 500, longest: 120_000 };

export interface Request {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Made anew for every try; `alive` is to be called as long as it moves. */
  readonly body?: (alive: () => void) => NonNullable<RequestInit["body"]>;
  readonly signal?: AbortSignal;
}

/** The connection failed or broke; `again`: another try may well succeed. */
export class NetworkError extends SampanError {
  constructor(
    host: string,
    what: string,
    readonly again: boolean,
    cause?: unknown,
  ) {
    super("unavailable", `${host} ${what}`, { cause });
  }
}

const MAX_REDIRECTS = 10;
const REDIRECT = new Set([301, 302, 303, 307, 308]);

export class Answer {
  readonly #response: Response;
  readonly #abort: AbortController;
  readonly #stall: number;
  readonly url: URL;

  constructor(response: Response, abort: AbortController, url: URL, stall: number) {
    this.#response = response;
    this.#abort = abort;
    this.#stall = stall;
    this.url = url;
  }

  get status(): number {
    return this.#response.status;
  }

  get ok(): boolean {
    return this.#response.ok;
  }

  header(name: string): string | undefined {
    return this.#response.headers.get(name) ?? undefined;
  }

  /** The media type without its parameters, in lower case. */
  get type(): string {
    return (this.header("content-type") ?? "").replace(/;.*/s, "").trim().toLowerCase();
  }

  /** The body as it comes; throws a NetworkError when it breaks off or stands still. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    if (!this.#response.body) return;
    const reader = this.#response.body.getReader();
    let stalled = false;
    let last = performance.now();
    const watch = setInterval(
      () => {
        if (performance.now() - last < this.#stall) return;
        stalled = true;
        this.#abort.abort();
      },
      Math.max(this.#stall / 4, 10),
    );
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        last = performance.now();
        yield value;
        last = performance.now();
      }
    } catch (error) {
      if (stalled)
        throw new NetworkError(this.url.host, `has sent nothing for ${this.#stall / 1000} seconds`, true);
      throw networkError(this.url, error);
    } finally {
      clearInterval(watch);
      reader.cancel().catch(() => {});
    }
  }

  /** A small body whole; undefined if it is larger than `limit`. */
  async bytes(limit: number): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const piece of this.pieces()) {
      length += piece.length;
      if (length > limit) {
        this.#abort.abort();
        return undefined;
      }
      parts.push(piece);
    }
    return Buffer.concat(parts);
  }

  /** Nobody wants the rest. */
  discard(): void {
    this.#response.body?.cancel().catch(() => {});
  }
}

export class Http {
  readonly #trust: Trust;
  readonly patience: Patience;
  #machine: string | undefined;

  constructor(trust: Trust, patience: Patience) {
    this.#trust = trust;
    this.patience = patience;
  }

  /** One exchange; a redirect to another host goes on without Authorization and without the client's certificate. */
  async send(request: Request): Promise<Answer> {
    let { url, method } = request;
    let headers = { ...request.headers };
    let body = request.body;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const answer = await this.#once(
        { ...request, url, method, headers, ...(body && { body }) },
        request.url,
      );
      const location = answer.header("location");
      if (!REDIRECT.has(answer.status) || location === undefined) return answer;
      answer.discard();
      const next = new URL(location, url);
      if (next.protocol !== "http:" && next.protocol !== "https:")
        throw new NetworkError(url.host, `redirects to ${next.protocol}`, false);
      if (url.protocol === "https:" && next.protocol === "http:")
        throw new NetworkError(url.host, `redirects from https to plain http (${next.host})`, false);
      if (next.host !== url.host) {
        const { authorization: _, ...rest } = headers;
        headers = rest;
      }
      if (answer.status === 303 && method !== "HEAD") {
        method = "GET";
        body = undefined;
      }
      url = next;
    }
    throw new NetworkError(request.url.host, "redirects in a circle", false);
  }

  async #once(request: Request, first: URL): Promise<Answer> {
    try {
      return await this.#fetch(request, first);
    } catch (error) {
      // What the administrator told this machine to believe counts as well.
      if (!isUnknownAuthority(error) || this.#machine !== undefined || this.#trust.ca)
        throw named(request, error);
      this.#machine = machineAuthorities();
      if (this.#machine === undefined) throw named(request, error);
      try {
        return await this.#fetch(request, first);
      } catch (again) {
        throw named(request, again);
      }
    }
  }

  async #fetch({ method, url, headers, body, signal }: Request, first: URL): Promise<Answer> {
    const abort = new AbortController();
    const stop = (): void => abort.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    // Whoever has sent a large blob must let the registry look at it.
    const patience = this.patience.answer * (method === "GET" || method === "HEAD" ? 1 : 10);
    let timer: Timer | undefined;
    let late = false;
    const alive = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        late = true;
        abort.abort();
      }, patience);
    };
    alive();
    const { ca, ...trust } = this.#trust;
    const authorities = ca ? [...ca] : this.#machine;
    const tls = url.host === first.host ? trust : {};
    try {
      const response = await fetch(url, {
        method,
        headers: { "accept-encoding": "identity", "user-agent": "sampan", ...headers },
        redirect: "manual",
        decompress: false,
        signal: abort.signal,
        proxy: proxyFor(url) as string,
        ...(body && { body: body(alive) }),
        ...(url.protocol === "https:" && { tls: { ...tls, ...(authorities && { ca: authorities }) } }),
      });
      return new Answer(response, abort, url, this.patience.stall);
    } catch (error) {
      if (late) throw new NetworkError(url.host, `has not answered within ${patience / 1000} seconds`, true);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

const codeOf = (error: unknown): string => String((error as { code?: unknown })?.code ?? "");

const isUnknownAuthority = (error: unknown): boolean =>
  [
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "SELF_SIGNED_CERT_IN_CHAIN",
  ].includes(codeOf(error));

const named = ({ url, signal }: Request, error: unknown): unknown =>
  signal?.aborted ? signal.reason : networkError(url, error);

const REASONS: Readonly<Record<string, readonly [what: string, again: boolean]>> = {
  ENOTFOUND: ["cannot be reached: no address is known for this name", false],
  EAI_AGAIN: ["cannot be reached: the name server does not answer", false],
  ECONNREFUSED: ["cannot be reached: nobody listens there (connection refused)", false],
  EHOSTUNREACH: ["cannot be reached: no route to host", false],
  ENETUNREACH: ["cannot be reached: the network is unreachable", false],
  ETIMEDOUT: ["cannot be reached: the connection timed out", true],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["shows a certificate that it signed itself", false],
  SELF_SIGNED_CERT_IN_CHAIN: ["shows a certificate of an unknown authority", false],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["shows a certificate of an unknown authority", false],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["shows a certificate of an unknown authority", false],
  CERT_HAS_EXPIRED: ["shows a certificate that has expired", false],
  ERR_TLS_CERT_ALTNAME_INVALID: ["shows a certificate for another name", false],
};

function networkError(url: URL, error: unknown): unknown {
  if (error instanceof SampanError) return error;
  const code = codeOf(error);
  const [what, again] = REASONS[code] ?? [];
  if (what !== undefined) return new NetworkError(url.host, what, again ?? false, error);
  if (code === "EPROTO" || /TLS|SSL/i.test(code))
    return new NetworkError(
      url.host,
      "does not speak TLS there, or wants a certificate of the client",
      false,
      error,
    );
  const reason = code || (error instanceof Error ? error.message : String(error));
  return new NetworkError(url.host, `broke the connection (${reason})`, true, error);
}
