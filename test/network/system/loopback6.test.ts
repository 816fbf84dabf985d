/** Ports on IPv6 loopback, and on IPv6 for containers that have none, where no rule of the kernel leads anywhere. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { killed } from "../../support/processes.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { until } from "../../support/until.ts";

const sandbox = new Sandbox();
afterAll(() => sandbox[Symbol.asyncDispose]());

const ask = (text: string, port: number): string =>
  Bun.spawnSync(["socat", "-t", "5", "-", `TCP6:[::1]:${port}`], {
    stdin: new TextEncoder().encode(text),
    stderr: "ignore",
    timeout: 20_000,
  }).stdout.toString();

/** What a server says, from the first moment at which there is one. */
const answer = (text: string, port: number): Promise<string> => until(() => ask(text, port));

/** An echo of a datagram, from the first moment at which there is one. */
const echo = (text: string, port: number): Promise<string> => until(() => datagram(text, port));
const datagram = (text: string, port: number): string =>
  Bun.spawnSync(["socat", "-t", "1", "-", `UDP6:[::1]:${port}`], {
    stdin: new TextEncoder().encode(text),
    stderr: "ignore",
    timeout: 20_000,
  }).stdout.toString();

test("a published port is carried into the container, both ways and to the end", async () => {
  const server = ["socat", "TCP-LISTEN:80,fork,reuseaddr", "EXEC:wc -c"];
  await sandbox.ok("run", "-d", "--name", "web", "-p", "[::1]:8081:80", "host", ...server);
  expect((await answer("x", 8081)).trim()).toBe("1");
  // The half that is closed first does not take the other along.
  expect(ask("y".repeat(1_000_000), 8081).trim()).toBe("1000000");
});

test("and no longer than that", async () => {
  await sandbox.ok("rm", "-f", "web");
  await until(() => !existsSync(`${sandbox.root}/run/names/ready`));
  expect(ask("x", 8081)).toBe("");
});

describe("a port that was published without an address, for a container without IPv6,", () => {
  const CAT = ["socat", "UDP-LISTEN:81,fork", "EXEC:cat"];
  test("answers on this machine's IPv6 addresses too, as Docker's proxy does it", async () => {
    await sandbox.ok(
      "run",
      "-d",
      "--name",
      "four",
      "-p",
      "8082:80",
      "host",
      "socat",
      "TCP-LISTEN:80,fork",
      "EXEC:cat",
    );
    await sandbox.ok("run", "-d", "--name", "udp", "-p", "8083:81/udp", "host", ...CAT);
    expect(await sandbox.ok("port", "four")).toBe("80/tcp -> 0.0.0.0:8082\n80/tcp -> [::]:8082");
    expect(await sandbox.ok("port", "udp")).toBe("81/udp -> 0.0.0.0:8083\n81/udp -> [::]:8083");
    expect(await answer("over six", 8082)).toBe("over six");
    expect(await echo("by six", 8083)).toBe("by six");
    // Two who send are told apart.
    expect([await echo("one", 8083), await echo("two", 8083)]).toEqual(["one", "two"]);
  });

  test("is so again when the responder was killed", async () => {
    const responder = Bun.spawnSync(["pgrep", "-f", `names ${sandbox.root}`])
      .stdout.toString()
      .trim();
    await killed(Number(responder));
    expect(ask("x", 8082)).toBe("");
    await sandbox.ok("ps");
    expect(await answer("once more", 8082)).toBe("once more");
  });

  test("is left to a program that has it there already; of IPv4 alone it is with 0.0.0.0", async () => {
    const taken = Bun.spawn(["socat", "TCP6-LISTEN:8084,ipv6only,fork,reuseaddr", "SYSTEM:echo mine"]);
    expect(await answer("", 8084)).toBe("mine\n");
    const server = ["socat", "TCP-LISTEN:80,fork", "EXEC:cat"];
    await sandbox.ok(
      "run",
      "-d",
      "--name",
      "late",
      "-p",
      "8084:80",
      "-p",
      "0.0.0.0:8085:80",
      "host",
      ...server,
    );
    expect(await sandbox.ok("port", "late")).toBe(
      "80/tcp -> 0.0.0.0:8084\n80/tcp -> 0.0.0.0:8085\n80/tcp -> [::]:8084",
    );
    // Whoever asks for IPv6 by name is told.
    const asked = await sandbox.cli("run", "--rm", "-p", "[::]:8084:80", "host", "true");
    expect(asked.stderr).toContain("Bind for [::]:8084 failed: port is already allocated");
    await sandbox.ok("rm", "-f", "late");
    const alone = await sandbox.cli("run", "--rm", "-p", "[::]:8084:80", "host", "true");
    expect(alone.stderr).toContain("failed to bind host port [::]:8084/tcp: address already in use");
    expect(ask("", 8084)).toBe("mine\n");
    taken.kill("SIGKILL");
    await taken.exited;
    await sandbox.ok("rm", "-f", "four", "udp");
  });
});

test("on a network with IPv6 what comes to loopback is carried too, connections and datagrams", async () => {
  await sandbox.ok("network", "create", "--ipv6", "six");
  const both = "socat TCP6-LISTEN:80,fork EXEC:cat & exec socat UDP6-LISTEN:81,fork EXEC:cat";
  const ports = ["-p", "8086:80", "-p", "8087:81/udp"];
  await sandbox.ok("run", "-d", "--name", "sixth", "--network", "six", ...ports, "host", "sh", "-c", both);
  expect(await answer("stream", 8086)).toBe("stream");
  expect(await echo("datagram", 8087)).toBe("datagram");
  await sandbox.ok("rm", "-f", "sixth");
  await sandbox.ok("network", "rm", "six");
});
