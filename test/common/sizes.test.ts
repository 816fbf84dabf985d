import { describe, expect, test } from "bun:test";
import { parseSize, parseSizeOrUnlimited } from "../../src/common/sizes.ts";

describe("sizes as docker/go-units reads them", () => {
  test.each([
    ["32", 32],
    ["32b", 32],
    ["32B", 32],
    ["32k", 32 * 1024],
    ["32kb", 32 * 1024],
    ["32Kib", 32 * 1024],
    ["32 k", 32 * 1024],
    ["32Mb", 32 * 1024 ** 2],
    ["32Gb", 32 * 1024 ** 3],
    ["32Tb", 32 * 1024 ** 4],
    ["8Pb", 8 * 1024 ** 5],
    ["32.5kB", 33280],
    ["0.5k", 512],
    [".5k", 512],
    ["32.", 32],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each([
    ["", "invalid size: ''"],
    ["hello", "invalid size: 'hello'"],
    ["-1", "invalid size: '-1'"],
    ["-32k", "invalid size: '-32k'"],
    [" 32 ", 'strconv.ParseFloat: parsing " 32": invalid syntax'],
    ["32m b", 'strconv.ParseFloat: parsing "32m": invalid syntax'],
    ["32bm", "invalid suffix: 'bm'"],
    ["32kbb", "invalid suffix: 'kbb'"],
    ["32x", "invalid suffix: 'x'"],
  ])("%j is refused: %s", (text, message) => expect(() => parseSize(text)).toThrow(message));

  test("-1 is unlimited where that has a meaning", () => expect(parseSizeOrUnlimited("-1")).toBe(-1));
});
