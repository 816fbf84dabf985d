/** Trees packed and put: what nobody can make lead elsewhere, and what is refused by name. */
import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { fgetxattr, lsetxattr, lstatat } from "../../src/image/sys.ts";
import { readTar, TarReader } from "../../src/image/tar/reader.ts";
import { entryOf, type TarWriter, tarBytes } from "../../src/image/tar/writer.ts";
import { isDir, openPath, Plain } from "../../src/image/tree/folder.ts";
import {
  type Answered,
  type Answers,
  changesOf,
  feed,
  packPath,
  putInto,
  type TreeStreams,
} from "../../src/image/tree/index.ts";
import { Making } from "../../src/image/tree/making.ts";
import { packed as archiveOf } from "../../src/image/tree/pack.ts";
import { TreeFolder } from "../../src/image/tree/put.ts";
import { launcherPath } from "../../src/launch/index.ts";
import { ROOT, WITHOUT_ROOT } from "./merged.ts";
import { failure, pieces } from "./place.ts";

let root = "";
let folder = "";
let outside = "";
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/sampan-tree-`);
  folder = `${root}/folder`;
  outside = `${root}/outside`;
  for (const path of [folder, outside]) mkdirSync(path);
  writeFileSync(`${outside}/secret`, "secret");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
/** Puts an archive into the folder. */
async function putArchive(archive: Uint8Array): Promise<void> {
  const fd = openPath(folder);
  const making = new Making({
    launcher: launcherPath(),
    root: fd,
    at: "",
    shown: folder,
    links: "refused",
    owner: OWNER,
  });
  closeSync(fd);
  const sink = new TreeFolder(making);
  const reader = new TarReader(sink);
  try {
    for await (const piece of pieces(archive, 700)) reader.push(piece);
    reader.finish();
    sink.finish();
    await making.finish();
  } catch (error) {
    throw await making.reason(error);
  }
}
const put = (build: (tar: TarWriter) => void) => putArchive(tarBytes(build));
const refusal = async (build: (tar: TarWriter) => void): Promise<string> =>
  (await failure(put(build))).message;
/** A folder, or a file in the working tree, as an archive that was read again. */
function packed(path: string, name: string) {
  const dir = openPath(path.slice(0, path.lastIndexOf("/")));
  const base = path.slice(path.lastIndexOf("/") + 1);
  const status = lstatat(dir, base);
  if (!status) throw new Error(`${path} is not there`);
  const all = archiveOf({}, (packer) =>
    isDir(status) ? packer.folder(new Plain(openPath(path)), name) : packer.file({ dir, status }, base, name),
  );
  const members = readTar(Buffer.concat([...all]));
  closeSync(dir);
  return members;
}
/** From a path of this machine into a folder of it, as `cp` goes about it. */
async function copied(path: string, name: string, to: string): Promise<void> {
  await putInto({ folder: to, owner: OWNER }, pieceByPiece(packPath(path, name)));
}
async function* pieceByPiece(records: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* records;
}

describe("an archive that is put into a folder", () => {
  test("goes nowhere else, whatever it names", async () => {
    expect(await refusal((tar) => tar.file("../x", "x"))).toBe(
      '"../x" contains "..", which could lead out of the layer',
    );
    expect(
      await refusal((tar) => {
        tar.entry(entryOf({ name: "link", type: "symlink", link: outside }));
        tar.file("link/x", "x");
      }),
    ).toBe('"link" leads through a symlink, which is not followed here');
    expect(
      await refusal((tar) => {
        tar.entry(entryOf({ name: "to-secret", type: "symlink", link: `${outside}/secret` }));
        tar.entry(entryOf({ name: "up/..", type: "link", link: "x" }));
      }),
    ).toContain('contains ".."');
    expect(await refusal((tar) => tar.entry(entryOf({ name: "h", type: "link", link: "link/secret" })))).toBe(
      '"link" leads through a symlink, which is not followed here',
    );
    await put((tar) => tar.file(`${outside}/absolute`, "x"));
    expect(readdirSync(outside)).toEqual(["secret"]);
    expect(existsSync(`${folder}${outside}/absolute`)).toBe(true);
  });

  test("replaces a link, and does not write through it", async () => {
    symlinkSync(`${outside}/secret`, `${folder}/file`);
    await put((tar) => tar.file("file", "new"));
    expect(readFileSync(`${folder}/file`, "utf8")).toBe("new");
    expect(readFileSync(`${outside}/secret`, "utf8")).toBe("secret");
  });

  test("folders are merged; a file never takes a folder's place, nor the other way round", async () => {
    mkdirSync(`${folder}/d`, { mode: 0o700 });
    writeFileSync(`${folder}/d/kept`, "");
    writeFileSync(`${folder}/f`, "");
    await put((tar) => {
      tar.entry(entryOf({ name: "d", type: "dir", mode: 0o751, mtime: 5_000_000_000n }));
      tar.file("d/new", "");
    });
    expect(readdirSync(`${folder}/d`).sort()).toEqual(["kept", "new"]);
    expect([statSync(`${folder}/d`).mode & 0o777, statSync(`${folder}/d`).mtimeMs]).toEqual([0o751, 5000]);
    expect(await refusal((tar) => tar.file("d", "x"))).toBe(
      `cannot overwrite directory "${folder}/d" with non-directory "${folder}"`,
    );
    expect(await refusal((tar) => tar.entry(entryOf({ name: "f", type: "dir" })))).toBe(
      `cannot overwrite non-directory "${folder}/f" with directory "${folder}"`,
    );
  });

  test("modes are the archive's, whatever the umask is", async () => {
    const before = process.umask(0o077);
    try {
      await put((tar) => {
        tar.entry(entryOf({ name: "new", type: "dir", mode: 0o775 }));
        tar.file("new/old", "x", { mode: 0o666 });
        tar.entry(entryOf({ name: "new/link", type: "link", link: "new/old" }));
      });
    } finally {
      process.umask(before);
    }
    expect(readdirSync(folder)).toEqual(["new"]);
    expect(statSync(`${folder}/new`).mode & 0o777).toBe(0o775);
    expect(statSync(`${folder}/new/link`)).toMatchObject({ nlink: 2, mode: 0o100666 });
  });

  test("a name that is too long, and an archive that ends too early, are said", async () => {
    expect(await refusal((tar) => tar.file("n".repeat(300), "x"))).toMatch(/^open n+: ENAMETOOLONG$/);
    const whole = tarBytes((tar) => tar.file("f", "x".repeat(5000)));
    expect((await failure(putArchive(whole.subarray(0, 3000)))).message).toBe(
      'the archive is truncated: it ends after 3000 bytes, in the middle of "f"',
    );
  });
});

describe("a tree that is packed", () => {
  test("names in order, under the name that is wanted; links inside stay links", () => {
    mkdirSync(`${folder}/b`);
    writeFileSync(`${folder}/b/x`, "x");
    symlinkSync(outside, `${folder}/a`);
    expect(packed(folder, "t").map(({ entry: { name, type } }) => `${type} ${name}`)).toEqual([
      "dir t/",
      "symlink t/a",
      "dir t/b/",
      "file t/b/x",
    ]);
    expect(packed(`${folder}/a`, "only").map(({ entry }) => entry.link)).toEqual([outside]);
  });

  test("what nobody wrote of a file is zeros, wherever it lies", () => {
    const size = 5_000_001;
    const fd = openSync(`${folder}/holes`, "w");
    ftruncateSync(fd, size);
    const wanted = Buffer.alloc(size);
    for (const at of [3, 1_500_000, 4_000_000]) {
      writeSync(fd, "written", at);
      wanted.write("written", at);
    }
    closeSync(fd);
    truncateSync(`${folder}/holes`, size);
    writeFileSync(`${folder}/nothing`, "");
    truncateSync(`${folder}/nothing`, 2_000_000);
    const [, holes, nothing] = packed(folder, "t");
    expect(Buffer.compare(holes?.content ?? Buffer.alloc(0), wanted)).toBe(0);
    expect(Buffer.compare(nothing?.content ?? Buffer.alloc(0), Buffer.alloc(2_000_000))).toBe(0);
  });

  test("a name that is no text, and one of 255 bytes, come back as they were", async () => {
    const odd = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x66, 0xff, 0xfe])]);
    writeFileSync(odd, "odd");
    writeFileSync(`${folder}/${"n".repeat(255)}`, "long");
    const target = `${root}/target`;
    mkdirSync(target);
    await copied(folder, "t", target);
    expect(
      readdirSync(`${target}/t`, { encoding: "buffer" })
        .map((name) => name.length)
        .sort(),
    ).toEqual([255, 3]);
  });

  test("all that a file can be comes back under another name, as large as it was", async () => {
    const target = `${root}/target`;
    mkdirSync(target);
    // Around the size of a piece, and of what is left of one.
    const sizes = [0, 1, 7, 8, 9, 65_535, 131_023, 131_032, 131_033, 131_072, 262_145, 1_048_577];
    const content = (size: number): Buffer => Buffer.alloc(size, `${size} and so on, `);
    mkdirSync(`${folder}/d`, { mode: 0o700 });
    for (const size of sizes) writeFileSync(`${folder}/d/${size}`, content(size), { mode: 0o604 });
    linkSync(`${folder}/d/7`, `${folder}/again`);
    symlinkSync("d/../../elsewhere", `${folder}/to`);
    Bun.spawnSync(["mkfifo", "-m", "640", `${folder}/fifo`]);
    const holes = openSync(`${folder}/holes`, "w");
    writeSync(holes, "written", 3_000_000);
    ftruncateSync(holes, 5_000_001);
    closeSync(holes);
    if (ROOT) lsetxattr(`${folder}/d/9`, "trusted.note", Buffer.from("note"));
    for (const path of [`${folder}/d/8`, `${folder}/d`]) utimesSync(path, -5, -5);
    let archived = 0;
    const records = pieceByPiece(packPath(folder, "other", (total) => (archived = total)));
    await putInto({ folder: target, owner: OWNER }, records);
    expect(readdirSync(target)).toEqual(["other"]);
    const other = `${target}/other`;
    for (const size of sizes) {
      const copy = readFileSync(`${other}/d/${size}`);
      expect([size, copy.length, Buffer.compare(copy, content(size))]).toEqual([size, size, 0]);
    }
    for (const name of ["d", "d/8", "d/9", "fifo", "holes", "again"]) {
      const { mode, mtimeMs, nlink, size } = statSync(`${folder}/${name}`);
      expect([name, statSync(`${other}/${name}`)]).toMatchObject([name, { mode, mtimeMs, nlink }]);
      if (name === "holes") expect(statSync(`${other}/holes`)).toMatchObject({ size });
    }
    expect(statSync(`${other}/holes`).blocks).toBeLessThan(1000);
    expect(readFileSync(`${other}/holes`).toString("latin1", 2_999_999, 3_000_008)).toBe("\0written\0");
    expect(readlinkSync(`${other}/to`)).toBe("d/../../elsewhere");
    const noted = openSync(`${other}/d/9`, "r");
    if (ROOT) expect(Buffer.from(fgetxattr(noted, "trusted.note") ?? []).toString()).toBe("note");
    closeSync(noted);
    const members = sizes.reduce((sum, size) => sum + 512 + 512 * Math.ceil(size / 512), 0);
    // Two folders, a link, a symlink, a fifo, the file with holes, and the end.
    expect(archived).toBe(members + 5 * 512 + 512 + 512 * Math.ceil(5_000_001 / 512) + 1024);
  });

  test("a file that becomes shorter meanwhile is an error, not zeros", () => {
    // One of sysfs says 4,096 bytes and has fewer.
    expect(() => packed("/sys/kernel/uevent_seqnum", "f")).toThrow('"f" became shorter while it was read');
  });
});

describe("an archive that is fed to a process", () => {
  const streams = (written: Uint8Array[]): TreeStreams => ({
    output: pieces(new Uint8Array()),
    answers: pieces(new Uint8Array()),
    write: async (bytes) => void written.push(bytes),
    end: async () => {},
    ended: Promise.resolve(undefined),
    kill: () => {},
  });
  const answering = (answer: Promise<Answered>) => ({ next: () => answer }) as Answers;

  test("leaves nothing behind of a piece that was written", async () => {
    const written: Uint8Array[] = [];
    const { promise, resolve } = Promise.withResolvers<Answered>();
    const then = spyOn(promise, "then");
    async function* archive() {
      yield* pieces(new Uint8Array(1000), 1);
      resolve({ ok: true });
    }
    await feed(streams(written), answering(promise), archive());
    expect(written.length).toBe(1000);
    expect(then.mock.calls.length).toBeLessThan(5);
  });

  test("ends with the first refusal, and says that", async () => {
    const written: Uint8Array[] = [];
    const { promise, reject } = Promise.withResolvers<Answered>();
    let closed = false;
    async function* archive() {
      try {
        for (;;) {
          if (written.length === 3) reject(new Error("no"));
          await Bun.sleep(0);
          yield new Uint8Array(1);
        }
      } finally {
        closed = true;
      }
    }
    expect((await failure(feed(streams(written), answering(promise), archive()))).message).toBe("no");
    expect([written.length, closed]).toEqual([3, true]);
  });
});

describe.skipIf(!ROOT)(`an upper folder${WITHOUT_ROOT}`, () => {
  test("of an overlay with redirects is refused by name", () => {
    mkdirSync(`${folder}/moved`);
    lsetxattr(`${folder}/moved`, "trusted.overlay.redirect", Buffer.from("/elsewhere"));
    expect(() => [...changesOf({ upper: folder, lower: [outside] })]).toThrow(
      "/moved was changed by an overlay with redirect",
    );
  });

  test("seen somewhere else, and places that are nobody's", () => {
    mkdirSync(`${folder}/etc`);
    writeFileSync(`${folder}/etc/hosts`, "");
    writeFileSync(`${folder}/etc/own`, "");
    const changes = (made: string[]) =>
      [...changesOf({ upper: folder, lower: [outside], at: "/mnt", made })].map(
        ({ kind, path }) => kind + path,
      );
    expect(changes([])).toEqual(["A/mnt/etc", "A/mnt/etc/hosts", "A/mnt/etc/own"]);
    expect(changes(["/etc", "/etc/hosts"])).toEqual(["A/mnt/etc", "A/mnt/etc/own"]);
    rmSync(`${folder}/etc/own`);
    expect(changes(["/etc", "/etc/hosts"])).toEqual([]);
  });
});
