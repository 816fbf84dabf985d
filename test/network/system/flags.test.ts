/** Docker's flags of networks and ports, each by what it does. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../../support/until.ts";
import { World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await World.make();
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const create = (name: string, ...flags: string[]): Promise<string> =>
  world.ok("network", "create", ...flags, name);
const run = (...words: string[]): Promise<string> => world.ok("run", "--rm", ...words);
const ip = (...words: string[]): string[] => ["host", "ip", ...words];
const remove = (...names: string[]): Promise<string> => world.ok("network", "rm", ...names);

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk);
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}

/** An echo of datagrams in a container, on port 81. */
const DATAGRAMS = `
import socket
s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("", 81)); print("ready", flush=True)
while True:
    d, a = s.recvfrom(100); s.sendto(d + a[0].encode(), a)
`;
const send = (enter: readonly string[], address: string, port: number): string =>
  Bun.spawnSync([
    ...enter,
    "python3",
    "-c",
    `
import socket
s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(20); s.sendto(b"hello ", ("${address}", ${port}))
try: print(s.recv(100).decode())
except OSError: print("nothing")
`,
  ])
    .stdout.toString()
    .trim();

describe("network create", () => {
  test("--subnet, --gateway, --ip-range, --aux-address: addresses of the range alone, and that way out", async () => {
    const range = ["--subnet", "10.120.0.0/24", "--ip-range", "10.120.0.128/30", "--gateway", "10.120.0.254"];
    await create("ranged", ...range, "--aux-address", "router=10.120.0.129");
    const name = ["--network", "ranged"];
    expect(await run(...name, ...ip("-br", "-4", "addr", "show", "eth0"))).toContain(" 10.120.0.128/24");
    expect(await run(...name, ...ip("route", "show", "default"))).toContain("via 10.120.0.254 dev eth0");
    // Of the four that there are one is the router's.
    const sit = (n: number) => world.ok("run", "-d", "--name", `sit${n}`, ...name, "host", "sleep", "1000");
    for (const n of [1, 2, 3]) await sit(n);
    expect(await world.address("sit2", "ranged")).toBe("10.120.0.130");
    await expect(sit(4)).rejects.toThrow("All of 10.120.0.128/30 are taken");
    await world.ok("rm", "-f", "sit1", "sit2", "sit3", "sit4");
    const [shown] = JSON.parse(await world.ok("network", "inspect", "ranged"));
    expect(shown.IPAM.Config).toEqual([
      {
        Subnet: "10.120.0.0/24",
        IPRange: "10.120.0.128/30",
        Gateway: "10.120.0.254",
        AuxiliaryAddresses: { router: "10.120.0.129" },
      },
    ]);
    await remove("ranged");
  });

  test("--subnet of a /30 has room for one, and says so to the next", async () => {
    await create("tiny", "--subnet", "10.125.0.0/30");
    await world.ok("run", "-d", "--name", "only", "--network", "tiny", "host", "sleep", "1000");
    expect(await world.address("only", "tiny")).toBe("10.125.0.2");
    const { code, stderr } = await world.cli("run", "--rm", "--network", "tiny", "host", "true");
    expect(code).toBe(125);
    expect(stderr).toMatch(
      /^sampan: no available IPv4 addresses on this network's address pools: tiny \([0-9a-f]{64}\)\nAll of 10\.125\.0\.0\/30 are taken/,
    );
    await world.ok("rm", "-f", "only");
    await remove("tiny");
  });

  test("--label, and ls, prune and inspect by it; --opt of the MTU, and of the bridge's name", async () => {
    const option = ["-o", "com.docker.network.driver.mtu=1400", "-o", "com.docker.network.bridge.name=mine7"];
    await create("marked", "--label", "shelf=top", ...option);
    await create("plain");
    expect(await world.ok("network", "ls", "--filter", "label=shelf=top", "--format", "{{.Name}}")).toBe(
      "marked",
    );
    expect(await world.ok("network", "inspect", "-f", "{{.Labels.shelf}}", "marked")).toBe("top");
    const range = "{{range .IPAM.Config}}[{{.IPRange}}] {{.AuxAddress}}{{end}}";
    expect(await world.ok("network", "inspect", "-f", range, "marked")).toBe("[] map[]");
    expect(await run("--network", "marked", ...ip("link", "show", "eth0"))).toContain(" mtu 1400 ");
    expect(world.links()).toContain("mine7");
    expect(await world.ok("network", "prune", "-f", "--filter", "label=shelf=top")).toContain("marked");
    expect(await world.ok("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}")).toBe("plain");
    await remove("plain");
  });

  test("--opt enable_ip_masquerade=false: the world sees the container's own address", async () => {
    await create(
      "open",
      "--subnet",
      "10.121.0.0/24",
      "-o",
      "com.docker.network.bridge.enable_ip_masquerade=false",
    );
    world.far.run("ip", "route", "add", "10.121.0.0/24", "via", "10.9.0.1");
    const server = Bun.spawn(
      world.far.enter(
        "python3",
        "-c",
        "import socket\ns=socket.create_server(('',7010))\nprint('ready',flush=True)\nc,a=s.accept()\nprint(a[0],flush=True)",
      ),
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const lines = linesOf(server.stdout);
    await lines.next();
    await run(
      "--network",
      "open",
      "host",
      "python3",
      "-c",
      "import socket;socket.create_connection(('10.9.0.2',7010),5)",
    );
    expect((await lines.next()).value).toBe("10.121.0.2");
    await server.exited;
    await remove("open");
  });

  test("--opt host_binding_ipv4: where ports are published that name no address", async () => {
    await create("bound", "-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1");
    await world.serve("local", "--network", "bound", "-p", "8160:80");
    expect(await world.ok("port", "local")).toBe("80/tcp -> 127.0.0.1:8160");
    expect(await world.fromHost("127.0.0.1", 8160)).toBeDefined();
    expect(await world.fromFar("10.9.0.1", 8160)).toBeUndefined();
    await world.ok("rm", "-f", "local");
    await remove("bound");
  });

  test("--ipv6 with --ip6: that address, a way out by IPv6, and another's is refused", async () => {
    await create("six", "--ipv6", "--subnet", "fd00:122::/64");
    await world.serve("sixth", "--six", "--network", "six", "--ip6", "fd00:122::77");
    expect(await world.address("sixth", "six", "GlobalIPv6Address")).toBe("fd00:122::77");
    expect(await world.ok("exec", "sixth", "ip", "-6", "route", "show", "default")).toContain(
      "via fd00:122::1",
    );
    expect(await world.fromHost("fd00:122::77", 80)).toBeDefined();
    const { stderr } = await world.cli(
      "run",
      "--rm",
      "--network",
      "six",
      "--ip6",
      "fd00:122::77",
      "host",
      "true",
    );
    expect(stderr).toStartWith("sampan: Address already in use: fd00:122::77\nContainer sixth has it");
    const outside = await world.cli(
      "run",
      "--rm",
      "--network",
      "six",
      "--ip6",
      "fd00:123::7",
      "host",
      "true",
    );
    expect(outside.stderr).toContain("no configured subnet contains IP address fd00:123::7");
    await world.ok("rm", "-f", "sixth");
    await remove("six");
  });
});

describe("run", () => {
  test("--ip and --mac-address, which outlast a restart", async () => {
    await create("fixed", "--subnet", "10.124.0.0/24");
    const own = ["--network", "fixed", "--ip", "10.124.0.99", "--mac-address", "02:00:00:00:00:99"];
    await world.ok("run", "-d", "--name", "one", ...own, "host", "sleep", "1000");
    const seen = () => world.ok("exec", "one", "ip", "addr", "show", "eth0");
    expect(await seen()).toMatch(/02:00:00:00:00:99[\s\S]*inet 10\.124\.0\.99\/24/);
    await world.ok("restart", "-t", "0", "one");
    expect(await seen()).toMatch(/02:00:00:00:00:99[\s\S]*inet 10\.124\.0\.99\/24/);
    await world.ok("rm", "-f", "one");
    await remove("fixed");
  });

  test("--network host, none and container:X", async () => {
    expect(await run("--network", "host", ...ip("-br", "link"))).toContain("far");
    expect((await run("--network", "none", ...ip("-br", "link"))).trim().split("\n").length).toBe(1);
    await world.ok("run", "-d", "--name", "whole", "host", "sleep", "1000");
    const address = await world.address("whole");
    expect(await run("--network", "container:whole", ...ip("-br", "-4", "addr"))).toContain(address);
    // It has the other's host name too, which is the one that the hosts file, which is the other's, knows.
    const name = (await world.ok("inspect", "-f", "{{.Config.Hostname}}", "whole")).trim();
    const shown = ["sh", "-c", "hostname; hostname -i; cat /etc/hostname; echo $HOSTNAME"];
    expect((await run("--network", "container:whole", "host", ...shown)).trim().split("\n")).toEqual([
      name,
      address,
      name,
      name,
    ]);
    await world.ok("rm", "-f", "whole");
  });

  test("host.docker.internal and host-gateway reach what listens on this machine", async () => {
    await create("lan");
    const server = Bun.spawn(
      world.host.enter(
        "python3",
        "-c",
        "import socket\ns=socket.create_server(('0.0.0.0',7011))\nprint('ready',flush=True)\nfor i in range(3):\n  c,a=s.accept();c.sendall(b'the host');c.close()",
      ),
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await server.stdout.getReader().read();
    const ask = (name: string) =>
      `import socket;print(socket.create_connection(('${name}',7011),5).recv(20).decode())`;
    const other = ["--add-host", "gate:host-gateway"];
    expect(await run("host", "python3", "-c", ask("host.docker.internal"))).toBe("the host");
    expect(await run("--network", "lan", "host", "python3", "-c", ask("host.docker.internal"))).toBe(
      "the host",
    );
    expect(await run("--network", "lan", ...other, "host", "python3", "-c", ask("gate"))).toBe("the host");
    await server.exited;
    await remove("lan");
  });

  test("--dns, --dns-search and --dns-option are in resolv.conf", async () => {
    const flags =
      "--dns 192.0.2.7 --dns-search a.example --dns-search b.example --dns-option timeout:3".split(" ");
    expect(await run(...flags, "host", "cat", "/etc/resolv.conf")).toBe(
      "nameserver 192.0.2.7\nsearch a.example b.example\noptions timeout:3",
    );
  });
});

describe("--publish", () => {
  test("a range to a range; a free port for one that names none; one of a range for one that is alone", async () => {
    await world.serve("many", "-p", "8170-8172:80-82", "-p", "127.0.0.1::80", "-p", "83");
    const ports = (await world.ok("port", "many")).split("\n");
    for (const [inside, outside] of [
      [80, 8170],
      [81, 8171],
      [82, 8172],
    ])
      expect(ports).toContain(`${inside}/tcp -> 0.0.0.0:${outside}`);
    const free = ports
      .find((line) => line.startsWith("80/tcp -> 127.0.0.1:"))
      ?.split(":")
      .at(-1);
    expect(Number(free)).toBeGreaterThan(1023);
    expect(await world.fromHost("127.0.0.1", Number(free))).toBeDefined();
    expect(await world.fromFar("10.9.0.1", 8170)).toBe("10.9.0.2");
    expect(ports.find((line) => line.startsWith("83/tcp -> 0.0.0.0:"))).toBeDefined();
    await world.ok("rm", "-f", "many");
  });

  test("a range that is used up: who is started again has his own port again", async () => {
    const range = ["-p", "8175-8176:70"];
    for (const name of ["one", "two"])
      await world.ok("run", "-d", "--name", name, ...range, "host", "sleep", "1000");
    const own = await world.ok("port", "one");
    expect(own).toBe("70/tcp -> 0.0.0.0:8175\n70/tcp -> [::]:8175");
    // Carried by now: its socket is there until the responder has seen the end.
    await until(() => world.host.run("ss", "-Hlnt6").includes(":8175"));
    await world.ok("restart", "-t", "0", "one");
    expect(await world.ok("port", "one")).toBe(own);
    await world.ok("rm", "-f", "one", "two");
  });

  test("udp: from afar with the client's own address, on loopback, from another container and from itself", async () => {
    await world.ok("run", "-d", "--name", "udp", "-p", "8173:81/udp", "host", "python3", "-c", DATAGRAMS);
    await until(async () => (await world.ok("logs", "udp")).includes("ready"));
    expect(send(world.far.enter(), "10.9.0.1", 8173)).toBe("hello 10.9.0.2");
    expect(send(world.host.enter(), "127.0.0.1", 8173)).toStartWith("hello ");
    await world.ok("run", "-d", "--name", "other", "host", "sleep", "1000");
    for (const name of ["other", "udp"]) {
      const pid = await world.ok("inspect", "-f", "{{.State.Pid}}", name);
      expect(send(["nsenter", `--net=/proc/${pid}/ns/net`], "10.9.0.1", 8173)).toStartWith("hello ");
    }
    await world.ok("rm", "-f", "udp", "other");
  });

  test("sctp: led in by the kernel, as the table says", async () => {
    await world.ok("run", "-d", "--name", "assoc", "-p", "8174:80/sctp", "host", "sleep", "1000");
    expect(await world.ok("port", "assoc")).toBe("80/sctp -> 0.0.0.0:8174");
    expect(world.elements("any4")).toBe(`sctp . 8174 : ${await world.address("assoc")} . 80`);
    await world.ok("rm", "-f", "assoc");
    expect(world.elements("any4")).toBe("");
  });

  test("-P publishes what is exposed, and a port that is only exposed leads nowhere", async () => {
    await world.serve("shown", "--expose", "80-81");
    expect(await world.ok("port", "shown")).toBe("");
    expect(await world.ok("ps", "--format", "{{.Ports}}")).toBe("80-81/tcp");
    await world.ok("rm", "-f", "shown");
    await world.serve("given", "-P", "--expose", "80");
    const [line = ""] = (await world.ok("port", "given")).split("\n");
    expect(await world.fromFar("10.9.0.1", Number(line.split(":").at(-1)))).toBe("10.9.0.2");
    await world.ok("rm", "-f", "given");
  });
});
