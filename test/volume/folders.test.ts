/** Folders that are volumes soon: nobody who collects garbage takes one from whoever is at work in it. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { Store } from "../../src/store/index.ts";
import { collectGarbage, makeNew, setAside } from "../../src/volume/folders.ts";

let root = "";
let store: Store;
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/sampan-folders-`);
  store = Store.open({ root, run: `${root}/run` });
});
afterEach(() => {
  store.close();
  rmSync(root, { recursive: true, force: true });
});
const paths = () => ({ root, run: `${root}/run` });
const source = (name: string) => JSON.stringify(new URL(`../../src/${name}`, import.meta.url).pathname);

test("one is spared until it is released, whenever somebody looks", async () => {
  const collector = Bun.spawn(
    [
      process.execPath,
      "-e",
      `const { existsSync } = require("node:fs");
       const { Store } = require(${source("store/index.ts")});
       const { collectGarbage } = require(${source("volume/folders.ts")});
       const paths = ${JSON.stringify(paths())};
       const store = Store.open(paths);
       process.stdout.write("ready\\n");
       while (!existsSync("${root}/stop"))
         for (const folder of collectGarbage(store, paths)) if (existsSync(folder)) console.log(folder);`,
    ],
    { stdout: "pipe", stderr: "inherit" },
  );
  const output = collector.stdout.getReader();
  const first = await output.read();
  expect(Buffer.from(first.value ?? []).toString()).toBe("ready\n");
  for (let i = 0; i < 300; i++) {
    const { folder, release } = makeNew(store, paths());
    expect(readdirSync(folder)).toEqual(["_data"]);
    // It goes before its lock does: one that is collected and still there was taken from its maker.
    rmSync(folder, { recursive: true });
    release();
  }
  mkdirSync(`${root}/stop`);
  expect((await output.read()).done).toBe(true);
  expect(await collector.exited).toBe(0);

  const { folder, release } = makeNew(store, paths());
  expect(collectGarbage(store, paths())).toEqual([]);
  release();
  expect(collectGarbage(store, paths())).toEqual([folder]);
});

test("one that cannot be set aside is not said to be gone", () => {
  expect(setAside(paths(), "none")).toBeUndefined();
  mkdirSync(`${root}/volumes/one`, { recursive: true });
  // Nothing can be moved into itself.
  expect(() => setAside(paths(), ".")).toThrow(/rename/);
  expect(existsSync(`${root}/volumes/one`)).toBe(true);
});
