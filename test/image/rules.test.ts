/**
 * What engines get wrong about images, rule by rule: docs/images.md has the list and says where each is attacked. Here are those
 * that have no other place.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { zstdCompressSync } from "node:zlib";
import { choose } from "../../src/image/platform.ts";
import { dockerArchive, imageConfig, layerTar, type Member, sha256 } from "../support/image.ts";
import { IMPATIENT } from "../support/registry.ts";
import { failure, TestPlace } from "./place.ts";

const file = (name: string, content: string | Uint8Array = name): Member => ({ name, type: "file", content });
const OCI = "application/vnd.oci.image.";
const MANIFEST = `${OCI}manifest.v1+json`;
const INDEX = `${OCI}index.v1+json`;
const LAYER = layerTar([file("a")]);

/** A registry of a few objects by the end of their path, which counts what is asked of it at a time. */
class TinyRegistry {
  readonly objects = new Map<string, { body: string | Uint8Array; headers: Record<string, string> }>();
  readonly log: { path: string; accept: string | null }[] = [];
  most = 0;
  #now = 0;
  /** Milliseconds before a blob is answered. */
  delay = 0;
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const path = new URL(request.url).pathname;
      if (path === "/v2/") return new Response("{}");
      this.log.push({ path, accept: request.headers.get("accept") });
      const found = this.objects.get(path.split("/").at(-1) ?? "");
      if (!found) return Response.json({ errors: [{ code: "MANIFEST_UNKNOWN" }] }, { status: 404 });
      if (path.includes("/blobs/")) {
        this.most = Math.max(this.most, ++this.#now);
        await Bun.sleep(this.delay);
        this.#now--;
      }
      const { body } = found;
      return new Response(typeof body === "string" ? body : body.slice(), { headers: found.headers });
    },
  });
  readonly name = `127.0.0.1:${this.#server.port}/x`;

  add(key: string, body: string | Uint8Array, headers: Record<string, string> = {}): void {
    this.objects.set(key, { body, headers });
  }

  blob(body: string | Uint8Array, mediaType: string) {
    const digest = sha256(body);
    this.add(digest, body);
    return { mediaType, digest, size: Buffer.byteLength(body) };
  }

  /** An image under this tag; `more` are further members of its manifest. */
  image(tag: string, layers: readonly Uint8Array[], more: object = {}) {
    const config = this.blob(imageConfig({ tags: [], layers }), `${OCI}config.v1+json`);
    const listed = layers.map((layer) => this.blob(layer, `${OCI}layer.v1.tar`));
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config,
      layers: listed,
      ...more,
    });
    this.add(tag, manifest, { "content-type": MANIFEST });
    this.add(sha256(manifest), manifest, { "content-type": MANIFEST });
    return { mediaType: MANIFEST, digest: sha256(manifest), size: manifest.length };
  }

  stop(): void {
    this.#server.stop(true);
  }
}

let registry: TinyRegistry;
const started = (): TinyRegistry => {
  registry = new TinyRegistry();
  return registry;
};
afterEach(() => registry?.stop());
const pull = (place: TestPlace, tag: string) =>
  place.images.pull(`${registry.name}:${tag}`, { patience: { ...IMPATIENT, tries: 2 } });
const refused = async (tag: string): Promise<string> => {
  using place = new TestPlace();
  const { message } = await failure(pull(place, tag));
  expect(place.images.list()).toHaveLength(1);
  return message.replaceAll(registry.name.replace("/x", ""), "HOST");
};

describe("manifests", () => {
  test("1: four types are asked for and no others; a name of its own and the registry's must agree", async () => {
    started().image("1", [LAYER]);
    using place = new TestPlace();
    await pull(place, "1");
    expect(registry.log[0]?.accept).toBe(
      `${INDEX}, ${MANIFEST}, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json`,
    );
    const { digest } = registry.image("2", [LAYER]);
    const docker = "application/vnd.docker.distribution.manifest.v2+json";
    registry.add("2", registry.objects.get(digest)?.body ?? "", { "content-type": docker });
    expect(await refused("2")).toBe(
      `manifest ${digest} says that it is ${MANIFEST}, the registry says ${docker}`,
    );
  });

  test("2: the digest is that of the bytes, whether the registry says it or not; sizes count; a digest is no path", async () => {
    started().image("1", [LAYER]);
    const body = registry.objects.get("1")?.body ?? "";
    using place = new TestPlace();
    const [pulled] = await pull(place, "1");
    expect(pulled?.digest).toBe(sha256(body));
    const other = sha256("other");
    registry.add("lies", body, { "content-type": MANIFEST, "docker-content-digest": other });
    expect(await refused("lies")).toBe(`manifest lies of HOST: its content is ${sha256(body)}, not ${other}`);
    const entry = {
      mediaType: MANIFEST,
      digest: sha256(body),
      size: 7,
      platform: { os: "linux", architecture: "amd64" },
    };
    const index = (manifests: object[]) => JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
    registry.add("size", index([{ ...entry, platform: undefined }]), { "content-type": INDEX });
    expect(await refused("size")).toBe(
      `manifest ${sha256(body)} has ${body.length} bytes, its descriptor says 7`,
    );
    const bad = {
      [`sha256:../../${"a".repeat(58)}`]: "invalid checksum digest format",
      "sha256:abc": "invalid checksum digest length",
      [`sha256:${"A".repeat(64)}`]: "invalid checksum digest format",
    };
    for (const [digest, message] of Object.entries(bad)) {
      registry.add("path", index([{ ...entry, digest }]), { "content-type": INDEX });
      expect((await refused("path")).replace(/^manifest sha256:[0-9a-f]{64}/, "manifest ITSELF")).toBe(
        `manifest ITSELF: manifests: ${message}: "${digest}"`,
      );
    }
  });

  test("2: blobs that are longer or shorter than their descriptor, and one that is here and is neither", async () => {
    started();
    const image = (tag: string, size: number) => {
      const layers = [{ ...registry.blob(LAYER, `${OCI}layer.v1.tar`), size }];
      registry.image(tag, [LAYER], { layers });
    };
    image("longer", LAYER.length - 1);
    expect(await refused("longer")).toBe(
      `${sha256(LAYER)} has more bytes than the ${LAYER.length - 1} of its descriptor`,
    );
    image("shorter", LAYER.length + 1);
    expect(await refused("shorter")).toBe(
      `cannot pull HOST/x:shorter: HOST ended ${sha256(LAYER)} after ${LAYER.length} bytes`,
    );
    registry.image("right", [LAYER]);
    using place = new TestPlace();
    await pull(place, "right");
    registry.image("other", [LAYER, layerTar([file("b")])], {
      layers: [
        { ...registry.blob(LAYER, `${OCI}layer.v1.tar`), size: LAYER.length + 1 },
        registry.blob(layerTar([file("b")]), `${OCI}layer.v1.tar`),
      ],
    });
    expect((await failure(pull(place, "other"))).message).toBe(
      `${sha256(LAYER)} has ${LAYER.length} bytes, its descriptor says ${LAYER.length + 1}`,
    );
  });

  test("6: what refers to another image is an image; what has no config of an image is none", async () => {
    started().image("1", [LAYER], {
      artifactType: "application/x.y",
      subject: { mediaType: MANIFEST, digest: sha256("subject"), size: 7 },
    });
    using place = new TestPlace();
    await pull(place, "1");
    expect(readFileSync(`${place.top(`${registry.name}:1`)}/a`, "utf8")).toBe("a");
    const empty = { mediaType: "application/vnd.oci.empty.v1+json", digest: sha256("{}"), size: 2 };
    const artifact = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: empty,
      layers: [empty],
    });
    registry.add("artifact", artifact, { "content-type": MANIFEST });
    expect(await refused("artifact")).toBe(
      `manifest ${sha256(artifact)} is not an image but an artifact: it holds application/vnd.oci.empty.v1+json`,
    );
  });

  test("7: nobody is asked at the address of a foreign layer", async () => {
    using elsewhere = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("asked") });
    let asked = 0;
    elsewhere.reload({
      fetch: () => {
        asked++;
        return new Response();
      },
    });
    const foreign = {
      mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
      digest: sha256("foreign"),
      size: 7,
      urls: [`http://127.0.0.1:${elsewhere.port}/layer`],
    };
    started().image("1", [LAYER], { layers: [foreign] });
    expect((await refused("1")).replace(/^manifest sha256:[0-9a-f]{64}/, "manifest ITSELF")).toBe(
      `manifest ITSELF: layer ${foreign.digest} is foreign, it must come from elsewhere`,
    );
    expect(asked).toBe(0);
  });

  test("21: JSON that is nested a million deep is refused", async () => {
    started().add("deep", `{"layers":${"[".repeat(1_000_000)}`, { "content-type": MANIFEST });
    expect(await refused("deep")).toMatch(/^manifest sha256:[0-9a-f]{64} is not JSON$/);
  });

  test("21: a config of more than 8 MiB is not even asked for", async () => {
    const config = {
      mediaType: `${OCI}config.v1+json`,
      digest: sha256("config"),
      size: (8 << 20) + 1,
    };
    started().image("1", [LAYER], { config });
    expect(await refused("1")).toBe(`config ${config.digest} has 8388609 bytes; the limit is 8388608`);
    expect(registry.log.some(({ path }) => path.endsWith(config.digest))).toBe(false);
  });
});

describe("4: of an index", () => {
  const entry = (architecture: string, variant?: string, mediaType = MANIFEST) => ({
    mediaType,
    digest: sha256(`${architecture}${variant}${mediaType}`),
    size: 1,
    platform: { os: "linux", architecture, ...(variant !== undefined && { variant }) },
  });
  const chosen = (entries: ReturnType<typeof entry>[], architecture: string, variant?: string) =>
    choose(entries, { os: "linux", architecture, ...(variant !== undefined && { variant }) }).map(
      ({ platform }) => platform?.variant ?? "",
    );

  test("the best variant that the machine can run, and the lower ones after it", () => {
    const arms = [entry("arm", "v5"), entry("arm", "v7"), entry("arm", "v6"), entry("arm", "v8")];
    expect(chosen(arms, "arm", "v7")).toEqual(["v7", "v6", "v5"]);
    expect(chosen(arms, "arm", "v6")).toEqual(["v6", "v5"]);
    expect(chosen([entry("arm64", "v8"), entry("arm64", "v9")], "arm64")).toEqual(["v8"]);
    // An image for a newer processor is not taken by chance.
    expect(chosen([entry("amd64", "v3"), entry("amd64")], "amd64")).toEqual([""]);
    expect(chosen([entry("amd64", "v3"), entry("amd64", "v2"), entry("amd64")], "amd64", "v2")).toEqual([
      "v2",
      "",
    ]);
  });

  test("attestations never fit; one entry without a platform is taken, of several none", () => {
    const unknown = { ...entry("amd64"), platform: { os: "unknown", architecture: "unknown" } };
    const { platform: _, ...bare } = entry("amd64");
    expect(choose([unknown], { os: "linux", architecture: "amd64" })).toEqual([]);
    const foreign = { ...entry("amd64"), platform: { os: "windows", architecture: "amd64" } };
    expect(choose([foreign], { os: "linux", architecture: "amd64" })).toEqual([]);
    expect(choose([bare], { os: "linux", architecture: "amd64" })).toEqual([bare]);
    expect(choose([bare, bare], { os: "linux", architecture: "amd64" })).toEqual([]);
  });

  test("entries of an unknown type are passed over, an index inside is followed, but not for ever", async () => {
    const image = started().image("1", [LAYER]);
    const index = (tag: string, entries: object[]) => {
      const body = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: entries });
      registry.add(tag, body, { "content-type": INDEX });
      registry.add(sha256(body), body, { "content-type": INDEX });
      return { mediaType: INDEX, digest: sha256(body), size: body.length };
    };
    const platform = { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch };
    const strange = { ...image, mediaType: "application/x.y", digest: sha256("strange"), platform };
    let inner = index("inner", [strange, { ...image, platform }]);
    index("outer", [{ ...inner, platform }]);
    using place = new TestPlace();
    await pull(place, "outer");
    for (let depth = 0; depth < 4; depth++) inner = index(`deep${depth}`, [{ ...inner, platform }]);
    expect(await refused("deep3")).toMatch(/^manifest sha256:[0-9a-f]{64}: indexes are nested too deeply$/);
  });
});

describe("11: plain http", () => {
  // An address that is not loopback's, in the network namespace of the suite.
  const ADDRESS = "192.0.2.7";
  const own = process.getuid?.() === 0 && !Object.keys(networkInterfaces()).some((name) => name !== "lo");
  const ip = (...args: string[]): boolean => Bun.spawnSync(["ip", ...args]).success;

  test.skipIf(!own)("is spoken to loopback, and elsewhere only where the user has said so", async () => {
    expect(ip("address", "add", `${ADDRESS}/32`, "dev", "lo")).toBe(true);
    const asked: string[] = [];
    started().image("1", [LAYER]);
    const plain = Bun.serve({
      hostname: ADDRESS,
      port: 0,
      fetch: (request) => {
        asked.push(new URL(request.url).pathname);
        return fetch(request.url.replace(/\/\/[^/]*/, `//${registry.name.replace("/x", "")}`), {
          headers: { accept: request.headers.get("accept") ?? "" },
        });
      },
    });
    try {
      using place = new TestPlace();
      const name = `${ADDRESS}:${plain.port}/x:1`;
      const error = await failure(place.images.pull(name, { patience: IMPATIENT }));
      expect(error.message).toBe(
        `cannot pull ${name}: ${ADDRESS}:${plain.port} does not speak TLS there, or wants a certificate of the client`,
      );
      expect(asked).toEqual([]);
      for (const insecure of ["192.0.2.0/24", `${ADDRESS}:${plain.port}`]) {
        writeFileSync(`${place.root}/registries.json`, JSON.stringify({ insecure: [insecure] }));
        await place.images.pull(name, { patience: IMPATIENT });
      }
      expect(asked).toContain("/v2/x/manifests/1");
      writeFileSync(`${place.root}/registries.json`, JSON.stringify({ insecure: ["192.0.3.0/24"] }));
      expect((await failure(place.images.pull(name, { patience: IMPATIENT }))).message).toBe(error.message);
    } finally {
      plain.stop(true);
      ip("address", "del", `${ADDRESS}/32`, "dev", "lo");
    }
  });
});

test("12: three blobs at a time, and not more", async () => {
  started().delay = 60;
  const layers = Array.from({ length: 8 }, (_, i) => layerTar([file(`f${i}`)]));
  registry.image("1", layers);
  using place = new TestPlace();
  await pull(place, "1");
  // The config comes beside them.
  expect(registry.most).toBeGreaterThanOrEqual(3);
  expect(registry.most).toBeLessThanOrEqual(4);
});

describe("layers", () => {
  const load = (place: TestPlace, packed: Uint8Array, layer: Uint8Array) =>
    place.load(
      dockerArchive([
        { tags: ["t:1"], layers: [packed], image: { rootfs: { type: "layers", diff_ids: [sha256(layer)] } } },
      ]),
    );

  test("5: what the type says of the compression counts for nothing", async () => {
    started();
    const zstd = zstdCompressSync(LAYER);
    // zstd:chunked has its table of contents in a frame at the end that is skipped.
    const chunked = Buffer.concat([zstd, Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4])]);
    const gzip = Bun.gzipSync(LAYER.slice());
    const packed: [type: string, bytes: Uint8Array][] = [
      [`${OCI}layer.v1.tar`, gzip],
      [`${OCI}layer.v1.tar+gzip`, LAYER],
      [`${OCI}layer.v1.tar+gzip`, zstd],
      [`${OCI}layer.v1.tar+zstd`, gzip],
      [`${OCI}layer.v1.tar+zstd`, chunked],
      ["application/vnd.docker.image.rootfs.diff.tar.gzip", zstd],
    ];
    for (const [index, [type, bytes]] of packed.entries()) {
      registry.image(`${index}`, [LAYER], { layers: [registry.blob(bytes, type)] });
      using place = new TestPlace();
      await pull(place, `${index}`);
      expect(readFileSync(`${place.top(`${registry.name}:${index}`)}/a`, "utf8")).toBe("a");
    }
  });

  test("5: gzip with zeros behind it, as tapes have them", async () => {
    using place = new TestPlace();
    await load(place, Buffer.concat([Bun.gzipSync(LAYER.slice()), new Uint8Array(1000)]), LAYER);
    expect(readFileSync(`${place.top("t:1")}/a`, "utf8")).toBe("a");
  });

  test("5: a table of contents and landmarks of lazy pullers are files like others", async () => {
    using place = new TestPlace();
    const layer = layerTar([file(".prefetch.landmark"), file("a"), file("stargz.index.json", "{}")]);
    await load(place, Bun.gzipSync(layer.slice()), layer);
    expect(readFileSync(`${place.top("t:1")}/a`, "utf8")).toBe("a");
  });

  test("21: folders in folders until no path can name them", async () => {
    using place = new TestPlace(undefined, "/dev/shm");
    const { message } = await failure(
      place.load(dockerArchive([{ tags: ["t:1"], layers: [layerTar([file(`${"d/".repeat(3000)}f`)])] }])),
    );
    expect(message).toMatch(
      /^layer sha256:[0-9a-f]{64}: "(d\/){150}…": the file name is too long for this filesystem$/,
    );
    expect(Bun.spawnSync(["find", `${place.root}/tmp`, "-mindepth", "1"]).stdout.toString()).toBe("");
  }, 180_000);

  test("a layer with 200,000 files", async () => {
    // In memory: this is about the engine, not about a disk.
    using place = new TestPlace(undefined, "/dev/shm");
    const members = Array.from({ length: 200_000 }, (_, i) => file(`d${i >> 10}/f${i}`, ""));
    await place.load(dockerArchive([{ tags: ["t:1"], layers: [layerTar(members)] }]));
    const top = place.top("t:1");
    for (const { name } of [members[0], members[100_000], members[199_999]] as Member[])
      expect(statSync(`${top}/${name}`).isFile()).toBe(true);
    await place.images.remove("t:1");
    expect(existsSync(top)).toBe(false);
  }, 180_000);
});

describe("22: configs", () => {
  test("a root filesystem that is not made of layers is refused", async () => {
    started().image("1", [LAYER]);
    const config = JSON.stringify({
      architecture: "amd64",
      os: "linux",
      rootfs: { type: "mystery", diff_ids: [sha256(LAYER)] },
    });
    const descriptor = registry.blob(config, `${OCI}config.v1+json`);
    registry.image("1", [LAYER], { config: descriptor });
    expect(await refused("1")).toBe(
      `config ${descriptor.digest} is not an image config: rootfs.diff_ids is missing`,
    );
  });

  test("what the engine does not know stays in it; no date is the year 1970; lists may be null", async () => {
    using place = new TestPlace();
    const config = JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: {
        Cmd: null,
        Entrypoint: [],
        Env: null,
        Labels: null,
        Volumes: null,
        ArgsEscaped: true,
        "x.y": 1,
      },
      rootfs: { type: "layers", diff_ids: [sha256(LAYER)] },
      "io.example": { kept: [1, 2] },
    });
    started();
    const descriptor = registry.blob(config, `${OCI}config.v1+json`);
    const layers = [registry.blob(LAYER, `${OCI}layer.v1.tar`)];
    registry.add("1", JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: descriptor, layers }), {
      "content-type": MANIFEST,
    });
    await pull(place, "1");
    const image = place.images.get(`${registry.name}:1`);
    expect(image.id).toBe(sha256(config));
    expect(image.created).toBe(0);
    expect(readFileSync(`${place.root}/blobs/sha256/${image.id.slice(7)}`, "utf8")).toBe(config);
  });
});
