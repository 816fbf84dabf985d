import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { Images } from "../../src/image/index.ts";
import { Store } from "../../src/store/index.ts";
import { dockerArchive, layerTar, type Member, sha256 } from "../support/image.ts";
import { killed } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { ROOT, WITHOUT_ROOT } from "./merged.ts";
import { failure, pieces, TestPlace } from "./place.ts";

setDefaultTimeout(60_000);

const WORKER = new URL("./worker.ts", import.meta.url).pathname;
const file = (name: string, content: string | Uint8Array = name): Member => ({ name, type: "file", content });
const spawn = (place: TestPlace, archive: string) =>
  Bun.spawn([process.execPath, WORKER, place.root, "load", archive], { stdio: ["ignore", "pipe", "pipe"] });

/** An archive with two layers of many files; its path. */
function bigArchive(place: TestPlace, files = 400): string {
  const layer = (letter: string): Uint8Array =>
    layerTar(Array.from({ length: files }, (_, i) => file(`${letter}/${i % 20}/${i}`, "x".repeat(2000))));
  const path = `${place.root}/big.tar`;
  writeFileSync(path, dockerArchive([{ tags: ["big:1"], layers: [layer("a"), layer("b")] }]));
  return path;
}

/** Every name beneath a folder. */
const tree = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort();

describe("several processes", () => {
  test("that load the same layers at the same moment all succeed, and unpack each once", async () => {
    using place = new TestPlace();
    const archive = bigArchive(place);
    const workers = Array.from({ length: 4 }, () => spawn(place, archive));
    const outputs = await Promise.all(
      workers.map(
        async (worker) =>
          [
            await worker.exited,
            await new Response(worker.stdout).text(),
            await new Response(worker.stderr).text(),
          ] as const,
      ),
    );
    const { id } = place.images.get("big:1");
    for (const output of outputs) expect(output).toEqual([0, `${id}\n`, ""]);
    expect(readdirSync(`${place.root}/layers`).length).toBe(2);
    expect(readdirSync(`${place.root}/tmp`)).toEqual([]);
    // One pass over each layer: all files of one are younger than the folder that was renamed last.
    expect(tree(place.top("big:1")).length).toBe(400 + 20 + 1);
  });

  test("one of which removes what another one loads", async () => {
    using place = new TestPlace();
    const archive = bigArchive(place, 200);
    for (let round = 0; round < 4; round++) {
      const worker = spawn(place, archive);
      const state = { ended: false };
      void worker.exited.then(() => (state.ended = true));
      while (!state.ended) {
        await place.images.remove("big:1").catch(() => {});
        await place.images.prune({ all: true });
        await Bun.sleep(1);
      }
      expect(await new Response(worker.stderr).text()).toBe("");
      expect(await worker.exited).toBe(0);
    }
    await place.images.prune({ all: true });
    expect([...readdirSync(`${place.root}/layers`), ...readdirSync(`${place.root}/blobs/sha256`)]).toEqual(
      [],
    );
  });
});

describe("kill -9", () => {
  test("of a load at any moment leaves a store that is right, and nothing that prune does not find", async () => {
    using place = new TestPlace();
    const archive = bigArchive(place);
    for (let delay = 20; delay <= 260; delay += 15) {
      const worker = spawn(place, archive);
      await Bun.sleep(delay);
      worker.kill("SIGKILL");
      await worker.exited;
      // Whatever is visible is whole.
      const image = place.images.resolve("big:1");
      if (image) {
        expect(tree(place.top("big:1")).length).toBe(400 + 20 + 1);
        await place.images.remove("big:1");
      }
    }
    const [loaded] = await place.images.load(archive);
    expect(loaded?.id).toBe(place.images.get("big:1").id);
    const root = place.images.root(place.images.get("big:1"));
    for (const layer of root.kind === "layers" ? root.lower : [])
      expect(tree(layer).length).toBe(400 + 20 + 1);
    await place.images.remove("big:1");
    await place.images.prune();
    for (const folder of ["layers", "blobs/sha256", "tmp"])
      expect(readdirSync(`${place.root}/${folder}`)).toEqual([]);
  });

  test.each(["import", "commit", "tag", "remove", "prune"])(
    "of %s at any moment as well",
    async (operation) => {
      using place = new TestPlace();
      const archive = bigArchive(place);
      const layer = `${place.root}/layer.tar`;
      writeFileSync(layer, layerTar(Array.from({ length: 400 }, (_, i) => file(`c/${i}`, "y".repeat(5000)))));
      await place.images.load(archive);
      for (let delay = 20; delay <= 240; delay += 30) {
        if (!place.images.resolve("big:1")) await place.images.load(archive);
        const worker = Bun.spawn([process.execPath, WORKER, place.root, operation, layer], {
          stdio: ["ignore", "ignore", "inherit"],
        });
        await Bun.sleep(delay);
        worker.kill("SIGKILL");
        await worker.exited;
        isWhole(place);
        // Killed between the index and the rows it is one step ahead of them.
        await place.images.prune();
        expect(indexed(place)).toEqual(
          place.images
            .list()
            .slice(0, -1)
            .flatMap(({ tags }) => tags)
            .toSorted(),
        );
      }
      await place.images.prune({ all: true });
      for (const folder of ["layers", "blobs/sha256", "tmp"])
        expect(readdirSync(`${place.root}/${folder}`)).toEqual([]);
      expect(
        readdirSync(place.root)
          .filter((name) => /^(index|oci)/.test(name))
          .sort(),
      ).toEqual(["index.json", "oci-layout"]);
    },
  );

  test("of the process that unpacks is an error, and nothing is left", async () => {
    using place = new TestPlace();
    const archive = bigArchive(place, 2000);
    const load = failure(place.images.load(archive));
    await killed(
      await until(() =>
        childrenOf(process.pid).find((child) =>
          readFileSync(`/proc/${child}/cmdline`, "utf8").includes(place.root),
        ),
      ),
    );
    expect((await load).message).toMatch(
      /^layer sha256:[0-9a-f]{64}: the process that unpacks it was ended by SIGKILL$/,
    );
    expect(place.images.resolve("big:1")).toBeUndefined();
    expect(readdirSync(`${place.root}/tmp`)).toEqual([]);
    await place.images.load(archive);
  });
});

/** Whatever is visible of the images is all there, and what it says it is. */
function isWhole(place: TestPlace): void {
  for (const image of place.images.list().slice(0, -1)) {
    const manifest = place.images.manifest(image) ?? "";
    const { config, layers } = JSON.parse(readFileSync(blob(place, manifest), "utf8")) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    for (const digest of [manifest, config.digest, ...layers.map((layer) => layer.digest)])
      expect(sha256(readFileSync(blob(place, digest)))).toBe(digest);
    const root = place.images.root(image);
    // Folders and files of bigArchive's layers, or of the one that comes by import and commit.
    for (const layer of root.kind === "layers" ? root.lower : [])
      expect([400 + 20 + 1, 400 + 1]).toContain(tree(layer).length);
  }
}

/** The names in the image layout's index. */
function indexed(place: TestPlace): string[] {
  const index = JSON.parse(readFileSync(`${place.root}/index.json`, "utf8")) as {
    manifests: { digest: string; annotations?: Record<string, string> }[];
  };
  return index.manifests
    .flatMap(({ annotations }) => annotations?.["io.containerd.image.name"] ?? [])
    .toSorted();
}

const blob = (place: TestPlace, digest: string): string =>
  `${place.root}/blobs/sha256/${digest.slice("sha256:".length)}`;

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}

describe.skipIf(!ROOT)(`a full disk${WITHOUT_ROOT}`, () => {
  test("is named, and nothing is left", async () => {
    using place = new TestPlace();
    const archive = bigArchive(place, 3000);
    const full = `${place.root}/full`;
    mkdirSync(full);
    const script = `mount -t tmpfs -o size=16m tmpfs ${full} && ${process.execPath} ${WORKER} ${full} load ${archive}; echo $?; find ${full}/tmp ${full}/layers -mindepth 1`;
    const run = Bun.spawnSync(["unshare", "-m", "sh", "-c", script]);
    expect(run.stdout.toString()).toBe("1\n");
    expect(run.stderr.toString()).toMatch(
      /(layer sha256:[0-9a-f]{64}: writing "[ab]\/\d+\/\d+"|writing \S+\/tmp\/blob-\S+): no space left on device\n/,
    );
  });

  test("is named by whatever writes there: a stream that is loaded, an import, a commit", async () => {
    using place = new TestPlace();
    const disk = `${place.root}/disk`;
    mkdirSync(disk);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk]).success).toBe(true);
    const paths = { root: disk, run: `${disk}/run` };
    const store = Store.open(paths);
    try {
      const images = new Images(store, paths);
      await images.load(pieces(dockerArchive([{ tags: ["base:1"], layers: [layerTar([file("a")])] }])));
      const big = layerTar([file("big", new Uint8Array(6 << 20))]);
      // The bytes are kept and unpacked at the same time: whichever meets the end of the disk first says so.
      const full =
        /^(writing \S+\/disk\/tmp\/blob-\S+|(the new layer|layer sha256:[0-9a-f]{64}): writing "big"): no space left on device$/;
      for (const work of [
        () => images.load(pieces(dockerArchive([{ tags: ["big:1"], layers: [big] }]))),
        () => images.import(pieces(big), {}),
        () => images.commit({ parent: images.get("base:1"), config: {}, createdBy: "sh" }, pieces(big)),
      ]) {
        const error = (await failure(work())) as Error & { hint?: string };
        expect(error.message).toMatch(full);
        expect(error.hint).toContain("`sampan system prune` removes what nobody uses");
        expect(readdirSync(`${disk}/tmp`)).toEqual([]);
        expect(images.list()).toHaveLength(2);
      }
      // What arrives as little and grows.
      const packed = Bun.gzipSync(big.slice());
      const small = {
        tags: ["big:1"],
        layers: [packed],
        image: { rootfs: { type: "layers", diff_ids: [sha256(big)] } },
      };
      expect((await failure(images.load(pieces(dockerArchive([small]))))).message).toBe(
        `layer ${sha256(packed)}: writing "big": no space left on device`,
      );
      expect(readdirSync(`${disk}/tmp`)).toEqual([]);
      // What was there before is whole, and there is room again.
      await images.commit(
        { parent: images.get("base:1"), config: {}, createdBy: "sh", reference: "more:1" },
        pieces(layerTar([file("b")])),
      );
    } finally {
      store.close();
      Bun.spawnSync(["umount", disk]);
    }
  });
});

describe.skipIf(!ROOT || !Bun.which("setpriv"))(
  `without root${ROOT ? "" : " (skipped: needs root to become nobody)"}`,
  () => {
    test("files belong to the caller, whiteouts work, devices are left out", async () => {
      using place = new TestPlace();
      const { uid, gid } = { uid: 65534, gid: 65534 };
      const root = `${place.root}/user`;
      mkdirSync(root);
      chownSync(root, uid, gid);
      chmodSync(place.root, 0o755);
      const archive = `${place.root}/image.tar`;
      const layers = [
        [
          { name: "ro", type: "dir", mode: 0o555 },
          file("ro/x"),
          {
            ...file("setuid"),
            mode: 0o4755,
            uid: 7,
            gid: 7,
            xattrs: new Map([
              ["user.a", Buffer.from("1")],
              ["security.capability", Buffer.from("x")],
            ]),
          },
          { name: "null", type: "char", major: 1, minor: 3 },
          { name: "fifo", type: "fifo" },
          file("gone"),
          { name: "d", type: "dir" },
          file("d/below"),
          { name: "etc", type: "symlink", link: "/etc" },
        ],
        [file(".wh.gone"), { name: "d", type: "dir" }, file("d/.wh..wh..opq"), file("d/above")],
      ] as Member[][];
      writeFileSync(
        archive,
        dockerArchive([{ tags: ["t:1"], layers: layers.map((layer) => layerTar(layer)) }]),
      );
      const run = Bun.spawnSync([
        "setpriv",
        `--reuid=${uid}`,
        `--regid=${gid}`,
        "--clear-groups",
        process.execPath,
        WORKER,
        root,
        "load",
        archive,
      ]);
      expect(run.stderr.toString()).toBe("");
      const base = `${root}/layers/${sha256(layerTar(layers[0] ?? [])).slice(7)}`;
      expect(readdirSync(base).sort()).toEqual(["d", "etc", "fifo", "gone", "ro", "setuid"]);
      expect(statSync(`${base}/ro`).mode & 0o7777).toBe(0o555);
      const setuid = statSync(`${base}/setuid`);
      expect({ uid: setuid.uid, mode: setuid.mode & 0o7777 }).toEqual({ uid, mode: 0o4755 });
      const [upper = ""] = readdirSync(`${root}/layers`)
        .map((name) => `${root}/layers/${name}`)
        .filter((path) => path !== base);
      const gone = lstatSync(`${upper}/gone`);
      expect([gone.isCharacterDevice(), gone.rdev]).toEqual([true, 0]);
      const merged = Bun.spawnSync([
        "unshare",
        "-m",
        "sh",
        "-c",
        `mount -t overlay overlay -o userxattr,lowerdir=${upper}:${base} /mnt && cd /mnt && find . -mindepth 1 | sort`,
      ]);
      expect(merged.stdout.toString().trim().split("\n")).toEqual([
        "./d",
        "./d/above",
        "./etc",
        "./fifo",
        "./ro",
        "./ro/x",
        "./setuid",
      ]);
    });

    test("nothing outside of the layer is touched, with no chroot to help", async () => {
      using place = new TestPlace();
      const root = `${place.root}/user`;
      mkdirSync(root);
      chmodSync(place.root, 0o755);
      const secret = `${place.root}/user/secret`;
      writeFileSync(secret, "untouched");
      for (const path of [root, secret]) chownSync(path, 65534, 65534);
      const attacks: Member[][] = [
        [{ name: "s", type: "symlink", link: secret }, file("s", "pwned")],
        [{ name: "s", type: "symlink", link: root }, file("s/secret", "pwned")],
        [{ name: "s", type: "symlink", link: "../../.." }, file("s/secret", "pwned")],
        [{ name: "s", type: "link", link: secret }],
        [{ name: "s", type: "link", link: "../../secret" }],
        [
          { name: "s", type: "symlink", link: secret },
          { name: "h", type: "link", link: "s" },
          file("h", "pwned"),
        ],
        [{ name: "s", type: "symlink", link: root }, file("s/.wh.secret")],
        [{ name: "s", type: "symlink", link: root }, { name: "s", type: "dir", mode: 0o777 }, file("s/x")],
      ];
      for (const [index, attack] of attacks.entries()) {
        const archive = `${place.root}/${index}.tar`;
        writeFileSync(
          archive,
          dockerArchive([{ tags: [`t:${index}`], layers: [layerTar([file("below")]), layerTar(attack)] }]),
        );
        Bun.spawnSync([
          "setpriv",
          "--reuid=65534",
          "--regid=65534",
          "--clear-groups",
          process.execPath,
          WORKER,
          root,
          "load",
          archive,
        ]);
      }
      expect(readFileSync(secret, "utf8")).toBe("untouched");
      const after = statSync(secret);
      expect({ nlink: after.nlink, mode: after.mode & 0o777 }).toEqual({ nlink: 1, mode: 0o644 });
      expect(readdirSync(root).sort()).toEqual(expect.not.arrayContaining(["x"]));
    });
  },
);

test("a commit whose layer cannot be unpacked ends whoever packs it", async () => {
  using place = new TestPlace();
  await place.load(dockerArchive([{ tags: ["base:1"], layers: [layerTar([file("a")])] }]));
  let ended = false;
  async function* endless() {
    try {
      for (;;) yield Buffer.alloc(1 << 16, "x");
    } finally {
      ended = true;
    }
  }
  const commit = { parent: place.images.get("base:1"), config: {}, createdBy: "sh" };
  const error = await failure(place.images.commit(commit, endless()));
  expect(error.message).toBe("the new layer: this is not a tar archive");
  expect(ended).toBe(true);
  expect(readdirSync(`${place.root}/tmp`)).toEqual([]);
});
