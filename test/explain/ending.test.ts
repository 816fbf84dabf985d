/** What is said of containers that have ended, removed ones too, for each way in which one can end. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Ending } from "../../src/explain/index.ts";
import { killed } from "../support/processes.ts";
import { Sandbox } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = new Sandbox();
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const ending = async (name: string): Promise<Ending> =>
  JSON.parse(await sandbox.ok("explain", "--json", name)) as Ending;

describe("each end has its cause", () => {
  test("the program's own exit code, and its last lines", async () => {
    await sandbox.cli("run", "--name", "own", "host", "sh", "-c", "echo out; echo err >&2; exit 3");
    const found = await ending("own");
    expect(found).toMatchObject({ cause: "exit", exitCode: 3, removed: false });
    expect(found.summary).toContain("its program ended itself with exit code 3");
    expect(found.log.toSorted((a, b) => a.text.localeCompare(b.text))).toEqual([
      { stream: "stderr", text: "err" },
      { stream: "stdout", text: "out" },
    ]);
    expect(found.events.map(({ action }) => action)).toEqual(["create", "attach", "start", "die"]);
    expect(found.used.memory).toBeGreaterThan(0);
  });

  test("memory: the limit, the peak and how many were killed", async () => {
    const eat = "x=$(head -c 100m /dev/zero | tr '\\0' a); true";
    await sandbox.cli("run", "--rm", "--name", "hungry", "--memory", "16m", "host", "sh", "-c", eat);
    const found = await ending("hungry");
    expect(found).toMatchObject({ cause: "memory", exitCode: 137, signal: "SIGKILL", by: "the kernel" });
    expect(found.used.memoryLimit).toBe(16 * 2 ** 20);
    expect(found.used.memory).toBeLessThanOrEqual(16 * 2 ** 20);
    expect(found.used.oomKills).toBeGreaterThan(0);
    expect(found.summary).toContain("the kernel killed it, since its memory limit of 16 MiB was reached");
  });

  test("time", async () => {
    await sandbox.cli("run", "--rm", "--name", "late", "--timeout", "200ms", "host", "sleep", "100");
    const found = await ending("late");
    expect(found).toMatchObject({ cause: "timeout", exitCode: 137, by: "its keeper" });
    expect(found.summary).toContain("its keeper killed it when its time of 200ms was over");
  });

  test("seccomp", async () => {
    const profile = JSON.stringify({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_KILL_PROCESS" }],
    });
    await Bun.write(`${sandbox.root}/profile.json`, profile);
    const security = ["--security-opt", `seccomp=${sandbox.root}/profile.json`];
    await sandbox.cli("run", "--name", "refused", ...security, "host", "mkdir", "/tmp/x");
    expect(await ending("refused")).toMatchObject({ cause: "seccomp", signal: "SIGSYS", by: "the kernel" });
  });

  test("a fault of its own", async () => {
    await sandbox.cli("run", "--init", "--name", "fault", "host", "sh", "-c", "kill -SEGV $$");
    expect(await ending("fault")).toMatchObject({ cause: "fault", signal: "SIGSEGV", exitCode: 139 });
  });

  test.each([
    ["stop", ["stop", "-s", "KILL", "sent"], "sampan stop"],
    ["kill", ["kill", "sent"], "sampan kill"],
    ["rm --force", ["rm", "-f", "sent"], "sampan rm --force"],
  ])("a signal of %s", async (_, words, by) => {
    await sandbox.ok("run", "-d", "--name", "sent", "host", "sleep", "1000");
    await sandbox.ok(...words);
    expect(await ending("sent")).toMatchObject({ cause: "signal", signal: "SIGKILL", by });
    await sandbox.cli("rm", "sent");
  });

  test("a signal of somebody else", async () => {
    await sandbox.ok("run", "-d", "--name", "struck", "host", "sleep", "1000");
    process.kill(Number(await sandbox.ok("inspect", "-f", "{{.State.Pid}}", "struck")), "SIGKILL");
    await sandbox.ok("wait", "struck");
    const found = await ending("struck");
    expect(found).toMatchObject({ cause: "signal", signal: "SIGKILL" });
    expect(found.by).toBeUndefined();
  });

  test("its keeper's death", async () => {
    await sandbox.ok("run", "-d", "--name", "orphan", "host", "sleep", "1000");
    const pid = await sandbox.ok("inspect", "-f", "{{.State.Pid}}", "orphan");
    const keeper = Number(/^PPid:\s+(\d+)$/m.exec(await Bun.file(`/proc/${pid}/status`).text())?.[1]);
    await killed(keeper);
    expect(await ending("orphan")).toMatchObject({ cause: "unseen", exitCode: 137 });
  });
});

describe("what was removed", () => {
  test("--rm: it is known by name and by id", async () => {
    const { stdout } = await sandbox.cli("run", "--rm", "--name", "gone", "host", "echo", "last words");
    expect(stdout).toBe("last words\n");
    const found = await ending("gone");
    expect(found).toMatchObject({ removed: true, cause: "exit", exitCode: 0, log: [{ text: "last words" }] });
    expect((await ending(found.id.slice(0, 12))).name).toBe("gone");
    expect(await sandbox.ok("explain", "gone")).toContain("It has been removed since.");
  });

  test("only the end of a long log is kept, and begins with a whole line", async () => {
    await sandbox.ok("run", "--rm", "--name", "long", "host", "seq", "1000000", "1002000");
    const { log } = await ending("long");
    expect(log.at(-1)?.text).toBe("1002000");
    expect(log.every(({ text }) => /^1\d{6}$/.test(text))).toBe(true);
  });

  test("one that never ran leaves nothing", async () => {
    await sandbox.ok("create", "--name", "fresh", "host", "true");
    await sandbox.ok("rm", "fresh");
    const { code, stderr } = await sandbox.cli("explain", "fresh");
    expect(code).toBe(1);
    expect(stderr).toContain("No such container or process: fresh");
  });

  test("a few digits are a pid, whatever ids begin with", async () => {
    for (let n = 0; n < 40; n++) await sandbox.ok("create", "host", "true");
    // A machine that is itself a container may have no process 2.
    for (const pid of ["1", "2"].filter((each) => existsSync(`/proc/${each}`)))
      expect(await sandbox.ok("explain", pid)).toStartWith(`Process ${pid} `);
    await sandbox.ok("run", "--rm", "--name", "1", "host", "true");
    expect((await ending("1")).removed).toBe(true);
  });

  test("the last fifty", async () => {
    for (let n = 0; n < 52; n++) await sandbox.ok("run", "--rm", "--name", `n${n}`, "host", "true");
    expect((await ending("n51")).removed).toBe(true);
    expect((await ending("n2")).removed).toBe(true);
    expect((await sandbox.cli("explain", "n1")).code).toBe(1);
  });
});

test("of a removed one what it still was when it was there is gone, and each question says so", async () => {
  await sandbox.ok("run", "--rm", "--name", "past", "host", "sh", "-c", "printf 'a\\tb\\n'");
  expect(await sandbox.ok("explain", "past")).toMatch(/^ {2}a {4}b$/m);
  for (const words of [
    ["--plan", "past"],
    ["--as", "sh", "past"],
    ["past", "/etc"],
    ["past", String(process.pid)],
  ]) {
    const { code, stderr } = await sandbox.cli("explain", ...words);
    expect([code, stderr]).toEqual([
      1,
      "sampan: container past has been removed: how it ended is remembered, and nothing else\nSee it: sampan explain past\n",
    ]);
  }
});
