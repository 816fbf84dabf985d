/** What a container may use: limits, readings, freezing and killing on this host's own cgroups. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import {
  cgroupFolders,
  cgroupPids,
  DEFAULT_DEVICE_RULES,
  freeze,
  hierarchyOf,
  isFrozen,
  killAll,
  limitUpdates,
  oomKills,
  readEvents,
  readStats,
  type SpecResources,
  thaw,
  unifiedFolder,
} from "../../../src/runtime/index.ts";
import { until } from "../../support/until.ts";
import { type Running, World } from "../support.ts";

const world = new World();
afterAll(() => world.clean());

const withLimits = (resources: SpecResources) => ({
  linux: { resources: { devices: DEFAULT_DEVICE_RULES, ...resources } },
});
const file = (running: Running, controller: string, v1: string, v2: string): string => {
  const hierarchy = hierarchyOf(world.host, controller);
  const path = hierarchy
    ? `${hierarchy.mount}${running.cgroup}/${v1}`
    : `${unifiedFolder(world.host, running.cgroup)}/${v2}`;
  return readFileSync(path, "latin1").trim();
};
const end = async (running: Running): Promise<void> => {
  await killAll(world.host, running.cgroup);
  await running.done;
};

describe("limits", () => {
  test("are in the kernel's files while the process runs", async () => {
    const running = await world.start(
      ["sleep", "20"],
      withLimits({
        memory: { limit: 64 << 20, swap: 128 << 20, reservation: 32 << 20 },
        cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0", mems: "0" },
        pids: { limit: 20 },
      }),
    );
    const v2 = !hierarchyOf(world.host, "memory");
    expect(file(running, "memory", "memory.limit_in_bytes", "memory.max")).toBe(String(64 << 20));
    expect(file(running, "memory", "memory.soft_limit_in_bytes", "memory.low")).toBe(String(32 << 20));
    expect(file(running, "cpu", "cpu.shares", "cpu.weight")).toBe(v2 ? "59" : "512");
    expect(file(running, "cpu", "cpu.cfs_quota_us", "cpu.max")).toBe(v2 ? "50000 100000" : "50000");
    expect(file(running, "cpuset", "cpuset.cpus", "cpuset.cpus")).toBe("0");
    expect(file(running, "pids", "pids.max", "pids.max")).toBe("20");
    await end(running);
  });

  test("hold: too many processes", async () => {
    const text = await world.sh(
      "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done 2>&1; wait",
      withLimits({ pids: { limit: 5 } }),
    );
    expect(text).toContain("can't fork");
  });

  test("hold: too much memory, and the readings say so", async () => {
    // One line without an end: tail keeps all of it.
    const { exit } = await world.run(
      ["sh", "-c", "head -c 60000000 /dev/zero | tail"],
      withLimits({ memory: { limit: 16 << 20, swap: 16 << 20 } }),
    );
    expect(oomKills(exit?.readings ?? {})).toBeGreaterThan(0);
    const { exit: fine } = await world.run(["true"]);
    expect(oomKills(fine?.readings ?? {})).toBe(0);
  });

  test("change while it runs, up and down", async () => {
    const running = await world.start(
      ["sleep", "20"],
      withLimits({ memory: { limit: 64 << 20, swap: 128 << 20 } }),
    );
    for (const limit of [256 << 20, 32 << 20]) {
      for (const { path, data } of limitUpdates(world.host, running.cgroup, {
        memory: { limit, swap: limit * 2 },
        pids: { limit: 9 },
      }))
        writeFileSync(path, data);
      expect(file(running, "memory", "memory.limit_in_bytes", "memory.max")).toBe(String(limit));
    }
    expect(file(running, "pids", "pids.max", "pids.max")).toBe("9");
    await end(running);
  });

  test("that this host lacks are refused by name", async () => {
    const missing = [
      ["--memory-swappiness", { memory: { swappiness: 10 } }, "memory", "memory.swappiness"],
      [
        "hugepageLimits 2MB",
        { hugepageLimits: [{ pageSize: "2MB", limit: 0 }] },
        "hugetlb",
        "hugetlb.2MB.limit_in_bytes",
      ],
      ["network.classID", { network: { classID: 1 } }, "net_cls", "net_cls.classid"],
    ] as const;
    for (const [flag, resources, controller, name] of missing) {
      const hierarchy = hierarchyOf(world.host, controller);
      if (hierarchy && existsSync(`${hierarchy.mount}/${name}`)) continue;
      const failed = await world.run(["true"], withLimits(resources)).catch((error: Error) => error);
      if (failed instanceof Error)
        expect(failed).toMatchObject({ code: "refused", message: expect.stringContaining(flag) });
    }
    await expect(
      world.run(["true"], withLimits({ network: { priorities: [{ name: "lo", priority: 1 }] } })),
    ).rejects.toMatchObject({
      code: "refused",
      message: expect.stringMatching(/network\.priorities.*net_prio/),
    });
  });

  test("of devices hold", async () => {
    const text = await world.sh("mknod /tmp/kmsg c 1 11; cat /tmp/kmsg 2>&1; head -c 1 /dev/zero | wc -c");
    expect(text).toContain("not permitted");
    expect(text.split("\n").at(-1)).toBe("1");
    const open = await world.sh(
      "mknod /tmp/z c 1 5; head -c 1 /tmp/z | wc -c",
      withLimits({ devices: [{ allow: true, access: "rwm" }] }),
    );
    expect(open).toBe("1");
  });
});

describe("a living cgroup", () => {
  test("lists its processes, and says what they used", async () => {
    const running = await world.start([
      "sh",
      "-c",
      "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 20 & sleep 20; :",
    ]);
    await until(() => cgroupPids(world.host, running.cgroup).length >= 3);
    const pids = cgroupPids(world.host, running.cgroup);
    expect(pids).toContain(running.connection.report?.pid as number);
    const stats = readStats(world.host, running.cgroup);
    expect(stats.cpu.total).toBeGreaterThan(1e6);
    expect(stats.host.cpu).toBeGreaterThan(stats.cpu.total);
    expect(stats.memory.usage).toBeGreaterThan(100_000);
    expect(stats.memory.limit).toBe(-1);
    expect(stats.pids).toEqual({ current: 3, limit: -1 });
    expect(oomKills(readEvents(world.host, running.cgroup))).toBe(0);
    await end(running);
  });

  test("freezes and thaws", async () => {
    const running = await world.start(["sh", "-c", "while :; do echo tick; sleep 0.01; done"]);
    let ticks = 0;
    running.connection.onOutput = () => void ticks++;
    await freeze(world.host, running.cgroup);
    expect(isFrozen(world.host, running.cgroup)).toBe(true);
    let before = 0;
    // What it said before may still be on its way.
    await until(async () => {
      before = ticks;
      await Bun.sleep(100);
      return ticks === before;
    }, "silence");
    thaw(world.host, running.cgroup);
    expect(isFrozen(world.host, running.cgroup)).toBe(false);
    await until(() => ticks > before);
    await end(running);
  });

  test("dies as a whole, frozen or not, and leaves no folder", async () => {
    for (const frozen of [false, true]) {
      const running = await world.start(["sh", "-c", "trap '' TERM; sleep 20 & sleep 20 & sleep 20"]);
      if (frozen) await freeze(world.host, running.cgroup);
      expect(await killAll(world.host, running.cgroup)).toBe(true);
      expect((await running.done).exit).toMatchObject({ signal: 9 });
      expect(cgroupFolders(world.host, running.cgroup).filter((folder) => existsSync(folder))).toEqual([]);
    }
  });
});
