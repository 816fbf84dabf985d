/**
 * Names for containers whose networks have no address of this host's on them (macvlan; ipvlan is served alike): the responder
 * answers on the container's own loopback.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { killed } from "../../support/processes.ts";
import { until } from "../../support/until.ts";
import { World } from "./world.ts";

let world: World;
/** The host's own address on the parent's wire, which no macvlan on that parent reaches. */
const UPSTREAM = "10.9.0.1";
let upstream: ReturnType<typeof Bun.spawn>;

/** A resolver that says 198.51.100.7 of whatever it is asked. */
const RESOLVER = `
import socket
s=socket.socket(type=socket.SOCK_DGRAM);s.bind(("${UPSTREAM}",53));print("ready",flush=True)
while True:
    q,a=s.recvfrom(512)
    end=q.index(b"\\0",12)+5
    s.sendto(q[:2]+b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0"+q[12:end]+b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xc6\\x33\\x64\\x07",a)
`;

const idle = (name: string, ...options: string[]): Promise<string> =>
  world.ok("run", "-d", "--stop-signal", "KILL", "--name", name, ...options, "host", "sleep", "1000");
const inside = async (name: string, ...command: string[]): Promise<string> =>
  (await world.cli("exec", name, ...command)).stdout.trim();
const dig = (name: string, ...words: string[]): Promise<string> =>
  inside(name, "dig", "+tries=1", "+time=4", "+short", ...words);
const ready = (): string[] => {
  const file = `${world.box.root}/run/names/ready`;
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
};
const idOf = (name: string): Promise<string> => world.ok("inspect", "-f", "{{.Id}}", name);
const pidOf = async (name: string): Promise<number> =>
  Number(await world.ok("inspect", "-f", "{{.State.Pid}}", name));
const responders = (): number[] =>
  Bun.spawnSync(["pgrep", "-f", `names ${world.box.root}`])
    .stdout.toString()
    .trim()
    .split("\n")
    .filter(Boolean)
    .map(Number);
beforeAll(async () => {
  world = await World.make();
  upstream = Bun.spawn(world.host.enter("python3", "-c", RESOLVER), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await (upstream.stdout as ReadableStream).getReader().read();
  const wire = ["-d", "macvlan", "-o", "parent=far", "--subnet", "10.9.0.0/24", "--gateway", "10.9.0.2"];
  await world.ok("network", "create", ...wire, "wire");
  await idle("db", "--network", "wire", "--ip", "10.9.0.50", "--network-alias", "store", "--dns", UPSTREAM);
  await idle("web", "--network", "wire", "--ip", "10.9.0.51", "--hostname", "machine", "--dns", UPSTREAM);
}, 60_000);

afterAll(async () => {
  upstream.kill("SIGKILL");
  await world[Symbol.asyncDispose]();
});

test("containers of a macvlan find each other by name, alias, host name and short id, by UDP and TCP", async () => {
  const short = (await idOf("db")).slice(0, 12);
  for (const name of ["db", "DB", "store", "db.wire", short])
    expect(await dig("web", name)).toBe("10.9.0.50");
  expect(await dig("db", "+tcp", "machine")).toBe("10.9.0.51");
  expect(await inside("web", "getent", "hosts", "db")).toMatch(/^10\.9\.0\.50\s+db$/);
  expect(await inside("web", "cat", "/etc/resolv.conf")).toMatch(/^nameserver 127\.0\.0\.11$/m);
  expect(await dig("web", "-x", "10.9.0.50")).toBe("db.wire.");
});

test("from the first moment, and one that has ended no longer", async () => {
  const first = ["run", "--rm", "--name", "brief", "--network", "wire", "--dns", UPSTREAM, "host"];
  expect(await world.ok(...first, "getent", "hosts", "db")).toMatch(/^10\.9\.0\.50\s+db$/);
  expect(await dig("web", "brief")).toBe("198.51.100.7");
});

test("other questions go out by the host's own network, where the container has no way", async () => {
  expect(await dig("web", "example.org")).toBe("198.51.100.7");
  expect(await dig("web", "+time=1", `@${UPSTREAM}`, "example.org")).toContain("no servers could be reached");
});

test("only where there is a way out at all (CVE-2024-29018)", async () => {
  await world.ok("network", "create", "-d", "macvlan", "--subnet", "10.8.0.0/24", "--internal", "shut");
  await idle("caged", "--network", "shut", "--dns", UPSTREAM);
  expect(await dig("caged", "caged")).toBe("10.8.0.2");
  expect(await inside("caged", "dig", "+tries=1", "example.org")).toContain("status: SERVFAIL");
  // On a second network that has one it asks.
  await world.ok("network", "connect", "wire", "caged");
  expect(await dig("caged", "example.org")).toBe("198.51.100.7");
  expect(await dig("caged", "db")).toBe("10.9.0.50");
  await world.ok("rm", "-f", "caged");
  await world.ok("network", "rm", "shut");
});

test("rules lead to a port that nobody's server wants, and nothing comes in from outside", async () => {
  const pid = await pidOf("web");
  const there = ["nsenter", `--net=/proc/${pid}/ns/net`];
  expect(
    world.host
      .run(...there, "nft", "list", "ruleset")
      .replace(/\s+/g, " ")
      .trim(),
  ).toBe(
    "table inet sampan { chain output { type nat hook output priority -100; policy accept; " +
      "ip daddr 127.0.0.11 udp dport 53 dnat ip to 127.0.0.11:20053 ip daddr 127.0.0.11 tcp dport 53 dnat ip to 127.0.0.11:20053 } }",
  );
  const routed = "/proc/sys/net/ipv4/conf/all/route_localnet";
  expect(await inside("web", "cat", routed)).toBe("0");
  // A resolver of the container's own has its port.
  const own =
    "import socket;s=socket.socket(type=socket.SOCK_DGRAM);s.bind(('0.0.0.0',53));socket.create_server(('0.0.0.0',53));print('bound')";
  expect(await inside("web", "python3", "-c", own)).toBe("bound");
});

test("connected and disconnected while it runs", async () => {
  await idle("guest", "--dns", UPSTREAM);
  await world.ok("network", "connect", "--alias", "visitor", "wire", "guest");
  expect(await inside("guest", "getent", "hosts", "db")).toMatch(/^10\.9\.0\.50\s/);
  expect(await dig("db", "visitor")).toStartWith("10.9.0.");
  await world.ok("network", "disconnect", "wire", "guest");
  expect(await inside("guest", "cat", "/etc/resolv.conf")).toContain(`nameserver ${UPSTREAM}`);
  expect(await dig("guest", "@127.0.0.11", "db")).toContain("connection refused");
  const id = await idOf("guest");
  await until(() => !ready().includes(id));
  await world.ok("rm", "-f", "guest");
});

test("on a network that is a bridge with IPv6 alone", async () => {
  await world.ok("network", "create", "--ipv4=false", "--ipv6", "--subnet", "fd00:205::/64", "six");
  await idle("alpha", "--network", "six");
  await idle("beta", "--network", "six");
  expect(await dig("beta", "alpha", "AAAA")).toBe("fd00:205::2");
  // What is published there is at this host's IPv6 addresses alone.
  await world.serve("web6", "--six", "--network", "six", "-p", "8205:80");
  expect(await world.ok("port", "web6")).toBe("80/tcp -> [::]:8205");
  await until(() => world.fromHost("::1", 8205));
  expect(await world.fromHost("127.0.0.1", 8205)).toBeUndefined();
  await world.ok("rm", "-f", "alpha", "beta", "web6");
  await world.ok("network", "rm", "six");
});

describe("the responder", () => {
  test("that was killed is back by the next command, and running containers ask on", async () => {
    const [first = 0] = responders();
    await killed(first);
    await world.ok("ps");
    const id = await idOf("web");
    await until(() => ready().includes(id));
    expect(await dig("web", "db")).toBe("10.9.0.50");
    await until(() => responders().length === 1);
  });

  test("is back by one command, whichever that is, and its containers have lost nothing else", async () => {
    const pid = await pidOf("web");
    const asks = world.host.enter(
      "nsenter",
      `--net=/proc/${pid}/ns/net`,
      "dig",
      "+tries=1",
      "+time=1",
      "+short",
    );
    const answer = (): string =>
      Bun.spawnSync([...asks, "@127.0.0.11", "store"])
        .stdout.toString()
        .trim();
    for (const words of ["exec web true", "network ls", "logs web", "volume ls", "run --rm host true"]) {
      for (const one of responders()) await killed(one);
      expect(answer()).not.toBe("10.9.0.50");
      await world.ok(...words.split(" "));
      await until(() => answer() === "10.9.0.50");
    }
    expect(await pidOf("web")).toBe(pid);
  });

  test("answers in a container that its keeper has started again", async () => {
    await idle("phoenix", "--network", "wire", "--restart", "always");
    const before = await pidOf("phoenix");
    await killed(before);
    await until(async () => ![0, before].includes(await pidOf("phoenix")));
    expect(await inside("phoenix", "getent", "hosts", "db")).toMatch(/^10\.9\.0\.50\s/);
    await world.ok("rm", "-f", "phoenix");
  });

  test("holds on to no namespace of a container that has ended: its address is at once another's", async () => {
    for (let i = 0; i < 8; i++) {
      await idle(`turn${i}`, "--network", "wire", "--ip", "10.9.0.60");
      expect(await dig("web", `turn${i}`)).toBe("10.9.0.60");
      await world.ok("rm", "-f", `turn${i}`);
    }
    await idle("last", "--network", "wire");
    const id = await idOf("last");
    expect(ready()).toContain(id);
    await world.ok("stop", "last");
    expect(ready()).not.toContain(id);
    await world.ok("rm", "last");
  });

  test("whose keeper was killed is let go too", async () => {
    await idle("lost", "--network", "wire", "--ip", "10.9.0.61");
    const id = await idOf("lost");
    const keeper = Number(readlinkSync(`${world.box.root}/run/${id.slice(0, 12)}/pid`).split(" ")[0]);
    await killed(keeper);
    expect(await world.ok("ps", "-q", "--filter", "name=lost")).toBe("");
    await until(() => !ready().includes(id));
    await world.ok("start", "lost");
    expect(await dig("lost", "db")).toBe("10.9.0.50");
    await world.ok("rm", "-f", "lost");
  });

  test("goes with the last container", async () => {
    await world.ok("rm", "-f", "db", "web");
    await until(() => responders().length === 0);
    expect(ready()).toEqual([]);
  });
});
