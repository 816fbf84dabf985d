/** What the tests themselves rely on. */
import { expect, test } from "bun:test";

test.skipIf(process.getuid?.() !== 0)(
  "no test runs the engine on a network that is not the tests' own",
  () => {
    const program = `new (await import("${import.meta.dir}/sandbox.ts")).Sandbox()`;
    const { stderr, exitCode } = Bun.spawnSync(["unshare", "--net", process.execPath, "-e", program]);
    expect(stderr.toString()).toContain("this is the machine's own network");
    expect(exitCode).not.toBe(0);
  },
);
