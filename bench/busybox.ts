/** The image that all peers run, in the three forms in which they take it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { busyboxArchive, busyboxMembers, layerTar } from "../test/support/image.ts";
import { sh } from "./command.ts";

export interface Busybox {
  /** A folder that is the root filesystem. */
  readonly rootfs: string;
  /** The same as a tar. */
  readonly layer: string;
  /** The same as `docker save` writes it. */
  readonly archive: string;
}

export function makeBusybox(folder: string): Busybox {
  const rootfs = `${folder}/rootfs`;
  const layer = `${folder}/layer.tar`;
  mkdirSync(rootfs, { recursive: true });
  writeFileSync(layer, layerTar(busyboxMembers()));
  sh("tar", "-C", rootfs, "-xf", layer);
  return { rootfs, layer, archive: busyboxArchive(folder) };
}
