/** Puts a bench image into a registry, in the form that docker, podman and skopeo push. */
import { statSync } from "node:fs";
import { sha256 } from "../../test/support/image.ts";
import { sh } from "../command.ts";
import type { BenchImage } from "./make.ts";

const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";

export async function publish(image: BenchImage, host: string, repository: string): Promise<void> {
  const base = `http://${host}/v2/${repository}`;
  const upload = async (digest: string, body: NonNullable<RequestInit["body"]>): Promise<void> => {
    const begun = await fetch(`${base}/blobs/uploads/`, { method: "POST" });
    const location = new URL(begun.headers.get("location") ?? "", base);
    location.searchParams.set("digest", digest);
    const done = await fetch(location, { method: "PUT", body });
    if (done.status !== 201) throw new Error(`the registry answered ${done.status} to ${digest}`);
  };
  const digest = `sha256:${sh("sha256sum", image.compressed).split(" ")[0]}`;
  await upload(digest, Bun.file(image.compressed));
  await upload(sha256(image.config), image.config);
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: {
      mediaType: "application/vnd.docker.container.image.v1+json",
      size: image.config.length,
      digest: sha256(image.config),
    },
    layers: [
      {
        mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
        size: statSync(image.compressed).size,
        digest,
      },
    ],
  };
  const answer = await fetch(`${base}/manifests/latest`, {
    method: "PUT",
    headers: { "content-type": MANIFEST },
    body: JSON.stringify(manifest),
  });
  if (answer.status !== 201) throw new Error(`the registry answered ${answer.status} to the manifest`);
}
