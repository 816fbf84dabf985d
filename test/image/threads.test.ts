/** Layers that are large enough for threads of their own: the same content and the same errors as by node:zlib's streams. */
import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { decompress } from "../../src/image/compression.ts";
import { tarBytes } from "../../src/image/tar/writer.ts";
import type { UnpackJob } from "../../src/image/unpack/child.ts";
import { startUnpack, type Unpacked } from "../../src/image/unpack/start.ts";
import { sha256 } from "../support/image.ts";
import { failure, pieces } from "./place.ts";

setDefaultTimeout(60_000);

const dir = mkdtempSync(`${tmpdir()}/sampan-threads-`);
const folder = `${dir}/layer`;
const path = `${dir}/archive`;
afterAll(() => rmSync(dir, { recursive: true, force: true }));
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});

/** Little that could be compressed, the same each time, so that what is compressed is as large as it must be. */
const content = ((): Buffer => {
  const bytes = Buffer.alloc(5 << 20);
  let state = 20261126;
  for (let at = 0; at < bytes.length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return Buffer.from(bytes.toString("base64"));
})();
const archive = tarBytes((tar) => {
  tar.file("first", "first");
  tar.file("large", content);
  tar.file("last", "last");
});
const half = archive.length >> 1;
const gzip = (bytes: Uint8Array): Buffer => gzipSync(bytes, { level: 1 });
const zstd = (bytes: Uint8Array): Buffer => zstdCompressSync(bytes);

function unpackFd(fd: number, job: Partial<UnpackJob> = {}): Promise<Unpacked> {
  return startUnpack({ folder, lower: [], ...job }, fd, fd, "layer");
}

async function unpack(bytes: Uint8Array, job: Partial<UnpackJob> = {}): Promise<Unpacked> {
  writeFileSync(path, bytes);
  const fd = openSync(path, "r");
  try {
    return await unpackFd(fd, job);
  } finally {
    closeSync(fd);
  }
}

function expectWhole(unpacked: Unpacked): void {
  expect(unpacked).toMatchObject({ diffId: sha256(archive), entries: 3, size: content.length + 9 });
  expect(Buffer.compare(readFileSync(`${folder}/large`), content)).toBe(0);
  expect(readFileSync(`${folder}/last`, "utf8")).toBe("last");
}

/** What the streams say of the same bytes. */
const saidByStreams = async (bytes: Uint8Array): Promise<string> => {
  const all = async (): Promise<void> => {
    for await (const _ of decompress(pieces(bytes, 1 << 20)));
  };
  return `layer: ${(await failure(all())).message}`;
};

const WAYS: Readonly<Record<string, Uint8Array>> = {
  gzip: gzip(archive),
  "gzip of two members": Buffer.concat([gzip(archive.subarray(0, half)), gzip(archive.subarray(half))]),
  "gzip and zeros behind it": Buffer.concat([gzip(archive), Buffer.alloc(3000)]),
  zstd: zstd(archive),
  "zstd and something else behind it": Buffer.concat([zstd(archive), Buffer.from("something else")]),
  "zstd of two frames": Buffer.concat([zstd(archive.subarray(0, half)), zstd(archive.subarray(half))]),
};

describe("a large layer", () => {
  for (const [way, bytes] of Object.entries(WAYS))
    test(`by ${way} is what it was`, async () => expectWhole(await unpack(bytes)));

  test("that is a part of a larger file", async () => {
    const bytes = gzip(archive);
    const around = Buffer.concat([Buffer.alloc(700, "x"), bytes, gzip(Buffer.from("more"))]);
    expectWhole(await unpack(around, { range: { start: 700, length: bytes.length } }));
  });

  test("that is still arriving", async () => {
    const bytes = gzip(archive);
    writeFileSync(path, bytes.subarray(0, 3));
    const fd = openSync(path, "r");
    const unpacked = unpackFd(fd, { size: bytes.length });
    for (let at = 3; at < bytes.length; at += 1 << 20) {
      await Bun.sleep(1);
      appendFileSync(path, bytes.subarray(at, at + (1 << 20)));
    }
    expectWhole(await unpacked);
    closeSync(fd);
  });

  test("that is cut or changed is said to be so, in the words of the streams", async () => {
    const wrong = [gzip(archive).fill(0xff, half, half + 2000), zstd(archive).fill(0xff, 6, 2000)];
    wrong.push(Buffer.concat([gzip(archive), Buffer.from("something else")]));
    for (const bytes of wrong) {
      const { message } = await failure(unpack(bytes));
      expect(message).toBe(await saidByStreams(bytes));
      expect(message).toContain(" data is damaged: ");
    }
    const cut = gzip(archive).subarray(0, -100_000);
    expect((await failure(unpack(cut))).message).toBe("layer: the gzip data is truncated");
    expect(await saidByStreams(cut)).toBe("layer: the gzip data is truncated");
    // zstd's says nothing, and the archive's end is missed.
    const short = zstd(archive).subarray(0, -100_000);
    expect((await failure(unpack(short))).message).toContain("the archive is truncated: it ends after");
  });

  test("that grows too much, or is no archive behind its beginning, ends at once", async () => {
    expect(await failure(unpack(gzip(archive), { limits: { free: 1 << 20, ratio: 0.5 } }))).toMatchObject({
      message: "layer: the archive grows to more than 0.5 times its size: this looks like an archive bomb",
      hint: "If it is meant so, decompress it first: the limit is for compressed archives.",
    });
    const strange = Buffer.concat([archive.subarray(0, 512), content, content]);
    expect((await failure(unpack(gzip(strange)))).message).toContain("the archive is damaged: no tar header");
  });
});

test.each([
  ["one that is small", 1000],
  ["one for threads", 6 << 20],
])("who fetched the layer was gone before it was looked at: %s ends", async (_, size) => {
  const content = crypto.getRandomValues(Buffer.alloc(65_536));
  const archive = tarBytes((tar) =>
    tar.file("a", Buffer.concat(Array(Math.ceil(size / 65_536)).fill(content))),
  );
  writeFileSync(path, gzipSync(archive, { level: 0 }).subarray(0, -1));
  const [input, lock] = [openSync(path, "r"), openSync(`${dir}/lock`, "w")];
  try {
    const job = { folder, lower: [], size: readFileSync(path).length + 1, parent: 1 };
    const error = await failure(startUnpack(job, input, lock, "layer x"));
    expect(error.message).toBe("layer x: the process that fetches the layer has gone");
  } finally {
    for (const fd of [input, lock]) closeSync(fd);
  }
});
