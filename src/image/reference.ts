/**
 * Names of images: `[host[:port]/]path[:tag][@digest]`, by the grammar of distribution/reference and with Docker's
 * defaults: no host means docker.io, one word there means library/, no tag means latest.
 */
import { SampanError } from "../common/error.ts";

export interface Reference {
  /** docker.io, localhost:5000, [::1]:5000 … */
  readonly domain: string;
  /** library/alpine */
  readonly path: string;
  readonly tag?: string;
  /** sha256:… */
  readonly digest?: string;
}

const DEFAULT_DOMAIN = "docker.io";
const LEGACY_DOMAIN = "index.docker.io";
const OFFICIAL = "library/";

const LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*";
const PATH = `${COMPONENT}(?:/${COMPONENT})*`;
const TAG = "[\\w][\\w.-]{0,127}";
const DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
/** Made when it is first needed, which takes 0.3 ms. */
let whole: RegExp | undefined;
const IDENTIFIER = /^[a-f0-9]{64}$/;
const MAX_NAME = 255;

const invalid = (message: string): SampanError => new SampanError("invalid", message);

/** Reads a name as a user writes it. The tag stays open if none was given: see `withTag`. */
export function parseReference(text: string): Reference {
  return parsePlain(text) ?? parseAny(text);
}

/** `alpine` and `alpine:3.22`: what is on the way of most commands needs no grammar. */
function parsePlain(text: string): Reference | undefined {
  let at = 0;
  while (at < text.length && isLowerOrDigit(text.charCodeAt(at))) at++;
  // 64 characters could be an id.
  if (at === 0 || at >= 64) return undefined;
  const path = OFFICIAL + text.slice(0, at);
  if (at === text.length) return { domain: DEFAULT_DOMAIN, path };
  const tag = text.slice(at + 1);
  if (text[at] !== ":" || tag === "" || tag.length > 128) return undefined;
  for (let index = 0; index < tag.length; index++) {
    const code = tag.charCodeAt(index);
    const inside = index > 0 && (code === DOT || code === DASH);
    if (!inside && !isLowerOrDigit(code) && !isUpper(code) && code !== UNDERSCORE) return undefined;
  }
  return { domain: DEFAULT_DOMAIN, path, tag };
}

const DASH = 0x2d;
const DOT = 0x2e;
const UNDERSCORE = 0x5f;
const isLowerOrDigit = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
const isUpper = (code: number): boolean => code >= 0x41 && code <= 0x5a;

function parseAny(text: string): Reference {
  if (IDENTIFIER.test(text))
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const [domain, rest] = splitDomain(text);
  const colon = rest.indexOf(":");
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const name = path.includes("@") ? path.slice(0, path.indexOf("@")) : path;
  if (name.toLowerCase() !== name)
    throw invalid(`invalid reference format: repository name (${name}) must be lowercase`);
  whole ??= new RegExp(`^(${DOMAIN})/(${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`);
  const match = whole.exec(`${domain}/${rest}`);
  const [, , matchedPath, tag, digest] = match ?? [];
  if (matchedPath === undefined) throw invalid("invalid reference format");
  if (`${domain}/${matchedPath}`.length > MAX_NAME)
    throw invalid(`repository name must not be more than ${MAX_NAME} characters`);
  if (digest !== undefined) checkDigest(digest);
  return {
    domain,
    path: matchedPath,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

function splitDomain(text: string): [domain: string, rest: string] {
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const isHost =
    first !== "" && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first);
  let domain = isHost ? first : DEFAULT_DOMAIN;
  let rest = isHost ? text.slice(slash + 1) : text;
  if (domain === LEGACY_DOMAIN) domain = DEFAULT_DOMAIN;
  if (domain === DEFAULT_DOMAIN && !rest.includes("/")) rest = OFFICIAL + rest;
  return [domain, rest];
}

const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/**
 * Throws unless it is `algorithm:hex` of the right length. Only then may a digest become part of a path. `where` it stands, if not in
 * what the caller wrote himself.
 */
export function checkDigest(digest: string, where?: string): void {
  const refuse = (why: string): SampanError =>
    invalid(where === undefined ? why : `${where}: ${why}: ${JSON.stringify(digest.slice(0, 200))}`);
  const colon = digest.indexOf(":");
  const length = HEX_LENGTH[digest.slice(0, Math.max(colon, 0))];
  if (colon < 0) throw refuse("invalid checksum digest format");
  if (length === undefined) throw refuse("unsupported digest algorithm");
  const hex = digest.slice(colon + 1);
  if (hex.length !== length) throw refuse("invalid checksum digest length");
  if (!/^[a-f0-9]+$/.test(hex)) throw refuse("invalid checksum digest format");
}

/** With `latest` where neither tag nor digest was given. */
export const withTag = (reference: Reference): Reference =>
  reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;

/** docker.io/library/alpine */
export const repository = (reference: Reference): string => `${reference.domain}/${reference.path}`;

/** In full: docker.io/library/alpine:3.22@sha256:… */
export const referenceText = (reference: Reference): string =>
  repository(reference) +
  (reference.tag === undefined ? "" : `:${reference.tag}`) +
  (reference.digest === undefined ? "" : `@${reference.digest}`);

/** As people write it: alpine:3.22, user/name, localhost:5000/x. Takes what `parseReference` takes. */
export function familiarName(reference: Reference | string): string {
  const parsed = typeof reference === "string" ? parseReference(reference) : reference;
  return referenceText(parsed).slice(referenceText(parsed).length - familiarLength(parsed));
}

function familiarLength(reference: Reference): number {
  const full = referenceText(reference).length;
  if (reference.domain !== DEFAULT_DOMAIN) return full;
  const rest = full - DEFAULT_DOMAIN.length - 1;
  // Without its host the first word would be taken for one.
  if (/^(?:[^/]*\.[^/]*|localhost)\//.test(reference.path)) return full;
  const official =
    reference.path.startsWith(OFFICIAL) && !reference.path.slice(OFFICIAL.length).includes("/");
  return official ? rest - OFFICIAL.length : rest;
}

/** Whether the text is an image id (sha256:…) or its beginning, with or without the algorithm. */
export const isIdPrefix = (id: string, text: string): boolean =>
  text !== "" && (id.startsWith(text) || id.slice("sha256:".length).startsWith(text));
