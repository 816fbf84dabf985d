/**
 * How fast images come and go: from a registry on loopback, from and into archives, out of a container, and in a list. Beside them
 * stand the parts that nobody can leave out, each measured alone in the same run.
 */
import { mkdirSync, rmSync } from "node:fs";
import { sha256 } from "../../test/support/image.ts";
import { TestRegistry } from "../../test/support/registry.ts";
import { type Command, sh, silently, words } from "../command.ts";
import { type BenchImage, makeImage, manyImages, writeArchive } from "../images/make.ts";
import { peakMemory } from "../images/memory.ts";
import { publish } from "../images/publish.ts";
import type { Keeping, Peer } from "../peers/peer.ts";
import { compare, contender, type Medians, median, milliseconds } from "../sample.ts";
import { atMost, atMostOf, atMostPart, type Bench, type Measure, type Row } from "./measure.ts";

const SIZES = [170, 500];
const FILES = 10_000;
const LISTED = 500;
const MEMORY_MB = 150;
/** Each takes seconds, and half a minute with some engines. */
const SAMPLES = 3;

interface Keeper {
  readonly peer: Peer;
  readonly images: Keeping;
}

export const images: Measure = {
  name: "images",
  async rows(bench) {
    const keepers = bench.peers.flatMap((peer) => (peer.images ? [{ peer, images: peer.images }] : []));
    const registry = await TestRegistry.start();
    const rows: Row[] = [];
    try {
      for (const size of SIZES)
        rows.push(...(await moving(bench, keepers, registry.host, size / bench.scale)));
    } finally {
      await registry.stop();
    }
    rows.push(await committing(bench, keepers), await listing(bench, keepers));
    return rows;
  },
};

/** An image of so many megabytes: pulled, saved and loaded. */
async function moving(bench: Bench, keepers: readonly Keeper[], host: string, size: number): Promise<Row[]> {
  const folder = `${bench.folder}/images-${size}`;
  mkdirSync(folder);
  const image = makeImage(folder, `bench${size}`, size);
  const archive = `${folder}/archive.tar`;
  const reference = `${host}/bench/${image.name}:latest`;
  writeArchive(image, archive);
  await publish(image, host, `bench/${image.name}`);
  const alone = await unavoidable(folder, image);
  const slowest = Math.max(...alone.map(([, seconds]) => seconds));
  const parts = alone.map(([what, seconds]) => `${what} ${seconds.toFixed(2)}`).join(", ");
  const title = (what: string): string => `${what} of ${size} MB, ${image.files} files`;
  const budgets = [atMostPart(3, "docker"), atMostOf(1.3, slowest, `the slowest part alone (${parts})`)];

  const pulled = await times(bench, keepers, ({ images }) => ({
    before: images.clear([reference, image.name]),
    command: images.pull(reference),
  }));
  const saved = await times(bench, keepers, ({ images }) => ({
    before: words`rm -f ${folder}/saved.tar`,
    command: images.save(reference, `${folder}/saved.tar`),
  }));
  const loaded = await times(bench, keepers, ({ images }) => ({
    before: images.clear([reference, image.name]),
    command: images.load(archive),
  }));
  roundTrips(keepers, image, archive, folder);
  const memory: Medians = {};
  for (const { peer, images } of keepers) {
    bench.signal.throwIfAborted();
    silently(images.clear([reference, image.name]));
    memory[peer.name] = await peakMemory(images.pull(reference), images.daemons);
    silently(images.clear([reference, image.name]));
    memory[peer.name] = Math.max(
      memory[peer.name] ?? 0,
      await peakMemory(images.load(archive), images.daemons),
    );
    silently(images.clear([reference, image.name]));
  }
  rmSync(folder, { recursive: true });
  const samples = Math.min(SAMPLES, bench.slowSamples);
  return [
    { title: title("`pull`"), unit: "s", values: pulled, samples, budgets },
    { title: title("`save`"), unit: "s", values: saved, samples, budgets: [atMostPart(2, "docker")] },
    { title: title("`load`"), unit: "s", values: loaded, samples, budgets },
    {
      title: `most memory of both, ${size} MB (PSS)`,
      unit: "MB",
      values: memory,
      samples: 1,
      budgets: [atMost(MEMORY_MB, "MB")],
    },
  ];
}

/** What one engine saves another loads, and it is the same image everywhere: else no figure means anything. */
function roundTrips(keepers: readonly Keeper[], image: BenchImage, archive: string, folder: string): void {
  const wanted = sha256(image.config);
  const name = `${image.name}:latest`;
  for (const { peer: from, images: source } of keepers) {
    if (!source.id) continue;
    const saved = `${folder}/round.tar`;
    silently(words`rm -f ${saved}`);
    silently(source.load(archive));
    silently(source.save(name, saved));
    for (const { peer: to, images: target } of keepers) {
      if (!target.id) continue;
      silently(target.clear([name]));
      silently(target.load(saved));
      const id = sh(...target.id(name)).replace(/^(sha256:)?/, "sha256:");
      if (id !== wanted) throw new Error(`${to.name} has ${id} of what ${from.name} saved of ${wanted}`);
    }
    silently(source.clear([name]));
  }
}

/** Seconds of what every engine has to do, each by itself: decompress, compare digests, have the files. */
async function unavoidable(folder: string, image: BenchImage): Promise<[what: string, seconds: number][]> {
  const tree = `${folder}/tree`;
  mkdirSync(tree);
  sh("tar", "-C", tree, "-xf", image.layer);
  const alone = async (command: Command, after: Command): Promise<number> => {
    const seconds: number[] = [];
    for (let sample = 0; sample < SAMPLES; sample++) {
      silently(["sync"]);
      seconds.push((await milliseconds(() => silently(command))) / 1000);
      silently(after);
    }
    return Math.min(...seconds);
  };
  const result: [string, number][] = [
    ["gzip -dc", await alone(["gzip", "-dc", image.compressed], ["true"])],
    ["sha256sum", await alone(["sha256sum", image.layer], ["true"])],
    ["cp -a", await alone(["cp", "-a", tree, `${tree}.copy`], ["rm", "-rf", `${tree}.copy`])],
  ];
  rmSync(tree, { recursive: true });
  return result;
}

interface Step {
  /** Not measured. */
  readonly before: Command;
  readonly command: Command;
}

/** The median time of each in seconds, in turns; what was written before is on the disk when the clock starts. */
async function times(
  { slowSamples, signal }: Bench,
  keepers: readonly Keeper[],
  step: (keeper: Keeper) => Step | undefined,
): Promise<Medians> {
  const seconds = new Map(keepers.map(({ peer }) => [peer.name, [] as number[]]));
  for (let sample = 0; sample < Math.min(SAMPLES, slowSamples); sample++)
    for (const keeper of keepers) {
      const what = step(keeper);
      if (!what) continue;
      // Also where nothing pauses: it is here that Ctrl-C is heard.
      await Bun.sleep(1);
      signal.throwIfAborted();
      silently(what.before);
      silently(["sync"]);
      seconds.get(keeper.peer.name)?.push((await milliseconds(() => silently(what.command))) / 1000);
    }
  return Object.fromEntries(
    [...seconds].filter(([, taken]) => taken.length > 0).map(([name, taken]) => [name, median(taken)]),
  );
}

/** A container that has written many small files becomes an image. */
async function committing(bench: Bench, keepers: readonly Keeper[]): Promise<Row> {
  const count = FILES / bench.scale;
  const script = `mkdir /d && cd /d && i=0; while [ $i -lt ${count} ]; do echo $i > f$i; i=$((i+1)); done`;
  for (const { images } of keepers) if (images.fill) silently(images.fill("filled", ["sh", "-c", script]));
  const values = await times(
    bench,
    keepers,
    ({ images }) =>
      images.commit && { before: images.clear(["filled"]), command: images.commit("filled", "filled") },
  );
  for (const { peer, images } of keepers)
    if (images.commit) {
      silently(images.clear(["filled"]));
      if (peer.background) silently(peer.background.remove(["filled"]));
    }
  return {
    title: `\`commit\` of ${count} small files`,
    unit: "s",
    values,
    samples: Math.min(SAMPLES, bench.slowSamples),
    budgets: [atMostPart(2, "docker")],
  };
}

/** A list of many images. */
async function listing({ folder, scale, samples, signal }: Bench, keepers: readonly Keeper[]): Promise<Row> {
  const count = LISTED / scale;
  const archive = `${folder}/many.tar`;
  const names = manyImages(archive, count);
  const contenders = [];
  for (const { peer, images } of keepers) {
    if (!images.list) continue;
    silently(images.load(archive));
    contenders.push(contender(peer.name, images.list));
  }
  const values = await compare(contenders, { samples, signal });
  for (const { images } of keepers) if (images.list) silently(images.clear(names));
  rmSync(archive);
  return { title: `\`images\` with ${count} of them`, unit: "ms", values, samples, budgets: [] };
}
