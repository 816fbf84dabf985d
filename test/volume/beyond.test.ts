/** What Docker's volumes cannot: a copy, another name; and what nobody may reach through one. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { ROOT, WITHOUT_ROOT } from "../image/merged.ts";
import { busyboxArchive } from "../support/image.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

let box: Sandbox;
beforeAll(async () => {
  box = new Sandbox();
  await box.ok("load", "-i", busyboxArchive(box.root));
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});

const run = (...args: string[]) => box.ok("run", "--rm", ...args);
const refused = async (...args: string[]) => {
  const { code, stderr } = await box.cli(...args);
  return `${code}: ${stderr.split("\n")[0]}`;
};
const data = (name: string) => `${box.root}/volumes/${name}/_data`;
const fill = `
  cd /v; mkdir -p a/b; echo one > a/one; ln a/one a/b/two; ln -s ../one a/b/link; mkfifo queue; mknod null c 1 3
  chown 1000:33 a/one; chmod 4711 a/one; chmod 1777 a; chown 33 .; chmod 750 .
  dd if=/dev/zero of=hole bs=1 count=1 seek=8388607 2> /dev/null; touch -d '2001-02-03 04:05:06' a/b`;
const look =
  "cd /v; find . | sort | while read f; do stat -c '%n %a %u:%g %h %F %Y %s' \"$f\"; done; readlink a/b/link";

describe("volume clone", () => {
  test("keeps owners, modes, times, links, devices and holes; the copy is its own", async () => {
    await run("-v", "first:/v", "busybox", "sh", "-c", fill);
    expect(await box.ok("volume", "clone", "first", "second")).toBe("second");
    expect(await run("-v", "second:/v", "busybox", "sh", "-c", look)).toBe(
      await run("-v", "first:/v", "busybox", "sh", "-c", look),
    );
    const blocks = await run("-v", "second:/v", "busybox", "stat", "-c", "%b", "/v/hole");
    expect(Number(blocks)).toBeLessThan(100);
    await run("-v", "second:/v", "busybox", "sh", "-c", "echo more >> /v/a/one");
    expect(readFileSync(`${data("first")}/a/b/two`, "utf8")).toBe("one\n");
    expect(readFileSync(`${data("second")}/a/b/two`, "utf8")).toBe("one\nmore\n");
    expect(readdirSync(`${box.root}/volumes`).sort()).toEqual(["first", "second"]);
  });

  test("is refused over another, of what is not there, and of what is elsewhere", async () => {
    await box.ok("volume", "create", "ram", "-o", "type=tmpfs", "-o", "device=tmpfs");
    expect(await refused("volume", "clone", "first", "second")).toBe(
      "1: sampan: clone first: a volume named second exists already",
    );
    expect(await refused("volume", "clone", "none", "third")).toBe("1: sampan: get none: no such volume");
    expect(await refused("volume", "clone", "ram", "third")).toBe(
      "1: sampan: clone ram: its content is where its options say (tmpfs), not in its folder",
    );
    expect(readdirSync(`${box.root}/volumes`).sort()).toEqual(["first", "ram", "second"]);
  });
});

describe("volume rename", () => {
  test("is followed by the containers that use it, those that run too", async () => {
    await box.ok("run", "-d", "--name", "user", "-v", "old:/v", "busybox", "sleep", "1000");
    await box.ok("exec", "user", "sh", "-c", "echo kept > /v/f");
    await box.ok("volume", "rename", "old", "new");
    expect(existsSync(`${box.root}/volumes/old`)).toBe(false);
    expect(readFileSync(`${data("new")}/f`, "utf8")).toBe("kept\n");
    expect(await box.ok("inspect", "-f", "{{(index .Mounts 0).Name}} {{.HostConfig.Binds}}", "user")).toBe(
      "new [new:/v]",
    );
    expect(await refused("volume", "rm", "new")).toContain("volume is in use");
    await box.ok("exec", "user", "sh", "-c", "echo again >> /v/f");
    await box.ok("restart", "-t", "0", "user");
    expect(await box.ok("exec", "user", "cat", "/v/f")).toBe("kept\nagain");
    await box.ok("rm", "-f", "user");
  });

  test("is followed by a keeper that starts its container again", async () => {
    await box.ok(
      "run",
      "-d",
      "--name",
      "again",
      "--restart",
      "always",
      "-v",
      "before:/v",
      "busybox",
      "sh",
      "-c",
      "echo x >> /v/f; cat /v/go",
    );
    await box.ok("volume", "rename", "before", "after");
    const lines = () => readFileSync(`${data("after")}/f`, "utf8").length;
    const seen = lines();
    await until(() => lines() >= seen + 4);
    await box.ok("rm", "-f", "again");
  });

  test("that was broken off between the name and the folder is finished by whoever comes next", async () => {
    await run("-v", "from:/v", "busybox", "sh", "-c", "echo here > /v/f");
    const { Store } = await import("../../src/store/index.ts");
    const store = Store.open({ root: box.root, run: `${box.root}/run` });
    store.transaction(() =>
      store.db.run("UPDATE volumes SET name = 'to', moving = 'from' WHERE name = 'from'"),
    );
    // Its old name is free again, and what is made there is empty.
    expect(await run("-v", "from:/v", "busybox", "ls", "/v")).toBe("");
    expect(await run("-v", "to:/v", "busybox", "cat", "/v/f")).toBe("here");
    store.close();
  });

  test("whose folder cannot be moved keeps its content, and is finished when the cause is gone", async () => {
    await box.ok("volume", "create", "--label", "goes", "here");
    await run("-v", "here:/v", "busybox", "sh", "-c", "echo kept > /v/f");
    const { Store } = await import("../../src/store/index.ts");
    const store = Store.open({ root: box.root, run: `${box.root}/run` });
    store.transaction(() =>
      store.db.run("UPDATE volumes SET name = 'there', moving = 'here' WHERE name = 'here'"),
    );
    store.close();
    // Something is in its place, which the kernel does not replace.
    mkdirSync(data("there"), { recursive: true });
    const folder = `${box.root}/volumes`;
    const why = `ENOTEMPTY: directory not empty, rename '${folder}/here' -> '${folder}/there'`;
    const said = `sampan: volume there: its folder cannot be moved: ${why}`;
    for (const command of [
      ["inspect", "there"],
      ["create", "here"],
    ])
      expect(await refused("volume", ...command)).toBe(`1: ${said}`);
    // It hides no other, and keeps none from going.
    await box.ok("volume", "create", "--label", "goes", "beside");
    const listed = await box.cli("volume", "ls", "-q");
    expect(listed.code).toBe(0);
    expect(listed.stdout.split("\n")).toEqual(expect.arrayContaining(["beside", "there"]));
    expect(listed.stderr).toStartWith(said);
    const pruned = await box.cli("volume", "prune", "-af", "--filter", "label=goes");
    expect(pruned.code).toBe(1);
    expect(pruned.stdout).toContain("beside\n");
    expect(pruned.stdout).not.toContain("there\n");
    expect(pruned.stderr).toStartWith(said);
    rmSync(`${folder}/there`, { recursive: true });
    await box.ok("volume", "prune", "-f");
    expect(await run("-v", "there:/v", "busybox", "cat", "/v/f")).toBe("kept");
    expect(await box.ok("volume", "rm", "there")).toBe("there");
  });

  test("is refused onto another and by a wrong name", async () => {
    expect(await refused("volume", "rename", "to", "new")).toBe(
      "1: sampan: rename to: a volume named new exists already",
    );
    expect(await refused("volume", "rename", "none", "other")).toBe("1: sampan: get none: no such volume");
    expect(await refused("volume", "rename", "to", "x")).toBe(
      "1: sampan: create x: volume name is too short, names should be at least two alphanumeric characters",
    );
  });
});

describe("nobody gets out through a volume", () => {
  test("a folder that is changed for a link while it is being mounted", async () => {
    await run("-v", "swap:/v", "busybox", "mkdir", "/v/real", "/v/real/inside");
    const folder = data("swap");
    mkdirSync(`${box.root}/secret`);
    writeFileSync(`${box.root}/secret/told`, "");
    symlinkSync(`${box.root}/secret`, `${folder}/lie`);
    renameSync(`${folder}/real`, `${folder}/sub`);
    const stop = new AbortController();
    const swapping = (async () => {
      while (!stop.signal.aborted) {
        renameSync(`${folder}/sub`, `${folder}/real`);
        renameSync(`${folder}/lie`, `${folder}/sub`);
        renameSync(`${folder}/sub`, `${folder}/lie`);
        renameSync(`${folder}/real`, `${folder}/sub`);
        await Bun.sleep(0);
      }
    })();
    const mount = ["--mount", "type=volume,src=swap,dst=/x,volume-subpath=sub"];
    const seen = new Set<string>();
    for (let round = 0; round < 12; round++)
      for (const { code, stdout } of await Promise.all(
        [1, 2].map(() => box.cli("run", "--rm", ...mount, "busybox", "ls", "/x")),
      ))
        seen.add(code === 0 ? stdout : "refused");
    stop.abort();
    await swapping;
    expect([...seen].filter((each) => each !== "inside\n" && each !== "refused")).toEqual([]);
  });

  test("a link in the image at the place of the mount, and above it", async () => {
    const archive = busyboxArchive(box.root, {
      tag: "evil:latest",
      extra: [
        { name: "target", type: "symlink", link: `${box.root}/outside` },
        { name: "above", type: "symlink", link: "/../../../../../.." },
      ],
    });
    await box.ok("load", "-i", archive);
    mkdirSync(`${box.root}/outside`);
    await run(
      "-v",
      "trap:/target",
      "-v",
      "trap2:/above/tmp/new/deep",
      "evil",
      "sh",
      "-c",
      "touch /target/x /tmp/new/deep/y",
    );
    expect(readdirSync(`${box.root}/outside`)).toEqual([]);
    expect(readdirSync(data("trap"))).toEqual(["x"]);
    expect(readdirSync(data("trap2"))).toEqual(["y"]);
    expect(existsSync("/tmp/new/deep")).toBe(false);
  });
});

test.skipIf(!ROOT)(`garbage with a mount on it waits until that is gone${WITHOUT_ROOT}`, async () => {
  const folder = `${box.root}/volumes/nobodys`;
  mkdirSync(`${folder}/_data`, { recursive: true });
  const prune = `mount -t tmpfs none ${folder} && ${SAMPAN} volume prune -f`;
  const run = Bun.spawnSync(["unshare", "-m", "sh", "-c", prune], { env: box.env });
  expect([run.exitCode, run.stderr.toString()]).toEqual([0, ""]);
  expect(existsSync(`${folder}/_data`)).toBe(true);
  await box.ok("volume", "prune", "-f");
  expect(existsSync(folder)).toBe(false);
});
