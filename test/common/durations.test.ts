import { describe, expect, test } from "bun:test";
import { formatDuration, parseDuration } from "../../src/common/durations.ts";

describe("durations as Go reads them", () => {
  test.each([
    ["0", 0],
    ["5s", 5000],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    ["300ms", 300],
    ["10us", 0.01],
    ["-2m", -120_000],
    ["+1s", 1000],
    [".5s", 500],
  ])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each([
    ["", 'time: invalid duration ""'],
    ["x", 'time: invalid duration "x"'],
    ["5", 'time: missing unit in duration "5"'],
    ["5q", 'time: unknown unit "q" in duration "5q"'],
    ["1m5", 'time: missing unit in duration "1m5"'],
    ["-", 'time: invalid duration "-"'],
  ])("%j is refused: %s", (text, message) => expect(() => parseDuration(text)).toThrow(message));

  test.each([
    [0, "0s"],
    [300, "300ms"],
    [1500, "1.5s"],
    [90_000, "1m30s"],
    [3_600_000, "1h0m0s"],
    [0.01, "10µs"],
  ])("%d ms is written %s", (ms, text) => expect(formatDuration(ms)).toBe(text));
});
