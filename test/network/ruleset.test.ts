/** What every start asks of the table is what the table is made with. */
import { expect, test } from "bun:test";
import { lastHandle } from "../../src/kernel/nftables.ts";
import { LAST_RULE } from "../../src/network/elements.ts";
import { table } from "../../src/network/ruleset.ts";

test("the rule that shows that the rules are there is the last of them", () => {
  const made = table("x");
  expect(LAST_RULE).toEqual({ chain: made.chains.at(-1)?.name, handle: lastHandle(made) } as never);
});
