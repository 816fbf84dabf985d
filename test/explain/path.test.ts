/** Where a path of a container comes from, and two containers side by side. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import type { Comparison, PathExplanation } from "../../src/explain/index.ts";
import { TestFolder } from "../support/folder.ts";
import { busyboxMembers, dockerArchive, layerTar } from "../support/image.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = new Sandbox();
  const archive = dockerArchive([
    {
      tags: ["layered:latest"],
      layers: [
        layerTar(busyboxMembers()),
        layerTar([
          { name: "opt", type: "dir", mode: 0o755 },
          { name: "opt/a", type: "file", mode: 0o644, content: "second" },
          { name: "opt/gone", type: "file", mode: 0o644, content: "second" },
          { name: "opt/dir", type: "dir", mode: 0o755 },
          { name: "opt/dir/x", type: "file", mode: 0o644, content: "x" },
          { name: "alias", type: "symlink", mode: 0o777, link: "/opt" },
        ]),
        layerTar([
          { name: "opt", type: "dir", mode: 0o755 },
          { name: "opt/.wh.gone", type: "file", mode: 0o644, content: "" },
        ]),
      ],
      image: {
        history: [
          { created_by: "COPY rootfs /" },
          { created_by: "COPY opt /opt" },
          { created_by: "ENV A=1", empty_layer: true },
          { created_by: "RUN rm /opt/gone" },
        ],
      },
    },
  ]);
  writeFileSync(`${sandbox.root}/image.tar`, archive);
  await sandbox.ok("load", "-i", `${sandbox.root}/image.tar`);
  mkdirSync(`${sandbox.root}/data/deep`, { recursive: true });
  await sandbox.ok(
    "run",
    "-d",
    "--name",
    "web",
    "-v",
    `${sandbox.root}/data:/data:ro`,
    "--tmpfs",
    "/tmp",
    "layered",
    "sleep",
    "1000",
  );
  await sandbox.ok("exec", "web", "sh", "-c", "echo new > /root-new; echo more >> /opt/a; rm -r /opt/dir");
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const at = async (path: string, target = "web"): Promise<PathExplanation> =>
  JSON.parse(await sandbox.ok("explain", "--json", target, path)) as PathExplanation;

const CASES = [
  ["/bin/busybox", "layer", "is a file of", "of layer 1 (COPY rootfs /), as it is there"],
  ["/root-new", "made", "was made by the container", "a file of 4 B in its upper layer"],
  ["/opt/a", "changed", "was changed by the container", "As it was before it is in layer 2 (COPY opt /opt)"],
  ["/opt/dir", "deleted", "was deleted by the container", "It was of layer 2 (COPY opt /opt)"],
  ["/opt/dir/x", "deleted", "was deleted by the container", "It was of layer 2 (COPY opt /opt)"],
  ["/opt/gone", "absent", "is not there: layer 3 (RUN rm /opt/gone) deleted it", ""],
  [
    "/opt",
    "changed",
    "is a folder of layer 3 (RUN rm /opt/gone), in which the container changed something",
    "",
  ],
  ["/nowhere/at/all", "absent", "/nowhere/at/all is not there: no layer has it", ""],
] as const;

describe("of a path it is said where it comes from", () => {
  test.each(CASES)("%s", async (path, state, one, two) => {
    const found = await at(path);
    expect(found).toMatchObject({ path, state });
    for (const part of [one, two]) expect(found.summary).toContain(part);
  });

  test("links are followed as the container follows them", async () => {
    expect(await at("/alias/a")).toMatchObject({ path: "/alias/a", real: "/opt/a", state: "changed" });
    expect((await at("/alias/../bin/sh")).real).toBe("/bin/sh");
  });

  test("mounts, and what is masked", async () => {
    const { mount, summary } = await at("/data/deep");
    expect(mount).toEqual({
      target: "/data",
      fstype: expect.any(String),
      source: `${sandbox.root}/data`,
      readonly: true,
    });
    expect(summary).toContain(`it is ${sandbox.root}/data/deep of this machine`);
    expect(await at("/tmp/x")).toMatchObject({ state: "mount", mount: { fstype: "tmpfs" } });
    expect((await at("/proc/keys")).state).toBe("masked");
  });

  test("of this machine's own processes too", async () => {
    expect((await at("/etc/passwd", String(process.pid))).summary).toContain("/etc/passwd lies");
  });

  test("as text: one sentence and the layers", async () => {
    const text = await sandbox.ok("explain", "web", "/opt/a");
    expect(text).toMatch(/^\/opt\/a was changed by the container/);
    expect(text).toMatch(/^\s+2 +file +6 B .* COPY opt \/opt$/m);
  });
});

describe("two side by side", () => {
  const compared = async (a: string, b: string): Promise<Comparison> =>
    JSON.parse(await sandbox.ok("explain", "--json", a, b)) as Comparison;

  test("only what differs", async () => {
    const flags = "--network host --memory 64m --read-only --cap-drop KILL --user 1000 --tmpfs /tmp".split(
      " ",
    );
    const volume = ["-v", `${sandbox.root}/data:/data`];
    await sandbox.ok("run", "-d", "--name", "other", ...flags, ...volume, "layered", "sleep", "1000");
    const { differences, same } = await compared("web", "other");
    const of = (name: string) => differences.find(({ what }) => what === name);
    expect(of("net")).toEqual({ section: "namespaces", what: "net", a: "own", b: "the machine's" });
    expect(of("each its own")?.a).toBe("mnt pid uts ipc cgroup");
    expect(of("memory")).toMatchObject({ a: "no limit", b: "64 MiB" });
    expect(of("type")).toMatchObject({ a: "overlay", b: "overlay, read-only" });
    expect(of("mount /data")?.a).toContain(" ro ");
    expect(of("capabilities, bounding")).toMatchObject({ a: "CAP_KILL", b: "" });
    expect(of("user")).toMatchObject({ a: "0:0", b: "1000:1000" });
    for (const what of ["seccomp", "mount /proc", "mount /tmp", "image", "command"])
      expect(of(what)).toBeUndefined();
    expect(same).toBeGreaterThan(40);
    for (const line of (await sandbox.ok("explain", "web", "other")).split("\n"))
      expect(Bun.stringWidth(line)).toBeLessThanOrEqual(100);
  });

  test("a container and this shell; one with itself", async () => {
    const { differences } = await compared("web", String(process.pid));
    expect(differences.find(({ what }) => what === "mnt")).toMatchObject({ a: "own", b: "the machine's" });
    expect((await compared("web", "web")).differences).toEqual([]);
    expect(await sandbox.ok("explain", "web", "web")).toContain("web and web are alike in all");
  });

  test("too many words", async () => {
    const { code, stderr } = await sandbox.cli("explain", "web", "web", "web");
    expect(code).toBe(1);
    expect(stderr).toContain("'sampan explain' requires at most 2 arguments");
  });
});

test("a user's container: each folder of its root is an overlay of its own", () => {
  using folder = new TestFolder("path");
  const home = folder.path;
  Bun.spawnSync(["chown", "65534:65534", home]);
  const user = (...args: string[]) => {
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", `HOME=${home}`];
    const where = [`SAMPAN_ROOT=${home}/s`, `SAMPAN_RUN=${home}/r`];
    const run = Bun.spawnSync([...nobody, ...where, SAMPAN, ...args], { env: sandbox.env });
    return { code: run.exitCode, out: run.stdout.toString(), error: run.stderr.toString() };
  };
  user("run", "-d", "--network", "none", "--name", "mine", "host", "sleep", "1000");
  user("exec", "mine", "sh", "-c", "echo x > /opt/new");
  expect(user("explain", "mine", "/usr/bin/env").out).toContain("/usr/bin/env is a file of");
  expect(user("explain", "mine", "/opt/new").out).toMatch(
    /^\/opt\/new (was made by the container|is not there)/,
  );
  expect(user("explain", "--as", "oci", "mine").error).toContain("of which only root can make a layer");
  expect(user("rm", "-f", "mine").code).toBe(0);
  expect(user("explain", "mine").out.replaceAll("\n", " ")).toContain("It has been removed since.");
});
