import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import type { SampanError } from "../../src/common/error.ts";
import { loadedText } from "../../src/image/index.ts";
import { entryOf, header, type TarWriter, tarBytes } from "../../src/image/tar/writer.ts";
import {
  type ArchiveImage,
  dockerArchive,
  imageConfig,
  layerTar,
  type Member,
  sha256,
} from "../support/image.ts";
import { failure, pieces, TestPlace } from "./place.ts";

const file = (name: string, content = name): Member => ({ name, type: "file", content });
const A = layerTar([file("a")]);
const B = layerTar([file("b")]);
const image = (tags: string[], ...layers: Uint8Array[]): ArchiveImage => ({ tags, layers });
const gzip = (bytes: Uint8Array): Uint8Array => Bun.gzipSync(bytes.slice());

const texts = async (place: TestPlace, archive: Uint8Array): Promise<string[]> =>
  (await place.load(archive)).map(loadedText);

/** An archive whose files are given one by one. */
const files = (members: Record<string, string | Uint8Array>, more?: (tar: TarWriter) => void): Uint8Array =>
  tarBytes((tar) => {
    more?.(tar);
    for (const [name, content] of Object.entries(members)) tar.file(name, content);
  });

/** An OCI image layout in the making. */
class Layout {
  readonly blobs: Record<string, Uint8Array> = {};
  readonly manifests: object[] = [];

  blob(content: string | Uint8Array, mediaType: string): { mediaType: string; digest: string; size: number } {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    const digest = sha256(bytes);
    this.blobs[`blobs/sha256/${digest.slice(7)}`] = bytes;
    return { mediaType, digest, size: bytes.length };
  }

  /** A manifest of an image whose layers are stored as they are given. */
  image(
    config: string,
    layers: readonly Uint8Array[],
    type = "application/vnd.oci.image.layer.v1.tar",
    more: object = {},
  ) {
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: this.blob(config, "application/vnd.oci.image.config.v1+json"),
      layers: layers.map((layer) => this.blob(layer, type)),
      ...more,
    };
    return this.blob(JSON.stringify(manifest), manifest.mediaType);
  }

  index(manifests: object[]) {
    const mediaType = "application/vnd.oci.image.index.v1+json";
    return this.blob(JSON.stringify({ schemaVersion: 2, mediaType, manifests }), mediaType);
  }

  archive(extra: Record<string, string | Uint8Array> = {}): Uint8Array {
    return files({
      ...this.blobs,
      "index.json": JSON.stringify({ schemaVersion: 2, manifests: this.manifests }),
      "oci-layout": '{"imageLayoutVersion":"1.0.0"}',
      ...extra,
    });
  }
}

const NAME = "org.opencontainers.image.ref.name";

describe("docker save archives", () => {
  test("several images, several names, shared layers, an image without a name", async () => {
    using place = new TestPlace();
    const archive = dockerArchive([image(["x:1", "user/y:2"], A, B), image([], A)]);
    const lines = await texts(place, archive);
    expect(lines.slice(0, 2)).toEqual(["Loaded image: x:1", "Loaded image: user/y:2"]);
    expect(lines[2]).toMatch(/^Loaded image ID: sha256:[0-9a-f]{64}$/);
    expect(place.images.get("x:1").tags).toEqual(["docker.io/library/x:1", "docker.io/user/y:2"]);
    expect(place.images.get("x:1").id).toBe(sha256(imageConfig(image([], A, B))));
    // Three layers in all, one of them shared.
    expect(readdirSync(`${place.root}/layers`).length).toBe(2);
  });

  test("in every compression, outside and inside", async () => {
    for (const pack of [(bytes: Uint8Array) => bytes, gzip, (bytes: Uint8Array) => zstdCompressSync(bytes)])
      for (const packLayer of [
        (bytes: Uint8Array) => bytes,
        gzip,
        (bytes: Uint8Array) => zstdCompressSync(bytes),
      ]) {
        using place = new TestPlace();
        const packed = {
          ...image(["x:1"], packLayer(A)),
          image: { rootfs: { type: "layers", diff_ids: [sha256(A)] } },
        };
        expect(await texts(place, pack(dockerArchive([packed])))).toEqual(["Loaded image: x:1"]);
        expect(readFileSync(`${place.top("x:1")}/a`, "utf8")).toBe("a");
      }
  });

  test("gzip of several members, zstd of several frames, with a skippable one", async () => {
    const cut = A.length >> 1;
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    for (const packed of [
      Buffer.concat([gzip(A.subarray(0, cut)), gzip(A.subarray(cut))]),
      Buffer.concat([zstdCompressSync(A.subarray(0, cut)), zstdCompressSync(A.subarray(cut))]),
      Buffer.concat([skippable, zstdCompressSync(A)]),
      Buffer.concat([gzip(A), Buffer.alloc(512)]),
    ]) {
      using place = new TestPlace();
      const layers = {
        ...image(["x:1"], packed),
        image: { rootfs: { type: "layers", diff_ids: [sha256(A)] } },
      };
      expect(await texts(place, dockerArchive([layers]))).toEqual(["Loaded image: x:1"]);
    }
  });

  test("layers that are links to another image's layer", async () => {
    using place = new TestPlace();
    const config = imageConfig(image([], A));
    const archive = files(
      {
        "one/layer.tar": A,
        "c.json": config,
        "manifest.json": JSON.stringify([{ Config: "c.json", RepoTags: ["x:1"], Layers: ["two/layer.tar"] }]),
      },
      (tar) => tar.entry(entryOf({ name: "two/layer.tar", type: "symlink", link: "../one/layer.tar" })),
    );
    expect(await texts(place, archive)).toEqual(["Loaded image: x:1"]);
  });

  test("a name that moves says so", async () => {
    using place = new TestPlace();
    await place.load(dockerArchive([image(["x:1"], A)]));
    const old = place.images.get("x:1").id;
    expect(await texts(place, dockerArchive([image(["x:1"], B)]))).toEqual([
      `The image x:1 already exists, renaming the old one with ID ${old} to empty string\nLoaded image: x:1`,
    ]);
    expect(place.images.get(old).tags).toEqual([]);
    expect(await texts(place, dockerArchive([image(["x:1"], B)]))).toEqual(["Loaded image: x:1"]);
  });

  test("an image without layers has an empty root", async () => {
    using place = new TestPlace();
    await place.load(dockerArchive([image(["scratch-like:1"])]));
    expect(readdirSync(place.top("scratch-like:1"))).toEqual([]);
  });
});

describe("OCI archives", () => {
  const config = imageConfig(image([], A));

  test("with names in full, as containerd and as skopeo write them, and without", async () => {
    using place = new TestPlace();
    const layout = new Layout();
    const one = layout.image(config, [gzip(A)], "application/vnd.oci.image.layer.v1.tar+gzip");
    const two = layout.image(
      imageConfig(image([], B)),
      [zstdCompressSync(B)],
      "application/vnd.oci.image.layer.v1.tar+zstd",
    );
    layout.manifests.push(
      { ...one, annotations: { "io.containerd.image.name": "docker.io/library/x:1", [NAME]: "1" } },
      { ...one, annotations: { [NAME]: "localhost:5000/y:2" } },
      { ...two, annotations: { [NAME]: "latest" } },
    );
    const lines = await texts(place, layout.archive());
    expect(lines).toEqual([
      "Loaded image: x:1",
      "Loaded image: localhost:5000/y:2",
      `Loaded image ID: ${sha256(imageConfig(image([], B)))}`,
    ]);
    // The manifest is kept as it came.
    expect(place.images.manifest(place.images.get("x:1"))).toBe(one.digest);
    expect(place.images.resolve(`x@${one.digest}`)?.id).toBe(sha256(config));
    expect(place.images.resolve(`other@${one.digest}`)).toBeUndefined();
  });

  test("--platform: an image for another is not taken, of either form of archive", async () => {
    using place = new TestPlace();
    const theirs = { ...image(["theirs:1"], B), image: { architecture: "s390x" } };
    const layout = new Layout();
    layout.manifests.push(
      { ...layout.image(config, [A]), annotations: { [NAME]: "x:1" } },
      { ...layout.image(imageConfig(theirs), [B]), annotations: { [NAME]: "theirs:1" } },
    );
    for (const archive of [layout.archive(), dockerArchive([image(["x:1"], A), theirs])]) {
      const loaded = await place.images.load(pieces(archive), { platform: "linux/s390x" });
      expect(loaded.map(loadedText)).toEqual(["Loaded image: theirs:1"]);
      const error = await failure(place.images.load(pieces(archive), { platform: "linux/riscv64" }));
      expect(error.message).toBe("the archive has no image for linux/riscv64");
      const { architecture } = JSON.parse(config) as { architecture: string };
      expect((error as SampanError).hint).toBe(
        `It has one for linux/${architecture}, linux/s390x: --platform takes that.`,
      );
    }
    expect(place.images.resolve("x:1")).toBeUndefined();
    // Nobody has asked for one: all are taken.
    expect(await texts(place, layout.archive())).toEqual(["Loaded image: x:1", "Loaded image: theirs:1"]);
  });

  test("nested indexes: this machine's platform, no attestation", async () => {
    using place = new TestPlace();
    const { architecture } = JSON.parse(config) as { architecture: string };
    const other = architecture === "amd64" ? "arm64" : "amd64";
    const layout = new Layout();
    const mine = layout.image(config, [A]);
    const theirs = layout.image(imageConfig({ ...image([], B), image: { architecture: other } }), [B]);
    const inner = layout.index([
      { ...theirs, platform: { os: "linux", architecture: other } },
      {
        ...layout.blob("{}", "application/vnd.oci.image.manifest.v1+json"),
        platform: { os: "unknown", architecture: "unknown" },
      },
      { ...mine, platform: { os: "linux", architecture } },
    ]);
    layout.manifests.push({ ...inner, annotations: { [NAME]: "x:1" } });
    expect(await texts(place, layout.archive())).toEqual(["Loaded image: x:1"]);
    expect(place.images.get("x:1").config.architecture).toBe(architecture);
    // The other one on demand.
    await place.images.load(pieces(layout.archive()), { platform: `linux/${other}` });
    expect(place.images.get("x:1").config.architecture).toBe(other);
    const error = await failure(place.images.load(pieces(layout.archive()), { platform: "linux/s390x" }));
    expect(error.message).toBe("the archive has no image for linux/s390x");
    expect((error as SampanError).hint).toContain("It has one for ");
    expect((error as SampanError).hint).not.toContain("unknown");
  });

  test("beside manifest.json, as Docker since 25 writes both", async () => {
    using place = new TestPlace();
    const layout = new Layout();
    const manifest = layout.image(config, [A], undefined, { annotations: { by: "hand" } });
    layout.manifests.push({
      ...manifest,
      annotations: { "io.containerd.image.name": "docker.io/library/x:1" },
    });
    const path = (digest: string): string => `blobs/sha256/${digest.slice(7)}`;
    const list = JSON.stringify([
      { Config: path(sha256(config)), RepoTags: ["x:1"], Layers: [path(sha256(A))] },
    ]);
    expect(await texts(place, layout.archive({ "manifest.json": list }))).toEqual(["Loaded image: x:1"]);
    expect(place.images.manifest(place.images.get("x:1"))).toBe(manifest.digest);
    // Where the layout is not complete the list is taken.
    using second = new TestPlace();
    const { [path(manifest.digest)]: _, ...rest } = layout.blobs;
    const partial = files({
      ...rest,
      "index.json": JSON.stringify({ manifests: layout.manifests }),
      "oci-layout": "{}",
      "manifest.json": list,
    });
    expect(await texts(second, partial)).toEqual(["Loaded image: x:1"]);
  });

  test("what follows an archive's end is not looked at, in a stream or a file", async () => {
    const archive = dockerArchive([image(["x:1"], A)]);
    for (const after of [Buffer.alloc(512, "garbage"), dockerArchive([image(["y:1"], B)])])
      for (const load of ["load", "loadFile"] as const) {
        using place = new TestPlace();
        const loaded = await place[load](Buffer.concat([archive, after]));
        expect(loaded.map(loadedText)).toEqual(["Loaded image: x:1"]);
      }
  });

  test("the store itself is an OCI image layout", async () => {
    using place = new TestPlace();
    await place.load(dockerArchive([image(["x:1"], A), image(["y:1"], A, B)]));
    const index = JSON.parse(readFileSync(`${place.root}/index.json`, "utf8")) as {
      manifests: { digest: string; size: number; annotations: Record<string, string> }[];
    };
    expect(index.manifests.map(({ annotations }) => annotations[NAME]).sort()).toEqual([
      "docker.io/library/x:1",
      "docker.io/library/y:1",
    ]);
    for (const name of readdirSync(`${place.root}/blobs/sha256`))
      expect(sha256(readFileSync(`${place.root}/blobs/sha256/${name}`))).toBe(`sha256:${name}`);
    expect(JSON.parse(readFileSync(`${place.root}/oci-layout`, "utf8"))).toEqual({
      imageLayoutVersion: "1.0.0",
    });
  });
});

describe("bad archives", () => {
  const refuses = (what: string, archive: Uint8Array, message: string | RegExp): void =>
    test(what, async () => {
      // As a stream, which passes once, and as a file, which is read here and there.
      for (const load of ["load", "loadFile"] as const) {
        using place = new TestPlace();
        const error = await failure(place[load](archive));
        if (typeof message === "string") expect(error.message).toBe(message);
        else expect(error.message).toMatch(message);
        expect(place.images.list().length).toBe(1);
        const left = existsSync(`${place.root}/tmp`) ? readdirSync(`${place.root}/tmp`) : [];
        expect(left).toEqual([]);
      }
    });
  const good = dockerArchive([image(["x:1"], A)]);
  const manifest = (value: unknown, more: Record<string, string | Uint8Array> = {}): Uint8Array =>
    files({ "manifest.json": typeof value === "string" ? value : JSON.stringify(value), ...more });
  const config = imageConfig(image([], A));

  refuses("empty", new Uint8Array(), "the archive is empty");
  refuses("no archive", Buffer.from("hello, this is no archive\n".repeat(100)), "this is not a tar archive");
  refuses(
    "cut in a file",
    good.subarray(0, 2600),
    /^the archive is truncated: it ends after 2600 bytes, in the middle of "[0-9a-f]{64}\/layer\.tar"$/,
  );
  refuses(
    "cut before manifest.json",
    good.subarray(0, 4096),
    "this is not an image archive: it has neither manifest.json nor index.json",
  );
  refuses("cut gzip", gzip(good).subarray(0, 300), "the gzip data is truncated");
  refuses("cut zstd", zstdCompressSync(good).subarray(0, 300), "the zstd data is truncated");
  refuses("damaged gzip", Buffer.from(gzip(good)).fill(0xff, 100, 200), /^the gzip data is damaged: /);
  refuses("cut bzip2", Buffer.from("BZh91AY&SY"), "the bzip2 data is truncated");
  refuses("cut xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4]), "the xz data is truncated");
  refuses(
    "a root filesystem",
    A,
    "this is not an image archive: it has neither manifest.json nor index.json",
  );
  refuses("manifest.json is no JSON", manifest("{"), "manifest.json is not JSON");
  refuses("manifest.json is no list", manifest({}), "manifest.json is not a list of images");
  refuses(
    "manifest.json without a config",
    manifest([{ Layers: [] }]),
    "manifest.json is not a list of images",
  );
  refuses(
    "manifest.json of 50 MB",
    manifest(" ".repeat(50_000_000)),
    "manifest.json has 50000000 bytes; the limit is 4194304",
  );
  refuses(
    "Docker's form before 1.10",
    files({ repositories: "{}", "abc/layer.tar": A, "abc/json": "{}", "abc/VERSION": "1.0" }),
    "this archive is of the form that Docker wrote before 1.10, without manifest.json, which is no longer read",
  );
  refuses(
    "no config",
    manifest([{ Config: "c.json", Layers: [] }]),
    "the archive does not hold c.json, which manifest.json names",
  );
  refuses(
    "no layer",
    manifest([{ Config: "c.json", Layers: ["l.tar"] }], { "c.json": config }),
    "the archive does not hold l.tar, which manifest.json names",
  );
  refuses(
    "a config that is none",
    manifest([{ Config: "c.json", Layers: [] }], { "c.json": "{}" }),
    "c.json is not an image config: rootfs.diff_ids is missing",
  );
  const members: [
    image: Record<string, unknown> | undefined,
    config: Record<string, unknown> | undefined,
    message: string,
  ][] = [
    [{ history: "x" }, undefined, "history is not a list of objects"],
    [{ history: [null] }, undefined, "history is not a list of objects"],
    [{ architecture: 5 }, undefined, "architecture is not a text"],
    [{ created: 5 }, undefined, "created is not a text"],
    [{ config: "x" }, undefined, "config is not an object"],
    [undefined, { Cmd: [1] }, "Cmd is not a list of texts"],
    [undefined, { Env: "A=1" }, "Env is not a list of texts"],
    [undefined, { Env: [null] }, "Env is not a list of texts"],
    [undefined, { User: 5 }, "User is not a text"],
    [undefined, { WorkingDir: [] }, "WorkingDir is not a text"],
    [undefined, { StopSignal: 9 }, "StopSignal is not a text"],
    [undefined, { Labels: ["a"] }, "Labels is not an object of texts"],
    [undefined, { Labels: { a: 1 } }, "Labels is not an object of texts"],
    [undefined, { Volumes: ["/v"] }, "Volumes is not an object"],
    [undefined, { ExposedPorts: "80" }, "ExposedPorts is not an object"],
    [undefined, { Healthcheck: "x" }, "Healthcheck is not an object"],
    [undefined, { Healthcheck: { Test: "x" } }, "Test is not a list of texts"],
    [undefined, { Healthcheck: { Interval: "1s" } }, "Interval is not a number"],
  ];
  for (const [top, inner, message] of members)
    refuses(
      `a config with ${JSON.stringify(top ?? inner)}`,
      dockerArchive([{ ...image(["x:1"], A), ...(top && { image: top }), ...(inner && { config: inner }) }]),
      new RegExp(`^[0-9a-f]{64}\\.json is not an image config: ${message}$`),
    );

  test("what is null in a config is missing, and a text that should be a list is a list of one", async () => {
    using place = new TestPlace();
    const nothing = {
      User: null,
      Env: null,
      Entrypoint: null,
      Labels: null,
      Healthcheck: null,
      Volumes: null,
    };
    const archive = dockerArchive([
      { ...image(["x:1"], A), config: { ...nothing, Cmd: "echo hi", Shell: ["sh"] } },
      { ...image(["y:1"], A), image: { config: null, author: null } },
    ]);
    await place.load(archive);
    expect(place.images.get("x:1").config.config).toMatchObject({ Cmd: ["echo hi"], Shell: ["sh"] });
    expect(place.images.get("y:1").config.config ?? {}).toEqual({});
  });

  refuses(
    "layers that do not match",
    manifest([{ Config: "c.json", Layers: [] }], { "c.json": config }),
    "invalid manifest, layers length mismatch: expected 0, got 1",
  );
  refuses(
    "a history that does not match",
    manifest([{ Config: "c.json", Layers: ["l"] }], {
      "c.json": imageConfig({ ...image([], A), image: { history: [{}, {}] } }),
      l: A,
    }),
    "c.json has 1 layers but a history of 2",
  );
  refuses(
    "another system's image",
    manifest([{ Config: "c.json", Layers: ["l"] }], {
      "c.json": imageConfig({ ...image([], A), image: { os: "windows" } }),
      l: A,
    }),
    "c.json is for windows, not for linux",
  );
  refuses(
    "a wrong diffID",
    manifest([{ Config: "c.json", Layers: ["l"] }], { "c.json": config, l: B }),
    `layer l: its content is ${sha256(B)}, the image's config says ${sha256(A)}`,
  );
  refuses(
    "a wrong diffID of a compressed layer",
    manifest([{ Config: "c.json", Layers: ["l"] }], { "c.json": config, l: gzip(B) }),
    `layer ${sha256(gzip(B))}: its content is ${sha256(B)}, the image's config says ${sha256(A)}`,
  );
  refuses(
    "a bad name",
    manifest([{ Config: "c.json", RepoTags: ["Foo:1"], Layers: ["l"] }], { "c.json": config, l: A }),
    "invalid reference format: repository name (library/Foo) must be lowercase",
  );
  refuses(
    "a layer that is cut",
    dockerArchive([image(["x:1"], layerTar([file("a", "a".repeat(1000))]).subarray(0, 700))]),
    /^layer sha256:[0-9a-f]{64}: the archive is truncated: it ends after 700 bytes, in the middle of/,
  );
  refuses(
    "a link out of the archive",
    files({ "manifest.json": "[]" }, (tar) =>
      tar.entry(entryOf({ name: "x/layer.tar", type: "symlink", link: "../../etc/passwd" })),
    ),
    '"x/layer.tar" is a link to "../../etc/passwd", which is outside of the archive',
  );
  refuses(
    "a file that says to be longer than the archive",
    Buffer.concat([header(entryOf({ name: "x", type: "file", size: 7 * 2 ** 30 })), Buffer.alloc(100)]),
    'the archive is truncated: it ends after 612 bytes, in the middle of "x"',
  );

  const layout = (build: (layout: Layout) => object): Uint8Array => {
    const made = new Layout();
    made.manifests.push(build(made));
    return made.archive();
  };
  refuses(
    "a layer with a wrong digest",
    layout((made) => {
      const manifest = made.image(config, [A]);
      made.blobs[`blobs/sha256/${sha256(A).slice(7)}`] = B;
      return { ...manifest };
    }),
    `the content of blobs/sha256/${sha256(A).slice(7)} is ${sha256(B)}`,
  );
  refuses(
    "a manifest with a wrong digest",
    layout((made) => {
      const manifest = made.image(config, [A]);
      made.blobs[`blobs/sha256/${manifest.digest.slice(7)}`] = Buffer.from("x".repeat(manifest.size));
      return manifest;
    }),
    /^the content of blobs\/sha256\/[0-9a-f]{64} is sha256:[0-9a-f]{64}$/,
  );
  refuses(
    "a wrong size",
    layout((made) => ({ ...made.image(config, [A]), size: 7 })),
    /^sha256:[0-9a-f]{64} has \d+ bytes, its descriptor says 7$/,
  );
  refuses(
    "a layer that is missing",
    layout((made) => {
      const manifest = made.image(config, [A]);
      delete made.blobs[`blobs/sha256/${sha256(A).slice(7)}`];
      return manifest;
    }),
    new RegExp(`^the archive does not hold ${sha256(A)}, which manifest sha256:[0-9a-f]{64} needs$`),
  );
  refuses(
    "a manifest that is an index at once",
    layout((made) =>
      made.blob('{"manifests":[],"layers":[],"config":{}}', "application/vnd.oci.image.manifest.v1+json"),
    ),
    /^manifest sha256:[0-9a-f]{64} is a manifest and an index at once$/,
  );
  refuses(
    "schema 1",
    layout((made) =>
      made.blob('{"schemaVersion":1,"fsLayers":[]}', "application/vnd.oci.image.manifest.v1+json"),
    ),
    /is a manifest of schema 1, which is no longer supported$/,
  );
  refuses(
    "an artifact",
    layout((made) => made.image(config, [A], "application/vnd.cncf.helm.chart.content.v1.tar+gzip")),
    /^manifest sha256:[0-9a-f]{64} is not an image but an artifact: it holds application\/vnd\.cncf\.helm/,
  );
  refuses(
    "a digest that is a path",
    layout(() => ({ mediaType: "", size: 1, digest: `sha256:../../${"a".repeat(58)}` })),
    `index.json: manifests: invalid checksum digest format: "sha256:../../${"a".repeat(58)}"`,
  );
  refuses(
    "a config whose layer is no digest",
    layout((made) => made.image(config.replace(sha256(A), "sha256:abc"), [A])),
    /^config sha256:[0-9a-f]{64}: rootfs\.diff_ids: invalid checksum digest length: "sha256:abc"$/,
  );
});
