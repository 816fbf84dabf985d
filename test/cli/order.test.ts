/** The order of names in lists. */
import { expect, test } from "bun:test";
import { byName } from "../../src/cli/order.ts";

test("by their bytes, but numbers within them as numbers", () => {
  const names = [
    "n10",
    "B",
    "a",
    "n1",
    "n-",
    "n2",
    "n01x",
    "n",
    "n1a2",
    "n1a10",
    "12345678901234567890",
    "9",
  ];
  expect(names.map((name) => ({ name })).sort(byName)).toEqual(
    ["9", "12345678901234567890", "B", "a", "n", "n-", "n1", "n1a2", "n1a10", "n01x", "n2", "n10"].map(
      (name) => ({
        name,
      }),
    ),
  );
});
