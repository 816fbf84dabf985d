/**
 * Whatever a container does to its files: committed, saved and loaded elsewhere they are the same files. The kernel's overlayfs
 * makes the upper folders, and shows what came of them.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import * as fc from "fast-check";
import { trees } from "../../src/image/index.ts";
import { dockerArchive, layerTar, type Member } from "../support/image.ts";
import { ROOT, WITHOUT_ROOT } from "./merged.ts";
import { TestPlace } from "./place.ts";

setDefaultTimeout(120_000);

const BASE: readonly Member[] = [
  { name: "a", type: "dir" },
  { name: "a/a", type: "dir", mode: 0o700 },
  { name: "a/a/b", type: "file", content: "deep" },
  { name: "a/b", type: "file", content: "b", uid: 5, gid: 6, mode: 0o4755 },
  { name: "a/c", type: "symlink", link: "b" },
  { name: "b", type: "file", content: "top" },
  { name: "c", type: "dir" },
  { name: "c/a", type: "file", content: "c" },
];

const path = fc
  .array(fc.constantFrom("a", "b", "c", "é x", ".wh"), { minLength: 1, maxLength: 3 })
  .map((parts) => `'${parts.join("/")}'`);
const time = fc.bigInt(-(10n ** 9n), 4n * 10n ** 9n);
const id = fc.constantFrom(0, 7, 70_000, 3_000_000);
/** What a container may do, as lines of shell; those that cannot be done do nothing. */
const deed = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(path, fc.nat()).map(([at, n]) => `echo ${n} > ${at}`) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(path, fc.constantFrom("755", "1777", "500"))
      .map(([at, m]) => `mkdir -p -m ${m} ${at}`),
  },
  { weight: 4, arbitrary: path.map((at) => `rm -rf ${at}`) },
  { weight: 1, arbitrary: path.map((at) => `ln -s ../b ${at}`) },
  { weight: 2, arbitrary: fc.tuple(path, path).map(([from, to]) => `ln ${from} ${to}`) },
  { weight: 2, arbitrary: fc.tuple(path, path).map(([from, to]) => `mv ${from} ${to}`) },
  { weight: 1, arbitrary: path.map((at) => `mkfifo ${at}`) },
  { weight: 1, arbitrary: path.map((at) => `mknod ${at} c 5 1`) },
  { weight: 1, arbitrary: fc.tuple(path, id, id).map(([at, u, g]) => `chown -h ${u}:${g} ${at}`) },
  { weight: 1, arbitrary: path.map((at) => `chmod 2711 ${at}`) },
  { weight: 1, arbitrary: path.map((at) => `truncate -s 3000000 ${at}`) },
  { weight: 2, arbitrary: fc.tuple(path, time).map(([at, t]) => `touch -h -d @${t}.123456789 ${at}`) },
);

const LIST = [
  "find . -mindepth 1 -type d -printf '%P %y %m %U:%G %T@\\n'",
  "find . -mindepth 1 ! -type d -printf '%P %y %m %U:%G %T@ %l %n %s\\n'",
  "find . -type f -exec cksum {} +",
  "find . -type c -exec stat -c '%n %t:%T' {} +",
].join("; ");

/** Every name with all that can be seen of it, of layers (and of what is done to them) as the kernel merges them. */
function seen(place: TestPlace, options: string, script = ""): string[] {
  const at = `${place.root}/merged`;
  mkdirSync(at, { recursive: true });
  const line = `mount -t overlay overlay -o ${options} ${at} && cd ${at} && { :\n${script}\n} 2>/dev/null; { ${LIST}; } | LC_ALL=C sort`;
  const run = Bun.spawnSync(["unshare", "-m", "sh", "-c", line]);
  rmSync(at, { recursive: true });
  if (!run.success) throw new Error(run.stderr.toString());
  return run.stdout.toString().split("\n").filter(Boolean);
}

function layers(place: TestPlace, name: string): readonly string[] {
  const root = place.images.root(place.images.get(name));
  if (root.kind !== "layers") throw new Error("not made of layers");
  return root.lower;
}

const lowerOnly = (place: TestPlace, name: string): string => {
  const lower = layers(place, name);
  const empty = `${place.root}/nothing`;
  mkdirSync(empty, { recursive: true });
  return `lowerdir=${[...lower, empty].join(":")}`;
};

test.skipIf(!ROOT)(`what a container does is in the image that is made of it${WITHOUT_ROOT}`, async () => {
  const { packHost } = await trees();
  let layersMade = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { minLength: 1, maxLength: 14 }), async (deeds) => {
      using place = new TestPlace();
      using other = new TestPlace();
      await place.load(dockerArchive([{ tags: ["base:1"], layers: [layerTar(BASE)] }]));
      const [upper, work] = [`${place.root}/upper`, `${place.root}/work`];
      for (const folder of [upper, work]) mkdirSync(folder);
      const lower = layers(place, "base:1");
      const options = `lowerdir=${lower.join(":")},upperdir=${upper},workdir=${work}`;
      const left = seen(place, options, deeds.join("\n"));

      const parent = place.images.get("base:1");
      const commit = (reference: string) =>
        place.images.commit(
          { parent, reference, config: {}, createdBy: "deeds" },
          (async function* () {
            yield* packHost({ do: "layer", upper: { upper, lower } });
          })(),
        );
      await commit("made:1");
      expect(seen(place, lowerOnly(place, "made:1"))).toEqual(left);

      // The same folder is the same layer.
      await commit("made:2");
      const rootfs = place.images.get("made:1").config.rootfs;
      expect(place.images.get("made:2").config.rootfs).toEqual(rootfs);
      layersMade += rootfs.diff_ids.length - 1;

      const archive: Uint8Array[] = [];
      await place.images.save(["made:1"], (bytes) => void archive.push(bytes.slice()));
      await other.load(Buffer.concat(archive));
      expect(other.images.get("made:1").id).toBe(place.images.get("made:1").id);
      expect(seen(other, lowerOnly(other, "made:1"))).toEqual(left);
    }),
    { numRuns: process.env["CI"] ? 30 : 10 },
  );
  expect(layersMade).toBeGreaterThan(3);
});
