/** The same plans for a user who is not root, with one id and with a range of them. */
import { afterAll, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const UID = 12345;
const folder = mkdtempSync("/tmp/sampan-rootless-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the child file as that user, in a mount namespace where /etc/subuid and /etc/subgid say `ranges`. */
async function asUser(ranges: string): Promise<Record<string, string>> {
  // A copy that the user can read wherever the checkout lies.
  const copy = `${folder}/copy`;
  for (const part of ["src", "test/runtime", "dist/sampan-launcher", "node_modules/.bin", "package.json"])
    cpSync(new URL(`../../../${part}`, import.meta.url).pathname, `${copy}/${part}`, {
      recursive: true,
      dereference: true,
      force: true,
    });
  writeFileSync(`${folder}/sub`, ranges);
  // newuidmap wants to know its caller by name.
  writeFileSync(
    `${folder}/passwd`,
    `${readFileSync("/etc/passwd", "utf8")}tester:x:${UID}:${UID}::/tmp:/bin/sh\n`,
  );
  const script = [
    "mount --make-rprivate /",
    "touch /etc/subuid /etc/subgid",
    `mount --bind ${folder}/sub /etc/subuid`,
    `mount --bind ${folder}/sub /etc/subgid`,
    `mount --bind ${folder}/passwd /etc/passwd`,
    `chmod -R a+rX ${folder}`,
    `cd ${copy}`,
    `exec setpriv --reuid ${UID} --regid ${UID} --clear-groups env HOME=/tmp TMPDIR=/tmp ${process.execPath} test/runtime/system/rootless.child.ts`,
  ].join(" && ");
  const child = Bun.spawn(["unshare", "-m", "sh", "-c", script], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

const BASIC = "0\n0\nnull\n1\nno mount\nloopback";

describe("a user who is not root", () => {
  test("with no range is root inside, and nobody else", async () => {
    const found = await asUser("");
    expect(found).toMatchObject({
      basic: BASIC,
      user: "--user: uid 5 is not mapped in this user namespace: /etc/subuid has no range for this user",
      exec: "0\nbox\n",
    });
    expect(found["hostNetwork"]).toMatch(/^\d+\nread-only$/);
    expect(found["terminal"]?.trim()).toBe("/dev/pts/0");
    expect(found["limit"]).toMatch(/^(--memory: no cgroup is delegated to this user)?$/);
  });

  test("with a range has many users inside", async () => {
    const found = await asUser(`${UID}:700000:65536\n`);
    expect(found).toMatchObject({ basic: BASIC, user: "uid=5 gid=5 groups=5,6", exec: "0\nbox\n" });
  });
});
