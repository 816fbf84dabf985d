/** The command line that `--as docker-run` prints, run: it makes a container of the same configuration. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { Engine } from "../../src/engine.ts";
import { quote } from "../../src/explain/as-run.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";
import { BEFORE, CASES } from "./cases.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = new Sandbox();
  for (const words of BEFORE) await sandbox.ok(...words);
  mkdirSync(`${sandbox.root}/bin`);
  symlinkSync(SAMPAN, `${sandbox.root}/bin/docker`);
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

describe("the printed line makes the same again", () => {
  test.each(Object.keys(CASES))("%s", async (name) => {
    await sandbox.ok("create", "--name", name, ...(CASES[name] ?? []));
    const line = await sandbox.ok("explain", "--as", "docker-run", name);
    for (const each of line.split("\n").filter((text) => !text.includes("B=two")))
      expect(each.length).toBeLessThanOrEqual(120);
    // The same words with another name and nothing started.
    const copy = line.replace("docker run", "docker create").replace(` --name ${name}`, ` --name ${name}-2`);
    const { containers } = Engine.open({ root: sandbox.root, run: `${sandbox.root}/run` });
    const { config } = containers.get(name);
    // Its addresses are to be had again.
    await sandbox.ok("rm", name);
    const made = Bun.spawnSync(["sh", "-c", copy], {
      env: { ...sandbox.env, PATH: `${sandbox.root}/bin:${process.env["PATH"]}` },
    });
    expect(made.stderr.toString()).toBe("");
    expect(containers.get(`${name}-2`).config).toEqual(config);
    if (name !== "lesson") await sandbox.ok("rm", `${name}-2`);
  });
});

test("what only this engine knows is said in a comment", async () => {
  expect(await sandbox.ok("explain", "--as", "docker-run", "lesson-2")).toContain(
    "# Only sampan run knows: --namespaces, --rootfs.",
  );
});

test("an unknown form is refused by name", async () => {
  const { code, stderr } = await sandbox.cli("explain", "--as", "poem", "nothing");
  expect(code).not.toBe(0);
  expect(stderr).toContain('"poem" is not a valid value for --as');
});

test("words are quoted for a shell only where they must be", () => {
  expect(["a=b", "it's", "", "$x"].map(quote)).toEqual(["a=b", "'it'\\''s'", "''", "'$x'"]);
});
