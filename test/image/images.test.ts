import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { bytesIn } from "../../src/common/tree.ts";
import { applyChanges } from "../../src/image/changes.ts";
import { familiarName, hostImage, type Images, type Removed } from "../../src/image/index.ts";
import { readTar } from "../../src/image/tar/reader.ts";
import { type ArchiveImage, dockerArchive, layerTar, type Member, sha256 } from "../support/image.ts";
import { failure, pieces, TestPlace } from "./place.ts";

const file = (name: string, content = name): Member => ({ name, type: "file", content });
const A = layerTar([file("a", "aaaa")]);
const B = layerTar([file("b", "bb")]);
const image = (tags: string[], ...layers: Uint8Array[]): ArchiveImage => ({ tags, layers });

async function placeWith(...images: ArchiveImage[]): Promise<TestPlace> {
  const place = new TestPlace();
  await place.load(dockerArchive(images));
  return place;
}

const lines = (removed: readonly Removed[]): string[] =>
  removed.map((item) => ("untagged" in item ? `Untagged: ${item.untagged}` : `Deleted: ${item.deleted}`));
/** What is in the layers and blobs folders. */
const stored = (place: TestPlace): number =>
  ["layers", "blobs/sha256"].reduce((sum, name) => sum + readdirSync(`${place.root}/${name}`).length, 0);

describe("an image is found", () => {
  let place: TestPlace;
  beforeAll(async () => {
    place = await placeWith(
      image(["busybox:latest", "busybox:1.36", "reg.example:5000/x/y:v1"], A),
      image(["cafe:latest"], B),
    );
  });
  afterAll(() => place[Symbol.dispose]());
  const id = (name: string): string | undefined => place.images.resolve(name)?.id;

  test("by its names", () => {
    const one = id("busybox");
    expect(one).toStartWith("sha256:");
    for (const name of [
      "busybox:latest",
      "busybox:1.36",
      "docker.io/library/busybox",
      "index.docker.io/busybox:1.36",
      "reg.example:5000/x/y:v1",
    ])
      expect(id(name)).toBe(one);
    expect(place.images.get("busybox").tags.map(familiarName)).toEqual([
      "busybox:1.36",
      "busybox:latest",
      "reg.example:5000/x/y:v1",
    ]);
  });

  test("by its id, in full and in part, with and without the algorithm", () => {
    const one = id("busybox") ?? "";
    for (const text of [one, one.slice(7), one.slice(0, 20), one.slice(7, 19), one.slice(7, 9)])
      expect(id(text)).toBe(one);
  });

  test("by name rather than by id, but 64 digits are an id", () => {
    expect(id("cafe")).toBe(id("cafe:latest"));
    expect(id("c".repeat(64))).toBeUndefined();
  });

  test("or not", () => {
    for (const name of [
      "nothing",
      "busybox:2",
      "library/nothing",
      `busybox@sha256:${"0".repeat(64)}`,
      "sha256:",
    ])
      expect(id(name)).toBeUndefined();
    expect(() => place.images.get("nothing")).toThrow("No such image: nothing:latest");
    expect(() => place.images.get("x/y:1")).toThrow("No such image: x/y:1");
    expect(() => place.images.resolve("Foo")).toThrow("must be lowercase");
    expect(() => place.images.resolve("a b")).toThrow("invalid reference format");
  });

  test("an id's beginning that two images share is refused", async () => {
    using many = new TestPlace();
    // Seventeen ids: two of them begin with the same digit.
    const all = Array.from({ length: 17 }, (_, i) => image([`i${i}:1`], layerTar([file(`f${i}`)])));
    await many.load(dockerArchive(all));
    const firsts = many.images.list().map(({ id }) => id.slice(7, 8));
    const twice = firsts.find((digit, index) => firsts.indexOf(digit) !== index) ?? "";
    expect(() => many.images.resolve(twice)).toThrow(`multiple IDs found with provided prefix: ${twice}`);
  });
});

describe("the embedded image host", () => {
  test("is always there, is this machine, and cannot be changed", async () => {
    using place = new TestPlace();
    const host = place.images.get("host");
    expect(host).toBe(hostImage());
    expect(host.id).toMatch(/^sha256:[0-9a-f]{64}$/);
    for (const name of ["host:latest", host.id, host.id.slice(7, 19)])
      expect(place.images.resolve(name)).toBe(host);
    expect(place.images.list()).toEqual([host]);
    expect(place.images.root(host)).toEqual({ kind: "host", hide: [place.paths.root, place.paths.run] });
    expect((await failure(place.images.remove("host"))).message).toBe(
      "host is this machine itself: it is always here and cannot be removed",
    );
    expect((await failure(place.images.tag("host", "x"))).message).toContain("host is this machine itself");
    expect((await failure(place.images.save(["host"], () => {}))).message).toContain("cannot be saved");
    expect((await place.images.prune({ all: true })).removed).toEqual([]);
  });

  test("is reached by its full name too, unless a registry or an archive calls an image so", async () => {
    using empty = new TestPlace();
    for (const name of ["docker.io/library/host", "docker.io/host:latest", "library/host"])
      expect(empty.images.get(name)).toBe(hostImage());
    expect(empty.images.resolve("docker.io/library/host:2")).toBeUndefined();
    using place = await placeWith(image(["docker.io/library/host:latest"], A));
    expect(place.images.get("docker.io/library/host").id).not.toBe(hostImage().id);
    expect(place.images.get("host")).toBe(hostImage());
  });
});

describe("names", () => {
  test("are given and moved", async () => {
    using place = await placeWith(image(["x:1"], A), image(["y:1"], B));
    await place.images.tag("x:1", "z");
    expect(place.images.get("z").id).toBe(place.images.get("x:1").id);
    await place.images.tag("y:1", "z:latest");
    expect(place.images.get("z").id).toBe(place.images.get("y:1").id);
    await place.images.tag(place.images.get("x:1").id, "localhost:5000/a/b:c");
    expect(readFileSync(`${place.root}/index.json`, "utf8")).toContain('"localhost:5000/a/b:c"');
    expect((await failure(place.images.tag("no", "q"))).message).toBe("No such image: no:latest");
    expect((await failure(place.images.tag("z", "Q"))).message).toContain("must be lowercase");
    expect((await failure(place.images.tag("z", `q@sha256:${"0".repeat(64)}`))).message).toBe(
      "refusing to create a tag with a digest reference",
    );
  });
});

describe("removing, by Docker's rules", () => {
  test("one of several names only takes the name", async () => {
    using place = await placeWith(image(["x:1", "x:2"], A));
    const before = stored(place);
    expect(lines(await place.images.remove("x:1"))).toEqual(["Untagged: x:1"]);
    expect(place.images.resolve("x:1")).toBeUndefined();
    expect(stored(place)).toBe(before);
  });

  test("the last name takes the image, and the layers that no other image has", async () => {
    using place = await placeWith(image(["x:1"], A, B), image(["y:1"], A));
    const { id } = place.images.get("x:1");
    const [own] = readdirSync(`${place.root}/layers`).filter((chain) => `sha256:${chain}` !== sha256(A));
    expect(lines(await place.images.remove("x:1"))).toEqual([
      "Untagged: x:1",
      `Deleted: ${id}`,
      `Deleted: sha256:${own}`,
    ]);
    expect(readdirSync(`${place.root}/layers`)).toEqual([sha256(A).slice(7)]);
    // Config, manifest and layer of the other one.
    expect(readdirSync(`${place.root}/blobs/sha256`).length).toBe(3);
    await place.images.remove("y:1");
    expect(stored(place)).toBe(0);
    expect(JSON.parse(readFileSync(`${place.root}/index.json`, "utf8")).manifests).toEqual([]);
  });

  test("by id: with one name at once, with several only by force", async () => {
    using place = await placeWith(image(["x:1", "y:1"], A), image(["z:1"], B));
    const { id } = place.images.get("x:1");
    expect((await failure(place.images.remove(id))).message).toBe(
      `conflict: unable to delete ${id.slice(7, 19)} (must be forced) - image is referenced in multiple repositories`,
    );
    expect(lines(await place.images.remove(id.slice(7, 15), { force: true })).slice(0, 3)).toEqual([
      "Untagged: x:1",
      "Untagged: y:1",
      `Deleted: ${id}`,
    ]);
    const other = place.images.get("z:1").id;
    expect(lines(await place.images.remove(other)).slice(0, 2)).toEqual([
      "Untagged: z:1",
      `Deleted: ${other}`,
    ]);
  });

  test("what a container uses stays", async () => {
    using place = await placeWith(image(["x:1"], A), image(["y:1"], B));
    const [x, y] = [place.images.get("x:1").id, place.images.get("y:1").id];
    place.container("c".repeat(64), x, "exited");
    place.container("d".repeat(64), y, "running");
    expect((await failure(place.images.remove("x:1"))).message).toBe(
      `conflict: unable to remove repository reference "x:1" (must force) - container cccccccccccc is using its referenced image ${x.slice(7, 19)}`,
    );
    expect((await failure(place.images.remove(x))).message).toBe(
      `conflict: unable to delete ${x.slice(7, 19)} (must be forced) - image is being used by stopped container cccccccccccc`,
    );
    expect((await failure(place.images.remove(y, { force: true }))).message).toBe(
      `conflict: unable to delete ${y.slice(7, 19)} (cannot be forced) - image is being used by running container dddddddddddd`,
    );
    // By force its name goes while the container runs, and all else stays.
    expect(lines(await place.images.remove("y:1", { force: true }))).toEqual(["Untagged: y:1"]);
    expect(place.images.resolve(y)?.id).toBe(y);
    expect((await place.images.prune()).removed).toEqual([]);
    place.store.db.run("DELETE FROM containers");
    expect(lines((await place.images.prune()).removed)).toContain(`Deleted: ${y}`);
    expect(place.images.resolve(y)).toBeUndefined();
  });

  test("by force an image goes whose containers do not run, and its layers with the last of these", async () => {
    const archive = image(["x:1", "x:2"], A);
    for (const name of ["x:1", "id"]) {
      using place = await placeWith(archive);
      const { id } = place.images.get("x:1");
      const layer = `${place.root}/layers/${sha256(A).slice(7)}/a`;
      place.container("c".repeat(64), id, "exited");
      place.store.db.run(
        "INSERT INTO containers (id, name, created, image, record, state) VALUES ('d', 'd', 0, ?, '{}', '{}')",
        [id],
      );
      if (name === "id")
        expect(lines(await place.images.remove(id, { force: true }))).toEqual([
          "Untagged: x:1",
          "Untagged: x:2",
          `Deleted: ${id}`,
        ]);
      else {
        await place.images.remove("x:2");
        expect(lines(await place.images.remove(name, { force: true }))).toEqual([
          "Untagged: x:1",
          `Deleted: ${id}`,
        ]);
      }
      expect(place.images.resolve(id)).toBeUndefined();
      expect(place.images.list().map((each) => each.id)).not.toContain(id);
      expect(JSON.parse(readFileSync(`${place.root}/index.json`, "utf8")).manifests).toEqual([]);
      expect(place.images.ofContainer(id)?.id).toBe(id);
      expect((await place.images.prune({ all: true })).removed).toEqual([]);
      expect(existsSync(layer)).toBe(true);
      // What comes again is found again.
      await place.load(dockerArchive([archive]));
      expect(place.images.get("x:2").id).toBe(id);
      await place.images.remove(id, { force: true });
      place.store.db.run("DELETE FROM containers WHERE id = 'd'");
      await place.images.prune();
      expect(existsSync(layer)).toBe(true);
      place.store.db.run("DELETE FROM containers");
      expect(place.images.ofContainer(id)).toBeUndefined();
      await place.images.prune();
      expect(existsSync(layer)).toBe(false);
    }
  });

  test("what is not there", async () => {
    using place = new TestPlace();
    const error = await failure(place.images.remove("x"));
    expect(error).toMatchObject({ message: "No such image: x:latest", code: "not-found", status: 404 });
  });
});

describe("pruning", () => {
  test("takes images without a name, or with all those without a container", async () => {
    using place = await placeWith(image(["x:1"], A), image([], B));
    const nameless = await place.images.prune();
    expect(lines(nameless.removed)[0]).toStartWith("Deleted: sha256:");
    expect(nameless.reclaimed).toBeGreaterThan(2000);
    expect(place.images.list().length).toBe(2);
    expect((await place.images.prune({ all: true, filter: () => false })).removed).toEqual([]);
    expect(lines((await place.images.prune({ all: true })).removed)[0]).toBe("Untagged: x:1");
    expect(stored(place)).toBe(0);
  });

  test("takes whatever no row names", async () => {
    using place = await placeWith(image(["x:1"], A));
    const before = stored(place);
    writeFileSync(`${place.root}/blobs/sha256/${"0".repeat(64)}`, "garbage");
    for (const left of [`layers/${"1".repeat(64)}/etc`, `tmp/${"2".repeat(64)}/usr`])
      mkdirSync(`${place.root}/${left}`, { recursive: true });
    writeFileSync(`${place.root}/tmp/blob-1`, "half");
    for (const name of ["index.json", "oci-layout"]) writeFileSync(`${place.root}/${name}.4711`, "half");
    // Somebody was killed between the index and the rows.
    const index = readFileSync(`${place.root}/index.json`, "utf8");
    writeFileSync(`${place.root}/index.json`, index.replaceAll("library/x:1", "library/ahead:1"));
    expect((await place.images.prune()).reclaimed).toBe(7);
    expect(readdirSync(place.root).filter((name) => name.endsWith(".4711"))).toEqual([]);
    expect(readFileSync(`${place.root}/index.json`, "utf8")).toBe(index);
    expect(stored(place)).toBe(before);
    expect(readdirSync(`${place.root}/tmp`)).toEqual([]);
  });
});

test("history, the newest first, with the layers' sizes", async () => {
  using place = new TestPlace();
  const history = [
    { created: "2024-01-01T00:00:00Z", created_by: "ADD a" },
    { created: "2024-01-02T00:00:00Z", created_by: "CMD sh", empty_layer: true },
    { created_by: "ADD b", comment: "note" },
  ];
  await place.load(dockerArchive([{ ...image(["x:1"], A, B), image: { history } }]));
  const { id } = place.images.get("x:1");
  expect(place.images.history("x:1")).toEqual([
    { id, created: 0, createdBy: "ADD b", comment: "note", size: 2, tags: ["docker.io/library/x:1"] },
    { created: Date.parse("2024-01-02"), createdBy: "CMD sh", comment: "", size: 0, tags: [] },
    { created: Date.parse("2024-01-01"), createdBy: "ADD a", comment: "", size: 4, tags: [] },
  ]);
});

describe("import", () => {
  const imported = async (images: Images, archive: Uint8Array, options = {}): Promise<string> =>
    images.import(pieces(archive), options);

  test("makes an image of one layer", async () => {
    using place = new TestPlace();
    const id = await imported(place.images, Bun.gzipSync(A.slice()), {
      reference: "mine",
      message: "by hand",
    });
    const image = place.images.get("mine");
    expect(image.id).toBe(id);
    expect(image.size).toBe(4);
    expect(image.config.rootfs.diff_ids).toEqual([sha256(A)]);
    expect(image.config.history?.[0]?.comment).toBe("by hand");
    expect(Date.now() - image.created).toBeLessThan(60_000);
    expect(await imported(place.images, A)).toMatch(/^sha256:/);
  });

  test("its size is what du says of its files and symlinks", async () => {
    using place = new TestPlace();
    const tree = layerTar([
      { name: "a", type: "file", content: "four" },
      { name: "b", type: "symlink", link: "a/é" },
      { name: "c", type: "link", link: "a" },
    ]);
    await imported(place.images, tree, { reference: "x:1" });
    expect(place.images.get("x:1").size).toBe(8);
    expect(bytesIn(`${place.root}/layers`)).toBe(8);
  });

  test("with changes", async () => {
    using place = new TestPlace();
    await imported(place.images, A, {
      reference: "mine:1",
      platform: "linux/arm64/v8",
      changes: [
        'CMD ["sh", "-c", "echo hi"]',
        "entrypoint /entry  with args",
        'ENV A=1 B="two words" C=x\\ y',
        "ENV A 3 and four",
        "EXPOSE 80 8000-8001/udp",
        'LABEL a=b "c d"="e f"',
        "USER alice:users",
        'VOLUME ["/data", "/more data"]',
        "VOLUME /x /y",
        "WORKDIR /srv",
        "WORKDIR ../opt/./app",
        "STOPSIGNAL SIGINT",
        "ONBUILD RUN make",
        "HEALTHCHECK --interval=5s --timeout=1m30s --retries=2 CMD curl -f localhost || exit 1",
      ],
    });
    const { config, architecture, variant } = place.images.get("mine:1").config;
    expect({ architecture, variant }).toEqual({ architecture: "arm64", variant: "v8" });
    expect(config).toEqual({
      Cmd: ["sh", "-c", "echo hi"],
      Entrypoint: ["/bin/sh", "-c", "/entry  with args"],
      Env: ["A=3 and four", "B=two words", "C=x y"],
      ExposedPorts: { "80/tcp": {}, "8000/udp": {}, "8001/udp": {} },
      Labels: { a: "b", "c d": "e f" },
      User: "alice:users",
      Volumes: { "/data": {}, "/more data": {}, "/x": {}, "/y": {} },
      WorkingDir: "/opt/app",
      StopSignal: "SIGINT",
      OnBuild: ["RUN make"],
      Healthcheck: {
        Test: ["CMD-SHELL", "curl -f localhost || exit 1"],
        Interval: 5_000_000_000,
        Timeout: 90_000_000_000,
        Retries: 2,
      },
    });
  });

  test("variables in changes are those of the environment as it is before each", async () => {
    using place = new TestPlace();
    await imported(place.images, A, {
      reference: "mine:1",
      changes: [
        "ENV A=1 PATH=/bin",
        "ENV A=2 PATH=$PATH:/x B=$A",
        "ENV C=${A}x D=${N:-def} E=${A:+alt} F=${N:+alt} G=\\$A H='$A'",
        'ENV I="$A b" J="\\"q\\n" K="a$" L=$ M=$1x N= O=${N-unset} P=${N:-$A}',
        "ENV old $A form",
        "LABEL l=$A $A=x",
        "WORKDIR /w$A",
        "USER u$A:${N:-0}",
        "VOLUME /v$A",
        'VOLUME ["/j$A"]',
        "EXPOSE 8$A/udp",
        "ONBUILD RUN $A",
        'CMD ["$A"]',
      ],
    });
    const { config } = place.images.get("mine:1").config;
    expect(config).toEqual({
      Env: 'A=2 PATH=/bin:/x B=1 C=2x D=def E=alt F= G=$A H=$A I=2_b J="q\\n K=a$ L=$ M=x N= O=unset P=2 old=2_form'
        .split(" ")
        .map((pair) => pair.replace("_", " ")),
      Labels: { l: "2", "2": "x" },
      WorkingDir: "/w2",
      User: "u2:0",
      Volumes: { "/v2": {}, "/j2": {} },
      ExposedPorts: { "82/udp": {} },
      OnBuild: ["RUN $A"],
      Cmd: ["$A"],
    });
  });

  test("an ENTRYPOINT takes away a CMD that was there before the changes, and none of theirs", () => {
    const config = { Cmd: ["bash"] };
    applyChanges(config, ['ENTRYPOINT ["/app"]']);
    expect(config).toEqual({ Entrypoint: ["/app"] } as never);
    const both = { Cmd: ["bash"] };
    applyChanges(both, ['CMD ["bash"]', 'ENTRYPOINT ["/app"]']);
    expect(both).toEqual({ Cmd: ["bash"], Entrypoint: ["/app"] } as never);
    const none = { Cmd: ["bash"], Entrypoint: ["/app"] };
    applyChanges(none, ["ENTRYPOINT []"]);
    expect(none).toEqual({ Cmd: ["bash"], Entrypoint: [] });
  });

  const bad: Record<string, string> = {
    "RUN make": "RUN is not a valid change command",
    "": '"" is not a valid change command',
    CMD: "CMD requires at least one argument",
    "ENV A": "ENV must have two arguments",
    "ENV A=1 B": 'Syntax error - can\'t find = in "B". Must be of the form: name=value',
    "EXPOSE x": "Invalid containerPort: x",
    "EXPOSE 70000": "Invalid containerPort: 70000",
    "HEALTHCHECK --interval=5 CMD x": 'HEALTHCHECK --interval: time: missing unit in duration "5"',
    "HEALTHCHECK --interval=0s CMD x": 'Interval "interval" cannot be less than 1ms',
    "HEALTHCHECK --start-period=999us CMD x": 'Interval "start-period" cannot be less than 1ms',
    "HEALTHCHECK --often=1s CMD x": "HEALTHCHECK does not know --often",
    "HEALTHCHECK x": 'Unknown type "x" in HEALTHCHECK (try CMD)',
    "ONBUILD ONBUILD RUN x": "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    "ONBUILD FROM x": "FROM isn't allowed as an ONBUILD trigger",
    USER: "USER requires exactly one argument",
    "HEALTHCHECK --retries=0 CMD x": "--retries must be at least 1 (not 0)",
    "HEALTHCHECK NONE x": "HEALTHCHECK NONE takes no arguments",
    "VOLUME []": "VOLUME requires at least one argument",
    "WORKDIR $GONE": "WORKDIR is empty",
    "STOPSIGNAL SIGNOTHING": "invalid signal: SIGNOTHING",
    'ENV A="b':
      'failed to process "\\"b": unexpected end of statement while looking for matching double-quote',
    "ENV A='b":
      'failed to process "\'b": unexpected end of statement while looking for matching single-quote',
    "ENV A=${B": "failed to process \"${B\": syntax error: missing '}' in substitution",
    "ENV A=${}": 'failed to process "${}": syntax error: bad substitution',
    "ENV A=${B:!x}": 'failed to process "${B:!x}": unsupported modifier (!) in substitution',
    "ENV A=${B:?is wanted}": "failed to process \"${B:?is\": syntax error: missing '}' in substitution",
    'ENV A="${B:?is wanted}"': 'failed to process "\\"${B:?is wanted}\\"": B: is wanted',
  };
  for (const [change, message] of Object.entries(bad))
    test(`refuses ${JSON.stringify(change)}`, async () => {
      using place = new TestPlace();
      expect((await failure(imported(place.images, A, { changes: [change] }))).message).toBe(message);
    });

  test("refuses another system", async () => {
    using place = new TestPlace();
    const error = await failure(imported(place.images, A, { platform: "windows/amd64" }));
    expect(error.message).toBe("an image cannot be for windows: containers here run linux");
  });

  test("refuses what is no archive, and names the layer", async () => {
    using place = new TestPlace();
    expect((await failure(imported(place.images, Buffer.from("no archive".repeat(100))))).message).toMatch(
      /^layer sha256:[0-9a-f]{64}: this is not a tar archive$/,
    );
    expect((await failure(imported(place.images, new Uint8Array()))).message).toBe("the archive is empty");
    expect((await failure(place.images.import("/no/such/file"))).message).toBe(
      "open /no/such/file: no such file or directory",
    );
    expect(readdirSync(`${place.root}/tmp`)).toEqual([]);
  });
});

describe("save", () => {
  const save = async (place: TestPlace, ...names: string[]): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [];
    await place.images.save(names, (bytes) => void parts.push(bytes.slice()));
    return Buffer.concat(parts);
  };

  test("and load give the same images again; the same images give the same archive", async () => {
    using place = await placeWith(image(["x:1", "x:2", "y:1"], A, B), image(["z:1"], A));
    const archive = await save(place, "x", "z:1");
    expect(await save(place, "x", "z:1")).toEqual(archive);
    const names = readTar(archive).map(({ entry }) => entry.name);
    expect(names.slice(-4)).toEqual(["index.json", "manifest.json", "oci-layout", "repositories"]);
    using second = new TestPlace();
    const loaded = await second.load(archive);
    expect(loaded.map(({ reference }) => reference && familiarName(reference))).toEqual([
      "x:1",
      "x:2",
      "z:1",
    ]);
    for (const name of ["x:1", "z:1"]) {
      expect(second.images.get(name).id).toBe(place.images.get(name).id);
      expect(second.images.manifest(second.images.get(name))).toBe(
        place.images.manifest(place.images.get(name)),
      );
    }
    expect(await save(second, "x", "z:1")).toEqual(archive);
  });

  test("by id there is no name", async () => {
    using place = await placeWith(image(["x:1"], A));
    const archive = await save(place, place.images.get("x:1").id);
    using second = new TestPlace();
    expect((await second.load(archive)).map(({ reference }) => reference)).toEqual([undefined]);
    const list = readTar(archive).find(({ entry }) => entry.name === "manifest.json")?.content;
    expect(JSON.parse(new TextDecoder().decode(list))[0].RepoTags).toBeNull();
  });

  test("a store that was damaged: which blob, and nothing is written", async () => {
    using place = await placeWith(image(["x:1"], A));
    const blob = `${place.root}/blobs/sha256/${sha256(A).slice(7)}`;
    const parts: Uint8Array[] = [];
    const saved = () => failure(place.images.save(["x:1"], (bytes) => void parts.push(bytes)));
    writeFileSync(blob, A.subarray(0, 1000));
    expect((await saved()).message).toBe(
      `the store is damaged: ${sha256(A)} has 1000 bytes instead of ${A.length}`,
    );
    rmSync(blob);
    expect((await saved()).message).toBe(`the store is damaged: ${sha256(A)} is not there`);
    expect(parts).toEqual([]);
    // Loading it again repairs it, from a stream or a file, of either form.
    using other = await placeWith(image(["x:1"], A));
    const layout = await save(other, "x:1");
    for (const archive of [layout, dockerArchive([image(["x:1"], A)])])
      for (const load of [place.load, place.loadFile]) {
        writeFileSync(blob, A.subarray(0, 1000));
        await load.call(place, archive);
        expect(sha256(readFileSync(blob))).toBe(sha256(A));
      }
  });

  test("what is not there", async () => {
    using place = new TestPlace();
    expect((await failure(save(place, "no"))).message).toBe("No such image: no:latest");
  });
});
