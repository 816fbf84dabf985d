/** Records for the launcher's `put`, right, wrong and mutated: built with the address and undefined-behaviour sanitizers. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { entryOf } from "../../src/image/tar/writer.ts";
import { Making } from "../../src/image/tree/making.ts";
import { TreeFolder } from "../../src/image/tree/put.ts";
import { generator, mutate } from "./mutate.ts";

const dir = mkdtempSync("/tmp/sampan-fuzz-put-");
const place = `${dir}/place`;
const root = `${place}/root`;
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What the engine writes for members of every kind. */
let good: Uint8Array;

beforeAll(async () => {
  const made = Bun.spawnSync({
    cmd: [
      "make",
      "-s",
      "-C",
      new URL("../../launcher", import.meta.url).pathname,
      "fuzz",
      `FUZZ=${dir}/fuzz`,
    ],
    stdio: ["ignore", "inherit", "inherit"],
  });
  expect(made.exitCode).toBe(0);
  good = await recorded();
}, 120_000);

beforeEach(() => {
  rmSync(place, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  writeFileSync(`${place}/secret`, "secret");
});

async function recorded(): Promise<Uint8Array> {
  const recorder = `${dir}/recorder`;
  writeFileSync(recorder, '#!/bin/sh\nexec cat > "$0.records"\n');
  chmodSync(recorder, 0o700);
  const fd = openSync(dir, "r");
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const making = new Making({ launcher: recorder, root: fd, at: "", shown: "", links: "refused", owner });
  const folder = new TreeFolder(making);
  closeSync(fd);
  const put = (fields: Parameters<typeof entryOf>[0], content = ""): void => {
    folder.entry(entryOf({ size: content.length, ...fields }));
    if (content !== "") folder.data(Buffer.from(content), 0);
    folder.end();
  };
  put({ name: "d", type: "dir", mode: 0o751 });
  const xattrs = new Map([["user.note", Buffer.from("note")]]);
  put({ name: "d/file", type: "file", mode: 0o644, mtime: -1_500_000_000n, xattrs }, "content of it");
  put({ name: "d/large", type: "file", mode: 0o4755 }, "0123456789".repeat(4001));
  put({ name: "d/again", type: "link", link: "d/file" });
  put({ name: "to", type: "symlink", link: "d/../elsewhere" });
  put({ name: "deep/er/fifo", type: "fifo", mode: 0o600 });
  folder.finish();
  const error = await making.finish().then(
    () => "",
    (reason: Error) => reason.message,
  );
  // The recorder has nothing to say.
  expect(error).toBe("the process that makes the files ended before its work was done: exit 0");
  return readFileSync(`${recorder}.records`);
}

async function feed(records: Uint8Array): Promise<{ code: number; out: string; err: string }> {
  const fd = openSync(root, "r");
  const child = Bun.spawn([`${dir}/fuzz-put`], { stdio: [records, "pipe", "pipe", fd] });
  closeSync(fd);
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

/** What is beside the root is what it was. */
function expectOutsideUntouched(): void {
  expect(readdirSync(place).sort()).toEqual(["root", "secret"]);
  expect(readFileSync(`${place}/secret`, "utf8")).toBe("secret");
  expect(lstatSync(`${place}/secret`).nlink).toBe(1);
}

const NONSENSE = "sampan launcher: this is not what is to be put: a record is wrong\n";

/** One record as put.c reads it. */
function record(
  op: number,
  texts: string,
  first = texts.length,
  { length = texts.length, mode = 0o600 } = {},
): Uint8Array {
  const bytes = new Uint8Array(40 + ((texts.length + 7) & ~7));
  const view = new DataView(bytes.buffer);
  for (const [index, value] of [op, length, mode, first].entries()) view.setUint32(index * 4, value, true);
  bytes.set(Buffer.from(texts), 40);
  return bytes;
}

const [START, PARENT, DATA, XATTR, DONE, FILE, FOLDER, SYMLINK, LINK, , AGAIN] = Array.from(
  { length: 11 },
  (_, op) => op,
);

const begun = (...records: Uint8Array[]): Uint8Array =>
  Buffer.concat([record(START ?? 0, "\0", 1, { mode: 0 }), record(PARENT ?? 0, "\0"), ...records]);

test("what the engine writes is made", async () => {
  expect(await feed(good)).toEqual({ code: 0, out: "{}\n", err: "" });
  expect(readdirSync(root).sort()).toEqual(["d", "deep", "to"]);
  expect(readFileSync(`${root}/d/large`, "utf8")).toBe("0123456789".repeat(4001));
  expect(lstatSync(`${root}/d/again`)).toMatchObject({ nlink: 2, mtimeMs: -1500, mode: 0o100644 });
  expect(lstatSync(`${root}/d/large`).mode).toBe(0o104755);
  expect(lstatSync(`${root}/d`).mode & 0o777).toBe(0o751);
});

test("a name that leads elsewhere, or that is none, is no name", async () => {
  for (const name of ["", ".", "..", "../x", "a/b", "/etc/x", "x/"])
    for (const op of [FILE, FOLDER, AGAIN]) {
      if (op === AGAIN && name === ".") continue;
      const said = await feed(begun(record(op ?? 0, `${name}\0`)));
      expect([name, op, said.code, said.out, said.err]).toEqual([name, op, 1, "", NONSENSE]);
    }
  expect(readdirSync(root)).toEqual([]);
  expectOutsideUntouched();
}, 60_000);

test("parents and targets outside are refused, whatever the records say", async () => {
  const link = record(SYMLINK ?? 0, "out\0..\0", 4);
  for (const [path, why] of [
    ["..", 18],
    ["../root", 18],
    ["/etc", 18],
    ["out", 40],
    ["out/root", 40],
  ] as const) {
    const { code, out } = await feed(begun(link, record(PARENT ?? 0, `${path}\0`)));
    expect([path, code, JSON.parse(out)]).toMatchObject([path, 0, { why: "parent", errno: why }]);
    const linked = await feed(begun(link, record(LINK ?? 0, `x\0${path}/secret\0`, 2)));
    expect([path, linked.code, JSON.parse(linked.out)]).toMatchObject([
      path,
      0,
      { why: "parent", errno: why },
    ]);
  }
  expectOutsideUntouched();
}, 60_000);

test("records that do not fit together end it at once", async () => {
  const file = record(FILE ?? 0, "f\0");
  const wrong = [
    record(DATA ?? 0, "content"),
    record(XATTR ?? 0, "user.x\0y", 7),
    record(FILE ?? 0, "no end"),
    record(FILE ?? 0, "two\0ends\0"),
    record(FILE ?? 0, "f\0", 3),
    record(SYMLINK ?? 0, "one\0"),
    record(SYMLINK ?? 0, "one\0no end", 4),
    record(LINK ?? 0, "f\0", 0),
    record(PARENT ?? 0, ""),
    record(11, "f\0"),
    // Where things go and how is said once.
    record(START ?? 0, "\0", 1, { mode: 3 }),
    record(0xffffffff, "f\0"),
    record(FILE ?? 0, "f\0", 2, { length: 0xffffffff }),
    Buffer.concat([file, record(XATTR ?? 0, "user.x\0y", 7), record(DATA ?? 0, "late")]),
  ];
  const done = record(DONE ?? 0, "\0");
  for (const bytes of wrong)
    expect(await feed(begun(bytes, done))).toEqual({ code: 1, out: "", err: NONSENSE });
  // Nothing is made without a parent.
  expect(await feed(Buffer.concat([file, done]))).toEqual({ code: 1, out: "", err: NONSENSE });
  // And nobody has said that it is over.
  expect(await feed(begun(file, done.subarray(0, 39)))).toEqual({ code: 1, out: "", err: "" });
  expect(await feed(begun(file, done))).toEqual({ code: 0, out: "{}\n", err: "" });
}, 60_000);

test("mutated records are refused or make what they say, inside, and never crash it", async () => {
  const random = generator(20261126);
  for (let n = 0; n < 200; n++) {
    const { code, out, err } = await feed(mutate(good, random));
    expect([n, err.replace(NONSENSE, "")]).toEqual([n, ""]);
    expect([0, 1]).toContain(code);
    if (code === 0) JSON.parse(out);
  }
  expectOutsideUntouched();
}, 120_000);
