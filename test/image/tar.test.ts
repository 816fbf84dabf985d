import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { type Entry, TarError } from "../../src/image/tar/entry.ts";
import { decodeName, encodeName } from "../../src/image/tar/name.ts";
import { MOST, PlainHeaders } from "../../src/image/tar/plain.ts";
import { readTar, TarReader } from "../../src/image/tar/reader.ts";
import { entryOf, header, tarBytes } from "../../src/image/tar/writer.ts";

interface Member {
  readonly entry: Entry;
  readonly content: Uint8Array;
}

const write = (members: readonly Member[]): Uint8Array =>
  tarBytes((tar) => {
    for (const { entry, content } of members) {
      tar.entry(entry);
      if (content.length > 0) tar.data(content);
    }
  });

/** Reads in pieces; gives what came, contents put together. */
function read(bytes: Uint8Array, size = bytes.length): Member[] {
  const members: { entry: Entry; content: Uint8Array }[] = [];
  const reader = new TarReader({
    entry: (entry) => members.push({ entry, content: new Uint8Array(Math.min(entry.size, 1 << 22)) }),
    data: (piece, at) => members.at(-1)?.content.set(piece, at),
    end: () => {},
  });
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
  reader.finish();
  return members;
}

const nameBytes = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => bytes.map((byte) => (byte === 0 || byte === 47 ? 120 : byte)));
const names = fc.oneof(
  fc.stringMatching(/^[a-z0-9._-]{1,30}$/),
  fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 30 })
    .map((text) => text.replace(/[\0/]/g, "x") || "x"),
  nameBytes.map(decodeName),
);
const path = fc.array(names, { minLength: 1, maxLength: 12 }).map((parts) => parts.join("/"));
const meta = {
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.oneof(fc.nat(65535), fc.integer({ min: 0, max: 0xffffffff })),
  gid: fc.oneof(fc.nat(65535), fc.integer({ min: 0, max: 0xffffffff })),
  mtime: fc.oneof(
    fc.bigInt({ min: -(10n ** 18n), max: 4n * 10n ** 18n }),
    fc.bigInt({ min: 0n, max: 2n ** 33n }).map((seconds) => seconds * 1_000_000_000n),
  ),
};
const xattrs = fc.option(
  fc
    .dictionary(
      fc.stringMatching(/^(user|security|trusted)\.[a-z]{1,10}$/),
      fc.uint8Array({ minLength: 1, maxLength: 50 }),
      { minKeys: 1, maxKeys: 3 },
    )
    .map((pairs) => new Map(Object.entries(pairs))),
  { nil: undefined },
);
const member: fc.Arbitrary<Member> = fc.oneof(
  fc
    .record({ name: path, ...meta, xattrs, content: fc.uint8Array({ maxLength: 2000 }) })
    .map(({ content, xattrs, ...rest }) => ({
      entry: entryOf({ ...rest, type: "file", size: content.length, ...(xattrs && { xattrs }) }),
      content,
    })),
  fc.record({ name: path, ...meta }).map((rest) => ({
    entry: entryOf({ ...rest, name: `${rest.name}/`, type: "dir" }),
    content: new Uint8Array(),
  })),
  fc.record({ name: path, ...meta, link: path, type: fc.constantFrom("link", "symlink") }).map((rest) => ({
    entry: entryOf({ ...rest, type: rest.type as "link" }),
    content: new Uint8Array(),
  })),
  fc
    .record({
      name: path,
      ...meta,
      type: fc.constantFrom("char", "block", "fifo"),
      major: fc.nat(4095),
      minor: fc.nat(1048575),
    })
    .map((rest) => ({ entry: entryOf({ ...rest, type: rest.type as "char" }), content: new Uint8Array() })),
);

describe("any tree survives the way through an archive", () => {
  test("whatever pieces it comes in", () => {
    fc.assert(
      fc.property(fc.array(member, { maxLength: 8 }), fc.integer({ min: 1, max: 3000 }), (members, size) => {
        const bytes = write(members);
        expect(bytes.length % 512).toBe(0);
        const wanted = members.map(({ entry, content }) => ({
          // A file's name with a slash at its end would be a folder's.
          entry: entry.type !== "dir" ? { ...entry, name: entry.name } : entry,
          content,
        }));
        expect(read(bytes, size)).toEqual(wanted);
        expect(write(read(bytes, size))).toEqual(bytes);
      }),
      { numRuns: 150 },
    );
  });

  test("a plain file's header is the same wherever it is made", () => {
    const headers = new PlainHeaders();
    const one = fc.record({
      // A file's name has no slash at its end.
      name: fc.oneof(path, fc.stringMatching(/^[ -~]{0,100}[ -.0-~]$/)),
      mode: meta.mode,
      uid: meta.uid,
      gid: meta.gid,
      size: fc.oneof(fc.nat(), fc.integer({ min: 0, max: 2 ** 40 })),
      seconds: fc.oneof(fc.nat(), fc.integer({ min: -(2 ** 33), max: 2 ** 36 })),
      nanos: fc.oneof(fc.constant(0), fc.constant(500_000_000), fc.nat(999_999_999)),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 5 }), fc.nat(700), (files, at) => {
        for (const { name, mode, uid, gid, size, seconds, nanos } of files) {
          const mtime = BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
          const into = new Uint8Array(at + MOST).fill(0xff);
          const written = headers.write(into, at, name, mode, uid, gid, size, seconds, nanos);
          const general = header(entryOf({ name, type: "file", mode, uid, gid, size, mtime }));
          const plain = name.length <= 100 && /^[ -~]*$/.test(name) && seconds >= 0 && seconds < 2 ** 32;
          expect(written).toBe(plain && size < 2 ** 32 && uid < 8 ** 7 && gid < 8 ** 7 ? general.length : 0);
          if (written > 0) expect(Buffer.from(into.subarray(at, at + written))).toEqual(Buffer.from(general));
        }
      }),
    );
  });

  test("names are bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(encodeName(decodeName(bytes))).toEqual(bytes);
      }),
    );
  });
});

describe("archives that other tools write", () => {
  const gnuTar = Bun.which("tar");
  /** Runs GNU tar over a folder that `make` fills; gives the archive. */
  const tar = (options: string[], make: (dir: string) => string[]): Uint8Array => {
    const dir = mkdtempSync(join(tmpdir(), "sampan-tar-"));
    try {
      const files = make(dir);
      const run = Bun.spawnSync([gnuTar ?? "tar", "cf", "-", ...options, "-C", dir, ...files]);
      if (!run.success) throw new Error(run.stderr.toString());
      return run.stdout;
    } finally {
      rmSync(dir, { recursive: true });
    }
  };
  const long = `${"d".repeat(90)}/${"e".repeat(50)}/${"f".repeat(90)}`;
  for (const format of ["v7", "oldgnu", "gnu", "ustar", "pax"])
    test(`${format}: plain files`, () => {
      const bytes = tar([`--format=${format}`, "--mtime=@1234567890"], (dir) => {
        writeFileSync(`${dir}/a`, "hello");
        Bun.spawnSync(["ln", "-s", "a", `${dir}/s`]);
        Bun.spawnSync(["ln", `${dir}/a`, `${dir}/h`]);
        Bun.spawnSync(["mkdir", `${dir}/d`]);
        return ["./a", "./s", "./h", "./d"];
      });
      const members = read(bytes, 777);
      expect(members.map(({ entry }) => `${entry.type} ${entry.name} ${entry.link}`)).toEqual([
        "file ./a ",
        "symlink ./s a",
        "link ./h ./a",
        "dir ./d/ ",
      ]);
      expect(new TextDecoder().decode(members[0]?.content)).toBe("hello");
      expect(members[0]?.entry.mtime).toBe(1234567890n * 1_000_000_000n);
    });
  for (const format of ["oldgnu", "gnu", "ustar", "pax"])
    test(`${format}: long names`, () => {
      const bytes = tar([`--format=${format}`], (dir) => {
        Bun.spawnSync(["mkdir", "-p", `${dir}/${long}`]);
        writeFileSync(`${dir}/${long}/x`, "");
        if (format !== "ustar") Bun.spawnSync(["ln", "-s", `${long}/x`, `${dir}/z`]);
        return format === "ustar" ? [`${long}`] : [long, "z"];
      });
      const found = read(bytes, 100).map(({ entry }) => entry);
      expect(found.map(({ name }) => name)).toContain(`${long}/x`);
      if (format !== "ustar") expect(found.find(({ name }) => name === "z")?.link).toBe(`${long}/x`);
    });
  for (const options of [
    ["--format=gnu"],
    ["--format=pax", "--sparse-version=0.0"],
    ["--format=pax", "--sparse-version=0.1"],
    ["--format=pax", "--sparse-version=1.0"],
  ])
    test(`sparse: ${options.join(" ")}`, () => {
      const content = Buffer.alloc(3_000_000);
      // More extents than one header holds.
      for (let at = 100_000; at < 2_900_000; at += 100_000) content.write("data", at);
      const bytes = tar([...options, "--sparse"], (dir) => {
        writeFileSync(`${dir}/plain`, content);
        Bun.spawnSync(["cp", "--sparse=always", `${dir}/plain`, `${dir}/holes`]);
        writeFileSync(`${dir}/after`, "after");
        return ["holes", "after"];
      });
      const [holes, after] = read(bytes, 4097);
      expect(holes?.entry.name).toBe("holes");
      expect(holes?.entry.size).toBe(content.length);
      expect(Buffer.compare(holes?.content ?? Buffer.alloc(0), content)).toBe(0);
      expect(new TextDecoder().decode(after?.content)).toBe("after");
      expect(bytes.length).toBeLessThan(1_000_000);
    });

  test("GNU's numbers in base 256, and times before 1970", () => {
    const bytes = tar(
      ["--format=gnu", "--owner=:3000000000", "--group=:2097152", "--mtime=@-1000"],
      (dir) => {
        writeFileSync(`${dir}/a`, "");
        return ["a"];
      },
    );
    const [{ entry } = { entry: undefined }] = read(bytes);
    expect(entry).toMatchObject({ uid: 3_000_000_000, gid: 2_097_152, mtime: -1000n * 1_000_000_000n });
  });

  test("what the writer writes GNU tar reads", () => {
    const bytes = tarBytes((tar) => {
      tar.file(`${"n".repeat(200)}/ä`, "x", { mtime: 1_500_000_000_123_456_789n });
      tar.entry(entryOf({ name: "d", type: "dir" }));
    });
    const run = Bun.spawnSync(["tar", "tvf", "-", "--quoting-style=literal", "--full-time"], {
      stdin: bytes,
      env: { LC_ALL: "C.UTF-8", TZ: "UTC" },
    });
    expect(run.stderr.toString()).toBe("");
    expect(run.stdout.toString()).toContain(`2017-07-14 02:40:00.123456789 ${"n".repeat(200)}/ä\n`);
  });
});

describe("the reader's rules", () => {
  const one = (entry: Parameters<typeof entryOf>[0]): Uint8Array => header(entryOf(entry));

  test("global headers are skipped", () => {
    const records = "19 comment=1234567\n13 path=evil\n17 linkpath=evil\n11 uid=4711\n";
    const body = Buffer.alloc(512);
    body.write(records);
    const global = Buffer.from(one({ name: "pax_global_header", type: "file", size: records.length }));
    global.write("g", 156);
    const members = [one({ name: "l", type: "symlink", link: "t" }), one({ name: "a", type: "file" })];
    const bytes = Buffer.concat([resum(global), body, ...members, Buffer.alloc(1024)]);
    expect(readTar(bytes).map(({ entry: { name, link, uid } }) => ({ name, link, uid }))).toEqual([
      { name: "l", link: "t", uid: 0 },
      { name: "a", link: "", uid: 0 },
    ]);
  });

  test("the end blocks may be missing, and what follows them is not looked at", () => {
    expect(readTar(one({ name: "a", type: "file" })).length).toBe(1);
    const bytes = Buffer.concat([
      one({ name: "a", type: "file" }),
      Buffer.alloc(1024),
      Buffer.from("garbage"),
    ]);
    expect(readTar(bytes).length).toBe(1);
    expect(readTar(new Uint8Array()).length).toBe(0);
  });

  test("a device's size is no content", () => {
    const device = Buffer.from(one({ name: "null", type: "char", major: 1, minor: 3 }));
    device.write("00000001000\0", 124);
    const bytes = Buffer.concat([resum(device), one({ name: "b", type: "file" })]);
    expect(readTar(bytes).map(({ entry }) => entry.name)).toEqual(["null", "b"]);
  });

  const bad: Record<string, [Uint8Array, string]> = {
    "no archive": [Buffer.from("x".repeat(512)), "this is not a tar archive"],
    "a piece of a header": [
      new Uint8Array(100).fill(1),
      "the archive is truncated: it ends after 100 bytes, in the middle of a header",
    ],
    "a piece of a file": [
      Buffer.concat([one({ name: "etc/passwd", type: "file", size: 1000 }), Buffer.alloc(10)]),
      'the archive is truncated: it ends after 522 bytes, in the middle of "etc/passwd"',
    ],
    "a broken header later on": [
      Buffer.concat([one({ name: "a", type: "file" }), Buffer.from("y".repeat(512))]),
      "the archive is damaged: no tar header at byte 512",
    ],
    "a huge extension": [
      resum(
        Object.assign(Buffer.from(one({ name: "x", type: "file", size: 1 << 30 })), {}).fill("x", 156, 157),
      ),
      "an extended header has 1073741824 bytes, more than the limit of 1048576",
    ],
    "an unknown type": [
      resum(Buffer.from(one({ name: "q", type: "file" })).fill("q", 156, 157)),
      '"q" is of type "q", which is not known',
    ],
  };
  for (const [what, [bytes, message]] of Object.entries(bad))
    test(what, () => {
      expect(() => read(bytes)).toThrow(new TarError(message));
    });
});

test("mutated archives are read or refused, never anything else", () => {
  const base = write([
    { entry: entryOf({ name: "d/", type: "dir" }), content: new Uint8Array() },
    {
      entry: entryOf({ name: "é".repeat(80), type: "file", size: 700, mtime: 5n }),
      content: new Uint8Array(700).fill(7),
    },
    { entry: entryOf({ name: "l", type: "symlink", link: "x".repeat(150) }), content: new Uint8Array() },
  ]);
  const change = fc.record({ at: fc.nat(base.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      fc.nat(base.length),
      (changes, sum, cut) => {
        const bytes = Buffer.from(base);
        for (const { at, byte } of changes) bytes[at] = byte;
        // With right sums the damage goes deeper.
        if (sum)
          for (let at = 0; at < bytes.length; at += 512)
            if (bytes.toString("latin1", at + 257, at + 262) === "ustar") resum(bytes.subarray(at, at + 512));
        for (const input of [bytes, bytes.subarray(0, cut)])
          try {
            const reader = new TarReader({ entry() {}, data() {}, end() {} });
            reader.push(input);
            reader.finish();
          } catch (error) {
            expect(error).toBeInstanceOf(TarError);
          }
      },
    ),
    { numRuns: 2000 },
  );
});

/** Gives a changed header block the right sum. */
function resum(block: Buffer): Buffer {
  block.write("        ", 148);
  let sum = 0;
  for (const byte of block.subarray(0, 512)) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
