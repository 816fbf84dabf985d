/**
 * An image of a given size out of this machine's own files: no network, and the same image on the same machine. Whole folders
 * are taken from all over /usr, in the order of their names' hashes, so that kinds and sizes are mixed as in a distribution.
 */
import {
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { entryOf, TarWriter } from "../../src/image/tar/writer.ts";
import { dockerArchive, imageConfig, layerTar, sha256 } from "../../test/support/image.ts";
import { sh } from "../command.ts";

const ROOT = "/usr";
/** Larger ones would be half of a small image. */
const LARGEST = 8e6;

export interface BenchImage {
  readonly name: string;
  /** Bytes of its files. */
  readonly size: number;
  readonly files: number;
  /** The one layer: as a tar, and as `gzip -6` makes it. */
  readonly layer: string;
  readonly compressed: string;
  readonly config: string;
}

/** `folder` gets the layer twice, plain and compressed. */
export function makeImage(folder: string, name: string, megabytes: number): BenchImage {
  const layer = `${folder}/${name}.tar`;
  const compressed = `${layer}.gz`;
  const { size, files } = writeLayer(layer, megabytes * 1e6);
  sh("sh", "-c", `gzip -6 -n -c "$1" > "$2"`, "sh", layer, compressed);
  const diff = sh("sha256sum", layer).split(" ")[0];
  const config = imageConfig({
    tags: [],
    layers: [],
    config: { Cmd: ["true"], Labels: { bench: name } },
    image: { rootfs: { type: "layers", diff_ids: [`sha256:${diff}`] }, history: [] },
  });
  return { name, size, files, layer, compressed, config };
}

function writeLayer(path: string, most: number): { size: number; files: number } {
  const fd = openSync(path, "w");
  const tar = new TarWriter((bytes) => void writeSync(fd, bytes));
  const chosen: string[] = [];
  let size = 0;
  for (const folder of foldersBeneath(ROOT).sort((a, b) => (hash(a) < hash(b) ? -1 : 1)))
    for (const file of filesIn(folder)) {
      if (size >= most) break;
      size += lstatSync(file).size;
      chosen.push(file);
    }
  const folders = new Set<string>();
  for (const file of chosen.sort()) {
    for (let at = file.indexOf("/", 1); at > 0; at = file.indexOf("/", at + 1)) {
      const folder = file.slice(1, at);
      if (folders.has(folder)) continue;
      folders.add(folder);
      tar.entry(entryOf({ name: folder, type: "dir" }));
    }
    const { mode } = lstatSync(file);
    tar.file(file.slice(1), readFileSync(file), { mode: mode & 0o777, mtime: 1_700_000_000_000_000_000n });
  }
  tar.end();
  closeSync(fd);
  return { size, files: chosen.length };
}

const hash = (text: string): bigint => BigInt(Bun.hash(text));

function foldersBeneath(folder: string): string[] {
  const inside = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...inside.flatMap(({ name }) => foldersBeneath(`${folder}/${name}`))];
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => `${folder}/${name}`)
    .filter((path) => lstatSync(path).size <= LARGEST);

/** The image as `docker save` wrote it before 25, which every tool reads: the layer uncompressed. */
export function writeArchive(image: BenchImage, path: string): void {
  const folder = `${path}.d`;
  const config = `${sha256(image.config).slice(7)}.json`;
  mkdirSync(`${folder}/layer`, { recursive: true });
  linkSync(image.layer, `${folder}/layer/layer.tar`);
  writeFileSync(`${folder}/${config}`, image.config);
  const list = [{ Config: config, RepoTags: [`${image.name}:latest`], Layers: ["layer/layer.tar"] }];
  writeFileSync(`${folder}/manifest.json`, JSON.stringify(list));
  sh("tar", "-C", folder, "-cf", path, "layer", config, "manifest.json");
  rmSync(folder, { recursive: true });
}

/** An archive of many images on one small layer; gives their names. */
export function manyImages(path: string, count: number): string[] {
  const layers = [layerTar([{ name: "file", type: "file", content: "content" }])];
  const names = Array.from({ length: count }, (_, index) => `many${index}:latest`);
  writeFileSync(
    path,
    dockerArchive(
      names.map((name) => ({ tags: [name], layers, config: { Labels: { name }, Cmd: ["true"] } })),
    ),
  );
  return names;
}
