/** `explain run …`: the plan before there is a container, compared with the plan of the container that comes to be. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Ahead, Diagnosis, PlanExplanation } from "../../src/explain/index.ts";
import { doctorRows, type Step } from "../../src/launch/index.ts";
import { SAMPAN, Sandbox, triedCgroups } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = new Sandbox();
  await sandbox.ok("ps");
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const words = (text: string): string[] => text.split(" ");
const ahead = async (...run: string[]): Promise<Ahead> =>
  JSON.parse(await sandbox.ok("explain", "--json", "run", ...run)) as Ahead;

const files = (): string[] =>
  readdirSync(sandbox.root, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.startsWith("sampan.db"))
    .toSorted();

describe("before there is a container", () => {
  test.each([
    "host sleep 1000",
    "--memory 64m --cpus 0.5 --read-only --tmpfs /tmp -v /usr/share:/data:ro --cap-drop ALL --user 1000 host sleep 1000",
    "--privileged --init --hostname h --ulimit nofile=100:200 --health-cmd true host sleep 1000",
    "--network host --pid host --security-opt no-new-privileges host sleep 1000",
  ])("run %s: the steps that it will have", async (line) => {
    const { lines } = await ahead(...words(line));
    const id = await sandbox.ok("run", "-d", "--name", "real", ...words(line));
    const real = JSON.parse(await sandbox.ok("explain", "--plan", "--json", "real")) as PlanExplanation;
    await sandbox.ok("rm", "-f", "real");
    const essence = (all: PlanExplanation["lines"]) =>
      all.map(({ column, call, words: said, why }) =>
        [column, call, said, why]
          .join(" ")
          .replaceAll(id.slice(0, 12), "ID")
          .replace(/[0-9a-f]{12}(?=[/ ]|$)/g, "ID"),
      );
    expect(essence(lines)).toEqual(essence(real.lines));
  });

  test("nothing is made", async () => {
    const before = files();
    const found = await ahead("-v", `${sandbox.root}/new:/x`, "-v", "some:/y", "-v", "/z", "host", "true");
    expect(found.makes).toEqual([`${sandbox.root}/new`, "volume some", "volume without a name"]);
    expect(found.summary).toContain("would be started in");
    expect(found.lines.find(({ why }) => why.includes("/new:/x"))?.words).toContain(
      `bind ${sandbox.root}/new on /x`,
    );
    expect(files()).toEqual(before);
    expect(existsSync(`${sandbox.root}/new`)).toBe(false);
    expect(await sandbox.ok("ps", "-aq")).toBe("");
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith("sampan-preview"))).toEqual([]);
  });

  test("what run refuses is refused, and nothing of what was tried stays", async () => {
    const before = triedCgroups();
    const { code, stderr } = await sandbox.cli("explain", "run", "--cap-add", "NOPE", "host");
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('invalid CapAdd: unknown capability: "CAP_NOPE"'),
    ]);
    expect((await sandbox.cli("explain", "run", "--nope", "host")).stderr).toContain("unknown flag: --nope");
    expect(triedCgroups()).toEqual(before);
  });

  test("as text it fits 100 columns", async () => {
    const text = await sandbox.ok("explain", "run", "--memory", "64m", "host", "sleep", "1");
    expect(text).toStartWith("sleep 1 would be started in");
    expect(text).toMatch(/^ +outside +write 67108864 > .* --memory$/m);
    for (const line of text.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(100);
  });
});

describe("what this machine would refuse", () => {
  const limited = (rights: string, ...args: string[]) => {
    const child = Bun.spawnSync(
      ["setpriv", "--bounding-set", `-${rights}`, "--inh-caps", `-${rights}`, SAMPAN, ...args],
      {
        env: sandbox.env,
      },
    );
    return { code: child.exitCode, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
  };

  test("namespaces, without CAP_SYS_ADMIN; and run is refused, by the same row", () => {
    const { obstacles, summary } = JSON.parse(
      limited("sys_admin", "explain", "--json", "run", "host", "true").stdout,
    ) as Ahead;
    const refused = obstacles.filter(({ passable }) => !passable).map(({ row }) => row.name);
    expect(refused.slice(0, 5)).toEqual(["mnt", "pid", "net", "uts", "ipc"]);
    expect(summary).toContain("This machine would refuse it: mnt, pid");
    const run = limited("sys_admin", "run", "--rm", "host", "true");
    expect([run.code, run.stderr]).toEqual([
      125,
      expect.stringContaining('The row "mnt" of `sampan doctor`'),
    ]);
  });

  test("device nodes, without CAP_MKNOD", () => {
    const { obstacles } = JSON.parse(
      limited("mknod", "explain", "--json", "run", "host", "true").stdout,
    ) as Ahead;
    expect(obstacles.find(({ row }) => row.name === "device nodes")).toMatchObject({ passable: false });
    expect(limited("mknod", "run", "--rm", "host", "true").stderr).toContain(
      'The row "device nodes" of `sampan doctor`',
    );
  });

  test("a right that this root has not, only where it is asked for", () => {
    const of = (...flags: string[]) =>
      (
        JSON.parse(limited("net_admin", "explain", "--json", "run", ...flags, "host", "true").stdout) as Ahead
      ).obstacles
        .filter(({ passable }) => !passable)
        .map(({ row }) => row.name);
    expect(of("--cap-add", "NET_ADMIN")).toContain("root's rights");
    expect(of()).not.toContain("root's rights");
  });

  test("every row that an error can name is there", async () => {
    const { findings } = JSON.parse(await sandbox.ok("doctor", "--json")) as Diagnosis;
    const names = findings.map(({ name }) => name);
    const base = { column: "inside", why: "" } as const;
    const steps: Step[] = [
      { ...base, call: "clone", flags: 0x7e020080 - 0x10000000 },
      { ...base, call: "unshare", flags: 0x10000000 },
      { ...base, call: "spawn", argv: ["newuidmap"] },
      { ...base, call: "write", path: "/proc/1/uid_map", data: "" },
      ...["memory.max", "cpu.max", "cpuset.cpus", "pids.max", "blkio.weight", "io.max", "devices.deny"].map(
        (file): Step => ({ ...base, call: "write", path: `/sys/fs/cgroup/x/${file}`, data: "" }),
      ),
      { ...base, call: "mkdir", at: "root", path: "/", mode: 0 },
      { ...base, call: "overlay", target: "/", lower: [], options: [] },
      { ...base, call: "pivot" },
      { ...base, call: "hostname", name: "" },
      { ...base, call: "keyring", name: "" },
      { ...base, call: "no_new_privs" },
      { ...base, call: "seccomp", program: new Uint8Array(), flags: 0 },
      { ...base, call: "netlink", protocol: 12, messages: new Uint8Array() },
      { ...base, column: "outside", call: "netlink", protocol: 0, messages: new Uint8Array() },
      { ...base, call: "netlink", protocol: 0, messages: new Uint8Array() },
      { ...base, call: "proc", path: "self/attr/exec", data: "" },
      { ...base, call: "proc", path: "self/oom_score_adj", data: "" },
      { ...base, call: "mknod", target: "/", mode: 0, major: 0, minor: 0, uid: 0, gid: 0 },
    ];
    for (const step of steps) {
      expect(doctorRows(step).length).toBeGreaterThan(0);
      for (const row of doctorRows(step)) expect(names).toContain(row);
    }
  });
});
