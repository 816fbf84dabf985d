/** The check-up, on this machine as it is and with things taken away from it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import type { Diagnosis, Finding } from "../../src/explain/index.ts";
import { SAMPAN, Sandbox, triedCgroups } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = new Sandbox();
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const find = ({ findings }: Diagnosis, name: string): Finding | undefined =>
  findings.find((each) => each.name === name);

async function doctor(...before: readonly string[]): Promise<{ code: number; found: Diagnosis }> {
  const child = Bun.spawn([...before, SAMPAN, "doctor", "--json"], {
    stdout: "pipe",
    stderr: "pipe",
    env: sandbox.env,
  });
  const text = await new Response(child.stdout).text();
  expect(await new Response(child.stderr).text()).toBe("");
  return { code: await child.exited, found: JSON.parse(text) as Diagnosis };
}

describe("where containers run", () => {
  test("run works, so the doctor says so", async () => {
    await sandbox.ok("run", "--rm", "host", "true");
    const { code, found } = await doctor();
    expect([code, found.works]).toEqual([0, true]);
    for (const name of [
      "mnt",
      "pid",
      "net",
      "uts",
      "ipc",
      "cgroup",
      "overlay",
      "filesystems",
      "pivot_root",
      "device nodes",
      "seccomp",
    ])
      expect(find(found, name)).toMatchObject({ state: "works", needed: true });
  });

  test("as a table, and nothing is left", async () => {
    const before = triedCgroups();
    const { code, stdout } = await sandbox.cli("doctor");
    expect(code).toBe(0);
    expect(stdout).toStartWith("This machine can run containers: ");
    for (const line of stdout.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(100);
    expect(triedCgroups()).toEqual(before);
    expect(await sandbox.left()).toEqual([]);
  });

  test("asked about a state folder that is not there, it leaves none", async () => {
    const root = `${sandbox.root}/elsewhere`;
    const { code } = await sandbox.cliWith({ env: { SAMPAN_ROOT: root } }, "doctor");
    expect(code).toBe(0);
    expect(existsSync(root)).toBe(false);
  });
});

describe("what is taken away is found", () => {
  test("root without CAP_SYS_ADMIN: no namespaces, and run fails too", async () => {
    const less = ["setpriv", "--bounding-set", "-sys_admin"];
    const { code, found } = await doctor(...less);
    expect([code, found.works]).toEqual([1, false]);
    expect(find(found, "mnt")).toMatchObject({
      state: "no",
      detail: "not permitted: this root has no CAP_SYS_ADMIN",
    });
    expect(find(found, "root's rights")?.detail).toContain("SYS_ADMIN");
    const run = Bun.spawnSync([...less, SAMPAN, "run", "--rm", "host", "true"], { env: sandbox.env });
    expect(run.exitCode).not.toBe(0);
  });

  test("as text one reason is said once", async () => {
    const child = Bun.spawnSync(["setpriv", "--bounding-set", "-sys_admin", SAMPAN, "doctor"], {
      env: sandbox.env,
    });
    const text = child.stdout.toString();
    expect(text).toStartWith("This machine cannot run containers yet: mnt, pid");
    expect(text.match(/this root has no CAP_SYS_ADMIN/g)).toHaveLength(1);
  });

  test("what run may not do names the row that is about it", async () => {
    const refused = (without: string, ...flags: string[]): string =>
      Bun.spawnSync(
        ["setpriv", "--bounding-set", `-${without}`, SAMPAN, "run", "--rm", ...flags, "host", "true"],
        { env: sandbox.env },
      ).stderr.toString();
    const none = ["--network", "none"];
    const leads = (row: string): string => `The row "${row}" of \`sampan doctor\``;
    expect(refused("sys_admin", ...none)).toContain(leads("mnt"));
    expect(refused("mknod", ...none)).toContain(leads("device nodes"));
    expect(refused("setgid", ...none)).toContain(leads("root's rights"));
    expect(refused("dac_override", ...none)).toContain(leads("overlay"));
    for (const right of ["setuid", "setpcap", "chown", "kill", "setfcap"])
      expect(refused(right, ...none)).toContain(leads("root's rights"));
    expect(refused("net_bind_service", "-p", "80:80")).toContain(leads("root's rights"));
    for (const root of ["/proc/nothing", "/proc/1/fd/none/x"]) {
      const child = await sandbox.cliWith({ env: { SAMPAN_ROOT: root } }, "run", "--rm", "host", "true");
      expect(child.stderr).toContain(`the state folder ${root} cannot be used: `);
      expect(child.stderr).toContain(leads("state folder"));
    }
  });

  test("a tree of cgroups that is read-only is a row too", async () => {
    const tree = existsSync("/sys/fs/cgroup/memory") ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
    const script = `mount --make-rprivate /; mount --bind ${tree} ${tree}; mount -o remount,bind,ro ${tree}
exec ${SAMPAN} run --rm --network none --memory 64m host true`;
    const child = Bun.spawnSync(["unshare", "--mount", "sh", "-ec", script], { env: sandbox.env });
    expect(child.stderr.toString()).toContain('The row "making one" of `sampan doctor`');
  });

  test("a state folder that cannot be written", async () => {
    const { code, stdout } = await sandbox.cliWith(
      { env: { SAMPAN_ROOT: "/proc/nothing" } },
      "doctor",
      "--json",
    );
    expect(code).toBe(1);
    expect(find(JSON.parse(stdout) as Diagnosis, "state folder")).toMatchObject({
      state: "no",
      needed: true,
    });
  });
});

test("as an ordinary user: what that user can have", async () => {
  const home = mkdtempSync("/tmp/sampan-doctor-");
  Bun.spawnSync(["chown", "65534:65534", home]);
  const user = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "env",
    `HOME=${home}`,
    `SAMPAN_ROOT=${home}/s`,
    `SAMPAN_RUN=${home}/r`,
  ];
  const { code, found } = await doctor(...user);
  expect(found.rootless).toBe(true);
  expect([code, found.works]).toEqual([0, true]);
  expect(find(found, "user")).toMatchObject({ state: "works", needed: true });
  expect(find(found, "subuid, subgid")?.state).toBe("limited");
  expect(existsSync(`${home}/s`)).toBe(false);
  rmSync(home, { recursive: true, force: true });
});
