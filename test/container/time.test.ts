import { expect, test } from "bun:test";
import { fromNanoseconds, NEVER } from "../../src/container/time.ts";
import { nanosecondsNow } from "../../src/kernel/clock.ts";

test("nanoseconds are printed as Docker prints them, without trailing zeros", () => {
  expect(fromNanoseconds("1700000000123456789")).toBe("2023-11-14T22:13:20.123456789Z");
  expect(fromNanoseconds("1700000000123400000")).toBe("2023-11-14T22:13:20.1234Z");
  expect(fromNanoseconds("1700000000000000000")).toBe("2023-11-14T22:13:20Z");
  expect(fromNanoseconds("0")).toBe(NEVER);
});

test("now is now", () => {
  const before = Date.now();
  const now = Number(BigInt(nanosecondsNow()) / 1_000_000n);
  // Clocks of one time, one of which may be read with fewer decimals.
  expect(now).toBeWithin(before - 1, Date.now() + 2);
});
