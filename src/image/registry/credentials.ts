/**
 * Docker's config.json and its credential helpers, so that a login with one tool is one with the other. A helper is a
 * program `docker-credential-NAME` that is asked over stdin (docker-credential-helpers' protocol).
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { SampanError } from "../../common/error.ts";
import { parseObject } from "../manifest.ts";
import { credentialKey } from "./registries.ts";

export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** Exchanged for tokens at the registry's token service. */
  | { readonly kind: "identity"; readonly token: string }
  /** Sent to the registry as it is. */
  | { readonly kind: "bearer"; readonly token: string };

type Json = Record<string, unknown>;
type Environment = Readonly<Record<string, string | undefined>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The folder of config.json. */
export const configFolder = (env: Environment = process.env): string =>
  env["DOCKER_CONFIG"] || `${env["HOME"] || "/root"}/.docker`;

export class DockerConfig {
  readonly #json: Json;
  readonly #file: string;
  readonly #env: Environment;

  /** `what` names where it was read. */
  private constructor(json: Json, file: string, env: Environment, what = file) {
    check(json, what);
    this.#json = json;
    this.#file = file;
    this.#env = env;
  }

  static read(env: Environment = process.env): DockerConfig {
    const file = `${configFolder(env)}/config.json`;
    const given = env["DOCKER_AUTH_CONFIG"];
    if (given) {
      const json = parseObject(new TextEncoder().encode(given), "DOCKER_AUTH_CONFIG") as Json;
      return new DockerConfig(json, file, env, "DOCKER_AUTH_CONFIG");
    }
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(file);
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === "ENOENT" || code === "ENOTDIR") return new DockerConfig({}, file, env);
      throw new SampanError("invalid", `cannot read ${file} (${code})`, { cause: error });
    }
    return new DockerConfig(bytes.length === 0 ? {} : (parseObject(bytes, file) as Json), file, env);
  }

  get file(): string {
    return this.#file;
  }

  /** The helper for a registry: its own, or the one for all. */
  helper(host: string): string | undefined {
    const own = isObject(this.#json["credHelpers"]) ? this.#json["credHelpers"] : {};
    for (const key of keysOf(host)) if (text(own[key]) !== "") return text(own[key]);
    return text(this.#json["credsStore"]) || undefined;
  }

  /** What is known for a registry (`host[:port]`); undefined: it is asked anonymously. */
  async credentials(host: string): Promise<Credentials | undefined> {
    const helper = this.helper(host);
    if (helper !== undefined) {
      for (const key of keysOf(host)) {
        const found = await this.#ask(helper, key);
        if (found) return found;
      }
    }
    return this.#listed(host);
  }

  /** Whether `logout` has anything to remove. */
  async has(host: string): Promise<boolean> {
    return this.#keys(host).length > 0 || (await this.credentials(host)) !== undefined;
  }

  /** Keeps credentials where the user wants them; says whether that is the plain file. */
  async store(host: string, credentials: Credentials): Promise<"helper" | "file"> {
    const key = credentialKey(host);
    const helper = this.helper(host);
    if (helper !== undefined) {
      const [Username, Secret] =
        credentials.kind === "password"
          ? [credentials.username, credentials.password]
          : ["<token>", credentials.token];
      await run(this.#env, helper, "store", JSON.stringify({ ServerURL: key, Username, Secret }));
      this.#write((auths) => {
        auths[key] = {};
      });
      return "helper";
    }
    this.#write((auths) => {
      auths[key] =
        credentials.kind === "password"
          ? { auth: Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64") }
          : { identitytoken: credentials.token };
    });
    return "file";
  }

  async erase(host: string): Promise<void> {
    const helper = this.helper(host);
    if (helper !== undefined) await run(this.#env, helper, "erase", credentialKey(host)).catch(() => {});
    this.#write((auths) => {
      for (const key of this.#keys(host)) delete auths[key];
    });
  }

  /** The keys of `auths` that mean this registry. */
  #keys(host: string): string[] {
    const auths = isObject(this.#json["auths"]) ? this.#json["auths"] : {};
    const wanted = keysOf(host);
    return Object.keys(auths).filter((key) => wanted.includes(key) || wanted.includes(bare(key)));
  }

  #listed(host: string): Credentials | undefined {
    const auths = isObject(this.#json["auths"]) ? this.#json["auths"] : {};
    const wanted = keysOf(host);
    const keys = this.#keys(host).sort((a, b) => rank(wanted, a) - rank(wanted, b));
    for (const key of keys) {
      const entry = auths[key];
      const found = isObject(entry) ? fromEntry(entry, `${this.#file}: auths.${key}`) : undefined;
      if (found) return found;
    }
    return undefined;
  }

  async #ask(helper: string, key: string): Promise<Credentials | undefined> {
    const answer = await run(this.#env, helper, "get", key);
    if (answer === undefined) return undefined;
    const { Username, Secret } = parseObject(new TextEncoder().encode(answer), `docker-credential-${helper}`);
    if (text(Secret) === "") return undefined;
    return text(Username) === "<token>"
      ? { kind: "identity", token: text(Secret) }
      : { kind: "password", username: text(Username), password: text(Secret) };
  }

  #write(change: (auths: Json) => void): void {
    const auths = { ...(isObject(this.#json["auths"]) ? this.#json["auths"] : {}) };
    change(auths);
    this.#json["auths"] = auths;
    // People keep it elsewhere and have a link to it: that stays one.
    const file = existsSync(this.#file) ? realpathSync(this.#file) : this.#file;
    mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    const temporary = `${file}.${process.pid}`;
    try {
      writeFileSync(temporary, `${JSON.stringify(this.#json, undefined, "\t")}\n`, { mode: 0o600 });
      renameSync(temporary, file);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }
}

/** What is of another kind than Docker writes it: read on, it would be as if nobody were logged in. */
function check(json: Readonly<Json>, what: string): void {
  const refuse = (member: string, kind: string): SampanError =>
    new SampanError("invalid", `${what}: ${member} is not ${kind}`, {
      hint: "Put it right, or take it out and log in again.",
    });
  const objects = (member: string, value: unknown): Readonly<Json> => {
    if (value !== undefined && value !== null && !isObject(value)) throw refuse(member, "an object");
    return isObject(value) ? value : {};
  };
  const texts = (member: string, value: unknown): void => {
    if (value !== undefined && value !== null && typeof value !== "string") throw refuse(member, "a text");
  };
  texts("credsStore", json["credsStore"]);
  for (const [host, helper] of Object.entries(objects("credHelpers", json["credHelpers"])))
    texts(`credHelpers.${host}`, helper);
  for (const [host, value] of Object.entries(objects("auths", json["auths"]))) {
    const entry = objects(`auths.${host}`, value);
    for (const name of ["auth", "username", "password", "identitytoken", "registrytoken"])
      texts(`auths.${host}.${name}`, entry[name]);
  }
}

/** All names under which other tools may have kept a registry's credentials, the usual one first. */
function keysOf(host: string): string[] {
  const key = credentialKey(host);
  if (key === host) return [host];
  return [key, "index.docker.io", "docker.io", "registry-1.docker.io"];
}

const bare = (key: string): string => key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
const rank = (wanted: readonly string[], key: string): number => {
  const at = wanted.indexOf(key);
  return at < 0 ? wanted.length : at;
};

/** Reads one entry of `auths`, or what a client of the Engine API sends in X-Registry-Auth. */
export function fromEntry(entry: Readonly<Json>, what: string): Credentials | undefined {
  if (text(entry["identitytoken"]) !== "") return { kind: "identity", token: text(entry["identitytoken"]) };
  if (text(entry["registrytoken"]) !== "") return { kind: "bearer", token: text(entry["registrytoken"]) };
  const auth = text(entry["auth"]);
  if (auth !== "") {
    const plain = Buffer.from(auth, "base64").toString().replace(/\0+$/, "");
    // The password may hold colons, the name may not.
    const colon = plain.indexOf(":");
    if (colon < 0) throw new SampanError("invalid", `${what}: invalid auth configuration`);
    return { kind: "password", username: plain.slice(0, colon), password: plain.slice(colon + 1) };
  }
  const username = text(entry["username"]);
  return username === "" ? undefined : { kind: "password", username, password: text(entry["password"]) };
}

/**
 * Reads the Engine API's header X-Registry-Auth: JSON in base64, of either alphabet, padded or not. undefined: nothing was
 * sent, or nothing but `{}`.
 */
export function fromHeader(header: string | undefined): Credentials | undefined {
  const plain = Buffer.from(header ?? "", "base64url");
  if (plain.length === 0) return undefined;
  return fromEntry(parseObject(plain, "X-Registry-Auth"), "X-Registry-Auth");
}

/** Asks a helper; undefined where it knows nothing. */
async function run(
  env: Environment,
  helper: string,
  verb: string,
  input: string,
): Promise<string | undefined> {
  const program = `docker-credential-${helper}`;
  const path = helper.includes("/") ? null : Bun.which(program, { PATH: env["PATH"] ?? "" });
  if (path === null)
    throw new SampanError(
      "unavailable",
      `config.json names the credential helper ${program}, which is not installed`,
      {
        hint: "Install it, or take it out of credsStore and credHelpers.",
      },
    );
  const child = Bun.spawn([path, verb], {
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "ignore",
    env,
  });
  const [output, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code === 0) return output;
  // Helpers write their errors to stdout.
  if (/credentials not found/i.test(output)) return undefined;
  throw new SampanError("unavailable", `${program} ${verb}: ${output.trim() || `ended with ${code}`}`);
}
