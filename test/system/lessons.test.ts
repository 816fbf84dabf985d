/** Rules that other engines paid for and that show only in a whole container: each attacked through the command line. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box[Symbol.asyncDispose]());

/** Until it holds: a process that was killed is gone a moment later. */
async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !condition(); await Bun.sleep(1))
    if (Date.now() > end) throw new Error("waited too long");
}
const runFolder = (id: string): string => `${box.root}/run/${id.slice(0, 12)}`;
const keeperOf = (id: string): number => Number(readFileSync(`${runFolder(id)}/pid`, "utf8").split(" ")[0]);

function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test("a process that became another user still dies with its keeper", async () => {
  const id = await box.ok("run", "-d", "-u", "65534:65534", "--name", "nobody", "host", "sleep", "1000");
  const pid = Number(await box.ok("inspect", "-f", "{{.State.Pid}}", "nobody"));
  process.kill(keeperOf(id), "SIGKILL");
  await until(() => !isAlive(pid));
  await box.ok("rm", "nobody");
});

test("whoever shares the host's network finds no socket to speak to (CVE-2020-15257)", async () => {
  const abstract = (text: string): string[] => text.match(/@\S+/g) ?? [];
  const before = abstract(readFileSync("/proc/net/unix", "latin1"));
  const id = await box.ok("run", "-d", "--network", "host", "--name", "near", "host", "sleep", "1000");
  expect(abstract(await box.ok("exec", "near", "cat", "/proc/net/unix"))).toEqual(before);
  expect(statSync(`${runFolder(id)}/attach.sock`).mode & 0o777).toBe(0o600);
  expect(statSync(runFolder(id)).mode & 0o777).toBe(0o700);
  await box.ok("rm", "-f", "near");
});

test("a tmpfs has the mode of the folder that it covers", async () => {
  const modes = (...folders: string[]) =>
    box.ok("run", "--rm", "--tmpfs", "/tmp", "--tmpfs", "/root", "host", "stat", "-c", "%a", ...folders);
  const here = ["/tmp", "/root"].map((folder) => (statSync(folder).mode & 0o7777).toString(8));
  expect(await modes("/tmp", "/root")).toBe(here.join("\n"));
  expect(await modes("/proc", "/sys")).toBe("555\n555");
});

describe("the end of a cgroup", () => {
  test("takes with it what flees into sessions of its own", async () => {
    const flee = "while :; do setsid sleep 1000 & done";
    await box.ok("run", "-d", "--pids-limit", "100", "--name", "fleeing", "host", "sh", "-c", flee);
    await box.ok("rm", "-f", "fleeing");
    expect(await box.left()).toEqual([]);
  });

  test("comes to one that is paused, too", async () => {
    for (const end of [["kill"], ["stop", "-t", "1"], ["rm", "-f"]]) {
      await box.ok("run", "-d", "--name", "frozen", "host", "sleep", "1000");
      await box.ok("pause", "frozen");
      await box.ok(...end, "frozen");
      if (end[0] !== "rm") await box.ok("rm", "frozen");
      expect(await box.left()).toEqual([]);
    }
  });
});

test.each([
  ["--name ../escape", "Invalid container name (../escape), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"],
  ["--name ..", "Invalid container name (..), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"],
  ["--cgroup-parent /a/../../b", '".."'],
  ["--volume a/..:/x", 'create a/..: "a/.." includes invalid characters for a local volume name'],
])("%s leads nowhere", async (flags, message) => {
  const { code, stderr } = await box.cli("run", "--rm", ...flags.split(" "), "host", "true");
  expect(code).toBe(125);
  expect(stderr).toContain(message);
});
