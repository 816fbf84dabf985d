/**
 * Where the images of a name are fetched from and pushed to. Without a word of the user: the registry of the name, and
 * Docker Hub's for docker.io. The file `registries.json` of the state folder, or /etc/sampan/registries.json for all,
 * says otherwise: another default registry, rewritten names, mirrors, registries without TLS, blocked ones. See
 * docs/registries.md.
 */
import { readFileSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import { parseObject } from "../manifest.ts";
import { type Reference, repository } from "../reference.ts";

/** A registry as the file describes it; all members are optional. */
export interface RegistryRule {
  /** What stands in its place: `host[:port][/path]`. */
  readonly rewrite?: string;
  /** Asked first when pulling, in this order: `[http://]host[:port][/path]`. */
  readonly mirrors: readonly string[];
  readonly insecure: boolean;
  readonly blocked: boolean;
}

export interface Registries {
  /** What names without a host are relative to; docker.io/library if absent. */
  readonly default?: string;
  /** By the beginning of names: `docker.io`, `docker.io/library`, `registry.example:5000/team`. */
  readonly rules: ReadonlyMap<string, RegistryRule>;
  /** Hosts (`host`, `host:port`) and networks (`10.0.0.0/8`) that may be spoken to without verified TLS. */
  readonly insecure: readonly string[];
}

/** One place where a repository may be. */
export interface Endpoint {
  /** `host[:port]` */
  readonly host: string;
  /** The repository's name there. */
  readonly path: string;
  /** Known only where the user wrote it. */
  readonly scheme?: "http" | "https";
  /** Plain http, and certificates that cannot be verified, are accepted. */
  readonly insecure: boolean;
  readonly mirror: boolean;
}

const HUB = "docker.io";
const HUB_HOST = "registry-1.docker.io";
/** The name of Docker Hub in credential stores. */
export const HUB_KEY = "https://index.docker.io/v1/";
const NONE: Registries = { rules: new Map(), insecure: [] };

/** Under which name a registry's credentials are kept. */
export const credentialKey = (host: string): string =>
  host === HUB_HOST || host === HUB || host === "index.docker.io" ? HUB_KEY : host;

/** The host that answers for a registry's name. */
export const hostOf = (domain: string): string =>
  domain === HUB || domain === "index.docker.io" ? HUB_HOST : domain;

/** Reads the user's file; the state folder's own wins over the machine's. */
export function readRegistries(root: string): Registries {
  for (const file of [`${root}/registries.json`, "/etc/sampan/registries.json"]) {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(file);
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") continue;
      throw new SampanError("invalid", `cannot read ${file}`, { cause: error });
    }
    return parseRegistries(bytes, file);
  }
  return NONE;
}

export function parseRegistries(bytes: Uint8Array, file: string): Registries {
  const json = parseObject(bytes, file);
  const wrong = (what: string): SampanError => new SampanError("invalid", `${file}: ${what}`);
  const text = (value: unknown, what: string, fits = isPlace, form = "HOST[:PORT][/PATH]"): string => {
    if (typeof value !== "string" || value === "") throw wrong(`${what} is not a name`);
    const plain = value.replace(/\/+$/, "");
    if (!fits(plain)) throw wrong(`${what} is "${value}", which is not of the form ${form}`);
    return plain;
  };
  const list = (value: unknown, what: string): unknown[] => {
    if (value !== undefined && !Array.isArray(value)) throw wrong(`${what} is not a list`);
    return value ?? [];
  };
  const flag = (value: unknown, what: string): boolean => {
    if (value !== undefined && typeof value !== "boolean") throw wrong(`${what} is neither true nor false`);
    return value === true;
  };
  for (const key of Object.keys(json))
    if (!["default", "registries", "insecure"].includes(key)) throw wrong(`${key} means nothing here`);
  const rules = new Map<string, RegistryRule>();
  const listed = json["registries"] ?? {};
  if (typeof listed !== "object" || Array.isArray(listed)) throw wrong("registries is not an object");
  for (const [name, value] of Object.entries(listed as Record<string, Record<string, unknown>>)) {
    if (!isPlace(name) || name.includes("://"))
      throw wrong(`registries has "${name}", which is not of the form HOST[:PORT][/PATH]`);
    if (typeof value !== "object" || value === null) throw wrong(`registries.${name} is not an object`);
    for (const key of Object.keys(value))
      if (!["rewrite", "mirrors", "insecure", "blocked"].includes(key))
        throw wrong(`registries.${name}.${key} means nothing here`);
    rules.set(name, {
      ...(value["rewrite"] !== undefined && {
        rewrite: text(value["rewrite"], `registries.${name}.rewrite`),
      }),
      mirrors: list(value["mirrors"], `registries.${name}.mirrors`).map((mirror) =>
        text(mirror, `registries.${name}.mirrors`),
      ),
      insecure: flag(value["insecure"], `registries.${name}.insecure`),
      blocked: flag(value["blocked"], `registries.${name}.blocked`),
    });
  }
  return {
    ...(json["default"] !== undefined && { default: text(json["default"], "default") }),
    rules,
    insecure: list(json["insecure"], "insecure").map((entry) =>
      text(entry, "insecure", isHostOrNetwork, "HOST[:PORT] or of an IPv4 network's, such as 10.0.0.0/8"),
    ),
  };
}

/** `host[:port]` */
export function isHost(text: string): boolean {
  const match = /^(?:\[[0-9a-f:.]+\]|[a-z0-9][a-z0-9.-]*)(?::(\d{1,5}))?$/i.exec(text);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}

export const noHost = (text: string): SampanError =>
  new SampanError("invalid", `"${text}" is no registry: one is HOST or HOST:PORT`);

/** `[http[s]://]host[:port][/path]` */
function isPlace(text: string): boolean {
  const [host = "", ...path] = text.replace(/^https?:\/\//, "").split("/");
  return isHost(host) && path.every((part) => /^[a-z0-9][a-z0-9._-]*$/.test(part));
}

function isHostOrNetwork(text: string): boolean {
  const [base = "", bits, ...more] = text.split("/");
  if (bits === undefined) return isHost(base);
  return ipv4(base) !== undefined && /^\d+$/.test(bits) && Number(bits) <= 32 && more.length === 0;
}

/** The places to ask for a repository, in this order; the last is the registry itself. A push goes to the last only. */
export function endpoints(registries: Registries, reference: Reference): Endpoint[] {
  const name = repository(reference);
  const [prefix, rule] = ruleFor(registries, name);
  if (rule?.blocked)
    throw new SampanError("refused", `${prefix} is blocked by registries.json`, {
      hint: "The image `host` is always here; `sampan load` takes images from archives.",
    });
  const rest = name.slice(prefix.length + 1);
  const mirrors = (rule?.mirrors ?? []).map((mirror) => endpoint(registries, mirror, rest, true));
  if (rule?.rewrite !== undefined) return [...mirrors, endpoint(registries, rule.rewrite, rest, false)];
  if (registries.default !== undefined && reference.domain === HUB) {
    const short = reference.path.replace(/^library\//, "");
    return [...mirrors, endpoint(registries, registries.default, short, false)];
  }
  return [...mirrors, endpoint(registries, hostOf(reference.domain), reference.path, false, rule?.insecure)];
}

/** The rule with the longest beginning. */
function ruleFor({ rules }: Registries, name: string): [string, RegistryRule | undefined] {
  for (let at = name; at !== ""; at = at.slice(0, Math.max(at.lastIndexOf("/"), 0))) {
    const rule = rules.get(at);
    if (rule && at !== name) return [at, rule];
  }
  return [name.slice(0, name.indexOf("/")), undefined];
}

function endpoint(
  registries: Registries,
  where: string,
  path: string,
  mirror: boolean,
  insecure = false,
): Endpoint {
  const [, scheme, host = "", prefix] = /^(?:(https?):\/\/)?([^/]+)(?:\/(.*))?$/.exec(where) ?? [];
  if (!isHost(host)) throw noHost(host);
  const named = registries.rules.get(host)?.insecure ?? false;
  return {
    host: hostOf(host),
    path: prefix ? `${prefix}/${path}` : path,
    ...(scheme !== undefined && { scheme: scheme as "http" | "https" }),
    insecure: insecure || named || scheme === "http" || isInsecure(registries, host),
    mirror,
  };
}

/** Whether a registry may be spoken to in plain http: this machine's own, and what the user named. */
export function isInsecure({ insecure }: Registries, host: string): boolean {
  const name = hostName(host);
  if (isLoopback(name)) return true;
  return insecure.some((entry) => entry === host || entry === name || inNetwork(name, entry));
}

/** Without its port and brackets. */
export const hostName = (host: string): string => {
  const bracket = /^\[([^\]]*)\]/.exec(host);
  return bracket?.[1] ?? host.replace(/:\d+$/, "");
};

export const isLoopback = (name: string): boolean =>
  /^(?:.+\.)?localhost$/i.test(name) || name === "::1" || /^127(\.\d+){3}$/.test(name);

/** Whether an IPv4 address is in a network such as 10.0.0.0/8. */
export function inNetwork(address: string, network: string): boolean {
  const [base = "", bits = ""] = network.split("/");
  const wanted = ipv4(base);
  const given = ipv4(address);
  const length = Number(bits);
  if (wanted === undefined || given === undefined || bits === "" || !(length >= 0 && length <= 32))
    return false;
  const size = 2 ** (32 - length);
  return Math.floor(wanted / size) === Math.floor(given / size);
}

function ipv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  return match.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0);
}
