import { expect, test } from "bun:test";
import { lineOf } from "../../src/cli/progress.ts";

const bar = (current: number, total: number | undefined, columns: number): string =>
  lineOf(
    { id: "8e1a513077cd", status: "Downloading", current, ...(total !== undefined && { total }) },
    columns,
  );

test("a bar with its numbers, as wide as the terminal allows", () => {
  expect(bar(0, 100_000_000, 120)).toBe(`8e1a513077cd: Downloading [>${" ".repeat(49)}]       0B/100MB`);
  expect(bar(50_000_000, 100_000_000, 120)).toBe(
    `8e1a513077cd: Downloading [${"=".repeat(25)}>${" ".repeat(24)}]     50MB/100MB`,
  );
  expect(bar(100_000_000, 100_000_000, 120)).toBe(
    `8e1a513077cd: Downloading [${"=".repeat(50)}]    100MB/100MB`,
  );
  for (const columns of [120, 80, 60, 40, 20])
    expect(bar(12_345_678, 99_999_999, columns).length).toBeLessThanOrEqual(columns);
});

test("without a total there are numbers, without numbers there are words", () => {
  expect(bar(1_500_000, undefined, 80)).toBe("8e1a513077cd: Downloading    1.5MB");
  expect(lineOf({ id: "8e1a513077cd", status: "Pull complete" }, 80)).toBe("8e1a513077cd: Pull complete");
});
