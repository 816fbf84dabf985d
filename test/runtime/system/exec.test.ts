/** One more process in a container that runs. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import {
  cgroupPids,
  DEFAULT_CAPABILITIES,
  killAll,
  type SpecProcess,
  seccompFilter,
} from "../../../src/runtime/index.ts";
import { until } from "../../support/until.ts";
import { DOCKER_NAMESPACES, type Running, specOf, World } from "../support.ts";

const world = new World();
let running: Running;
beforeAll(async () => {
  running = await world.start(["sleep", "60"]);
});
afterAll(async () => {
  await killAll(world.host, running.cgroup);
  await running.done;
  world.clean();
});

const processOf = (args: readonly string[], more: Partial<SpecProcess> = {}): SpecProcess => ({
  ...(specOf(args).process as SpecProcess),
  ...more,
});

describe("exec", () => {
  test("stands on the container's planks", async () => {
    const { stdout } = await world.exec(running, [
      "sh",
      "-c",
      "for n in mnt net uts pid ipc cgroup; do readlink /proc/self/ns/$n; done; hostname; pwd; readlink /proc/1/exe",
    ]);
    const pid = running.connection.report?.pid;
    expect(stdout).toBe(
      `${DOCKER_NAMESPACES.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)).join("\n")}\nbox\n/\n/bin/busybox\n`,
    );
  });

  test("is in the container's cgroup everywhere", async () => {
    const { stdout } = await world.exec(running, ["cat", "/proc/1/cgroup", "/proc/self/cgroup"]);
    expect(
      stdout
        .split("\n")
        .slice(0, -1)
        .every((line) => line.endsWith(":/")),
    ).toBe(true);
    const child = world.exec(running, ["sleep", "1000"]);
    const pids = (): number[] => cgroupPids(world.host, running.cgroup);
    const folders = (): string[] => pids().map((pid) => readFileSync(`/proc/${pid}/cgroup`, "utf8"));
    const runs = (): boolean =>
      pids().every((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep"));
    // It enters one hierarchy after the other, and then is not yet the program.
    await until(() => folders().length >= 2 && new Set(folders()).size === 1 && runs());
    expect(folders()[0]).toContain(running.cgroup);
    for (const pid of pids()) if (pid !== running.connection.report?.pid) process.kill(pid, "SIGKILL");
    await child;
  });

  test("has rights, user, folder, filter and terminal as asked", async () => {
    const seccomp = await seccompFilter("builtin", DEFAULT_CAPABILITIES);
    const { stdout } = await world.exec(running, [], {
      process: processOf(["sh", "-c", "id; pwd; grep -E 'CapEff|Seccomp:' /proc/self/status; tty"], {
        user: { uid: 7, gid: 8, additionalGids: [8, 9] },
        cwd: "/tmp",
        terminal: true,
      }),
      ...(seccomp ? { seccomp } : {}),
    });
    expect(stdout.replaceAll("\r", "")).toBe(
      "uid=7 gid=8 groups=8,9\n/tmp\nCapEff:\t0000000000000000\nSeccomp:\t2\n/dev/pts/0\n",
    );
  });

  test("brings no descriptor of the host with it", async () => {
    const { stdout } = await world.exec(running, ["sh", "-c", "ls /proc/self/fd | tr '\\n' ' '"]);
    expect(stdout).toBe("0 1 2 3 ");
  });

  test("ends with the program's code, and says when there is no program", async () => {
    expect((await world.exec(running, ["sh", "-c", "exit 3"])).exit?.code).toBe(3);
    await expect(world.exec(running, ["nothing"])).rejects.toMatchObject({ code: "command-not-found" });
  });

  test("joins nobody else when the pid was used again", async () => {
    await expect(world.exec(running, ["true"], { peer: { pid: process.pid, start: 1n } })).rejects.toThrow();
  });
});
