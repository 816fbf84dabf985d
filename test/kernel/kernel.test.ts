/** What the kernel says, parsed. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { lsetxattr } from "../../src/image/sys.ts";
import { FileError, getXattr, openInRoot } from "../../src/kernel/fs.ts";
import {
  isAlive,
  namespaceId,
  parseCgroup,
  parseMountinfo,
  parseStat,
  parseStatus,
  processStart,
  readStat,
} from "../../src/kernel/proc.ts";
import { parseSignal, signalName, signalNumber } from "../../src/kernel/signals.ts";
import { kernelAtLeast, parseRelease } from "../../src/kernel/version.ts";

const folder = mkdtempSync("/tmp/sampan-kernel-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("/proc", () => {
  test("a process whose name holds parentheses and blanks", () => {
    const text = "42 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 0 987654321 20 21 22\n";
    expect(parseStat(text)).toMatchObject({
      pid: 42,
      comm: "a) b (c",
      state: "R",
      ppid: 1,
      utime: 11,
      threads: 17,
      start: 987654321n,
    });
  });

  test("this process", () => {
    const stat = readStat(process.pid);
    expect(stat?.pid).toBe(process.pid);
    expect(stat?.ppid).toBe(process.ppid);
    expect(processStart(process.pid)).toBe(stat?.start as bigint);
    expect(isAlive(process.pid, stat?.start as bigint)).toBe(true);
    expect(isAlive(process.pid, 1n)).toBe(false);
    expect(isAlive(0, 0n)).toBe(false);
    expect(readStat(2 ** 30)).toBeUndefined();
    expect(namespaceId("self", "mnt")).toMatch(/^mnt:\[\d+\]$/);
  });

  test("status, cgroup and mountinfo", () => {
    expect(parseStatus("Name:\tx\nCapEff:\t0000\n").get("CapEff")).toBe("0000");
    expect(parseCgroup("3:cpu,cpuacct:/a:b\n0::/x\n1:name=systemd:/\n")).toEqual([
      { hierarchy: 3, controllers: ["cpu", "cpuacct"], path: "/a:b" },
      { hierarchy: 0, controllers: [], path: "/x" },
      { hierarchy: 1, controllers: ["name=systemd"], path: "/" },
    ]);
    expect(
      parseMountinfo(
        "36 35 98:0 /mnt1 /a\\040b rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n",
      ),
    ).toEqual([
      {
        id: 36,
        parent: 35,
        device: "98:0",
        root: "/mnt1",
        target: "/a b",
        options: ["rw", "noatime"],
        tags: ["master:1", "shared:2"],
        fstype: "ext3",
        source: "/dev/root",
        superOptions: ["rw", "errors=continue"],
      },
    ]);
    expect(
      parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8")).some(({ target }) => target === "/"),
    ).toBe(true);
  });
});

describe("signals", () => {
  test("by name and number", () => {
    for (const [text, number] of [
      ["TERM", 15],
      ["SIGTERM", 15],
      ["sigkill", 9],
      ["9", 9],
      ["CLD", 17],
      ["RTMIN", 34],
      ["SIGRTMIN+3", 37],
      ["RTMAX-1", 63],
      ["64", 64],
    ] as const)
      expect(signalNumber(text)).toBe(number);
    for (const wrong of ["", "SIG", "NOPE", "0", "65", "-1", "RTMIN+31", "RTMAX+1"]) {
      expect(signalNumber(wrong)).toBeUndefined();
      expect(() => parseSignal(wrong)).toThrow(`invalid signal: ${wrong}`);
    }
    expect(signalName(15)).toBe("SIGTERM");
    expect(signalName(37)).toBe("SIGRTMIN+3");
    for (let number = 1; number <= 31; number++) expect(signalNumber(signalName(number))).toBe(number);
  });

  test("are the system's own", async () => {
    const { signals } = (await import("node:os")).constants;
    for (const [name, number] of Object.entries(signals)) expect(signalNumber(name)).toBe(number);
  });
});

test("the kernel's version", () => {
  expect(parseRelease("6.1.0-13-amd64")).toEqual([6, 1]);
  expect(kernelAtLeast(3, 10)).toBe(true);
  expect(kernelAtLeast(99, 0)).toBe(false);
});

describe("calls that node:fs lacks", () => {
  test("a path in a root never leads out of it", () => {
    mkdirSync(`${folder}/root/etc`, { recursive: true });
    writeFileSync(`${folder}/root/etc/file`, "inside");
    symlinkSync("/etc", `${folder}/root/link`);
    symlinkSync("../../../../../../etc/file", `${folder}/root/up`);
    const root = openSync(`${folder}/root`, constants.O_DIRECTORY);
    const read = (path: string): string => {
      const fd = openInRoot(root, path, constants.O_RDONLY);
      const buffer = Buffer.alloc(100);
      const length = readSync(fd, buffer);
      closeSync(fd);
      return buffer.toString("utf8", 0, length);
    };
    for (const path of ["/etc/file", "link/file", "/up", "../../etc/file"]) expect(read(path)).toBe("inside");
    expect(() => read("/etc/passwd")).toThrow(FileError);
    expect(() => read("/etc/passwd")).toThrow("ENOENT: no such file or directory, openat2 '/etc/passwd'");
    closeSync(root);
  });

  test("extended attributes", () => {
    const path = `${folder}/attributes`;
    writeFileSync(path, "");
    expect(getXattr(path, "user.none")).toBeUndefined();
    lsetxattr(path, "user.test", Buffer.from("value"));
    lsetxattr(path, "user.empty", new Uint8Array(0));
    lsetxattr(path, "user.long", new Uint8Array(1000));
    expect(Buffer.from(getXattr(path, "user.test") ?? []).toString()).toBe("value");
    expect(getXattr(path, "user.empty")?.length).toBe(0);
    expect(getXattr(path, "user.long")?.length).toBe(1000);
    expect(() => getXattr(`${folder}/none`, "user.x")).toThrow(
      "ENOENT: no such file or directory, lgetxattr",
    );
  });

  test("names with a NUL byte never reach the kernel", () => {
    expect(() => getXattr("a\0b", "user.x")).toThrow("NUL");
  });
});
