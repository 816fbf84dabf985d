/** Ports on IPv6 loopback, where no rule of the kernel leads anywhere. */
import { afterAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { Sandbox } from "../../support/sandbox.ts";

const sandbox = new Sandbox();
afterAll(() => sandbox[Symbol.asyncDispose]());

const ask = (text: string, port: number): string =>
  Bun.spawnSync(["socat", "-t", "5", "-", `TCP6:[::1]:${port}`], {
    stdin: new TextEncoder().encode(text),
    stderr: "ignore",
  }).stdout.toString();

/** What a server says, from the first moment at which there is one. */
async function answer(text: string, port: number): Promise<string> {
  for (;;) {
    const said = ask(text, port);
    if (said !== "") return said;
    await Bun.sleep(20);
  }
}

test("a published port is carried into the container, both ways and to the end", async () => {
  const server = ["socat", "TCP-LISTEN:80,fork,reuseaddr", "EXEC:wc -c"];
  await sandbox.ok("run", "-d", "--name", "web", "-p", "[::1]:8081:80", "host", ...server);
  expect((await answer("x", 8081)).trim()).toBe("1");
  // The half that is closed first does not take the other along.
  expect(ask("y".repeat(1_000_000), 8081).trim()).toBe("1000000");
});

test("and no longer than that", async () => {
  await sandbox.ok("rm", "-f", "web");
  while (existsSync(`${sandbox.root}/run/names/ready`)) await Bun.sleep(10);
  expect(ask("x", 8081)).toBe("");
});
