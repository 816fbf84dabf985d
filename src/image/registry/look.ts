/** What a registry has under a name, without fetching it: for `manifest inspect`. */
import { SampanError } from "../../common/error.ts";
import { sha256 } from "../blobs.ts";
import { MAX_CONFIG, parseConfig, parseManifest } from "../manifest.ts";
import type { Platform } from "../platform.ts";
import { familiarName, type Reference, referenceText, withTag } from "../reference.ts";
import { type RawManifest, type Registry, RegistryError } from "./client.ts";
import { connect, type SessionOptions } from "./session.ts";

/** One manifest or index as the registry keeps it. */
export interface Looked {
  /** In full: `docker.io/library/alpine:3@sha256:…`. */
  readonly reference: string;
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly mediaType: string;
  /** Of an index's entry as the index says, of a manifest as its config says. */
  readonly platform?: Platform;
}

export interface LookOptions extends SessionOptions {
  /** Also what stands behind an index's entries, and the platforms. */
  readonly deep?: boolean;
}

/** The manifest or index of this name; with `deep`, of an index its members instead. */
export async function look(
  root: string,
  reference: Reference,
  options: LookOptions,
): Promise<Looked | Looked[]> {
  const tagged = withTag(reference);
  const registry = (await connect(root, reference, options)).at(-1) as Registry;
  const top = await registry.manifest(tagged.digest ?? tagged.tag ?? "").catch((error: unknown) => {
    if (error instanceof RegistryError && error.http === 404)
      throw new SampanError("not-found", `no such manifest: ${familiarName(tagged)}`, { cause: error });
    throw error;
  });
  const name = referenceText(tagged);
  const found = { reference: name, ...described(top) };
  if (!options.deep) return found;
  const parsed = parseManifest(top.bytes, `manifest ${top.digest}`);
  if (!("manifests" in parsed)) {
    const platform = await platformOf(registry, parsed.config.digest, parsed.config.size);
    return { ...found, platform };
  }
  const members: Looked[] = [];
  for (const { digest, size, platform } of parsed.manifests) {
    const member = await registry.manifest(digest, size);
    members.push({ reference: `${name}@${digest}`, ...described(member), ...(platform && { platform }) });
  }
  return members;
}

const described = ({ bytes, digest, type }: RawManifest): Omit<Looked, "reference"> => ({
  bytes,
  digest,
  mediaType: type,
});

async function platformOf(registry: Registry, digest: string, size: number): Promise<Platform> {
  const answer = await registry.blob(digest, 0);
  const bytes = (await answer.bytes(Math.min(size, MAX_CONFIG))) ?? new Uint8Array();
  const is = sha256(bytes);
  if (is !== digest) throw new SampanError("invalid", `the content of ${digest} is ${is}`);
  const { os, architecture, variant } = parseConfig(bytes, `config ${digest}`);
  return { architecture, os, ...(variant !== undefined && { variant }) };
}
