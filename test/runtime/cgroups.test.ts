/** Hosts, limits and device rules as data: v1, v2 and both. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { weightOfShares } from "../../src/runtime/cgroups/cpu.ts";
import { forCaller } from "../../src/runtime/cgroups/host.ts";
import { ioWeight } from "../../src/runtime/cgroups/io.ts";
import { limitWrites } from "../../src/runtime/cgroups/steps.ts";
import { realMounts } from "../../src/runtime/host-view.ts";
import {
  type CgroupHost,
  cgroupFolders,
  cgroupPath,
  cgroupPids,
  DEFAULT_DEVICE_RULES,
  deviceProgram,
  deviceState,
  deviceWrites,
  oomKills,
  parseCgroupMounts,
  parseDeviceRule,
  type SpecDeviceRule,
  type SpecResources,
} from "../../src/runtime/index.ts";

describe("a host's hierarchies", () => {
  const line = (target: string, type: string, options: string): string =>
    `30 20 0:30 / ${target} rw shared:5 - ${type} ${type} rw,${options}\n`;

  test("v1: co-mounted ones count once, as does one that is mounted twice", () => {
    const host = parseCgroupMounts(
      line("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct") +
        line("/sys/fs/cgroup/systemd", "cgroup", "xattr,name=systemd") +
        line("/other/cpu", "cgroup", "cpu,cpuacct") +
        line("/", "ext4", "discard"),
    );
    expect(host).toEqual({
      kind: "v1",
      hierarchies: [
        { mount: "/sys/fs/cgroup/cpu,cpuacct", controllers: ["cpu", "cpuacct"] },
        { mount: "/sys/fs/cgroup/systemd", controllers: ["name=systemd"] },
      ],
    });
  });

  test("v2 and hybrid", () => {
    expect(parseCgroupMounts(line("/sys/fs/cgroup", "cgroup2", "nsdelegate"))).toMatchObject({
      kind: "v2",
      unified: "/sys/fs/cgroup",
      pure: true,
    });
    const hybrid = parseCgroupMounts(
      line("/cg/memory", "cgroup", "memory") + line("/cg/unified", "cgroup2", "x"),
    );
    expect(hybrid).toMatchObject({ kind: "hybrid", unified: "/cg/unified" });
    expect(cgroupFolders(hybrid, "/a/b")).toEqual(["/cg/unified/a/b", "/cg/memory/a/b"]);
    expect(parseCgroupMounts("")).toMatchObject({ kind: "none" });
  });

  test("a user without root has what was delegated, from the highest folder down", () => {
    const v2: CgroupHost = { kind: "v2", hierarchies: [], unified: "/cg", pure: true };
    const own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n";
    const may = (path: string): boolean => path.includes("user@1000.service");
    expect(forCaller(v2, own, may)).toMatchObject({
      kind: "v2",
      delegated: "/user.slice/user-1000.slice/user@1000.service",
    });
    expect(forCaller(v2, own, () => false)).toEqual({
      kind: "none",
      hierarchies: [],
      pure: true,
      note: "no cgroup is delegated to this user",
    });
    expect(forCaller(v2, "0::/\n", () => true).kind).toBe("none");
  });

  test("a container's path stays below its parent", () => {
    expect(cgroupPath("abc")).toBe("/sampan/abc");
    expect(cgroupPath("abc", "/my/parent/")).toBe("/my/parent/abc");
    expect(cgroupPath("abc", "relative")).toBe("/relative/abc");
    expect(() => cgroupPath("abc", "/a/../b")).toThrow('without ".."');
  });
});

describe("limits", () => {
  const base = mkdtempSync("/tmp/sampan-cgroups-");
  const path = "/parent/box";
  const files = (folder: string, names: readonly string[]): string => {
    mkdirSync(`${base}/${folder}/parent`, { recursive: true });
    for (const name of names) writeFileSync(`${base}/${folder}/parent/${name}`, "");
    return `${base}/${folder}`;
  };
  const v1: CgroupHost = {
    kind: "v1",
    hierarchies: [
      { mount: files("cpu", ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"]), controllers: ["cpu"] },
      {
        mount: files("memory", [
          "memory.limit_in_bytes",
          "memory.memsw.limit_in_bytes",
          "memory.soft_limit_in_bytes",
          "memory.oom_control",
        ]),
        controllers: ["memory"],
      },
      {
        mount: files("blkio", ["blkio.bfq.weight", "blkio.throttle.read_bps_device"]),
        controllers: ["blkio"],
      },
      { mount: files("noswap", ["memory.limit_in_bytes"]), controllers: [] },
    ],
  };
  const tree = files("v2", [
    "cpu.weight",
    "cpu.max",
    "memory.max",
    "memory.low",
    "memory.swap.max",
    "pids.max",
    "io.max",
    "io.weight",
  ]);
  writeFileSync(`${tree}/cgroup.controllers`, "cpuset cpu io memory pids\n");
  writeFileSync(`${tree}/parent/cgroup.controllers`, "cpuset cpu io memory pids\n");
  const v2: CgroupHost = { kind: "v2", hierarchies: [], unified: tree, pure: true };
  const written = (host: CgroupHost, resources: SpecResources): string[] =>
    limitWrites(host, path, resources).map((w) => `${w.path.slice(w.path.lastIndexOf("/") + 1)} ${w.data}`);
  const MB = 1 << 20;

  test("of v1 are written as they are, period before quota, memory before swap", () => {
    expect(
      written(v1, {
        cpu: { quota: 20000, period: 50000, shares: 512 },
        memory: { limit: 64 * MB, swap: 128 * MB, reservation: MB, disableOOMKiller: true },
      }),
    ).toEqual([
      "cpu.shares 512",
      "cpu.cfs_period_us 50000",
      "cpu.cfs_quota_us 20000",
      `memory.limit_in_bytes ${64 * MB}`,
      `memory.memsw.limit_in_bytes ${128 * MB}`,
      `memory.soft_limit_in_bytes ${MB}`,
      "memory.oom_control 1",
    ]);
    expect(
      written(v1, { blockIO: { weight: 300, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1000 }] } }),
    ).toEqual(["blkio.bfq.weight 300", "blkio.throttle.read_bps_device 8:0 1000"]);
  });

  test("of v2 are converted", () => {
    expect(
      written(v2, {
        cpu: { quota: 20000, shares: 1024 },
        memory: { limit: 64 * MB, swap: 96 * MB, reservation: MB },
        pids: { limit: -1 },
        blockIO: { weight: 500, throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 7 }] },
      }),
    ).toEqual([
      "cpu.weight 100",
      "cpu.max 20000 100000",
      `memory.swap.max ${32 * MB}`,
      `memory.max ${64 * MB}`,
      `memory.low ${MB}`,
      "pids.max max",
      `io.weight default ${ioWeight(500)}`,
      "io.max 8:16 wiops=7",
    ]);
    expect(written(v2, { cpu: { quota: -1 } })).toEqual(["cpu.max max 100000"]);
    expect(written(v2, { memory: { limit: MB, swap: -1 } })).toEqual([
      "memory.swap.max max",
      `memory.max ${MB}`,
    ]);
  });

  test("that the kernel lacks are refused with flag and controller", () => {
    expect(() => written(v1, { pids: { limit: 5 } })).toThrow(
      "--pids-limit: this host has no pids controller mounted",
    );
    expect(() => written(v1, { memory: { swappiness: 5 } })).toThrow(
      "--memory-swappiness: the memory controller of cgroup v1 has no memory.swappiness here",
    );
    expect(() => written(v2, { memory: { swappiness: 5 } })).toThrow(
      "--memory-swappiness: cgroup v2 has no such limit in its memory controller",
    );
    expect(() => written(v2, { memory: { disableOOMKiller: true } })).toThrow("--oom-kill-disable");
    expect(() => written(v2, { hugepageLimits: [{ pageSize: "2MB", limit: 1 }] })).toThrow("hugetlb");
  });

  test("a default swap limit is left out where the kernel has none", () => {
    const noSwap: CgroupHost = {
      kind: "v1",
      hierarchies: [{ mount: `${base}/noswap`, controllers: ["memory"] }],
    };
    expect(written(noSwap, { memory: { limit: MB, swap: 2 * MB } })).toEqual([`memory.limit_in_bytes ${MB}`]);
    expect(() => written(noSwap, { memory: { limit: MB, swap: 3 * MB } })).toThrow("--memory-swap");
    rmSync(base, { recursive: true });
  });

  test("conversions keep ends and defaults", () => {
    expect([2, 1024, 262144].map(weightOfShares)).toEqual([1, 100, 10000]);
    expect([10, 1000].map(ioWeight)).toEqual([1, 10000]);
  });

  test("an OOM kill is read from either version", () => {
    expect(oomKills({ "memory.events": "low 0\noom 2\noom_kill 3\noom_group_kill 0\n" })).toBe(3);
    expect(oomKills({ "memory.oom_control": "oom_kill_disable 1\nunder_oom 0\noom_kill 1\n" })).toBe(1);
    expect(oomKills({})).toBe(0);
  });
});

/** Runs the program as the kernel would for one access. */
function ask(program: Uint8Array, type: "b" | "c", major: number, minor: number, access: string): boolean {
  const bits = { m: 1, r: 2, w: 4 } as Record<string, number>;
  const mask = [...access].reduce((all, letter) => all | (bits[letter] ?? 0), 0);
  const context = [(mask << 16) | (type === "b" ? 1 : 2), major, minor];
  const view = new DataView(program.buffer, program.byteOffset);
  const r = Array.from({ length: 11 }, () => 0);
  for (let pc = 0; pc * 8 < program.length; pc++) {
    const op = view.getUint8(pc * 8);
    const dst = view.getUint8(pc * 8 + 1) & 15;
    const src = view.getUint8(pc * 8 + 1) >> 4;
    const offset = view.getInt16(pc * 8 + 2, true);
    const imm = view.getInt32(pc * 8 + 4, true);
    const [a = 0, b = 0] = [r[dst], r[src]];
    if (op === 0x61) r[dst] = context[offset / 4] ?? 0;
    else if (op === 0x54) r[dst] = a & imm;
    else if (op === 0x74) r[dst] = a >>> imm;
    else if (op === 0xbc) r[dst] = b;
    else if (op === 0xb7) r[dst] = imm;
    else if (op === 0x15) pc += a === imm ? offset : 0;
    else if (op === 0x55) pc += a !== imm ? offset : 0;
    else if (op === 0x5d) pc += a !== b ? offset : 0;
    else if (op === 0x95) return r[0] === 1;
    else throw new Error(`instruction ${op.toString(16)}`);
  }
  throw new Error("the program does not end");
}

describe("devices", () => {
  test("v1: denied, then what is allowed", () => {
    expect(
      deviceWrites("/d", deviceState(DEFAULT_DEVICE_RULES))
        .map(({ path, data }) => `${path} ${data}`)
        .slice(0, 4),
    ).toEqual([
      "/d/devices.deny a",
      "/d/devices.allow c *:* m",
      "/d/devices.allow b *:* m",
      "/d/devices.allow c 1:3 rwm",
    ]);
    expect(deviceWrites("/d", deviceState([{ allow: true }]))).toEqual([]);
  });

  test("rules of the same device come together, later ones take away", () => {
    const rules: SpecDeviceRule[] = [
      { allow: false },
      { allow: true, type: "c", major: 1, minor: 3, access: "r" },
      { allow: true, type: "c", major: 1, minor: 3, access: "wm" },
      { allow: false, type: "c", major: 1, minor: 3, access: "m" },
    ];
    expect(deviceWrites("/d", deviceState(rules)).map(({ data }) => data)).toEqual(["a", "c 1:3 rw"]);
  });

  test("v2: the program answers as the rules say", () => {
    const program = deviceProgram(deviceState([...DEFAULT_DEVICE_RULES, parseDeviceRule("b 8:* r")]));
    expect(ask(program, "c", 1, 3, "rw")).toBe(true);
    expect(ask(program, "c", 136, 42, "rw")).toBe(true);
    expect(ask(program, "c", 1, 1, "r")).toBe(false);
    expect(ask(program, "c", 1, 1, "m")).toBe(true);
    expect(ask(program, "b", 254, 0, "m")).toBe(true);
    expect(ask(program, "b", 254, 0, "mr")).toBe(false);
    expect(ask(program, "b", 8, 3, "r")).toBe(true);
    expect(ask(program, "b", 8, 3, "rw")).toBe(false);
    expect(ask(program, "b", 1, 3, "r")).toBe(false);
  });

  test("v2: exceptions from everything allowed", () => {
    const program = deviceProgram(
      deviceState([{ allow: true }, { allow: false, type: "c", major: 10, access: "w" }]),
    );
    expect(ask(program, "c", 10, 200, "r")).toBe(true);
    expect(ask(program, "c", 10, 200, "rw")).toBe(false);
    expect(ask(program, "b", 10, 200, "rw")).toBe(true);
  });

  test("v2 and v1 agree on any rules", () => {
    // The kernel's v1 matching (security/device_cgroup.c), beside the program.
    const state = (rules: SpecDeviceRule[]) => deviceState(rules);
    let seed = 42;
    const random = (n: number): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
    const ACCESSES = ["r", "w", "m", "rw", "rm", "wm", "rwm"];
    for (let round = 0; round < 200; round++) {
      const rules: SpecDeviceRule[] = Array.from({ length: 1 + random(8) }, () => ({
        allow: random(2) === 0,
        type: ["a", "b", "c"][random(6) === 0 ? 0 : 1 + random(2)] as string,
        ...(random(3) ? { major: random(3) } : {}),
        ...(random(3) ? { minor: random(3) } : {}),
        access: ACCESSES[random(7)] as string,
      }));
      const { allow, exceptions } = state(rules);
      const program = deviceProgram({ allow, exceptions });
      for (let type = 0; type < 2; type++)
        for (let major = 0; major < 3; major++)
          for (const access of ACCESSES) {
            const minor = random(3);
            const t = type ? "b" : "c";
            const bits = [...access].reduce((all, letter) => all | ({ m: 1, r: 2, w: 4 }[letter] ?? 0), 0);
            const fits = exceptions.filter(
              (e) => e.type === t && (e.major < 0 || e.major === major) && (e.minor < 0 || e.minor === minor),
            );
            const expected = allow
              ? !fits.some((e) => (e.access & bits) !== 0)
              : fits.some((e) => (bits & ~e.access) === 0);
            expect(ask(program, t, major, minor, access)).toBe(expected);
          }
    }
  });

  test("rules are read as Docker reads them", () => {
    expect(parseDeviceRule("c 1:3 mr")).toEqual({ allow: true, type: "c", major: 1, minor: 3, access: "mr" });
    expect(parseDeviceRule("a *:* rwm")).toEqual({ allow: true, type: "a", access: "rwm" });
    for (const wrong of ["", "x 1:3 r", "c 1 r", "c 1:3", "c 1:3 x", "c -1:3 r", "c 1:3 rwmr"])
      expect(() => parseDeviceRule(wrong)).toThrow("invalid device cgroup format");
  });
});

test("the host image shows real filesystems that lie apart, and nothing of the kernel's", () => {
  const at = (target: string, type: string, source: string): string =>
    `1 2 0:1 / ${target} rw - ${type} ${source} rw\n`;
  expect(
    realMounts(
      at("/", "ext4", "/dev/vda1") +
        at("/proc", "proc", "proc") +
        at("/usr/local", "xfs", "/dev/vdc") +
        at("/usr", "ext4", "/dev/vdb") +
        at("/run/x", "ext4", "/dev/vdd") +
        at("/home", "nfs4", "server:/home") +
        at("/mnt/cd", "iso9660", "/dev/sr0") +
        at("/srv", "tmpfs", "tmpfs"),
    ),
  ).toEqual(["/home", "/usr", "/usr/local"]);
});

test("the processes of a cgroup are those that this pid namespace sees: nobody signals 0, which is himself", () => {
  const tree = mkdtempSync("/tmp/sampan-test-");
  mkdirSync(`${tree}/a/b`, { recursive: true });
  writeFileSync(`${tree}/a/cgroup.procs`, "0\n0\n");
  writeFileSync(`${tree}/a/b/cgroup.procs`, "0\n17\n");
  const v2: CgroupHost = { kind: "v2", hierarchies: [], unified: tree, pure: true };
  expect(cgroupPids(v2, "/a")).toEqual([17]);
  rmSync(tree, { recursive: true });
});
