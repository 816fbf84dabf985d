/** One boot runs all checks; each is a test of its own here. */
import { beforeAll, describe, test } from "bun:test";
import type { Architecture } from "./architecture.ts";
import { boot } from "./boot.ts";
import { checkNumber } from "./check.ts";
import { kernel } from "./kernel.ts";
import { type GuestFiles, guest } from "./root.ts";

export interface Guest extends GuestFiles {
  readonly architecture: Architecture;
  /** Further words of the kernel's command line. */
  readonly kernelOptions?: string;
  /** Milliseconds for all of it. */
  readonly timeout: number;
}

export function inGuest(what: string, { architecture, kernelOptions, timeout, ...files }: Guest): void {
  /** What the guest said of each check: "ok", or its output. */
  const outcomes = new Map<string, string>();
  describe(what, () => {
    beforeAll(async () => {
      const debian = kernel(architecture);
      let output: string[] = [];
      await boot(architecture, debian, guest(architecture, debian, files), {
        timeout,
        ...(kernelOptions === undefined ? {} : { kernelOptions }),
        onLine(line) {
          const [, verdict, number, code] = /^(check|ok|not ok) (\d+) ?(\d*)$/.exec(line) ?? [];
          if (verdict === "check") output = [];
          else if (verdict && number)
            outcomes.set(number, verdict === "ok" ? "ok" : [...output, `exit ${code}`].join("\n"));
          else output.push(line);
        },
      });
    }, timeout);

    for (const [index, check] of files.checks.entries())
      test(check.name, () => {
        const outcome = outcomes.get(checkNumber(index)) ?? "the guest ended before it ran";
        if (outcome !== "ok") throw new Error(outcome);
      });
  });
}
