/** Two users of one state folder at random, and kill -9 among them: what is there afterwards is what the rows say. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { Store } from "../../src/store/index.ts";
import { busyboxArchive } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

const NAMES = ["va", "vb", "vc"];
const SECONDS = 6;

test("create, run, clone, rename, rm and prune at once, many of them killed half way", async () => {
  const box = new Sandbox();
  try {
    await box.ok(
      "load",
      "-i",
      busyboxArchive(box.root, { config: { Cmd: ["true"], Volumes: { "/etc": {} } } }),
    );
    let seed = 20260;
    const chance = (n: number): number => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return (seed >> 8) % n;
    };
    const name = (): string => NAMES[chance(NAMES.length)] ?? "va";
    const commands = (): string[] =>
      [
        ["volume", "create", name()],
        ["volume", "rm", name()],
        ["volume", "clone", name(), name()],
        ["volume", "rename", name(), name()],
        ["volume", "prune", "-f"],
        ["run", "--rm", "-v", `${name()}:/etc`, "busybox", "true"],
        ["run", "-d", "-v", `${name()}:/v`, "busybox", "true"],
        ["run", "--rm", "busybox", "true"],
        ["container", "prune", "-f"],
      ][chance(9)] ?? [];
    const end = Date.now() + SECONDS * 1000;
    const errors: string[] = [];
    const user = async (): Promise<void> => {
      while (Date.now() < end) {
        const child = box.spawn({}, ...commands());
        const killer = chance(3) === 0 ? setTimeout(() => child.kill("SIGKILL"), chance(60)) : undefined;
        const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
        clearTimeout(killer);
        if (code !== 0 && code !== 137 && !EXPECTED.test(stderr)) errors.push(stderr);
      }
    };
    await Promise.all([user(), user()]);
    expect(errors).toEqual([]);

    // All that is listed can be used, and has what is in its folder.
    const listed = (await box.ok("volume", "ls", "-q")).split("\n").filter(Boolean);
    for (const each of listed)
      expect(
        await box.ok("run", "--rm", "-v", `${each}:/volume:nocopy`, "busybox", "ls", "-d", "/volume"),
      ).toBe("/volume");

    const ids = (await box.ok("ps", "-aq")).split("\n").filter(Boolean);
    if (ids.length > 0) await box.ok("rm", "-f", ...ids);
    await box.ok("volume", "prune", "-af");
    expect(await box.ok("volume", "ls", "-q")).toBe("");
    expect(readdirSync(`${box.root}/volumes`)).toEqual([]);
    const store = Store.open({ root: box.root, run: `${box.root}/run` });
    expect(store.db.query("SELECT * FROM container_volumes").all()).toEqual([]);
    store.close();
    expect(await box.left()).toEqual([]);
  } finally {
    await box[Symbol.asyncDispose]();
  }
}, 90_000);

/** What one user rightly hears of the other's doings. */
const EXPECTED =
  /no such volume|exists already|volume is in use|No such container|removed it at once|already in progress|somebody/;
