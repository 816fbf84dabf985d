/** Manifests as `docker manifest inspect` prints them. */
import type { Looked } from "../image/registry/look.ts";

const contentOf = ({ bytes }: Looked): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;

/** The content as the registry has it, laid out: an index by three blanks, a manifest by tabs. */
export function manifestJson(looked: Looked): string {
  const content = contentOf(looked);
  return JSON.stringify(content, null, content["manifests"] === undefined ? "\t" : 3);
}

/** With `--verbose`: where it is, what it is, and its bytes. */
export function manifestObject(looked: Looked) {
  const { reference, digest, mediaType, bytes, platform } = looked;
  const descriptor = { mediaType, digest, size: bytes.length, ...(platform && { platform }) };
  return {
    Ref: reference,
    Descriptor: descriptor,
    Raw: Buffer.from(bytes).toString("base64"),
    [mediaType.startsWith("application/vnd.oci.") ? "OCIManifest" : "SchemaV2Manifest"]: contentOf(looked),
  };
}
