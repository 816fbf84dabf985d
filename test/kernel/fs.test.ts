/** kernel/fs.ts beside node:fs: the same calls on the same files give the same results and the same errors. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as node from "node:fs";
import { tmpdir } from "node:os";
import * as own from "../../src/kernel/fs.ts";

let folder: string;
beforeAll(() => {
  folder = node.mkdtempSync(`${tmpdir()}/sampan-fs-`);
  node.writeFileSync(`${folder}/text`, "häßlich \u{1f6a2}\n");
  node.writeFileSync(`${folder}/mark`, "\u{feff}text");
  node.writeFileSync(
    `${folder}/bytes`,
    Uint8Array.from({ length: 256 }, (_, i) => i),
  );
  node.writeFileSync(`${folder}/large`, "0123456789abcdef".repeat(20_000));
  node.mkdirSync(`${folder}/full/inner`, { recursive: true });
  for (let i = 0; i < 2000; i++) node.writeFileSync(`${folder}/full/${"n".repeat(40)}-${i}`, "");
  node.symlinkSync("text", `${folder}/link`);
  node.symlinkSync("nowhere", `${folder}/broken`);
  node.symlinkSync("loop", `${folder}/loop`);
});
afterAll(() => node.rmSync(folder, { recursive: true, force: true }));

/** The result, or what a caller can see of the error. */
function outcome(call: () => unknown): unknown {
  try {
    return call();
  } catch (thrown) {
    const { code, errno } = thrown as { code?: string; errno?: number };
    return { code, errno };
  }
}

type Files = typeof own;
const both = (call: (fs: Files) => unknown): [unknown, unknown] => [
  outcome(() => call(own)),
  outcome(() => call(node as unknown as Files)),
];

const NAMES = [
  "",
  "/text",
  "/mark",
  "/bytes",
  "/large",
  "/full",
  "/link",
  "/broken",
  "/loop",
  "/none",
  "/none/x",
  "/text/x",
  `/${"x".repeat(300)}`,
  `/${"y/".repeat(3000)}`,
];

describe.each(NAMES.map((name) => [name.slice(0, 20), name] as const))("folder%s", (_, name) => {
  test.each(["utf8", "latin1"] as const)("readFileSync %s", (encoding) => {
    const [ours, theirs] = both((fs) => fs.readFileSync(folder + name, encoding));
    expect(ours).toEqual(theirs);
  });

  test("existsSync, accessSync, readlinkSync, readdirSync, openSync", () => {
    for (const call of [
      (fs: Files) => fs.existsSync(folder + name),
      (fs: Files) => fs.accessSync(folder + name, fs.constants.X_OK) ?? "may",
      (fs: Files) => fs.readlinkSync(folder + name),
      (fs: Files) => fs.readdirSync(folder + name).sort(),
      (fs: Files) => fs.closeSync(fs.openSync(folder + name, "r")),
      (fs: Files) => fs.closeSync(fs.openSync(folder + name, fs.constants.O_NOFOLLOW)),
      (fs: Files) => fs.rmdirSync(`${folder}${name}/none`),
      (fs: Files) => fs.unlinkSync(`${folder}${name}/none`),
      (fs: Files) => fs.renameSync(`${folder}${name}/none`, `${folder}/other`),
      (fs: Files) => fs.mkdirSync(folder + (name === "/none" || name === "/broken" ? "" : name)),
    ]) {
      const [ours, theirs] = both(call);
      expect(ours).toEqual(theirs);
    }
  });

  test.each(["statSync", "lstatSync"] as const)("%s", (call) => {
    const seen = (fs: Files): unknown => {
      const stats = fs[call](folder + name, { throwIfNoEntry: false });
      if (!stats) return stats;
      const { dev, ino, mode, nlink, uid, gid, rdev, size } = stats;
      const kinds = [stats.isFile(), stats.isDirectory(), stats.isSymbolicLink(), stats.isCharacterDevice()];
      return { dev, ino, mode, nlink, uid, gid, rdev, size, kinds };
    };
    const [ours, theirs] = both(seen);
    expect(ours).toEqual(theirs);
  });

  test("realpathSync", () => {
    const [ours, theirs] = both((fs) => fs.realpathSync(folder + name));
    // glibc looks at one name after the other, and so finds first that one is missing.
    expect(ours).toEqual(name.length < 4096 ? theirs : { code: "ENOENT", errno: -2 });
  });
});

test("an error reads as node:fs's do", () => {
  for (const call of [
    (fs: Files) => fs.readFileSync("/nowhere/at all", "utf8"),
    (fs: Files) => fs.statSync("/nowhere"),
    (fs: Files) => fs.mkdirSync("/nowhere/at/all"),
    (fs: Files) => fs.readdirSync("/nowhere"),
    (fs: Files) => fs.closeSync(99_999),
  ]) {
    const message = (fs: Files): unknown => {
      try {
        return call(fs);
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(message(own)).toBe(message(node as unknown as Files));
  }
});

test("a path with NUL is refused, not cut", () => {
  expect(() => own.existsSync(`${folder}/text\0/x`)).toThrow(TypeError);
});

test("devices have their numbers", () => {
  for (const path of ["/dev/null", "/dev/tty"])
    if (node.existsSync(path)) expect(own.statSync(path).rdev).toBe(node.statSync(path).rdev);
});

test("what is written is read back: anew, appended, at a place", () => {
  const path = `${folder}/written`;
  own.writeFileSync(path, "one, and more than that", { mode: 0o640 });
  own.writeFileSync(path, "zwö");
  expect(node.readFileSync(path, "utf8")).toBe("zwö");
  expect(node.statSync(path).mode & 0o777).toBe(0o640);
  const fd = own.openSync(path, "a", 0o600);
  expect(own.writeSync(fd, "\ndrei")).toBe(5);
  own.closeSync(fd);
  const read = own.openSync(path);
  const bytes = new Uint8Array(10);
  expect(own.readSync(read, bytes, 2, 4, 5)).toBe(4);
  expect(new TextDecoder().decode(bytes.subarray(2, 6))).toBe("drei");
  expect(own.readSync(read, bytes, 0, 3)).toBe(3);
  expect(new TextDecoder().decode(bytes.subarray(0, 3))).toBe("zw\u{fffd}");
  own.closeSync(read);
  expect(() => own.openSync(path, "wx+")).toThrow(/^EEXIST/);
  const large = new Uint8Array(3_000_000).fill(7);
  own.writeFileSync(path, large);
  expect(own.readFileSync(path)).toEqual(large);
  own.chmodSync(path, 0o600);
  expect(node.statSync(path).mode & 0o777).toBe(0o600);
});

test("folders: made with those above, read, removed with what is in them", () => {
  own.mkdirSync(`${folder}/a/b/c`, { recursive: true, mode: 0o700 });
  own.mkdirSync(`${folder}/a/b/c`, { recursive: true });
  // There nobody makes a folder, and the kernel says that it is not there.
  expect(() => own.mkdirSync("/proc/nothing/at/all", { recursive: true })).toThrow(/^ENOENT/);
  expect(node.statSync(`${folder}/a/b`).mode & 0o777).toBe(0o700);
  expect(() => own.mkdirSync(`${folder}/text`, { recursive: true })).toThrow(/^EEXIST/);
  node.writeFileSync(`${folder}/a/b/file`, "");
  expect(own.readdirSync(`${folder}/a/b`).sort()).toEqual(["c", "file"]);
  const folders = own
    .readdirSync(`${folder}/a/b`, { withFileTypes: true })
    .filter((each) => each.isDirectory());
  expect(folders.map(({ name }) => name)).toEqual(["c"]);
  expect(() => own.rmSync(`${folder}/a`)).toThrow();
  own.rmSync(`${folder}/a`, { recursive: true });
  expect(node.existsSync(`${folder}/a`)).toBe(false);
  own.rmSync(`${folder}/a`, { force: true });
  expect(() => own.rmSync(`${folder}/a`)).toThrow(/^ENOENT/);
});

test("entries with their types, and names that are numbers", () => {
  const place = `${folder}/entries`;
  node.mkdirSync(`${place}/12`, { recursive: true });
  for (const name of ["0", "345", "7a", "a7"]) node.writeFileSync(`${place}/${name}`, "");
  Bun.spawnSync(["mknod", `${place}/gone`, "c", "0", "0"]);
  expect(own.readNumbers(place).sort((a, b) => a - b)).toEqual([0, 12, 345]);
  const types = new Map(own.readTypes(place));
  expect([...types.keys()].sort()).toEqual(["0", "12", "345", "7a", "a7", "gone"]);
  expect([types.get("12"), types.get("gone")]).toEqual([own.ENTRY.directory, own.ENTRY.character]);
  expect(own.readNumbers("/proc")).toContain(process.pid);
});

test("no fd is left, and none reaches a child", () => {
  const fds = (): number => node.readdirSync("/proc/self/fd").length;
  const before = fds();
  for (let i = 0; i < 50; i++) {
    outcome(() => own.readFileSync(folder));
    outcome(() => own.readdirSync(`${folder}/text`));
    own.readdirSync(`${folder}/full`);
    own.writeFileSync(`${folder}/again`, "x");
  }
  expect(fds()).toBe(before);
  const fd = own.openSync(`${folder}/text`);
  const child = Bun.spawnSync(["sh", "-c", `test -e /proc/self/fd/${fd}`]);
  own.closeSync(fd);
  expect(child.exitCode).toBe(1);
});

test("the type of a filesystem", () => {
  expect(own.filesystemType("/proc")).toBe(0x9fa0);
  expect(own.filesystemType("/proc")).toBe(node.statfsSync("/proc").type);
});
