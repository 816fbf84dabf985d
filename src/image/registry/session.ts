/** What one pull or push has at hand: the user's registries, credentials and patience, and a client for each place. */
import type { Reference } from "../reference.ts";
import { Registry } from "./client.ts";
import { type Credentials, DockerConfig } from "./credentials.ts";
import { PATIENCE, type Patience } from "./http.ts";
import { type Endpoint, endpoints, readRegistries } from "./registries.ts";
import { trustOf } from "./trust.ts";

export interface SessionOptions {
  /** Instead of what config.json says, for the registry itself; mirrors get none of it. */
  readonly credentials?: Credentials;
  readonly signal?: AbortSignal;
  readonly patience?: Partial<Patience>;
  /** Plain http, and certificates that cannot be verified, are accepted whatever the user's file says. */
  readonly insecure?: boolean;
}

/** Clients for the places of a repository, in the order in which they are asked. */
export async function connect(
  root: string,
  reference: Reference,
  options: SessionOptions = {},
): Promise<Registry[]> {
  const places = endpoints(readRegistries(root), reference);
  return Promise.all(
    places.map((place) =>
      open(root, { ...place, insecure: place.insecure || (options.insecure ?? false) }, options),
    ),
  );
}

/** A client for one place. */
export async function open(
  root: string,
  endpoint: Endpoint,
  options: SessionOptions = {},
): Promise<Registry> {
  const { credentials, signal, patience } = options;
  return new Registry({
    endpoint,
    trust: await trustOf(root, endpoint.host, endpoint.insecure),
    patience: { ...PATIENCE, ...patience },
    credentials: async () =>
      credentials !== undefined && !endpoint.mirror
        ? credentials
        : DockerConfig.read().credentials(endpoint.host),
    ...(signal && { signal }),
  });
}
