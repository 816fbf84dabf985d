import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import type { Member } from "../support/image.ts";
import { inMerged, listing, loadLayers, ROOT, WITHOUT_ROOT } from "./merged.ts";
import { TestPlace } from "./place.ts";

setDefaultTimeout(60_000);

const file = (name: string, content = name, rest: Partial<Member> = {}): Member => ({
  name,
  type: "file",
  content,
  ...rest,
});
const dir = (name: string, rest: Partial<Member> = {}): Member => ({ name, type: "dir", ...rest });
const link = (name: string, target: string): Member => ({ name, type: "link", link: target });
const symlink = (name: string, target: string): Member => ({ name, type: "symlink", link: target });
const whiteout = (name: string): Member => ({ name, type: "file" });

/** Layers, lowest first, and what is seen of them. */
const sees = (what: string, layers: Member[][], expected: string[]): void =>
  test(what, async () => {
    using place = new TestPlace();
    await loadLayers(place, ...layers);
    expect(listing(place)).toEqual(expected);
  });

describe.skipIf(!ROOT)(`whiteouts${WITHOUT_ROOT}`, () => {
  const base = [dir("a"), file("a/x"), file("a/y"), file("b")];
  sees(
    "remove files and folders",
    [base, [whiteout("a/.wh.x"), whiteout(".wh.b")]],
    ["d 755 0:0 a", "f 644 0:0 a/y"],
  );
  sees("remove a whole folder", [base, [whiteout(".wh.a")]], ["f 644 0:0 b"]);
  sees(
    "leave what the same layer has, whatever the order",
    [base, [file("b", "new"), whiteout(".wh.b"), whiteout("a/.wh.x"), file("a/x", "new")]],
    ["d 755 0:0 a", "f 644 0:0 a/x", "f 644 0:0 a/y", "f 644 0:0 b"],
  );
  for (const order of [
    [whiteout(".wh.a"), dir("a"), file("a/new")],
    [dir("a"), file("a/new"), whiteout(".wh.a")],
    [whiteout(".wh.a"), file("a/new")],
    [dir("a"), whiteout("a/.wh..wh..opq"), file("a/new")],
    [file("a/new"), whiteout("a/.wh..wh..opq")],
  ])
    sees(
      `a folder made anew hides the one below: ${order.map(({ name }) => name).join(" ")}`,
      [base, order],
      ["d 755 0:0 a", "f 644 0:0 a/new", "f 644 0:0 b"],
    );
  sees(
    "an opaque root hides everything",
    [base, [file("n"), whiteout(".wh..wh..opq"), file("a/z")]],
    ["d 755 0:0 a", "f 644 0:0 a/z", "f 644 0:0 n"],
  );
  sees(
    "of what is not there, and in the lowest layer, are fine",
    [[whiteout(".wh.q"), file("b")], [whiteout(".wh.none")]],
    ["f 644 0:0 b"],
  );
  test("aufs's own names are ignored, and .wh alone is a file", async () => {
    using place = new TestPlace();
    const books = [whiteout(".wh..wh.plnk"), dir(".wh..wh.orph"), whiteout("d/.wh..wh.aufs")];
    await loadLayers(place, [file("b"), file("d/c")], [...books, file(".wh")]);
    expect(listing(place)).toEqual(["f 644 0:0 .wh", "f 644 0:0 b", "d 755 0:0 d", "f 644 0:0 d/c"]);
    expect(readdirSync(place.top("t"))).toEqual([".wh"]);
  });
});

describe.skipIf(!ROOT)(`types that change from layer to layer${WITHOUT_ROOT}`, () => {
  sees("folder to file", [[dir("a"), file("a/x")], [file("a")]], ["f 644 0:0 a"]);
  sees("file to folder", [[file("a")], [dir("a"), file("a/x")]], ["d 755 0:0 a", "f 644 0:0 a/x"]);
  sees(
    "link to folder",
    [
      [dir("t"), symlink("a", "t")],
      [dir("a"), file("a/x")],
    ],
    ["d 755 0:0 a", "f 644 0:0 a/x", "d 755 0:0 t"],
  );
  sees("folder to link", [[dir("a"), file("a/x")], [symlink("a", "nowhere")]], ["l 777 0:0 a nowhere"]);
  sees(
    "a folder listed again takes the new metadata and keeps its content",
    [[dir("a"), file("a/x")], [dir("a", { mode: 0o2750, uid: 5, gid: 6 })]],
    ["d 2750 5:6 a", "f 644 0:0 a/x"],
  );
});

describe.skipIf(!ROOT)(`members of one layer with one name: the last wins${WITHOUT_ROOT}`, () => {
  sees("files", [[file("a", "1"), file("a", "2", { mode: 0o600 })]], ["f 600 0:0 a"]);
  sees("a folder becomes a file", [[dir("a"), file("a/x"), file("a")]], ["f 644 0:0 a"]);
  sees("a file becomes a folder", [[file("a"), dir("a"), file("a/x")]], ["d 755 0:0 a", "f 644 0:0 a/x"]);
  sees(
    "a folder becomes a link, and what follows goes where it leads",
    [[dir("t"), dir("a"), file("a/x"), symlink("a", "t"), file("a/y")]],
    ["l 777 0:0 a t", "d 755 0:0 t", "f 644 0:0 t/y"],
  );
  sees(
    "a folder twice",
    [[dir("a"), file("a/x"), dir("a", { mode: 0o700 })]],
    ["d 700 0:0 a", "f 644 0:0 a/x"],
  );
});

describe.skipIf(!ROOT)(`hard links${WITHOUT_ROOT}`, () => {
  const inodes = (place: TestPlace, ...names: string[]): Set<string> =>
    new Set(inMerged(place, `stat -c %i ${names.join(" ")}`).split("\n"));

  test("are one file, also to a symlink, also before their target", async () => {
    using place = new TestPlace();
    await loadLayers(place, [
      link("early", "dir/a"),
      file("dir/a"),
      link("/b", "./dir/a"),
      link("new/parent/c", "/dir/a"),
      symlink("s", "dir"),
      link("t", "s"),
      link("d", "s/a"),
      link("dir/a", "dir/a"),
    ]);
    expect(inodes(place, "dir/a", "b", "early", "new/parent/c", "d").size).toBe(1);
    expect(inMerged(place, "readlink t")).toBe("dir");
    expect(inMerged(place, "cat b early")).toBe("dir/adir/a");
  });

  test("to a lower layer's file copy it up, with its owner, mode and time", async () => {
    using place = new TestPlace();
    const mtime = 1_600_000_000_000_000_007n;
    await loadLayers(
      place,
      [
        dir("bin", { mode: 0o750, uid: 3 }),
        file("bin/busybox", "busy", { mode: 0o4755, uid: 7, gid: 8, mtime }),
      ],
      [file("x")],
      [link("bin/zz", "bin/busybox")],
    );
    expect(inodes(place, "bin/zz", "bin/busybox").size).toBe(1);
    expect(inMerged(place, "cat bin/zz; stat -c '%a %u:%g %.9Y' bin/zz bin")).toBe(
      `busy4755 7:8 1600000000.000000007\n750 3:0 0.000000000`,
    );
  });

  test("to a file that the same layer has made anew", async () => {
    using place = new TestPlace();
    await loadLayers(place, [file("a", "old")], [whiteout(".wh.a"), file("a", "new"), link("z", "a")]);
    expect(inodes(place, "a", "z").size).toBe(1);
    expect(inMerged(place, "cat z")).toBe("new");
  });

  test("are refused where the lower layers hide the target", async () => {
    using place = new TestPlace();
    const load = loadLayers(place, [dir("d"), file("d/a")], [whiteout("d/.wh.a")], [link("z", "d/a")]);
    await expect(load).rejects.toThrow(
      '"z" is a hard link to "d/a", which is neither in this layer nor below it',
    );
    const opaque = loadLayers(
      place,
      [dir("d"), file("d/a")],
      [dir("d"), whiteout("d/.wh..wh..opq")],
      [link("z", "d/a")],
    );
    await expect(opaque).rejects.toThrow("which is neither in this layer nor below it");
    for (const hiding of [
      [dir("d"), whiteout("d/.wh..wh..opq"), link("z", "d/a")],
      [whiteout("d/.wh.a"), link("z", "d/a")],
      [whiteout(".wh.d"), dir("d"), link("z", "d/a")],
      [whiteout(".wh..wh..opq"), link("z", "d/a")],
    ])
      await expect(loadLayers(place, [dir("d"), file("d/a")], hiding)).rejects.toThrow(
        '"z" is a hard link to "d/a", which is neither in this layer nor below it',
      );
  });
});

describe.skipIf(!ROOT)(`metadata${WITHOUT_ROOT}`, () => {
  test("modes, owners, times to the nanosecond, of everything", async () => {
    using place = new TestPlace();
    const time = 1_234_567_890_123_456_789n;
    const all = { mtime: time, uid: 3_000_000, gid: 70_000 };
    await loadLayers(place, [
      dir("d", { ...all, mode: 0o3711 }),
      file("d/f", "x", { ...all, mode: 0o6755 }),
      file("d/none", "x", { ...all, mode: 0 }),
      { ...symlink("d/s", "f"), ...all },
      { name: "d/p", type: "fifo", ...all, mode: 0o622 },
      { name: "d/c", type: "char", major: 1, minor: 3, ...all, mode: 0o666 },
      { name: "d/b", type: "block", major: 259, minor: 70_000, ...all, mode: 0o4660 },
      file("old", "", { mtime: -5_500_000_000n }),
    ]);
    expect(inMerged(place, "stat -c '%n %a %u:%g %.9Y %t:%T' d d/* old").split("\n")).toEqual([
      "d 3711 3000000:70000 1234567890.123456789 0:0",
      "d/b 4660 3000000:70000 1234567890.123456789 103:11170",
      "d/c 666 3000000:70000 1234567890.123456789 1:3",
      "d/f 6755 3000000:70000 1234567890.123456789 0:0",
      "d/none 0 3000000:70000 1234567890.123456789 0:0",
      "d/p 622 3000000:70000 1234567890.123456789 0:0",
      "d/s 777 3000000:70000 1234567890.123456789 0:0",
      "old 644 0:0 -5.500000000 0:0",
    ]);
  });

  test("file capabilities and user attributes are kept; overlayfs's and SELinux's are not an image's to give", async () => {
    using place = new TestPlace();
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    const xattrs = new Map<string, Uint8Array>([
      ["security.capability", capability],
      ["user.note", Buffer.from("hello")],
      ["trusted.overlay.opaque", Buffer.from("y")],
      ["user.overlay.opaque", Buffer.from("y")],
      ["security.selinux", Buffer.from("evil")],
    ]);
    await loadLayers(place, [
      file("ping", "x", { xattrs, uid: 5 }),
      dir("d", { xattrs: new Map([["user.d", Buffer.from("1")]]) }),
    ]);
    const { fgetxattr, flistxattr, open, close } = await import("../../src/image/sys.ts");
    const fd = open(`${place.top("t")}/ping`, 0);
    expect(flistxattr(fd).toSorted()).toEqual(["security.capability", "user.note"]);
    expect(Buffer.from(fgetxattr(fd, "security.capability") ?? [])).toEqual(capability);
    close(fd);
    const folder = open(`${place.top("t")}/d`, 0);
    expect(flistxattr(folder)).toEqual(["user.d"]);
    close(folder);
  });

  test("parents that are not listed: root's and 0755, or as the lower layers have them", async () => {
    using place = new TestPlace();
    await loadLayers(
      place,
      [dir("tmp", { mode: 0o1777, mtime: 7_000_000_000n })],
      [file("tmp/x"), file("new/deep/y")],
    );
    expect(inMerged(place, "stat -c '%n %a %Y' tmp")).toBe("tmp 1777 7");
    expect(listing(place)).toEqual([
      "d 755 0:0 new",
      "d 755 0:0 new/deep",
      "f 644 0:0 new/deep/y",
      "d 1777 0:0 tmp",
      "f 644 0:0 tmp/x",
    ]);
  });

  test("the root folder itself", async () => {
    using place = new TestPlace();
    await loadLayers(place, [dir("./", { mode: 0o711, uid: 4 })], [file("x")]);
    expect(inMerged(place, "stat -c '%a %u' .")).toBe("711 4");
  });

  test("names of 255 bytes, and names that are not UTF-8", async () => {
    using place = new TestPlace();
    const odd = String.fromCharCode(0xdcff, 0x61, 0xdc80);
    await loadLayers(place, [
      file("n".repeat(255)),
      file(`d/${odd}`),
      file("é".repeat(127)),
      dir(odd),
      file(odd, "now a file"),
    ]);
    expect(inMerged(place, "LC_ALL=C ls -b d")).toBe("\\377a\\200");
    expect(inMerged(place, `ls | wc -l`)).toBe("4");
  });
});

describe("what a layer may not hold", () => {
  const refuses = (what: string, layers: Member[][], message: string): void =>
    test(what, async () => {
      using place = new TestPlace();
      const error: Error = await loadLayers(place, ...layers).then(
        () => new Error("it was loaded"),
        (error: Error) => error,
      );
      expect(error.message.replace(/^layer sha256:[0-9a-f]{64}: /, "")).toBe(message);
      expect(error.message).toStartWith("layer sha256:");
      // Nothing of it is visible, and nothing is left.
      expect(place.images.list().length).toBe(1);
      expect(Bun.spawnSync(["find", `${place.root}/tmp`, "-mindepth", "1"]).stdout.toString()).toBe("");
      expect(place.images.resolve("t")).toBeUndefined();
    });
  refuses(
    "a name with ..",
    [[file("../../tmp/x")]],
    '"../../tmp/x" contains "..", which could lead out of the layer',
  );
  refuses(
    "a name with .. in the middle",
    [[file("a/../../x")]],
    '"a/../../x" contains "..", which could lead out of the layer',
  );
  refuses(
    "a file behind a symlink that leads out",
    [[symlink("esc", "/tmp"), file("esc/x")]],
    '"esc/x" lies behind a symlink to a folder that is not in this layer',
  );
  refuses(
    "a file behind a relative symlink that leads out",
    [[dir("a"), symlink("a/esc", "../../../../tmp"), file("a/esc/x")]],
    '"a/esc/x" lies behind a symlink to a folder that is not in this layer',
  );
  refuses(
    "symlinks in a circle",
    [[symlink("a", "b"), symlink("b", "a"), file("a/x")]],
    '"a/x" lies behind too many symlinks',
  );
  refuses(
    "a hard link to a file of the host",
    [[link("x", "/etc/shadow")]],
    '"x" is a hard link to "/etc/shadow", which is neither in this layer nor below it',
  );
  refuses(
    "a hard link through a symlink",
    [[symlink("esc", "/etc"), link("x", "esc/shadow")]],
    '"x" is a hard link to "esc/shadow", which is neither in this layer nor below it',
  );
  refuses(
    "a hard link with ..",
    [[link("x", "../../etc/shadow")]],
    '"../../etc/shadow" contains "..", which could lead out of the layer',
  );
  refuses(
    "a hard link to a folder",
    [[dir("d"), link("x", "d")]],
    '"x" is a hard link to "d", which is a folder',
  );
  refuses("a file beneath a file", [[file("a"), file("a/b")]], '"a/b" lies in "a", which is not a folder');
  refuses(
    "a file as the root",
    [[file("./")].map((member) => ({ ...member, name: "." }))],
    "the root of the layer is a file, not a folder",
  );
  refuses(
    "a symlink as the root",
    [[symlink("/", "/etc")]],
    "the root of the layer is a symlink, not a folder",
  );
  refuses("a whiteout of ..", [[file("a")], [whiteout("a/.wh..")]], '"a/.wh.." is a whiteout of "."');
  refuses("a whiteout of the parent", [[file("a")], [whiteout(".wh...")]], '".wh..." is a whiteout of ".."');
  refuses("a whiteout of nothing", [[file("a")], [whiteout(".wh.")]], '".wh." is a whiteout of nothing');
  refuses(
    "a name of 300 bytes",
    [[file("n".repeat(300))]],
    `"${"n".repeat(300)}": the file name is too long for this filesystem`,
  );
  refuses("a symlink without a target", [[symlink("s", "")]], '"s" is a symlink without a target');
});

describe.skipIf(!ROOT)(`nothing outside of the layer is touched${WITHOUT_ROOT}`, () => {
  test("by links that lead out, whether the load works or not", async () => {
    using place = new TestPlace();
    const secret = `${place.root}/secret`;
    await Bun.write(secret, "untouched");
    const before = statSync(secret);
    const attacks: Member[][] = [
      [symlink("s", secret), file("s", "pwned")],
      [symlink("s", place.root), file("s/secret", "pwned")],
      [symlink("s", secret), { name: "s", type: "dir", mode: 0o777, uid: 9 }],
      [symlink("s", secret), link("h", "s"), file("h", "pwned")],
      [symlink("a", place.root), whiteout("a/.wh.secret"), link("a/x", "a/secret")],
    ];
    for (const attack of attacks) {
      await loadLayers(place, attack).catch(() => {});
      await loadLayers(place, [file("below")], attack).catch(() => {});
    }
    expect(readFileSync(secret, "utf8")).toBe("untouched");
    const { mode, uid, nlink, mtimeMs } = lstatSync(secret);
    expect({ mode, uid, nlink, mtimeMs }).toEqual({
      mode: before.mode,
      uid: before.uid,
      nlink: 1,
      mtimeMs: before.mtimeMs,
    });
  });
});

describe("layers in number and size", () => {
  test("128 layers, and an empty one among them", async () => {
    using place = new TestPlace();
    const layers = Array.from({ length: 128 }, (_, i) => (i === 64 ? [] : [file(`f${i}`)]));
    await loadLayers(place, ...layers);
    const root = place.images.root(place.images.get("t"));
    expect(root.kind === "layers" && root.lower.length).toBe(128);
    expect(place.images.get("t").size).toBe(layers.flat().reduce((sum, { name }) => sum + name.length, 0));
  });

  test("an archive bomb stops at a limit that names itself", async () => {
    using place = new TestPlace({ free: 1 << 20, ratio: 50 });
    const { dockerArchive, layerTar, sha256 } = await import("../support/image.ts");
    const layer = layerTar([file("zeros", "\0".repeat(8 << 20))]);
    const packed = Bun.gzipSync(layer.slice());
    const archive = dockerArchive([
      {
        tags: ["t:latest"],
        layers: [packed],
        image: { rootfs: { type: "layers", diff_ids: [sha256(layer)] } },
      },
    ]);
    await expect(place.load(archive)).rejects.toThrow(
      `layer ${sha256(packed)}: the archive grows to more than 50 times its size: this looks like an archive bomb`,
    );
  });

  test("a bomb around the whole archive stops as well", async () => {
    using place = new TestPlace({ free: 1 << 20, ratio: 50 });
    const { dockerArchive, layerTar } = await import("../support/image.ts");
    const archive = dockerArchive([
      { tags: ["t:1"], layers: [layerTar([file("zeros", "\0".repeat(8 << 20))])] },
    ]);
    await expect(place.load(Bun.gzipSync(archive.slice()))).rejects.toThrow(
      "the archive grows to more than 50 times its size: this looks like an archive bomb",
    );
    expect(Bun.spawnSync(["find", `${place.root}/tmp`, "-mindepth", "1"]).stdout.toString()).toBe("");
  });

  test("too many members", async () => {
    using place = new TestPlace({ entries: 3 });
    await expect(loadLayers(place, [file("a"), file("b"), file("c"), file("d")])).rejects.toThrow(
      "the archive has more than 3 members, which is the limit",
    );
  });
});
