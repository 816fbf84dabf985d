import { expect, test } from "bun:test";
import { isIdPrefix, isName, newId, shortId } from "../../src/container/ids.ts";
import { generateName } from "../../src/container/names.ts";

test("an id is 64 hex digits of chance", () => {
  const ids = Array.from({ length: 100 }, newId);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(ids).size).toBe(100);
  expect(shortId(ids[0] ?? "")).toHaveLength(12);
});

test("a made-up name is one that a container may have", () => {
  for (let n = 0; n < 200; n++) expect(generateName()).toMatch(/^[a-z]+_[a-z]+$/);
  expect(generateName(1)).toMatch(/^[a-z]+_[a-z]+\d$/);
  expect(isName(generateName(2))).toBe(true);
});

test("names begin with a letter or digit and have nothing that means something in a path", () => {
  for (const name of ["a", "web-1", "A.b_c", "0"]) expect(isName(name)).toBe(true);
  for (const name of ["", ".", "..", "-a", "_a", "a/b", "a b", "ä", "a\n"]) expect(isName(name)).toBe(false);
});

test("only lower hex digits can begin an id", () => {
  expect(isIdPrefix("4")).toBe(true);
  expect(isIdPrefix("deadbeef")).toBe(true);
  for (const text of ["", "DEAD", "xyz", "a".repeat(65)]) expect(isIdPrefix(text)).toBe(false);
});
