/**
 * How a registry is told who asks: Basic, or a token that its token service gives for a scope (distribution's
 * spec/auth/token.md, oauth.md, scope.md). A registry says what it wants with its first 401; a token that has run
 * out in the middle of a pull is answered with another 401, and then a new one is fetched.
 */
import { SampanError } from "../../common/error.ts";
import { parseObject } from "../manifest.ts";
import type { Credentials } from "./credentials.ts";
import type { Http } from "./http.ts";

export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const SCHEME = new RegExp(`^[\\s,]*(${TOKEN})(?=$|[\\s,])(?!\\s*=)`);
const PARAMETER = new RegExp(`^[\\s,]*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]*))`);

/** Reads WWW-Authenticate: several challenges may stand in one header, and commas inside quotes. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  for (let rest = header; rest.trim() !== ""; ) {
    const parameter = PARAMETER.exec(rest);
    if (parameter && challenges.length > 0) {
      const [all, name = "", quoted, plain = ""] = parameter;
      const last = challenges[challenges.length - 1];
      if (last) last.parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, "$1") ?? plain;
      rest = rest.slice(all.length);
      continue;
    }
    const scheme = SCHEME.exec(rest);
    if (!scheme) break;
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters: {} });
    rest = rest.slice(scheme[0].length);
  }
  return challenges;
}

interface Token {
  readonly header: string;
  /** By performance.now(). */
  readonly until: number;
}

const CLIENT = "sampan";
/** What the specification wants where a token service says nothing. */
const DEFAULT_LIFE = 60;
const MAX_ANSWER = 1 << 20;

/** What one registry was told and gave. */
export class Auth {
  readonly #http: Http;
  readonly #credentials: () => Promise<Credentials | undefined>;
  readonly #tokens = new Map<string, Token>();
  readonly #coming = new Map<string, Promise<Token>>();
  #basic: string | undefined;
  #known: Promise<Credentials | undefined> | undefined;

  constructor(http: Http, credentials: () => Promise<Credentials | undefined>) {
    this.#http = http;
    this.#credentials = credentials;
  }

  credentials(): Promise<Credentials | undefined> {
    this.#known ??= this.#credentials();
    return this.#known;
  }

  /** The Authorization header for a request of these scopes, as far as it is known what the registry wants. */
  async header(scopes: readonly string[]): Promise<string | undefined> {
    const token = this.#tokens.get(scopes.join(" ")) ?? (await this.#coming.get(scopes.join(" ")));
    if (token && token.until > performance.now()) return token.header;
    return this.#basic;
  }

  /** Does what a 401 asks for; gives the new header, or undefined if nothing more can be done. `used`: what was refused. */
  async answer(
    www: string | undefined,
    registry: URL,
    scopes: readonly string[],
    used: string | undefined,
  ): Promise<string | undefined> {
    const key = scopes.join(" ");
    const known = this.#tokens.get(key);
    // Somebody else has fetched a new one meanwhile.
    if (known && known.header !== used && known.until > performance.now()) return known.header;
    const challenges = parseChallenges(www ?? "");
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const credentials = await this.credentials();
    if (bearer?.parameters["realm"] !== undefined) {
      let coming = this.#coming.get(key);
      if (!coming) {
        coming = this.#fetch(bearer, registry, scopes, credentials).finally(() => this.#coming.delete(key));
        this.#coming.set(key, coming);
      }
      const token = await coming;
      this.#tokens.set(key, token);
      return token.header;
    }
    if (credentials?.kind === "bearer") {
      const header = `Bearer ${credentials.token}`;
      return header === used ? undefined : (this.#basic = header);
    }
    if (credentials?.kind !== "password" || !challenges.some(({ scheme }) => scheme === "basic"))
      return undefined;
    const header = basic(credentials.username, credentials.password);
    if (header === used) return undefined;
    this.#basic = header;
    return header;
  }

  async #fetch(
    { parameters }: Challenge,
    registry: URL,
    scopes: readonly string[],
    credentials: Credentials | undefined,
  ): Promise<Token> {
    if (credentials?.kind === "bearer")
      return { header: `Bearer ${credentials.token}`, until: Number.POSITIVE_INFINITY };
    let realm: URL;
    try {
      realm = new URL(parameters["realm"] ?? "");
    } catch {
      throw new SampanError("unavailable", `${registry.host} names a token service that is no URL`);
    }
    if (realm.protocol !== "https:" && !(realm.protocol === "http:" && registry.protocol === "http:"))
      throw new SampanError("refused", `${registry.host} names a token service without TLS: ${realm.host}`);
    const service = parameters["service"] ?? "";
    const wanted = scopes.length > 0 ? scopes : (parameters["scope"] ?? "").split(" ").filter(Boolean);
    const answer =
      credentials?.kind === "identity"
        ? await this.#post(realm, service, wanted, {
            grant_type: "refresh_token",
            refresh_token: credentials.token,
          })
        : await this.#get(realm, service, wanted, credentials);
    const token = answer["token"] ?? answer["access_token"];
    if (typeof token !== "string" || token === "")
      throw new SampanError("unavailable", `${realm.host} has answered without a token`);
    const life = typeof answer["expires_in"] === "number" ? answer["expires_in"] : DEFAULT_LIFE;
    // A little less than it lives, since the way to the registry takes its time.
    return { header: `Bearer ${token}`, until: performance.now() + Math.max(life * 900, 1000) };
  }

  async #get(
    realm: URL,
    service: string,
    scopes: readonly string[],
    credentials: Extract<Credentials, { kind: "password" }> | undefined,
  ): Promise<Readonly<Record<string, unknown>>> {
    const url = new URL(realm);
    if (service !== "") url.searchParams.set("service", service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    if (credentials) url.searchParams.set("account", credentials.username);
    const headers = credentials && { authorization: basic(credentials.username, credentials.password) };
    const answer = await this.#http.send({ method: "GET", url, headers: headers ?? {} });
    if ((answer.status === 404 || answer.status === 405) && credentials) {
      answer.discard();
      const { username, password } = credentials;
      return this.#post(realm, service, scopes, { grant_type: "password", username, password });
    }
    return read(answer);
  }

  async #post(
    realm: URL,
    service: string,
    scopes: readonly string[],
    grant: Readonly<Record<string, string>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    const form = new URLSearchParams({ ...grant, service, client_id: CLIENT });
    if (scopes.length > 0) form.set("scope", scopes.join(" "));
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return read(await this.#http.send({ method: "POST", url: realm, headers, body: () => form.toString() }));
  }
}

const basic = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

async function read(answer: Awaited<ReturnType<Http["send"]>>): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await answer.bytes(MAX_ANSWER);
  if (answer.status === 401 || answer.status === 403 || answer.status === 400)
    throw new SampanError("refused", "unauthorized: incorrect username or password", {
      hint: `The token service ${answer.url.host} has answered ${answer.status}.`,
    });
  if (!answer.ok || !bytes)
    throw new SampanError(
      "unavailable",
      `the token service ${answer.url.host} has answered ${answer.status}`,
    );
  return parseObject(bytes, `the answer of the token service ${answer.url.host}`);
}
