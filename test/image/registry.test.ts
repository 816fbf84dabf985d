import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Images, type Progress } from "../../src/image/index.ts";
import { Store } from "../../src/store/index.ts";
import { dockerArchive, layerTar, type Member, sha256 } from "../support/image.ts";
import { FaultyProxy, IMPATIENT, NO_REGISTRY, skopeo, TestRegistry } from "../support/registry.ts";
import { until } from "../support/until.ts";
import { failure, pieces, TestPlace } from "./place.ts";

const file = (name: string, content: string | Uint8Array = name): Member => ({ name, type: "file", content });
/** Content that no compression makes small, the same in every run. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}
const layersOf = (manifest: string): Layer[] => (JSON.parse(manifest) as { layers: Layer[] }).layers;
const SMALL = layerTar([file("a")]);
const BIG = layerTar([file("big", noise(5 << 20, 1))]);
const TOP = layerTar([file("top")]);
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch;

describe.skipIf(NO_REGISTRY !== undefined)("registries", () => {
  let registry: TestRegistry;
  /** Holds x:1 (three layers, the second of 5 MB, compressed by skopeo) and x:2 (one layer). */
  let host = "";

  beforeAll(async () => {
    registry = await TestRegistry.start();
    host = registry.host;
    using scratch = new TestPlace();
    for (const [tag, layers] of [
      ["1", [SMALL, BIG, TOP]],
      ["2", [SMALL]],
    ] as const) {
      const archive = `${scratch.root}/${tag}.tar`;
      writeFileSync(archive, dockerArchive([{ tags: [`x:${tag}`], layers: [...layers] }]));
      await skopeo(
        "copy",
        "-q",
        "--dest-tls-verify=false",
        `docker-archive:${archive}`,
        `docker://${host}/x:${tag}`,
      );
    }
  });
  afterAll(() => registry?.stop());

  const raw = (name: string): Promise<string> =>
    skopeo("inspect", "--raw", "--tls-verify=false", `docker://${name}`);
  const put = async (path: string, body: string | Uint8Array, type: string): Promise<void> => {
    const answer = await fetch(`http://${host}/v2/${path}`, {
      method: "PUT",
      body: typeof body === "string" ? body : body.slice(),
      headers: { "content-type": type },
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  const putBlob = async (repository: string, body: string | Uint8Array) => {
    const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: "POST" });
    const url = new URL(begun.headers.get("location") ?? "", `http://${host}`);
    const digest = sha256(body);
    url.searchParams.set("digest", digest);
    await fetch(url, { method: "PUT", body: typeof body === "string" ? body : body.slice() });
    return { digest, size: typeof body === "string" ? Buffer.byteLength(body) : body.length };
  };
  const configOf = (layers: readonly Uint8Array[], architecture = ARCHITECTURE): string =>
    JSON.stringify({
      architecture,
      os: "linux",
      rootfs: { type: "layers", diff_ids: layers.map(sha256) },
    });
  /** Puts an image of plain layers there; gives its descriptor. */
  const putImage = async (
    repository: string,
    tag: string,
    layers: readonly Uint8Array[],
    options: { config?: string; architecture?: string } = {},
  ) => {
    const config = await putBlob(repository, options.config ?? configOf(layers, options.architecture));
    const listed = [];
    for (const layer of layers)
      listed.push({
        mediaType: "application/vnd.oci.image.layer.v1.tar",
        ...(await putBlob(repository, layer)),
      });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers: listed,
    });
    await put(`${repository}/manifests/${tag}`, manifest, MANIFEST);
    return { mediaType: MANIFEST, digest: sha256(manifest), size: manifest.length };
  };

  describe("pull", () => {
    test("tells what it does in Docker's words, and then that the image is up to date", async () => {
      using place = new TestPlace();
      const said: Progress[] = [];
      const pulled = await place.images.pull(`${host}/x:1`, {
        onProgress: (progress) => said.push(progress),
      });
      const manifest = await raw(`${host}/x:1`);
      const layers = (JSON.parse(manifest) as { layers: { digest: string }[] }).layers;
      const ids = layers.map(({ digest }) => digest.slice(7, 19));
      const lines = said
        .filter(({ current }) => current === undefined)
        .map(({ id, status }) => (id === undefined ? status : `${id}: ${status}`));
      expect(lines.slice(0, 4)).toEqual(["1: Pulling from x", ...ids.map((id) => `${id}: Pulling fs layer`)]);
      expect(lines.filter((line) => line.endsWith("Pull complete"))).toEqual(
        ids.map((id) => `${id}: Pull complete`),
      );
      expect(lines.slice(-2)).toEqual([
        `Digest: ${sha256(manifest)}`,
        `Status: Downloaded newer image for ${host}/x:1`,
      ]);
      expect(pulled).toEqual([
        {
          reference: `${host}/x:1`,
          id: place.images.get(`${host}/x:1`).id,
          digest: sha256(manifest),
          newer: true,
        },
      ]);
      said.length = 0;
      await place.images.pull(`${host}/x:1`, { onProgress: (progress) => said.push(progress) });
      expect(said.at(-1)).toEqual({ status: `Status: Image is up to date for ${host}/x:1` });
      expect(place.images.get(`${host}/x@${sha256(manifest)}`).tags).toEqual([`${host}/x:1`]);
      expect(readdirSync(`${place.root}/partial`)).toEqual([]);
    });

    test("layers that are here are not fetched again", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      await place.images.pull(`${proxy.host}/x:2`);
      const said: Progress[] = [];
      await place.images.pull(`${proxy.host}/x:1`, { onProgress: (progress) => said.push(progress) });
      expect(said.filter(({ status }) => status === "Already exists")).toHaveLength(1);
      // Two configs, and three layers once each.
      expect(proxy.count("/blobs/")).toBe(5);
      proxy.stop();
    });

    test("what the store has lost of an image that is here is fetched again, and no more", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const name = `${proxy.host}/x:1`;
      await place.images.pull(name);
      const manifest = await raw(`${host}/x:1`);
      const blob = (digest = ""): string => `${place.root}/blobs/sha256/${digest.slice(7)}`;
      const [first, second] = layersOf(manifest);
      const whole = [sha256(manifest), first?.digest, second?.digest].map((digest) =>
        readFileSync(blob(digest)),
      );
      const lost: [string, () => void][] = [
        [first?.digest ?? "", () => rmSync(blob(first?.digest))],
        [second?.digest ?? "", () => writeFileSync(blob(second?.digest), whole[2]?.subarray(0, 999) ?? "")],
        ["", () => writeFileSync(blob(sha256(manifest)), "{")],
      ];
      for (const [digest, lose] of lost) {
        lose();
        proxy.log.length = 0;
        expect((await place.images.pull(name))[0]).toMatchObject({ newer: false });
        expect(proxy.log.filter((line) => line.includes("/blobs/"))).toEqual(
          digest === "" ? [] : [`GET /v2/x/blobs/${digest}`],
        );
        expect(
          [sha256(manifest), first?.digest, second?.digest].map((each) => readFileSync(blob(each))),
        ).toEqual(whole);
      }

      // One that came otherwise, and whose own blobs nobody has any more, is then what the registry has.
      using loaded = new TestPlace();
      await loaded.load(dockerArchive([{ tags: [`${host}/x:2`], layers: [SMALL] }]));
      const { id } = loaded.images.get(`${host}/x:2`);
      rmSync(`${loaded.root}/blobs/sha256/${sha256(SMALL).slice(7)}`);
      await loaded.images.pull(`${host}/x:2`);
      const image = loaded.images.get(`${host}/x:2`);
      expect(image.id).toBe(id);
      expect(loaded.images.manifest(image)).toBe(sha256(await raw(`${host}/x:2`)));
      await loaded.images.save([`${host}/x:2`], () => {});
      proxy.stop();
    });

    test("a layer is unpacked while it arrives", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const unpacking = (): boolean =>
        readdirSync(`${place.root}/tmp`, { recursive: true }).some((name) => String(name).endsWith("/big"));
      let seen = false;
      proxy.fault = (_, url, forward) =>
        url.pathname.includes("/blobs/")
          ? forward().then((answer) => {
              if (Number(answer.headers.get("content-length")) < 1 << 20) return answer;
              return new Response(
                (async function* () {
                  let sent = 0;
                  for await (const piece of answer.body ?? []) {
                    yield piece;
                    sent += piece.length;
                    // The rest comes when something of the beginning is in its file.
                    if (sent < 2 << 20) continue;
                    seen ||= await until(unpacking);
                  }
                })(),
              );
            })
          : undefined;
      await place.images.pull(`${proxy.host}/x:1`);
      expect(seen).toBe(true);
      proxy.stop();
    });

    test("two at the same moment fetch each blob once", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const both = await Promise.all([1, 2].map(() => place.images.pull(`${proxy.host}/x:1`)));
      expect(both[0]?.[0]?.id).toBe(both[1]?.[0]?.id ?? "");
      expect(proxy.count("/blobs/")).toBe(4);
      proxy.stop();
    });

    test("by digest, and the digest is checked", async () => {
      using place = new TestPlace();
      const digest = sha256(await raw(`${host}/x:2`));
      const [pulled] = await place.images.pull(`${host}/x@${digest}`);
      expect(pulled?.reference).toBe(`${host}/x@${digest}`);
      expect(place.images.get(`${host}/x@${digest}`).tags).toEqual([]);
      const proxy = new FaultyProxy(host);
      let sent = "";
      proxy.fault = (_, url, forward) =>
        url.pathname.includes("/manifests/")
          ? forward().then(
              async (answer) =>
                new Response((sent = `${await answer.text()} `), { headers: { "content-type": MANIFEST } }),
            )
          : undefined;
      const error = await failure(place.images.pull(`${proxy.host}/x@${digest}`));
      expect(error.message).toBe(
        `manifest ${digest} of ${proxy.host}: its content is ${sha256(sent)}, not ${digest}`,
      );
      proxy.stop();
    });

    test.each([
      ["no page of another host", false],
      ["no page twice", true],
    ])("--all-tags, page by page, and %s", async (_, round) => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const elsewhere = new FaultyProxy(host);
      const pages: Record<string, [tags: string[], link: string]> = {
        "": [["2"], '</v2/x/tags/list?n=1&last=2>; rel="next"'],
        "?n=1&last=2": [["1", "2"], '</v2/x/tags/list?n=1&last=1>; rel="next"'],
        // Back to where it was, and so on for ever.
        "?n=1&last=1": [
          ["2"],
          round
            ? '</v2/x/tags/list?n=1&last=2>; rel="next"'
            : `<http://${elsewhere.host}/v2/x/tags/list>; rel="next"`,
        ],
      };
      proxy.fault = (_, url) => {
        if (!url.pathname.endsWith("/tags/list")) return undefined;
        const [tags, link] = pages[url.search] ?? [[], ""];
        return Response.json({ name: "x", tags }, { headers: link === "" ? {} : { link } });
      };
      const pulled = await place.images.pull(`${proxy.host}/x`, { allTags: true });
      expect(pulled.map(({ reference }) => reference)).toEqual([`${proxy.host}/x:1`, `${proxy.host}/x:2`]);
      expect(elsewhere.log).toEqual([]);
      expect(proxy.log.filter((line) => line.includes("/tags/list"))).toHaveLength(3);
      for (const each of [proxy, elsewhere]) each.stop();
    });

    test("an index: this machine's image, no attestation; another with --platform; one that it lacks", async () => {
      using place = new TestPlace();
      const mine = await putImage("multi", "mine", [SMALL]);
      const arm = await putImage("multi", "arm", [TOP], { architecture: "arm" });
      const index = JSON.stringify({
        schemaVersion: 2,
        mediaType: INDEX,
        manifests: [
          { ...arm, platform: { os: "unknown", architecture: "unknown" } },
          { ...arm, platform: { os: "linux", architecture: "arm", variant: "v6" } },
          { ...mine, platform: { os: "linux", architecture: ARCHITECTURE } },
        ],
      });
      await put("multi/manifests/latest", index, INDEX);
      const [pulled] = await place.images.pull(`${host}/multi`);
      expect(pulled?.digest).toBe(sha256(index));
      expect(place.images.get(`${host}/multi`).config.rootfs.diff_ids).toEqual([sha256(SMALL)]);
      await place.images.pull(`${host}/multi`, { platform: "linux/arm/v7" });
      expect(place.images.get(`${host}/multi`).config.architecture).toBe("arm");
      const error = await failure(place.images.pull(`${host}/multi`, { platform: "linux/s390x" }));
      expect(error).toMatchObject({
        message: "no matching manifest for linux/s390x in the manifest list entries",
        hint: `${host}/multi:latest is there for linux/arm/v6, linux/${ARCHITECTURE}.`,
      });
      const single = await failure(place.images.pull(`${host}/multi:arm`, { platform: "linux/s390x" }));
      expect(single.message).toBe(
        `image with reference ${host}/multi:arm was found but its platform (linux/arm) does not match the specified platform (linux/s390x)`,
      );
      const others = [{ ...arm, platform: { os: "linux", architecture: "arm", variant: "v6" } }];
      const without = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: others });
      await put("multi/manifests/others", without, INDEX);
      const mineIsMissing = await failure(place.images.pull(`${host}/multi:others`));
      expect(mineIsMissing).toMatchObject({
        message: `no matching manifest for linux/${ARCHITECTURE} in the manifest list entries`,
        hint: `${host}/multi:others is there for linux/arm/v6.`,
      });
    });

    test("zstd layers", async () => {
      using place = new TestPlace();
      using from = new TestPlace();
      writeFileSync(`${from.root}/z.tar`, dockerArchive([{ tags: ["z:1"], layers: [SMALL, TOP] }]));
      await skopeo(
        "copy",
        "-q",
        "--dest-tls-verify=false",
        "--dest-compress-format=zstd",
        "--format=oci",
        `docker-archive:${from.root}/z.tar`,
        `docker://${host}/z:1`,
      );
      await place.images.pull(`${host}/z:1`);
      expect(readFileSync(`${place.top(`${host}/z:1`)}/top`, "utf8")).toBe("top");
    });
  });

  describe("bad answers", () => {
    const refused = async (fault: FaultyProxy["fault"], name = "x:1") => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      proxy.fault = fault;
      const error = await failure(
        place.images.pull(`${proxy.host}/${name}`, { patience: { ...IMPATIENT, tries: 3 } }),
      );
      expect(place.images.list()).toHaveLength(1);
      proxy.stop();
      return { message: error.message.replaceAll(proxy.host, "HOST"), proxy };
    };
    const ofBlob = (url: URL): boolean => url.pathname.includes("/blobs/");
    const ofManifest = (url: URL): boolean => url.pathname.includes("/manifests/");
    const json = (value: unknown, type: string): Response =>
      new Response(JSON.stringify(value), { headers: { "content-type": type } });

    test("not found, by tag and by name", async () => {
      const { message } = await refused(() => undefined, "x:nope");
      expect(message).toBe("manifest for HOST/x:nope not found: manifest unknown: manifest unknown");
      using place = new TestPlace();
      const error = await failure(place.images.pull(`${host}/nothing/here`));
      expect(error.message).toBe(
        `manifest for ${host}/nothing/here:latest not found: manifest unknown: manifest unknown`,
      );
      const all = await failure(place.images.pull(`${host}/nothing/here`, { allTags: true }));
      expect(all.message).toBe(
        `repository ${host}/nothing/here not found: name unknown: repository name not known to registry`,
      );
    });

    test("a blob that is not there: which one, and not that the manifest is missing", async () => {
      const errors = [{ code: "BLOB_UNKNOWN", message: "blob unknown to registry" }];
      const { message } = await refused((_, url) =>
        ofBlob(url) ? Response.json({ errors }, { status: 404 }) : undefined,
      );
      expect(message).toMatch(
        /^HOST does not have sha256:[0-9a-f]{64}, which the image is made of: blob unknown: blob unknown to registry$/,
      );
    });

    test("denied", async () => {
      const errors = [{ code: "DENIED", message: "requested access to the resource is denied" }];
      const { message } = await refused(() => Response.json({ errors }, { status: 403 }));
      expect(message).toBe(
        "pull access denied for HOST/x, repository does not exist or may require 'sampan login': denied: requested access to the resource is denied",
      );
    });

    test("a web page instead of a manifest, and instead of a blob", async () => {
      const html = (): Response =>
        new Response("<html>", { headers: { "content-type": "text/html; charset=utf-8" } });
      const { message } = await refused((_, url) => (ofManifest(url) ? html() : undefined));
      expect(message).toBe("HOST has answered with a web page (text/html) instead of manifest 1");
      const blob = await refused((_, url) => (ofBlob(url) ? html() : undefined));
      expect(blob.message).toMatch(
        /^HOST has answered with a web page \(text\/html\) instead of blob sha256:[0-9a-f]{64}$/,
      );
      const missing = await refused((_, url) =>
        ofManifest(url) ? new Response("<html>", { status: 404, headers: html().headers }) : undefined,
      );
      expect(missing.message).toBe(
        "manifest for HOST/x:1 not found: HOST has answered 404 with a web page (text/html)",
      );
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      proxy.fault = (_, url) => (url.pathname.endsWith("/tags/list") ? html() : undefined);
      const tags = await failure(place.images.pull(`${proxy.host}/x`, { allTags: true }));
      expect(tags.message).toBe(
        `${proxy.host} has answered with a web page (text/html) instead of the list of tags`,
      );
      proxy.fault = (_, url) => (url.pathname.endsWith("/tags/list") ? new Response("tags") : undefined);
      const words = await failure(place.images.pull(`${proxy.host}/x`, { allTags: true }));
      expect(words.message).toBe(`the list of tags of ${proxy.host} is not JSON`);
      proxy.stop();
    });

    test("a manifest of 50 MB", async () => {
      const huge = new Uint8Array(50 << 20).fill(32);
      const { message } = await refused((_, url) => (ofManifest(url) ? new Response(huge) : undefined));
      expect(message).toBe("manifest 1 of HOST is larger than 4194304 bytes");
    });

    test("a manifest of schema 1, an artifact, a foreign layer, one that is two things", async () => {
      const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: sha256("x"), size: 1 };
      const answer = async (body: object, type = MANIFEST) => {
        const { message } = await refused((_, url) => (ofManifest(url) ? json(body, type) : undefined));
        return message.replace(sha256(JSON.stringify(body)), "ITSELF");
      };
      expect(await answer({ schemaVersion: 1, fsLayers: [] })).toBe(
        "manifest ITSELF is a manifest of schema 1, which is no longer supported",
      );
      const artifact = await answer({
        schemaVersion: 2,
        config: { ...config, mediaType: "application/x.y" },
        layers: [],
      });
      expect(artifact).toBe("manifest ITSELF is not an image but an artifact: it holds application/x.y");
      const mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
      const foreign = await answer({ schemaVersion: 2, config, layers: [{ ...config, mediaType }] });
      expect(foreign).toBe(`manifest ITSELF: layer ${config.digest} is foreign, it must come from elsewhere`);
      const both = await answer({ schemaVersion: 2, config, layers: [], manifests: [] });
      expect(both).toBe("manifest ITSELF is a manifest and an index at once");
      const misnamed = await answer({ schemaVersion: 2, config, layers: [] }, INDEX);
      expect(misnamed).toBe(`manifest ITSELF is called ${INDEX} but is a manifest`);
      expect(await answer({ schemaVersion: 2 })).toBe(
        "manifest ITSELF is neither an image manifest nor an index",
      );
      expect(await answer([])).toBe("manifest ITSELF is not a JSON object");
    });

    test("wrong bytes: both digests are named, and nothing of them is kept", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      proxy.fault = (_, url, forward) =>
        ofBlob(url)
          ? forward().then(async (answer) => {
              const bytes = new Uint8Array(await answer.arrayBuffer());
              // The layer only: it is compressed.
              if (bytes[0] === 0x1f) bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
              return new Response(bytes);
            })
          : undefined;
      const error = await failure(place.images.pull(`${proxy.host}/x:2`));
      expect(error.message).toMatch(/^the content of sha256:[0-9a-f]{64} is sha256:[0-9a-f]{64}$/);
      expect(readdirSync(`${place.root}/partial`)).toEqual([]);
      expect(place.images.list()).toHaveLength(1);
      proxy.fault = () => undefined;
      await place.images.pull(`${proxy.host}/x:2`);
      proxy.stop();
    });

    test("a layer that is not what the config says", async () => {
      await putImage("lies", "latest", [SMALL], { config: configOf([TOP]) });
      using place = new TestPlace();
      const error = await failure(place.images.pull(`${host}/lies`));
      expect(error.message).toBe(
        `layer ${sha256(SMALL)}: its content is ${sha256(SMALL)}, the image's config says ${sha256(TOP)}`,
      );
    });

    test("a registry that stalls before it answers, and in the middle of a blob", async () => {
      const silent = await refused((_, url) =>
        ofManifest(url) ? new Promise<Response>(() => {}) : undefined,
      );
      expect(silent.message).toBe("cannot pull HOST/x:1: HOST has not answered within 0.4 seconds");
      expect(silent.proxy.count("/manifests/")).toBe(3);
      const stalled = await refused((_, url) =>
        ofBlob(url)
          ? new Response(
              new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) }),
            )
          : undefined,
      );
      expect(stalled.message).toBe("cannot pull HOST/x:1: HOST has sent nothing for 0.4 seconds");
    });

    test("blobs that end early, each time", async () => {
      const { message } = await refused((request, url, forward) =>
        ofBlob(url)
          ? forward().then(async (answer) =>
              request.headers.has("range")
                ? new Response(null, { status: 206 })
                : new Response((await answer.arrayBuffer()).slice(0, 40)),
            )
          : undefined,
      );
      expect(message).toMatch(/^cannot pull HOST\/x:1: HOST ended sha256:[0-9a-f]{64} after 40 bytes$/);
    });
  });

  describe("broken connections", () => {
    const MEGABYTE = 1 << 20;
    const cut = (answer: Response, length: number): Response =>
      new Response(
        (async function* () {
          let left = length;
          for await (const piece of answer.body ?? []) {
            yield piece.subarray(0, left);
            left -= piece.length;
            if (left <= 0) return;
          }
        })(),
        { status: answer.status, headers: { "content-range": answer.headers.get("content-range") ?? "" } },
      );

    test("dropped after every megabyte: it goes on with ranges and succeeds", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      proxy.fault = (_, url, forward) =>
        url.pathname.includes("/blobs/") ? forward().then((answer) => cut(answer, MEGABYTE)) : undefined;
      await place.images.pull(`${proxy.host}/x:1`, { patience: { ...IMPATIENT, tries: 2 } });
      expect(proxy.headers.filter((headers) => headers.has("range")).length).toBeGreaterThanOrEqual(4);
      expect(place.images.get(`${proxy.host}/x:1`).config.rootfs.diff_ids).toHaveLength(3);
      proxy.stop();
    });

    test("what an interrupted pull has fetched is the beginning of the next one", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const stop = new AbortController();
      const partial = `${place.root}/partial`;
      const fetched = (): number =>
        Math.max(0, ...readdirSync(partial).map((name) => statSync(`${partial}/${name}`).size));
      proxy.fault = (_, url, forward) =>
        url.pathname.includes("/blobs/")
          ? forward().then((answer) => {
              if (Number(answer.headers.get("content-length")) < MEGABYTE) return answer;
              return new Response(
                (async function* () {
                  for await (const piece of cut(answer, 2 * MEGABYTE).body ?? []) yield piece;
                  await until(() => fetched() >= 2 * MEGABYTE);
                  stop.abort(new Error("enough"));
                  await Bun.sleep(10_000);
                })(),
              );
            })
          : undefined;
      const error = await failure(place.images.pull(`${proxy.host}/x:1`, { signal: stop.signal }));
      expect(error.message).toBe("enough");
      expect(readdirSync(`${place.root}/partial`)).toHaveLength(1);
      proxy.fault = () => undefined;
      proxy.headers.length = 0;
      await place.images.pull(`${proxy.host}/x:1`);
      expect(proxy.headers.map((headers) => headers.get("range")).filter(Boolean)).toEqual([
        `bytes=${2 * MEGABYTE}-`,
      ]);
      proxy.stop();
    });

    test("prune finds what an interrupted pull has left", async () => {
      using place = new TestPlace();
      mkdirSync(`${place.root}/partial`);
      writeFileSync(`${place.root}/partial/${"0".repeat(64)}`, "half");
      expect((await place.images.prune()).reclaimed).toBe(4);
      expect(readdirSync(`${place.root}/partial`)).toEqual([]);
    });

    test.skipIf(process.getuid?.() !== 0)("a disk that is full while it fetches is named", async () => {
      using place = new TestPlace();
      const root = `${place.root}/small`;
      mkdirSync(root);
      expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=4m", "none", root]).success).toBe(true);
      try {
        const paths = { root, run: `${root}/run` };
        const store = Store.open(paths);
        const error = await failure(new Images(store, paths).pull(`${host}/x:1`));
        store.close();
        // It arrives and is unpacked at the same time: either may be the first to find the disk full.
        expect(error.message).toMatch(
          /^(writing \S+\/partial\/[0-9a-f]{64}|layer sha256:[0-9a-f]{64}: writing "\w+"): no space left on device$/,
        );
      } finally {
        Bun.spawnSync(["umount", root]);
      }
    });

    test("two processes that want the same image: each blob is fetched once", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const worker = new URL("./pull-worker.ts", import.meta.url).pathname;
      const children = [1, 2, 3].map(() =>
        Bun.spawn([process.execPath, worker, place.root, `${proxy.host}/x:1`], {
          stdio: ["ignore", "ignore", "inherit"],
        }),
      );
      expect(await Promise.all(children.map(({ exited }) => exited))).toEqual([0, 0, 0]);
      expect(proxy.count("/blobs/")).toBe(4);
      expect(place.images.get(`${proxy.host}/x:1`).config.rootfs.diff_ids).toHaveLength(3);
      proxy.stop();
    });

    test("a process that is killed while it pulls leaves nothing wrong", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const worker = new URL("./pull-worker.ts", import.meta.url).pathname;
      for (const delay of [60, 90, 120, 150, 180]) {
        const child = Bun.spawn([process.execPath, worker, place.root, `${proxy.host}/x:1`], {
          stdio: ["ignore", "ignore", "ignore"],
        });
        await Bun.sleep(delay);
        child.kill("SIGKILL");
        await child.exited;
      }
      await place.images.pull(`${proxy.host}/x:1`);
      expect(readFileSync(`${place.top(`${proxy.host}/x:1`)}/top`, "utf8")).toBe("top");
      await place.images.remove(`${proxy.host}/x:1`);
      await place.images.prune();
      for (const folder of ["partial", "tmp", "layers", "blobs/sha256"])
        expect(readdirSync(`${place.root}/${folder}`), folder).toEqual([]);
      proxy.stop();
    });

    test("a half that was damaged meanwhile is fetched once more", async () => {
      using place = new TestPlace();
      const layers = (JSON.parse(await raw(`${host}/x:1`)) as { layers: { digest: string }[] }).layers;
      mkdirSync(`${place.root}/partial`);
      writeFileSync(`${place.root}/partial/${layers[1]?.digest.slice(7)}`, new Uint8Array(3 * MEGABYTE));
      await place.images.pull(`${host}/x:1`);
      expect(place.images.get(`${host}/x:1`).config.rootfs.diff_ids).toHaveLength(3);
    });

    test("connections that are reset in the middle of a blob", async () => {
      using place = new TestPlace();
      let resets = 0;
      // Below HTTP, since a server that ends an answer early has not reset anything.
      using resetting = Bun.listen<undefined>({
        hostname: "127.0.0.1",
        port: 0,
        socket: {
          async data(socket, bytes) {
            const [line = "", ...lines] = bytes.toString("latin1").split("\r\n");
            // TLS is tried first.
            if (!line.startsWith("GET ")) return void socket.end();
            const kept = lines
              .filter((each) => /^(accept|range):/i.test(each))
              .map((each) => each.split(": "));
            const answer = await fetch(`http://${host}${line.split(" ")[1]}`, {
              headers: kept as [string, string][],
              decompress: false,
            });
            const body = new Uint8Array(await answer.arrayBuffer());
            const headers = ["content-type", "content-range"].map(
              (name) => `${name}: ${answer.headers.get(name) ?? ""}`,
            );
            const head = `HTTP/1.1 ${answer.status} x\r\ncontent-length: ${body.length}\r\n${headers.join("\r\n")}\r\n\r\n`;
            socket.write(head);
            const reset = body.length > 2 * MEGABYTE && resets < 3;
            const sent = body.subarray(0, reset ? MEGABYTE : body.length);
            for (let at = 0; at < sent.length; await Bun.sleep(1)) at += socket.write(sent.subarray(at));
            if (!reset) return;
            resets++;
            socket.terminate();
          },
        },
      });
      const name = `127.0.0.1:${resetting.port}/x:1`;
      await place.images.pull(name, { patience: { ...IMPATIENT, answer: 5000, stall: 5000, tries: 6 } });
      expect(resets).toBe(3);
      expect(readFileSync(`${place.top(name)}/top`, "utf8")).toBe("top");
    });

    test("a range that the registry does not have: it begins again", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const layers = (JSON.parse(await raw(`${host}/x:1`)) as { layers: { digest: string }[] }).layers;
      mkdirSync(`${place.root}/partial`);
      writeFileSync(`${place.root}/partial/${layers[1]?.digest.slice(7)}`, new Uint8Array(MEGABYTE));
      proxy.fault = (request) =>
        request.headers.has("range") ? new Response(null, { status: 416 }) : undefined;
      await place.images.pull(`${proxy.host}/x:1`, { patience: IMPATIENT });
      const asked = proxy.log.filter((line) => line.includes(layers[1]?.digest ?? ""));
      expect(asked).toHaveLength(2);
      expect(place.images.get(`${proxy.host}/x:1`).config.rootfs.diff_ids).toHaveLength(3);
      proxy.stop();
    });

    test("a registry without ranges begins again", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      let broken = 0;
      proxy.fault = (request, url, forward) => {
        if (!url.pathname.includes("/blobs/")) return undefined;
        request.headers.delete("range");
        return forward().then((answer) => {
          if (Number(answer.headers.get("content-length")) < MEGABYTE || broken++ > 0) return answer;
          return cut(answer, MEGABYTE);
        });
      };
      await place.images.pull(`${proxy.host}/x:1`, { patience: IMPATIENT });
      expect(broken).toBe(2);
      proxy.stop();
    });

    test("too many requests, and errors of the registry: it waits as long as it is told", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const seen = new Map<string, number>();
      proxy.fault = (_, url) => {
        const times = (seen.get(url.pathname) ?? 0) + 1;
        seen.set(url.pathname, times);
        if (times === 1) return new Response("", { status: 429, headers: { "retry-after": "1" } });
        return times === 2 ? new Response("", { status: 503 }) : undefined;
      };
      const begun = performance.now();
      await place.images.pull(`${proxy.host}/x:2`, { patience: IMPATIENT });
      expect(performance.now() - begun).toBeGreaterThan(2000);
      proxy.fault = () => new Response("", { status: 429, headers: { "retry-after": "9999" } });
      const error = await failure(place.images.pull(`${proxy.host}/x:2`, { patience: IMPATIENT }));
      expect(error.message).toBe(
        `cannot pull ${proxy.host}/x:2: ${proxy.host}: toomanyrequests: too many requests`,
      );
      proxy.fault = () => new Response("", { status: 500 });
      for (const [what, done] of [
        ["pull", () => place.images.pull(`${proxy.host}/x:2`, { patience: IMPATIENT })],
        ["push", () => place.images.push(`${proxy.host}/x:2`, { patience: IMPATIENT })],
      ] as const)
        expect((await failure(done())).message).toBe(
          `cannot ${what} ${proxy.host}/x${what === "pull" ? ":2" : ""}: ${proxy.host} has answered 500`,
        );
      proxy.stop();
    });

    test("nobody there: the error says what works without", async () => {
      using place = new TestPlace();
      const error = (await failure(place.images.pull("127.0.0.1:1/x"))) as Error & { hint?: string };
      expect(error.message).toBe(
        "cannot pull 127.0.0.1:1/x:latest: 127.0.0.1:1 cannot be reached: nobody listens there (connection refused)",
      );
      expect(error.hint).toContain("sampan run -it host");
      expect(error.hint).toContain("sampan load -i FILE");
    });
  });

  describe("push", () => {
    test("what came from a registry goes back with the same digests", async () => {
      using place = new TestPlace();
      await place.images.pull(`${host}/x:1`);
      await place.images.tag(`${host}/x:1`, `${host}/back/there:9`);
      const [pushed] = await place.images.push(`${host}/back/there:9`);
      const manifest = await raw(`${host}/x:1`);
      expect(await raw(`${host}/back/there:9`)).toBe(manifest);
      expect(pushed).toEqual({
        reference: `${host}/back/there:9`,
        digest: sha256(manifest),
        size: manifest.length,
      });
    });

    test("what is kept uncompressed goes compressed, with the same digest again; the image keeps its id", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      const name = `${proxy.host}/plain`;
      await place.load(dockerArchive([{ tags: [`${name}:1`, `${name}:2`], layers: [BIG, TOP] }]));
      const image = place.images.get(`${name}:1`);
      const [pushed] = await place.images.push(`${name}:1`);
      const manifest = await raw(`${host}/plain:1`);
      expect(pushed).toMatchObject({ digest: sha256(manifest), size: manifest.length });
      expect(place.images.get(`${name}:1`)).toMatchObject({
        id: image.id,
        digests: [`${name}@${sha256(manifest)}`],
      });
      for (const [index, { mediaType, digest, size }] of layersOf(manifest).entries()) {
        expect(mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
        const answer = await fetch(`http://${host}/v2/plain/blobs/${digest}`);
        const bytes = new Uint8Array(await answer.arrayBuffer());
        expect({ digest: sha256(bytes), size: bytes.length }).toEqual({ digest, size });
        // Neither a name nor a time.
        expect([...bytes.subarray(0, 8)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        expect(sha256(Bun.gunzipSync(bytes))).toBe(sha256([BIG, TOP][index] ?? ""));
      }

      // What a row names is not made again; neither it nor what was begun is taken for something else.
      const blobs = `${place.root}/blobs/sha256`;
      writeFileSync(`${place.root}/tmp/blob-1-killed`, "half");
      await place.images.prune();
      const made = layersOf(manifest).map(({ digest }) => statSync(`${blobs}/${digest.slice(7)}`).ino);
      proxy.log.length = 0;
      await place.images.push(`${name}:2`);
      expect(proxy.log.filter((line) => /^(POST|PATCH) /.test(line))).toEqual([]);
      expect(await raw(`${host}/plain:2`)).toBe(manifest);
      expect(layersOf(manifest).map(({ digest }) => statSync(`${blobs}/${digest.slice(7)}`).ino)).toEqual(
        made,
      );
      expect(readdirSync(`${place.root}/tmp`)).toEqual([]);

      // Elsewhere it comes to the same digest, and is the same image.
      using other = new TestPlace();
      await other.images.pull(`${host}/plain:1`);
      expect(other.images.get(`${host}/plain:1`).id).toBe(image.id);
      using third = new TestPlace();
      await third.load(dockerArchive([{ tags: [`${host}/plain:3`], layers: [BIG, TOP] }]));
      await third.images.push(`${host}/plain:3`);
      expect(await raw(`${host}/plain:3`)).toBe(manifest);

      await place.images.remove(image.id, { force: true });
      expect(readdirSync(blobs)).toEqual([]);
      expect(place.store.db.query("SELECT * FROM sent").all()).toEqual([]);
      proxy.stop();
    });

    test("a compressed layer that was lost is made again; one that is damaged goes nowhere", async () => {
      using place = new TestPlace();
      await place.load(dockerArchive([{ tags: [`${host}/damaged:1`], layers: [TOP] }]));
      const pushed = await place.images.push(`${host}/damaged:1`);
      const [sent] = layersOf(await raw(`${host}/damaged:1`));
      writeFileSync(`${place.root}/blobs/sha256/${sent?.digest.slice(7)}`, "");
      await place.images.tag(`${host}/damaged:1`, `${host}/damaged-too:1`);
      const [again] = await place.images.push(`${host}/damaged-too:1`);
      expect(again?.digest).toBe(pushed[0]?.digest ?? "");
      expect(readFileSync(`${place.root}/blobs/sha256/${sent?.digest.slice(7)}`)).toHaveLength(
        sent?.size ?? 0,
      );
      place.store.db.run("DELETE FROM sent");
      const wrong = Uint8Array.from(TOP);
      wrong[600] = 1;
      writeFileSync(`${place.root}/blobs/sha256/${sha256(TOP).slice(7)}`, wrong);
      expect((await failure(place.images.push(`${host}/damaged:1`))).message).toBe(
        `the store is damaged: the content of ${sha256(TOP)} is ${sha256(wrong)}`,
      );
      expect(readdirSync(`${place.root}/tmp`)).toEqual([]);
    });

    test("uncompressed layers of a registry go with their own digests, also beneath one of our own", async () => {
      using place = new TestPlace();
      const theirs = layerTar([file("theirs")]);
      await putImage("theirs", "1", [theirs]);
      await place.images.pull(`${host}/theirs:1`);
      await place.images.tag(`${host}/theirs:1`, `${host}/theirs-too:1`);
      await place.images.push(`${host}/theirs-too:1`);
      expect(await raw(`${host}/theirs-too:1`)).toBe(await raw(`${host}/theirs:1`));
      const commit = {
        parent: place.images.get(`${host}/theirs:1`),
        reference: `${host}/upon:1`,
        config: {},
        createdBy: "",
      };
      await place.images.commit(commit, pieces(TOP));
      await place.images.push(`${host}/upon:1`);
      expect(layersOf(await raw(`${host}/upon:1`)).map(({ mediaType }) => mediaType)).toEqual([
        layersOf(await raw(`${host}/theirs:1`))[0]?.mediaType ?? "",
        "application/vnd.oci.image.layer.v1.tar+gzip",
      ]);
    });

    test("mounted from where it is, and not sent at all where it is already", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      await place.images.pull(`${proxy.host}/x:2`);
      await place.images.tag(`${proxy.host}/x:2`, `${proxy.host}/mounted:1`);
      const said: Progress[] = [];
      const onProgress = (progress: Progress): number => said.push(progress);
      await place.images.push(`${proxy.host}/mounted:1`, { onProgress });
      expect(said.map(({ status }) => status)).toContain("Mounted from x");
      said.length = 0;
      await place.images.push(`${proxy.host}/mounted:1`, { onProgress });
      expect(said.map(({ status }) => status)).toContain("Layer already exists");
      proxy.stop();
    });

    test("a mount that is not granted goes on as an upload, without another POST", async () => {
      using place = new TestPlace();
      const proxy = new FaultyProxy(host);
      await place.images.pull(`${proxy.host}/x:2`);
      await place.images.tag(`${proxy.host}/x:2`, `${proxy.host}/ungranted:1`);
      proxy.fault = (_, url, forward) => {
        if (url.searchParams.has("mount")) url.search = "";
        return url.pathname.endsWith("/uploads/")
          ? forward().then((answer) => {
              // A relative one with a query of its own.
              const location = new URL(answer.headers.get("location") ?? "");
              const headers = { location: `${location.pathname}${location.search}` };
              return new Response(null, { status: 202, headers });
            })
          : undefined;
      };
      await place.images.push(`${proxy.host}/ungranted:1`);
      // One for the layer, one for the config.
      expect(proxy.count("POST ")).toBe(2);
      // What has no content yet has no name.
      expect(proxy.log.slice(-2).map((line) => line.replace(/sha256.*|\?.*/, ""))).toEqual([
        expect.stringMatching(/^PUT .*uploads/),
        "PUT /v2/ungranted/manifests/1",
      ]);
      expect(await raw(`${host}/ungranted:1`)).toBe(await raw(`${host}/x:2`));
      proxy.stop();
    });

    test("large layers as a stream; in chunks where that is too much; on from where it broke", async () => {
      using place = new TestPlace();
      const layer = layerTar([file("large", noise(17 << 20, 7))]);
      await place.load(dockerArchive([{ tags: ["large:1"], layers: [layer] }]));
      const proxy = new FaultyProxy(host);
      await place.images.tag("large:1", `${proxy.host}/stream:1`);
      await place.images.push(`${proxy.host}/stream:1`);
      expect(proxy.count("PATCH ")).toBe(1);

      proxy.fault = (request, url, forward) => {
        if (url.searchParams.has("mount")) url.search = "";
        if (request.method !== "PATCH") return undefined;
        const range = /^(\d+)-(\d+)$/.exec(request.headers.get("content-range") ?? "");
        if (!range) return new Response("", { status: 413 });
        return forward();
      };
      await place.images.tag("large:1", `${proxy.host}/chunks:1`);
      proxy.log.length = 0;
      await place.images.push(`${proxy.host}/chunks:1`, { patience: IMPATIENT });
      expect(proxy.count("PATCH ")).toBe(4);

      // A registry may want larger ones.
      const chunks = proxy.fault;
      const lengths: number[] = [];
      proxy.fault = (request, url, forward) => {
        const range = /^(\d+)-(\d+)$/.exec(request.headers.get("content-range") ?? "");
        if (request.method === "PATCH" && range) lengths.push(Number(range[2]) - Number(range[1]) + 1);
        if (!url.pathname.endsWith("/uploads/")) return chunks(request, url, forward);
        url.search = "";
        return forward().then((answer) => {
          const headers = new Headers(answer.headers);
          headers.set("oci-chunk-min-length", String(10 << 20));
          return new Response(answer.body, { status: answer.status, headers });
        });
      };
      await place.images.tag("large:1", `${proxy.host}/larger:1`);
      await place.images.push(`${proxy.host}/larger:1`, { patience: IMPATIENT });
      const [sent] = layersOf(await raw(`${host}/larger:1`));
      expect(lengths).toEqual([10 << 20, (sent?.size ?? 0) - (10 << 20)]);

      let failures = 0;
      proxy.fault = (request, url, forward) => {
        if (url.searchParams.has("mount")) url.search = "";
        return request.method === "PATCH" && failures++ === 0
          ? forward().then(() => new Response("", { status: 502 }))
          : undefined;
      };
      await place.images.tag("large:1", `${proxy.host}/broken:1`);
      proxy.log.length = 0;
      await place.images.push(`${proxy.host}/broken:1`, { patience: IMPATIENT });
      const digests = ["stream", "chunks", "larger", "broken"].map((name) => raw(`${host}/${name}:1`));
      expect(new Set(await Promise.all(digests)).size).toBe(1);
      using other = new TestPlace();
      await other.images.pull(`${host}/broken:1`);
      proxy.stop();
    });

    test("names that are not here, host, several tags", async () => {
      using place = new TestPlace();
      expect((await failure(place.images.push(`${host}/none`))).message).toBe(
        `An image does not exist locally with the tag: ${host}/none`,
      );
      await place.load(dockerArchive([{ tags: [`${host}/many:1`, `${host}/many:2`], layers: [SMALL] }]));
      expect((await failure(place.images.push(`${host}/many`))).message).toBe(
        `tag does not exist: ${host}/many:latest`,
      );
      expect((await failure(place.images.push("host"))).message).toContain("cannot be pushed");
      const pushed = await place.images.push(`${host}/many`, { allTags: true });
      expect(pushed.map(({ reference }) => reference)).toEqual([`${host}/many:1`, `${host}/many:2`]);
    });

    test("skopeo reads what was pushed", async () => {
      using place = new TestPlace();
      await place.load(dockerArchive([{ tags: ["local:1"], layers: [SMALL, TOP] }]));
      await place.images.tag("local:1", `${host}/local:1`);
      await place.images.push(`${host}/local:1`);
      mkdirSync(`${place.root}/out`);
      await skopeo(
        "copy",
        "-q",
        "--src-tls-verify=false",
        `docker://${host}/local:1`,
        `oci:${place.root}/out:1`,
      );
      const info = JSON.parse(await skopeo("inspect", "--tls-verify=false", `docker://${host}/local:1`)) as {
        Layers: string[];
      };
      expect(info.Layers).toHaveLength(2);
    });
  });
});
