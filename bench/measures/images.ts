/**
 * How fast images come and go: from a registry on loopback, from and into archives, out of a container, and in a list; and files into
 * and out of a container. Beside them stand the parts that nobody can leave out, each measured alone in the same run.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { TestRegistry } from "../../test/support/registry.ts";
import { type Command, sh, silently, words } from "../command.ts";
import { type BenchImage, makeImage, manyImages, writeArchive } from "../images/make.ts";
import { watched } from "../images/memory.ts";
import { publish } from "../images/publish.ts";
import type { Keeping, Peer } from "../peers/peer.ts";
import { compare, contender, type Medians, median, milliseconds } from "../sample.ts";
import { atMost, atMostOf, atMostPart, type Bench, type Budget, type Measure, type Row } from "./measure.ts";

const SIZES = [170, 500];
/** Small files in a container that is committed. */
const WRITTEN = 10_000;
/** Small files that are copied, and megabytes of a large one. */
const COPIED = 20_000;
const LARGE = 200;
const LISTED = 500;
const MEMORY_MB = 150;
const SAMPLES = 3;
/** Seconds after which an engine is not asked for another sample of the same. */
const ENOUGH = 6;
/** Seconds that are much for a list. */
const SLOW = 1;

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
    rows.push(
      ...(await committing(bench, keepers)),
      ...(await copying(bench, keepers)),
      ...(await listing(bench, keepers)),
    );
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
  const clear = ({ images }: Keeper): Command => images.clear([reference, `${image.name}:latest`]);

  const pulled = await sampled(bench, keepers, (keeper) => ({
    before: clear(keeper),
    command: keeper.images.pull(reference),
  }));
  const saved = await sampled(bench, keepers, ({ images }) => ({
    before: words`rm -f ${folder}/saved.tar`,
    command: images.save(reference, `${folder}/saved.tar`),
  }));
  const loaded = await sampled(bench, keepers, (keeper) => ({
    before: clear(keeper),
    command: keeper.images.load(archive),
  }));
  for (const keeper of keepers) silently(clear(keeper));
  rmSync(folder, { recursive: true });
  return [
    ...rowsOf(title("`pull`"), pulled, budgets),
    ...rowsOf(title("`save`"), saved, [atMostPart(2, "docker")]),
    ...rowsOf(title("`load`"), loaded, budgets),
  ];
}

/** Seconds of what every engine has to do, each by itself: decompress, compare digests, have the files. Medians, as theirs are. */
async function unavoidable(folder: string, image: BenchImage): Promise<[what: string, seconds: number][]> {
  const tree = `${folder}/tree`;
  mkdirSync(tree);
  sh("tar", "-C", tree, "-xf", image.layer);
  const alone = async (command: Command, after: Command): Promise<number> => {
    const seconds: number[] = [];
    for (let sample = 0, all = 0; sample < SAMPLES && all < ENOUGH; sample++) {
      silently(["sync"]);
      const taken = (await milliseconds(() => silently(command))) / 1000;
      seconds.push(taken);
      all += taken;
      silently(after);
    }
    return median(seconds);
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

interface Sampled {
  readonly seconds: Medians;
  readonly megabytes: Medians;
  /** The most that was taken of one engine. */
  readonly samples: number;
}

/** The median time of each engine, and the most memory, in turns; what was written before is on the disk when the clock starts. */
async function sampled(
  { slowSamples, signal }: Bench,
  keepers: readonly Keeper[],
  step: (keeper: Keeper, sample: number) => Step | undefined,
): Promise<Sampled> {
  const taken = new Map(keepers.map(({ peer }) => [peer.name, { seconds: [] as number[], most: 0 }]));
  const most = Math.min(SAMPLES, slowSamples);
  for (let sample = 0; sample < most; sample++)
    for (const keeper of keepers) {
      const own = taken.get(keeper.peer.name);
      const what = step(keeper, sample);
      if (!what || !own || own.seconds.reduce((sum, one) => sum + one, 0) > ENOUGH) continue;
      // Also where nothing pauses: it is here that Ctrl-C is heard.
      await Bun.sleep(1);
      signal.throwIfAborted();
      silently(what.before);
      silently(["sync"]);
      const { seconds, megabytes } = await watched(what.command, keeper.images.daemons);
      own.seconds.push(seconds);
      own.most = Math.max(own.most, megabytes);
    }
  const measured = [...taken].filter(([, { seconds }]) => seconds.length > 0);
  return {
    seconds: Object.fromEntries(measured.map(([name, { seconds }]) => [name, median(seconds)])),
    megabytes: Object.fromEntries(measured.map(([name, own]) => [name, own.most])),
    samples: most,
  };
}

/** One of the time and one of the memory. */
const rowsOf = (
  title: string,
  { seconds, megabytes, samples }: Sampled,
  budgets: readonly Budget[],
): Row[] => [
  { title, unit: "s", values: seconds, samples, budgets },
  {
    title: "… most memory (PSS)",
    unit: "MB",
    values: megabytes,
    samples,
    budgets: [atMost(MEMORY_MB, "MB")],
  },
];

/** A container that has written many small files becomes an image. */
async function committing(bench: Bench, keepers: readonly Keeper[]): Promise<Row[]> {
  const count = WRITTEN / bench.scale;
  const script = `mkdir /d && cd /d && i=0; while [ $i -lt ${count} ]; do echo $i > f$i; i=$((i+1)); done`;
  for (const { images } of keepers) if (images.fill) silently(images.fill("filled", ["sh", "-c", script]));
  const result = await sampled(
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
  return rowsOf(`\`commit\` of ${count} small files`, result, [atMostPart(2, "docker")]);
}

/** One large file and many small ones go into a container that runs, and out of it; each time to a new place. */
async function copying(bench: Bench, keepers: readonly Keeper[]): Promise<Row[]> {
  const folder = `${bench.folder}/copies`;
  const large = `${folder}/large`;
  const small = `${folder}/small`;
  mkdirSync(folder);
  const count = COPIED / bench.scale;
  const size = LARGE / bench.scale;
  sh("sh", "-c", `head -c ${size}000000 /dev/urandom > "$1"`, "sh", large);
  for (let made = 0; made < count; made++) {
    if (made % 200 === 0) mkdirSync(`${small}/d${made / 200}`, { recursive: true });
    writeFileSync(`${small}/d${Math.floor(made / 200)}/f${made}`, `content of ${made}\n`);
  }
  const able = keepers.filter(({ peer, images }) => peer.background && images.copy);
  for (const { peer } of able)
    if (peer.background) silently(peer.background.start("copies", ["sleep", "1000"]));
  const copied = (from: (keeper: Keeper) => string, to: (keeper: Keeper, sample: number) => string) =>
    sampled(
      bench,
      able,
      (keeper, sample) =>
        keeper.images.copy && {
          before: ["true"],
          command: keeper.images.copy(from(keeper), to(keeper, sample)),
        },
    );
  const rows: Row[] = [];
  for (const [what, source, budgets] of [
    [`${size} MB`, large, []],
    [`${count} files`, small, [atMostPart(4, "docker")]],
  ] as const) {
    const name = source.slice(folder.length + 1);
    const into = await copied(
      () => source,
      (_, sample) => `copies:/${name}${sample}`,
    );
    const out = await copied(
      () => `copies:/${name}0`,
      ({ peer }, sample) => `${folder}/${name}-${peer.name}-${sample}`,
    );
    rows.push(
      ...rowsOf(`\`cp\` of ${what} into a container`, into, budgets),
      ...rowsOf(`\`cp\` of ${what} out of it`, out, budgets),
    );
  }
  for (const { peer } of able) if (peer.background) silently(peer.background.remove(["copies"]));
  rmSync(folder, { recursive: true });
  return rows;
}

/** A list of many images. */
async function listing(bench: Bench, keepers: readonly Keeper[]): Promise<Row[]> {
  const { folder, scale, samples, signal } = bench;
  const count = LISTED / scale;
  const archive = `${folder}/many.tar`;
  const names = manyImages(archive, count);
  const contenders = [];
  const cleared = [];
  const slow: Medians = {};
  const megabytes: Medians = {};
  for (const { peer, images } of keepers) {
    if (!images.list) continue;
    silently(images.load(archive));
    const first = await watched(images.list, images.daemons, 2);
    megabytes[peer.name] = first.megabytes;
    // One that takes seconds is not asked twenty times, and takes minutes to remove them: they go with the bench's folder.
    if (first.seconds > SLOW) {
      slow[peer.name] = first.seconds * 1000;
      continue;
    }
    contenders.push(contender(peer.name, images.list));
    cleared.push(images.clear(names));
  }
  const values = { ...slow, ...(await compare(contenders, { samples, signal })) };
  for (const clear of cleared) silently(clear);
  rmSync(archive);
  return [
    { title: `\`images\` with ${count} of them`, unit: "ms", values, samples, budgets: [] },
    {
      title: "… most memory (PSS)",
      unit: "MB",
      values: megabytes,
      samples: 1,
      budgets: [atMost(MEMORY_MB, "MB")],
    },
  ];
}
