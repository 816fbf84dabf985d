/** `import`: the archive of a root filesystem becomes an image of one layer, its config made of `--change` lines. */

import { SampanError } from "../common/error.ts";
import { adopt, type Place } from "./adopt.ts";
import { applyChanges, type MutableConfig } from "./changes.ts";
import { decompress } from "./compression.ts";
import { adding } from "./gate.ts";
import { MEDIA } from "./manifest.ts";
import { hostPlatform, parsePlatform } from "./platform.ts";
import { parseReference, referenceText, withTag } from "./reference.ts";

export interface ImportOptions {
  /** The image's name; none: it has only its id. */
  readonly reference?: string;
  /** Dockerfile instructions such as `CMD ["sh"]`. */
  readonly changes?: readonly string[];
  /** Default: `Imported from -`, as Docker writes it. */
  readonly message?: string;
  /** `linux/arm64`; default: this machine's. */
  readonly platform?: string;
}

/** Gives the image's id. */
export async function importImage(
  place: Place,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<string> {
  const config: MutableConfig = {};
  applyChanges(config, options.changes ?? []);
  const reference = options.reference ? withTag(parseReference(options.reference)) : undefined;
  if (reference?.digest !== undefined)
    throw new SampanError("invalid", "cannot import digest reference", {
      hint: "Give the image a tag: its digest comes from its content.",
    });
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  if (platform.os !== "linux")
    throw new SampanError("invalid", `an image cannot be for ${platform.os}: containers here run linux`);
  return adding(place.paths, async () => {
    // The layer is kept uncompressed: its digest is then its diffID, which the config must name.
    const writer = place.blobs.create();
    let layer: { digest: string; size: number };
    try {
      for await (const piece of decompress(source, place.limits)) writer.write(piece);
      if (writer.finish().size === 0) throw new SampanError("invalid", "the archive is empty");
      layer = writer.commit();
    } finally {
      writer.discard();
    }
    const created = new Date().toISOString();
    const image = {
      architecture: platform.architecture,
      ...(platform.variant !== undefined && { variant: platform.variant }),
      os: platform.os,
      created,
      config,
      rootfs: { type: "layers", diff_ids: [layer.digest] },
      history: [{ created, comment: options.message || "Imported from -" }],
    };
    const configBlob = place.blobs.add(JSON.stringify(image));
    const manifest = place.blobs.add(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA.manifest,
        config: { mediaType: MEDIA.config, digest: configBlob.digest, size: configBlob.size },
        layers: [{ mediaType: MEDIA.layer, digest: layer.digest, size: layer.size }],
      }),
    );
    const { id } = await adopt(place, manifest.digest, reference ? [referenceText(reference)] : []);
    return id;
  });
}
