/**
 * `search`: the one request of Docker's first registry protocol that is still alive (GET /v1/search), which Docker Hub answers
 * and hardly anybody else.
 */
import { SampanError } from "../../common/error.ts";
import { parseObject } from "../manifest.ts";
import { type Registry, RegistryError } from "./client.ts";
import { hostOf, isInsecure, readRegistries } from "./registries.ts";
import { open, type SessionOptions } from "./session.ts";

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
  readonly automated: boolean;
}

const INDEX = "index.docker.io";
const MAX_ANSWER = 4 << 20;

/**
 * Asks the registry of the term, `registry.example/jq`, for names like `jq`; a term without a registry asks the default one.
 * `limit`: 1 to 100.
 */
export async function search(
  root: string,
  term: string,
  limit: number,
  options: SessionOptions = {},
): Promise<SearchResult[]> {
  const registries = readRegistries(root);
  const [host, query] = place(term, registries.default);
  const insecure = isInsecure(registries, host) || (registries.rules.get(host)?.insecure ?? false);
  const registry = await open(root, { host, path: query, insecure, mirror: false }, options);
  const url = new URL(`/v1/search`, await registry.base());
  url.searchParams.set("q", query);
  url.searchParams.set("n", String(limit));
  const bytes = await ask(registry, url);
  const { results } = parseObject(bytes, `the answer of ${host}`);
  return (Array.isArray(results) ? results : []).map(result);
}

/** The host that is asked, and for what; Docker leaves `library/` to the Hub. */
function place(term: string, standard: string | undefined): readonly [host: string, query: string] {
  const slash = term.indexOf("/");
  const first = term.slice(0, Math.max(slash, 0));
  const named = first.includes(".") || first.includes(":") || first === "localhost";
  const query = named ? term.slice(slash + 1) : term;
  if (query === "") throw new SampanError("invalid", "a search needs a term");
  const where = named ? first : (standard?.replace(/^https?:\/\//, "").split("/")[0] ?? "docker.io");
  const isHub = hostOf(where) === hostOf("docker.io");
  return [isHub ? INDEX : where, isHub ? query.replace(/^library\//, "") : query];
}

async function ask(registry: Registry, url: URL): Promise<Uint8Array> {
  const { host } = registry.endpoint;
  try {
    const answer = await registry.send(url, { method: "GET", scopes: [] });
    const bytes = answer.type === "application/json" ? await answer.bytes(MAX_ANSWER) : undefined;
    if (bytes) return bytes;
    answer.discard();
  } catch (error) {
    if (!(error instanceof RegistryError) || error.http !== 404) throw error;
  }
  throw new SampanError("unavailable", `${host} cannot be searched: it does not answer /v1/search`, {
    hint: "Docker Hub can be searched; most other registries can only be asked for names that one knows.",
  });
}

function result(value: unknown): SearchResult {
  const { name, description, star_count, is_official, is_automated } = (value ?? {}) as Record<
    string,
    unknown
  >;
  return {
    name: typeof name === "string" ? name : "",
    description: typeof description === "string" ? description : "",
    stars: typeof star_count === "number" ? star_count : 0,
    official: is_official === true,
    automated: is_automated === true,
  };
}
