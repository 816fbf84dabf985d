import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { hostImage, lookInLayers, readFileInImage, readFileInLayers } from "../../src/image/index.ts";
import type { Member } from "../support/image.ts";
import { loadLayers, ROOT, WITHOUT_ROOT } from "./merged.ts";
import { TestPlace } from "./place.ts";

const file = (name: string, content: string): Member => ({ name, type: "file", content });
const dir = (name: string): Member => ({ name, type: "dir" });
const symlink = (name: string, link: string): Member => ({ name, type: "symlink", link });

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes);

describe.skipIf(!ROOT)(`layers are seen as overlayfs shows them${WITHOUT_ROOT}`, () => {
  const lower = [
    dir("etc"),
    file("etc/passwd", "low"),
    file("etc/group", "low"),
    dir("a"),
    file("a/x", "low"),
    file("f", "low"),
  ];
  const cases: [what: string, layers: Member[][], path: string, expected: string | undefined][] = [
    ["in the lowest", [lower], "/etc/passwd", "low"],
    [
      "in the lowest, the folder being in both",
      [lower, [dir("etc"), file("etc/hosts", "h")]],
      "etc/passwd",
      "low",
    ],
    ["in the upper", [lower, [file("etc/passwd", "up")]], "/etc/passwd", "up"],
    ["removed", [lower, [file("etc/.wh.passwd", "")]], "/etc/passwd", undefined],
    ["its folder removed", [lower, [file(".wh.etc", "")]], "/etc/passwd", undefined],
    ["its folder made anew", [lower, [dir("etc"), file("etc/.wh..wh..opq", "")]], "/etc/passwd", undefined],
    ["its folder hidden by a file", [lower, [file("etc", "")]], "/etc/passwd", undefined],
    ["a folder where a file was", [lower, [dir("f"), file("f/x", "up")]], "/f/x", "up"],
    ["a folder is no file", [lower], "/etc", undefined],
    ["not there", [lower], "/nothing/at/all", undefined],
    ["an absolute link", [[...lower, symlink("l", "/etc/passwd")]], "/l", "low"],
    ["a link in an upper layer to a lower one", [lower, [symlink("etc/l", "../a/x")]], "/etc/l", "low"],
    ["a linked folder", [[...lower, symlink("usr", "a")]], "/usr/x", "low"],
    ["a link beyond the root", [[...lower, symlink("a/l", "../../../../../etc/passwd")]], "/a/l", "low"],
    ["a link to itself", [[symlink("l", "l")]], "/l", undefined],
    ["a circle", [[symlink("a", "b"), symlink("b", "/a")]], "/a", undefined],
    ["dots in the path", [lower], "/a/.././etc//passwd", "low"],
    ["above the root", [lower], "/../../etc/passwd", "low"],
  ];
  for (const [what, layers, path, expected] of cases)
    test(what, async () => {
      using place = new TestPlace();
      await loadLayers(place, ...layers);
      const root = place.images.root(place.images.get("t"));
      expect(text(readFileInImage(root, path))).toBe(expected);
    });

  test("links never lead to the host", async () => {
    using place = new TestPlace();
    writeFileSync(`${place.root}/secret`, "secret");
    await loadLayers(place, [symlink("s", `${place.root}/secret`), symlink("d", place.root)]);
    const root = place.images.root(place.images.get("t"));
    for (const path of ["s", "d/secret", "d/../d/secret"])
      expect(readFileInImage(root, path)).toBeUndefined();
  });
});

test("a container's own folder comes first", () => {
  using place = new TestPlace();
  const [upper, lower] = [`${place.root}/upper`, `${place.root}/lower`];
  for (const layer of [upper, lower]) mkdirSync(`${layer}/etc`, { recursive: true });
  writeFileSync(`${lower}/etc/passwd`, "low");
  expect(text(readFileInLayers([upper, lower], "/etc/passwd"))).toBe("low");
  writeFileSync(`${upper}/etc/passwd`, "up");
  expect(text(readFileInLayers([upper, lower], "/etc/passwd"))).toBe("up");
  expect(readFileInLayers([upper, lower], "/etc/passwd", 1)).toBeUndefined();
});

test("a state folder behind a link works too", () => {
  using place = new TestPlace();
  mkdirSync(`${place.root}/real/etc`, { recursive: true });
  writeFileSync(`${place.root}/real/etc/passwd`, "x");
  symlinkSync(`${place.root}/real`, `${place.root}/link`);
  expect(text(readFileInLayers([`${place.root}/link`], "/etc/passwd"))).toBe("x");
});

test("kind, mode and first bytes of what is there", () => {
  using place = new TestPlace();
  mkdirSync(`${place.root}/l/d`, { recursive: true });
  writeFileSync(`${place.root}/l/d/x`, "#!/bin/sh\n");
  chmodSync(`${place.root}/l/d/x`, 0o4751);
  symlinkSync("/d/x", `${place.root}/l/s`);
  const look = lookInLayers([`${place.root}/l`], "/s");
  expect(look).toMatchObject({ kind: "file", mode: 0o4751, size: 10 });
  expect(text(look?.read(2))).toBe("#!");
  expect(lookInLayers([`${place.root}/l`], "/d")?.kind).toBe("dir");
  expect(lookInLayers([`${place.root}/l`], "/")?.kind).toBe("dir");
  expect(lookInLayers([`${place.root}/l`], "/n")).toBeUndefined();
});

test("the host's own files are those of the image host", () => {
  using place = new TestPlace();
  const root = place.images.root(hostImage());
  expect(root).toEqual({ kind: "host", hide: [place.paths.root, place.paths.run] });
  expect(text(readFileInImage(root, "/etc/passwd"))).toContain("root:");
  expect(lookInLayers([""], "/")?.kind).toBe("dir");
  expect(lookInLayers([""], "/etc")?.kind).toBe("dir");
});
