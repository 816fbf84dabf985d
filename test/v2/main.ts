/**
 * The same executable on a kernel that has cgroup v2 and nothing else. One boot runs all checks; each is a test here.
 * It takes a boot of its own, so it is a command of its own: `npm run test:v2`.
 */
import { beforeAll, describe, test } from "bun:test";
import { boot } from "../support/guest/boot.ts";
import { kernel } from "../support/guest/kernel.ts";
import { CHECKS } from "./checks.ts";
import { checkNumber, guest } from "./guest.ts";

const TIMEOUT = 600_000;
/** What the guest said of each check: "ok", or its output. */
const outcomes = new Map<string, string>();

beforeAll(async () => {
  const debian = kernel();
  let output: string[] = [];
  await boot(debian, guest(debian, CHECKS), {
    timeout: TIMEOUT,
    onLine(line) {
      const [, verdict, number, code] = /^(check|ok|not ok) (\d+) ?(\d*)$/.exec(line) ?? [];
      if (verdict === "check") output = [];
      else if (verdict && number)
        outcomes.set(number, verdict === "ok" ? "ok" : [...output, `exit ${code}`].join("\n"));
      else output.push(line);
    },
  });
}, TIMEOUT);

describe("on a kernel with cgroup v2 alone", () => {
  for (const [index, check] of CHECKS.entries())
    test(check.name, () => {
      const outcome = outcomes.get(checkNumber(index)) ?? "the guest ended before it ran";
      if (outcome !== "ok") throw new Error(outcome);
    });
});
