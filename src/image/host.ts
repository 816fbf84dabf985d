/**
 * The embedded image `host`: this machine's own root, seen copy-on-write, so that a container runs with nothing downloaded.
 * It has no row and no blob; its id is the digest of its config and changes only with what the machine has for a shell.
 */

import type { Paths } from "../common/paths.ts";
import { existsSync } from "../kernel/fs.ts";
import { hostPlatform } from "./platform.ts";
import type { ImageConfig, ImageRecord, ImageRoot } from "./record.ts";

/** Its name in full. An image of a registry or an archive may have the same one; `host` alone is always the embedded one. */
export const HOST_REFERENCE = "docker.io/library/host:latest";
const NAMES = new Set(["host", "host:latest"]);
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

let image: ImageRecord | undefined;

export function hostImage(): ImageRecord {
  if (image) return image;
  const config: ImageConfig = {
    ...hostPlatform(),
    config: {
      Env: [`PATH=${PATH}`],
      Cmd: [existsSync("/bin/bash") || existsSync("/usr/bin/bash") ? "bash" : "sh"],
      Labels: { "sampan.embedded": "host" },
    },
    rootfs: { type: "layers", diff_ids: [] },
    history: [{ created_by: "this machine's own root, copy-on-write", empty_layer: true }],
  };
  const digest = new Bun.CryptoHasher("sha256").update(JSON.stringify(config)).digest("hex");
  image = { id: `sha256:${digest}`, tags: [HOST_REFERENCE], digests: [], created: 0, size: 0, config };
  return image;
}

/** Whether a user who writes this means the embedded image. */
export function isHost(text: string): boolean {
  if (NAMES.has(text)) return true;
  const hex = /^(?:sha256:)?([a-f0-9]{4,64})$/.exec(text)?.[1];
  return hex !== undefined && hostImage().id.startsWith(`sha256:${hex}`);
}

/** `hide`: the engine's own folders are no part of it. */
export const hostRoot = (paths: Paths): ImageRoot => ({ kind: "host", hide: [paths.root, paths.run] });
