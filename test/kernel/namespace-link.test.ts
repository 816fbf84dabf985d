/** Every process of the machine asked for a namespace at once, compared with a look at each. */
import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { linkWords, readNamespace, sameLink } from "../../src/kernel/namespace-link.ts";
import { Elsewhere } from "../../src/launch/index.ts";

const link = (pid: number | "self", name: string): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/${name}`);
  } catch {
    return undefined;
  }
};

test("who is in another namespace is found, and nobody else", async () => {
  const kinds = ["uts", "cgroup"].map((name) => [name, link("self", name) ?? ""] as const);
  const children = ["--uts", "--cgroup"].map((flag) =>
    Bun.spawn(["unshare", flag, "sh", "-c", "echo there; read -r end"], { stdin: "pipe", stdout: "pipe" }),
  );
  for (const { stdout } of children) await stdout.getReader().read();
  const pids = children.map(({ pid }) => pid);
  for (let n = 0; n < 40; n++) {
    const asked = Elsewhere.ask(kinds.map(([, here]) => here));
    // An array that is collected meanwhile takes no address with it.
    Bun.gc(true);
    const found = asked.pids();
    expect(found).toEqual(expect.arrayContaining(pids));
    expect(found).not.toContain(process.pid);
    const there = new Set(readdirSync("/proc"));
    for (const pid of found)
      if (there.has(String(pid))) expect(kinds.every(([name, here]) => link(pid, name) === here)).toBe(false);
  }
  const [uts] = kinds;
  expect(Elsewhere.ask([uts?.[1] ?? ""]).pids()).not.toContain(pids[1] ?? 0);
  for (const child of children) await Promise.all([child.stdin.end(), child.exited]);
});

test("a link is read as words, and one that is not there is nothing", () => {
  for (const name of ["mnt", "cgroup", "user"]) {
    const here = linkWords(link("self", name) ?? "");
    const read = readNamespace(process.pid, name);
    expect(read && sameLink(read, here)).toBe(true);
  }
  expect(readNamespace(process.pid, "none")).toBeUndefined();
});

test("an answer that does not come to its end is an error", () => {
  const own = process.env["SAMPAN_LAUNCHER"];
  for (const launcher of ["/bin/true", "/nonexistent"]) {
    process.env["SAMPAN_LAUNCHER"] = launcher;
    try {
      expect(() => Elsewhere.ask(["mnt:[1]"]).pids()).toThrow("did not ask every process");
    } finally {
      if (own === undefined) delete process.env["SAMPAN_LAUNCHER"];
      else process.env["SAMPAN_LAUNCHER"] = own;
    }
  }
});
