/** Addresses, ports and links from a container's making to its end, and what the next command finds after something broke. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readlinkSync, renameSync, rmdirSync } from "node:fs";
import { LOCK_EX, tryFlock } from "../../../src/kernel/flock.ts";
import { alive, killed } from "../../support/processes.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { until } from "../../support/until.ts";
import { World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await World.make();
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const sleeper = (...flags: readonly string[]): Promise<string> =>
  world.ok("run", "-d", "--stop-signal", "KILL", ...flags, "host", "sleep", "1000");
const refusal = async (...words: readonly string[]): Promise<string> => {
  const { code, stderr } = await world.cli(...words);
  expect(code).not.toBe(0);
  return stderr.trim();
};
const keeperOf = async (name: string): Promise<number> => {
  const id = await world.ok("inspect", "-f", "{{.Id}}", name);
  return Number(readlinkSync(`${world.box.root}/run/${id.slice(0, 12)}/pid`).split(" ")[0]);
};

test("fifty containers started at once have fifty addresses, and each is found by its name", async () => {
  await world.ok("network", "create", "crowd");
  const names = Array.from({ length: 50 }, (_, n) => `crowd${n}`);
  await Promise.all(names.map((name) => sleeper("--name", name, "--network", "crowd")));
  const shown = await world.ok(
    "network",
    "inspect",
    "-f",
    "{{range .Containers}}{{.IPv4Address}} {{end}}",
    "crowd",
  );
  const addresses = shown.trim().split(" ");
  expect(addresses.length).toBe(50);
  expect(new Set(addresses).size).toBe(50);
  const found = await world.ok("exec", "crowd0", "getent", "ahostsv4", ...names);
  const streams = found.split("\n").filter((line) => line.includes(" STREAM "));
  expect(streams.map((line) => line.split(/\s+/)[2])).toEqual(names);
  expect(new Set(streams.map((line) => `${line.split(" ")[0]}/16`))).toEqual(new Set(addresses));
  await world.ok("rm", "-f", ...names);
  await world.ok("network", "rm", "crowd");
});

describe("a network that cannot be", () => {
  test.each([
    [["x", "--subnet", "10.5.0.1/24"], "sampan: invalid subnet 10.5.0.1/24: it should be 10.5.0.0/24"],
    [["x", "--subnet", "10.5.0.0"], "invalid subnet 10.5.0.0: it is no prefix such as 10.5.0.0/24"],
    [["x", "--subnet", "10.5.0.0/24", "--gateway", "10.6.0.1"], "no matching subnet for gateway 10.6.0.1"],
    [
      ["x", "--subnet", "10.5.0.0/24", "--ip-range", "10.6.0.0/25"],
      "no matching subnet for range 10.6.0.0/25",
    ],
    [
      ["x", "--subnet", "10.5.0.0/24", "--aux-address", "a=10.6.0.1"],
      "no matching subnet for aux-address 10.6.0.1",
    ],
    [
      ["x", "--subnet", "10.5.0.0/24", "--aux-address", "a=10.5.0.1"],
      "sampan: failed to allocate secondary ip address (a:10.5.0.1): Address already in use\nIt is the gateway of 10.5.0.0/24.",
    ],
    [
      ["x", "--subnet", "10.5.0.0/24", "--aux-address", "a=10.5.0.9", "--aux-address", "b=10.5.0.9"],
      "sampan: failed to allocate secondary ip address (b:10.5.0.9): Address already in use\nIt is another auxiliary",
    ],
    [["x", "--subnet", "foo"], "invalid subnet foo: it is no prefix such as 10.5.0.0/24"],
    [["x", "--subnet", "10.5.0.0/24", "--gateway", "foo"], "no matching subnet for gateway foo"],
    [["x", "--gateway", "10.6.0.1"], "every ip-range or gateway must have a corresponding subnet"],
    [
      ["x", "--driver", "weave"],
      'sampan: could not find plugin weave: plugin "weave" not found\nThe drivers are bridge, macvlan and ipvlan.',
    ],
    [["x", "--driver", "host"], 'sampan: only one instance of "host" network is allowed\nIt is called host.'],
    [["bridge"], "sampan: operation is not permitted on predefined bridge network"],
    [
      ["a b"],
      'sampan: "a b" includes invalid characters for a network name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
    ],
    [
      ["x", "-o", "com.docker.network.driver.mtu=9"],
      "sampan: invalid MTU: com.docker.network.driver.mtu=9\nIt takes a number of bytes from 68 to 65535.",
    ],
    [["x", "-o", "com.docker.network.bridge.name=far"], "sampan: existing interface far is not a bridge\n"],
    [["x", "--scope", "swarm"], "sampan: --scope swarm: it has a meaning in a swarm only\n"],
    [["x", "--ingress"], "sampan: --ingress: it has a meaning in a swarm only\n"],
    [["x", "--ipam-driver", "foo"], "sampan: invalid IPAM driver: foo: default is the only one here\n"],
    [
      ["x", "--config-only", "--internal"],
      "sampan: configuration network can only contain network specific fields.",
    ],
    [
      ["x", "--config-only", "--config-from", "y"],
      "sampan: a configuration network cannot depend on another configuration network\n",
    ],
    [["x", "--config-from", "bridge"], 'sampan: configuration network "bridge" does not exist\n'],
    [
      ["x", "-o", "com.docker.network.bridge.gateway_mode_ipv4=routed"],
      "sampan: unsupported option: com.docker.network.bridge.gateway_mode_ipv4=routed\n",
    ],
    [
      ["x", "-o", "com.docker.network.container_iface_prefix=lan"],
      "sampan: unsupported option: com.docker.network.container_iface_prefix=lan\n",
    ],
    [
      ["x", "-d", "ipvlan", "-o", "parent=far", "-o", "ipvlan_mode=l4"],
      "sampan: requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default\nIt takes l2, l3 and l3s.",
    ],
    [
      ["x", "-d", "macvlan", "-o", "parent=nope0"],
      "sampan: invalid parent interface: nope0: no such interface\n`ip link` lists those of this machine; eth0.10 is made where there is eth0.",
    ],
  ] as const)("%j", async (words, message) => {
    const { code, stderr } = await world.cli("network", "create", ...words);
    expect(`${code}: ${stderr}`).toContain(message);
    expect(code).toBe(1);
  });

  test("and a connection with what is no address", async () => {
    for (const [flag, what] of [
      ["--ip", "IPv4"],
      ["--ip6", "IPv6"],
      ["--link-local-ip", "link-local IP"],
    ]) {
      const said = await world.cli("network", "connect", flag ?? "", "foo", "bridge", "nobody");
      expect(said).toEqual({ code: 1, stdout: "", stderr: `sampan: invalid ${what} address: foo\n` });
    }
  });

  test("it overlaps another, has another's name, or another's bridge", async () => {
    const id = await world.ok(
      "network",
      "create",
      "--subnet",
      "10.77.0.0/16",
      "-o",
      "com.docker.network.bridge.name=mine0",
      "taken",
    );
    expect(await refusal("network", "create", "--subnet", "10.77.5.0/24", "y")).toBe(
      "sampan: invalid pool request: Pool overlaps with other one on this address space\n10.77.5.0/24 overlaps 10.77.0.0/16 of network taken.",
    );
    expect(await refusal("network", "create", "taken")).toBe(
      "sampan: network with name taken already exists\n`sampan network inspect taken` shows it.",
    );
    expect(await refusal("network", "create", "-o", "com.docker.network.bridge.name=mine0", "y")).toMatch(
      new RegExp(
        `^sampan: cannot create network [0-9a-f]{64} \\(mine0\\): conflicts with network ${id} \\(mine0\\): networks have same bridge name\nIt is the bridge of network taken.$`,
      ),
    );
    await world.ok("network", "rm", "taken");
  });

  test("it is called default, which means the default one; its gateway is an end of its subnet", async () => {
    expect(await refusal("network", "create", "default")).toStartWith(
      "sampan: operation is not permitted on predefined default network",
    );
    for (const end of ["10.77.0.0", "10.77.0.255"])
      expect(await refusal("network", "create", "--subnet", "10.77.0.0/24", "--gateway", end, "y")).toBe(
        `sampan: failed to allocate gateway (${end}): Address already in use\nIt is an end of 10.77.0.0/24.`,
      );
    await world.ok("network", "create", "--subnet", "10.77.0.0/31", "--gateway", "10.77.0.0", "pair");
    expect(await world.ok("network", "rm", "-f", "nobody", "pair")).toBe("pair");
    expect(await refusal("network", "ls", "--filter", "type=foo")).toBe(
      "sampan: invalid filter: 'type'='foo'\nIt takes builtin or custom.",
    );
  });
});

describe("an address that cannot be", () => {
  test("outside the subnet, somebody's, or on a network that takes none", async () => {
    await world.ok(
      "network",
      "create",
      "--subnet",
      "10.80.0.0/29",
      "--aux-address",
      "router=10.80.0.6",
      "small",
    );
    const run = (...flags: string[]) =>
      refusal("run", "--rm", "--network", "small", ...flags, "host", "true");
    expect(await run("--ip", "10.81.0.9")).toBe(
      "sampan: invalid endpoint settings: no configured subnet contains IP address 10.81.0.9\nThe subnet of small is 10.80.0.0/29.",
    );
    expect(await run("--ip", "10.80.0.1")).toStartWith("sampan: Address already in use: 10.80.0.1\n");
    await sleeper("--name", "sits", "--network", "small", "--ip", "10.80.0.4");
    expect(await run("--ip", "10.80.0.4")).toBe(
      "sampan: Address already in use: 10.80.0.4\nContainer sits has it on network small.",
    );
    expect(await refusal("run", "--ip", "172.17.0.9", "host", "true")).toStartWith(
      "sampan: user specified IP address is supported on user defined networks only\n",
    );
    // .1 is the gateway, .4 and .6 are taken, .0 and .7 are the ends: .2, .3 and .5 are left.
    for (const n of [1, 2, 3]) await sleeper("--name", `fill${n}`, "--network", "small");
    expect(await run()).toMatch(
      /^sampan: no available IPv4 addresses on this network's address pools: small \([0-9a-f]{64}\)\nAll of 10.80.0.0\/29 are taken: sampan network inspect small shows by whom.$/,
    );
    expect(await refusal("network", "rm", "small")).toMatch(
      /^sampan: error while removing network: network small id [0-9a-f]{64} has active endpoints\nContainers on it: fill1, fill2, fill3, sits. Stop them, or `sampan network disconnect small CONTAINER`.$/,
    );
    await world.ok("stop", "fill2");
    await world.ok("start", "fill2");
    expect(await world.address("fill2", "small")).toBe("10.80.0.3");
    await world.ok("rm", "-f", "sits", "fill1", "fill2", "fill3");
    await world.ok("network", "rm", "small");
  });

  test("a network that does not exist", async () => {
    expect(await refusal("run", "--network", "nowhere", "host", "true")).toBe(
      "sampan: network nowhere not found\n`sampan network ls` lists those that exist, `sampan network create` makes one.",
    );
  });
});

describe("ports", () => {
  test("one that another container publishes, and one that a process has", async () => {
    await sleeper("--name", "holder", "-p", "8100:80");
    expect(await refusal("run", "--rm", "-p", "8100:81", "host", "true")).toMatch(
      /^sampan: Bind for 0\.0\.0\.0:8100 failed: port is already allocated\nContainer holder \([0-9a-f]{12}\) publishes it\.$/,
    );
    expect(await refusal("run", "--rm", "-p", "8101:81", "-p", "8101:81", "host", "true")).toBe(
      "sampan: Bind for 0.0.0.0:8101 failed: port is already allocated\nThe container itself is to publish it twice: one -p for each port of the host.",
    );
    // Another address of the host, or another protocol, is another port.
    await world.ok("run", "--rm", "-p", "8100:80/udp", "host", "true");
    const listener = Bun.spawn(
      world.host.enter(
        "python3",
        "-c",
        "import socket,time\ns=socket.create_server(('',8101))\nprint(1,flush=True)\ntime.sleep(60)",
      ),
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    await listener.stdout.getReader().read();
    expect(await refusal("run", "--rm", "-p", "8101:80", "host", "true")).toMatch(
      /^sampan: failed to bind host port 0\.0\.0\.0:8101\/tcp: address already in use\nProcess \d+ \(python3\) has it\.$/,
    );
    // A range goes around what is taken.
    await sleeper("--name", "around", "-p", "8100-8102:80");
    expect(await world.ok("port", "around")).toBe("80/tcp -> 0.0.0.0:8102\n80/tcp -> [::]:8102");
    listener.kill("SIGKILL");
    await listener.exited;
    expect(await refusal("run", "--rm", "-p", "10.1.2.3:8103:80", "host", "true")).toBe(
      "sampan: failed to bind host port 10.1.2.3:8103/tcp: cannot assign requested address\nNo interface of this machine has the address 10.1.2.3.",
    );
    // While it is published nobody else can listen there.
    const rival = Bun.spawnSync(
      world.host.enter("python3", "-c", "import socket\nsocket.create_server(('',8100))"),
      {
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    expect(rival.stderr.toString()).toContain("Address already in use");
    await world.ok("rm", "-f", "holder", "around");
  });

  test("by UDP are shared with nobody, though he would share", async () => {
    const sharing = (port: number) =>
      world.host.enter(
        "python3",
        "-c",
        `import socket,time
s=socket.socket(type=socket.SOCK_DGRAM);s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1);s.bind(('',${port}))
print(1,flush=True);time.sleep(60)`,
      );
    await sleeper("--name", "datagrams", "-p", "8110:80/udp");
    const rival = Bun.spawnSync(sharing(8110), { stdio: ["ignore", "ignore", "pipe"] });
    expect(rival.stderr.toString()).toContain("Address already in use");
    const first = Bun.spawn(sharing(8111), { stdio: ["ignore", "pipe", "inherit"] });
    await first.stdout.getReader().read();
    expect(await refusal("run", "--rm", "-p", "8111:8111/udp", "host", "true")).toMatch(
      /^sampan: failed to bind host port 0\.0\.0\.0:8111\/udp: address already in use\nProcess \d+ \(python3\) has it\.$/,
    );
    first.kill("SIGKILL");
    await first.exited;
    await world.ok("rm", "-f", "datagrams");
  });

  test("all that are exposed, at ports that are free; one address alone", async () => {
    await world.serve("exposing", "-P", "--expose", "80", "--expose", "90/udp", "-p", "127.0.0.1:8104:80");
    expect(await world.ok("port", "exposing")).toMatch(
      /^80\/tcp -> 127\.0\.0\.1:8104\n90\/udp -> 0\.0\.0\.0:(\d+)\n90\/udp -> \[::\]:\1$/,
    );
    expect(await world.ok("port", "exposing", "80")).toBe("127.0.0.1:8104");
    expect(await refusal("port", "exposing", "81")).toBe(
      "sampan: no public port '81/tcp' published for exposing",
    );
    expect(await world.fromHost("127.0.0.1", 8104)).toBeDefined();
    expect(await world.fromFar("10.9.0.1", 8104)).toBeUndefined();
    await world.ok("rm", "-f", "exposing");
  });

  test("changed while it runs, and as they are after the keeper has started it again", async () => {
    await world.serve("changing", "-p", "8110:80", "--restart", "always");
    await world.ok("update", "--publish-add", "8111:80", "--publish-rm", "8110:80", "changing");
    const published = "80/tcp -> 0.0.0.0:8111\n80/tcp -> [::]:8111";
    expect(await world.ok("port", "changing")).toBe(published);
    expect(await world.fromFar("10.9.0.1", 8111)).toBe("10.9.0.2");
    expect(await world.fromFar("10.9.0.1", 8110)).toBeUndefined();
    // Its old port is anybody's again.
    await world.ok("run", "--rm", "-p", "8110:80", "host", "true");
    expect(await refusal("update", "--publish-rm", "99", "changing")).toBe(
      "sampan: no public port '99/tcp' published for changing\n`sampan port changing` lists those that are.",
    );
    const pid = await world.ok("inspect", "-f", "{{.State.Pid}}", "changing");
    process.kill(Number(pid), "SIGKILL");
    expect(await until(() => world.fromFar("10.9.0.1", 8111))).toBe("10.9.0.2");
    expect(await world.ok("port", "changing")).toBe(published);
    await world.ok("rm", "-f", "changing");
    expect(world.elements("any4")).toBe("");
  });

  test("moved to another port of the container in one change; one that fails changes nothing", async () => {
    await world.serve("moving", "-p", "8117:81");
    for (const [add, gone, leads] of [
      ["8117:80", "81", "80"],
      ["8117:81", "80", "81"],
      ["8117:80", "8117:81", "80"],
    ] as const) {
      await world.ok("update", "--publish-add", add, "--publish-rm", gone, "moving");
      expect(await world.ok("port", "moving")).toBe(
        `${leads}/tcp -> 0.0.0.0:8117\n${leads}/tcp -> [::]:8117`,
      );
    }
    expect(await world.fromFar("10.9.0.1", 8117)).toBe("10.9.0.2");
    await sleeper("--name", "having", "-p", "8118:80");
    expect(await refusal("update", "--publish-add", "8118:80", "--publish-rm", "80", "moving")).toStartWith(
      "sampan: Bind for 0.0.0.0:8118 failed: port is already allocated\nContainer having",
    );
    expect(await world.ok("port", "moving")).toBe("80/tcp -> 0.0.0.0:8117\n80/tcp -> [::]:8117");
    expect(await world.fromFar("10.9.0.1", 8117)).toBe("10.9.0.2");
    expect(world.host.run("ss", "-lntp")).toContain(`0.0.0.0:8117 `);
    await world.ok("rm", "-f", "moving", "having");
    expect(world.elements("any4")).toBe("");
  });

  test("one unpublished while it runs, and another's by its end: the rest go all the same", async () => {
    await sleeper("--name", "giving", "-p", "8112:80", "-p", "8113:81");
    await world.ok("update", "--publish-rm", "8112:80", "giving");
    await sleeper("--name", "taking", "-p", "8112:80");
    await world.ok("rm", "-f", "giving");
    expect(world.elements("any4")).toContain("8112");
    expect(world.elements("any4")).not.toContain("8113");
    // And by an end that is not its removal.
    await sleeper("--name", "ending", "-p", "8113:81", "-p", "8114:82");
    await world.ok("update", "--publish-rm", "8113:81", "ending");
    await sleeper("--name", "third", "-p", "8113:81");
    await world.ok("stop", "ending");
    expect(world.elements("any4")).toContain("8113");
    expect(world.elements("any4")).not.toContain("8114");
    await world.ok("rm", "-f", "taking", "third", "ending");
    expect(world.elements("any4")).toBe("");
  });

  test("on ::1, published while it runs", async () => {
    await world.serve("carrying", "-p", "8115:80");
    await world.ok("update", "--publish-add", "[::1]:8116:80", "carrying");
    expect(await world.fromHost("::1", 8116)).toBeDefined();
    await world.ok("rm", "-f", "carrying");
  });

  test("IPv6: from afar to a container with an address of its own", async () => {
    await world.ok("network", "create", "--ipv6", "six");
    await world.serve("sixth", "--six", "--network", "six", "-p", "8120:80");
    expect(await world.fromFar("fd99::1", 8120)).toBe("fd99::2");
    expect(await world.fromFar("10.9.0.1", 8120)).toBe("10.9.0.2");
    await world.ok("rm", "-f", "sixth");
    await world.ok("network", "rm", "six");
  });

  /** What a program of the host gets that wants this port. */
  const wanted = (address: string, port: number, type = "STREAM"): string =>
    world.host
      .run(
        "python3",
        "-c",
        `
import socket
s = socket.socket(socket.AF_INET6 if ":" in ${JSON.stringify(address)} else socket.AF_INET, socket.SOCK_${type})
if s.family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
if s.type == socket.SOCK_STREAM: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    s.bind((${JSON.stringify(address)}, ${port}))
    if s.type == socket.SOCK_STREAM: s.listen()
    print("had")
except OSError as error:
    print(error.strerror)
`,
      )
      .trim();

  test("no program of the host takes one: of either family, published at the start or later", async () => {
    await world.ok("network", "create", "--ipv6", "held");
    const ports = "-p 8121:80 -p 8121:80/udp -p [fd99::1]:8122:80".split(" ");
    await sleeper("--name", "holding", "--network", "held", ...ports);
    await world.ok("update", "--publish-add", "8123:81", "--publish-add", "8123:81/udp", "holding");
    const used = "Address already in use";
    for (const port of [8121, 8123])
      for (const [address, type] of [
        ["0.0.0.0", "STREAM"],
        ["0.0.0.0", "DGRAM"],
        ["::", "STREAM"],
        ["::1", "STREAM"],
        ["::", "DGRAM"],
      ] as const)
        expect(`${address} ${port} ${type}: ${wanted(address, port, type)}`).toBe(
          `${address} ${port} ${type}: ${used}`,
        );
    expect(wanted("fd99::1", 8122)).toBe(used);
    expect(wanted("::1", 8122)).toBe("had");
    await world.ok("update", "--publish-rm", "8123:81", "holding");
    expect(wanted("0.0.0.0", 8123)).toBe("had");
    // Of two addresses of one number only that which is published no longer.
    await world.ok(
      "update",
      "--publish-add",
      "127.0.0.1:8124:82",
      "--publish-add",
      "10.9.0.1:8124:83",
      "holding",
    );
    await world.ok("update", "--publish-rm", "82", "holding");
    expect([wanted("127.0.0.1", 8124), wanted("10.9.0.1", 8124)]).toEqual(["had", used]);
    await world.ok("rm", "-f", "holding");
    expect(wanted("0.0.0.0", 8121)).toBe("had");
    await world.ok("network", "rm", "held");
  });

  test("an IPv6 port that a program of the host has: the container does not start, and the error names it", async () => {
    await world.ok("network", "create", "--ipv6", "seven");
    const server = Bun.spawn(
      world.host.enter(
        "python3",
        "-c",
        "import socket; s = socket.create_server(('::1', 8124), family=socket.AF_INET6); print('up', flush=True); s.accept()",
      ),
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    await server.stdout.getReader().read();
    for (const port of ["8124:80", "[::]:8124:80", "[::1]:8124:80"])
      expect(await refusal("run", "--rm", "--network", "seven", "-p", port, "host", "true")).toMatch(
        /^sampan: failed to bind host port \[::1?\]:8124\/tcp: address already in use\nProcess \d+ \(python3\) has it\.$/,
      );
    server.kill();
    await server.exited;
    await world.ok("run", "--rm", "--network", "seven", "-p", "8124:80", "host", "true");
    await world.ok("network", "rm", "seven");
  });

  test("several changes at once: none is lost", async () => {
    await sleeper("--name", "busy");
    const ports = Array.from({ length: 6 }, (_, n) => 8130 + n);
    await Promise.all(ports.map((port) => world.ok("update", "--publish-add", `${port}:${port}`, "busy")));
    const bindings = JSON.parse(await world.ok("inspect", "-f", "{{json .HostConfig.PortBindings}}", "busy"));
    expect(Object.keys(bindings).sort()).toEqual(ports.map((port) => `${port}/tcp`));
    expect((await world.ok("port", "busy")).split("\n").length).toBe(12);
    await Promise.all(
      ports.slice(0, 5).map((port) => world.ok("update", "--publish-rm", `${port}:${port}`, "busy")),
    );
    const last = "8135/tcp -> 0.0.0.0:8135\n8135/tcp -> [::]:8135";
    expect(await world.ok("port", "busy")).toBe(last);
    await world.ok("restart", "-t", "0", "busy");
    expect(await world.ok("port", "busy")).toBe(last);
    await world.ok("rm", "-f", "busy");
  });
});

describe("several networks", () => {
  test("a connection that fails half way leaves no link, and is made later", async () => {
    await world.ok("network", "create", "half");
    await sleeper("--name", "halved");
    const id = await world.ok("inspect", "-f", "{{.Id}}", "halved");
    const hosts = `${world.box.root}/run/${id.slice(0, 12)}/hosts`;
    renameSync(hosts, `${hosts}.kept`);
    mkdirSync(hosts);
    await refusal("network", "connect", "half", "halved");
    expect((await world.cli("exec", "halved", "ip", "link", "show", "eth1")).code).not.toBe(0);
    rmdirSync(hosts);
    renameSync(`${hosts}.kept`, hosts);
    await world.ok("network", "connect", "half", "halved");
    expect(await world.ok("exec", "halved", "ip", "-br", "addr", "show", "eth1")).toContain(
      await world.address("halved", "half"),
    );
    // Somebody in the container, or a command that was killed, was quicker.
    const pid = await world.ok("inspect", "-f", "{{.State.Pid}}", "halved");
    Bun.spawnSync(["nsenter", `--net=/proc/${pid}/ns/net`, "ip", "link", "del", "eth1"]);
    await world.ok("network", "disconnect", "half", "halved");
    await world.ok("rm", "-f", "halved");
    await world.ok("network", "rm", "half");
  });

  test("two connections at once: both are there, and after the next start too", async () => {
    await world.ok("network", "create", "left");
    await world.ok("network", "create", "right");
    await sleeper("--name", "both");
    await Promise.all(["left", "right"].map((name) => world.ok("network", "connect", name, "both")));
    await world.ok("restart", "both");
    expect(await world.address("both", "left")).not.toBe("");
    expect(await world.address("both", "right")).not.toBe("");
    await world.ok("rm", "-f", "both");
    await world.ok("network", "rm", "left", "right");
  });

  test("a container whose networks changed is started again once, and its own end is its end", async () => {
    await world.ok("network", "create", "more");
    await sleeper("--name", "renewed", "--restart", "on-failure");
    const pidOf = (): Promise<string> => world.ok("inspect", "-f", "{{.State.Pid}}", "renewed");
    await world.ok("network", "connect", "more", "renewed");
    const before = await pidOf();
    process.kill(Number(before), "SIGKILL");
    await until(async () => !["0", before].includes(await pidOf()));
    expect(await world.ok("inspect", "-f", "{{.RestartCount}}", "renewed")).toBe("1");
    const keeper = await keeperOf("renewed");
    expect(await Bun.file(`/proc/${keeper}/environ`).text()).not.toContain("SAMPAN_AGAIN");
    await world.ok("kill", "renewed");
    // What the keeper leaves behind is itself, as the engine's command that records the end.
    await until(() => !alive(keeper));
    expect(await world.ok("inspect", "-f", "{{.State.Status}}", "renewed")).toBe("exited");
    await world.ok("rm", "-f", "renewed");
    await world.ok("network", "rm", "more");
  });

  test("a bridge that was there before leads to this host's loopback no longer when its network is gone", async () => {
    const routed = (name: string): string =>
      world.host.run("cat", `/proc/sys/net/ipv4/conf/${name}/route_localnet`).trim();
    for (const name of ["plain", "routing"])
      world.host.run("ip", "link", "add", "name", name, "type", "bridge");
    world.host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/routing/route_localnet");
    for (const name of ["plain", "routing"]) {
      await world.ok("network", "create", "-o", `com.docker.network.bridge.name=${name}`, name);
      await world.ok("run", "--rm", "--network", name, "host", "true");
      expect(routed(name)).toBe("1");
    }
    await world.ok("network", "rm", "plain", "routing");
    expect(routed("plain")).toBe("0");
    expect(routed("routing")).toBe("1");
    for (const name of ["plain", "routing"]) world.host.run("ip", "link", "del", name);
  });

  test("by name, alias, address and MAC; the way out by priority; connected and disconnected while it runs", async () => {
    await world.ok("network", "create", "--subnet", "10.90.0.0/24", "first");
    await world.ok("network", "create", "--subnet", "10.91.0.0/24", "second");
    await sleeper(
      "--name",
      "both",
      "--network",
      "name=first,ip=10.90.0.9,mac-address=02:00:00:00:00:09,alias=nine",
      "--network",
      "name=second,gw-priority=5",
    );
    const inside = async (...words: string[]) => world.ok("exec", "both", ...words);
    expect(await inside("ip", "-br", "-4", "addr")).toMatch(
      /eth0\S*\s+UP\s+10\.90\.0\.9\/24[\s\S]*eth1\S*\s+UP\s+10\.91\.0\.2\/24/,
    );
    expect(await inside("cat", "/sys/class/net/eth0/address")).toBe("02:00:00:00:00:09");
    expect(await inside("ip", "route", "show", "default")).toContain("via 10.91.0.1 dev eth1");
    await world.ok("network", "disconnect", "second", "both");
    expect(await inside("ip", "route", "show", "default")).toContain("via 10.90.0.1 dev eth0");
    await world.ok("network", "connect", "--ip", "10.91.0.77", "second", "both");
    expect(await inside("ip", "-br", "-4", "addr")).toContain("10.91.0.77/24");
    expect(await refusal("network", "connect", "second", "both")).toBe(
      "sampan: endpoint with name both already exists in network second\n`sampan network disconnect second both` ends that.",
    );
    await world.ok("restart", "both");
    expect(await inside("ip", "-br", "-4", "addr")).toContain("10.91.0.77/24");
    await world.ok("network", "disconnect", "second", "both");
    await world.ok("network", "disconnect", "first", "both");
    expect(await inside("ip", "-br", "-4", "addr")).not.toContain("eth");
    expect(await refusal("network", "disconnect", "first", "both")).toMatch(
      /^sampan: container [0-9a-f]{64} is not connected to network first\nIt is on none\.$/,
    );
    await world.ok("rm", "-f", "both");
    await world.ok("network", "rm", "first", "second");
  });

  test("icc=false: its containers reach the world and not each other", async () => {
    await world.ok("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart");
    await world.serve("left", "--network", "apart", "-p", "8130:80");
    await world.serve("right", "--network", "apart");
    expect(await world.from("right", await world.address("left", "apart"), 80)).toBeUndefined();
    expect(await world.fromFar("10.9.0.1", 8130)).toBe("10.9.0.2");
    expect(await world.fromHost(await world.address("left", "apart"), 80)).toBeDefined();
    await world.ok("rm", "-f", "left", "right");
    await world.ok("network", "rm", "apart");
  });

  test("macvlan: an address on the parent's own wire", async () => {
    await world.ok(
      "network",
      "create",
      "-d",
      "macvlan",
      "-o",
      "parent=far",
      "--subnet",
      "10.9.0.0/24",
      "--gateway",
      "10.9.0.1",
      "wire",
    );
    await world.serve("wired", "--network", "wire", "--ip", "10.9.0.50");
    expect(await world.fromFar("10.9.0.50", 80)).toBe("10.9.0.2");
    await world.ok("rm", "-f", "wired");
    await world.ok("network", "rm", "wire");
  });
});

test("ipvlan: addresses on the parent's own card, where the kernel has it, and else an error that says so", async () => {
  const wire = "-d ipvlan -o parent=far --subnet 10.9.0.0/24 --gateway 10.9.0.1 wire".split(" ");
  await world.ok("network", "create", ...wire);
  expect(
    await refusal("run", "--network", "wire", "--mac-address", "02:00:00:00:00:01", "host", "true"),
  ).toBe(
    "sampan: ipvlan interfaces do not support custom mac address assignment\nThey have that of their parent, far.",
  );
  const has = world.host.run(
    "sh",
    "-c",
    "ip link add link far name try type ipvlan 2>&1 && ip link del try || true",
  );
  if (has === "") {
    await world.serve("wired", "--network", "wire", "--ip", "10.9.0.50");
    expect(await world.fromFar("10.9.0.50", 80)).toBe("10.9.0.2");
    await world.ok("rm", "-f", "wired");
  } else
    expect(await refusal("run", "--rm", "--network", "wire", "host", "true")).toMatch(
      /^sampan: setting up the network: operation not supported \(Unknown device type\), asked for by --network\nThis kernel cannot do that: /,
    );
  await world.ok("network", "rm", "wire");
});

test("containers that share a network namespace keep it, and none of its addresses, when its own container ends", async () => {
  await world.ok("network", "create", "several");
  const again = async (...flags: string[]) => {
    await world.ok("rm", "-f", "owner", "second", "third");
    await world.serve("owner", "--network", "several", ...flags);
    await sleeper("--name", "second", "--network", "container:owner");
    await sleeper("--name", "third", "--network", "container:second");
  };
  const links = async (name: string): Promise<string[]> =>
    (await world.ok("exec", name, "ip", "-br", "link"))
      .split("\n")
      .map((line) => line.split(/[ @]/)[0] ?? "");
  const answers = async (): Promise<void> => {
    const address = await world.address("owner", "several");
    await until(() => world.fromHost(address, 80));
    expect(await links("second")).toEqual(["lo"]);
  };
  await again();
  expect(await links("third")).toEqual(["lo", "eth0"]);
  await world.ok("restart", "owner");
  await answers();
  // Who joins again shares the new one, and who has not still has the old.
  await world.ok("restart", "second");
  expect(await links("second")).toEqual(["lo", "eth0"]);
  expect(await links("third")).toEqual(["lo"]);
  await world.ok("rm", "-f", "owner");
  expect(await links("second")).toEqual(["lo"]);
  await again("--restart", "always");
  process.kill(Number(await world.ok("inspect", "-f", "{{.State.Pid}}", "owner")), "SIGKILL");
  await until(async () => (await links("second")).length === 1);
  await answers();
  await again();
  await world.ok("rm", "-f", "second");
  process.kill(await keeperOf("owner"), "SIGKILL");
  await world.ok("ps");
  expect(await links("third")).toEqual(["lo"]);
  await world.ok("rm", "-f", "owner", "third");
  await world.ok("network", "rm", "several");
}, 60_000);

test("--link-local-ip: more addresses of an interface, at a start and while it runs", async () => {
  await world.ok("network", "create", "near");
  await sleeper(
    "--name",
    "local",
    "--network",
    "near",
    "--link-local-ip",
    "169.254.7.7",
    "--link-local-ip",
    "fe80::77",
  );
  const addresses = async (name: string) => world.ok("exec", "local", "ip", "-br", "addr", "show", name);
  expect(await addresses("eth0")).toMatch(/ 169\.254\.7\.7\/16 .*fe80::77\/64/);
  await world.ok("network", "connect", "--link-local-ip", "169.254.7.8", "bridge", "local");
  expect(await addresses("eth1")).toContain(" 169.254.7.8/16");
  const asked = (network: string) =>
    world.ok("inspect", "-f", `{{json (index .NetworkSettings.Networks "${network}").IPAMConfig}}`, "local");
  expect(JSON.parse(await asked("near"))).toEqual({ LinkLocalIPs: ["169.254.7.7", "fe80::77"] });
  expect(JSON.parse(await asked("bridge"))).toEqual({ LinkLocalIPs: ["169.254.7.8"] });
  expect(await world.ok("explain", "--as", "docker-run", "local")).toContain(
    "name=near,link-local-ip=169.254.7.7,link-local-ip=fe80::77",
  );
  expect(await refusal("run", "--link-local-ip", "169.254.7", "host", "true")).toContain(
    "invalid link-local IP address: 169.254.7",
  );
  await world.ok("rm", "-f", "local");
  expect(
    await refusal(
      "run",
      "--network",
      "name=near,driver-opt=com.docker.network.endpoint.ifname=lan0",
      "host",
      "true",
    ),
  ).toContain("unsupported driver option: com.docker.network.endpoint.ifname");
  await world.ok("network", "rm", "near");
});

test("the default network has Docker's first subnet, whoever comes first", async () => {
  await using fresh = await World.make();
  await fresh.ok("network", "create", "mine");
  const subnet = (name: string) =>
    fresh.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", name);
  expect(await subnet("mine")).toBe("172.18.0.0/16");
  expect(await subnet("bridge")).toBe("172.17.0.0/16");
});

test("where the machine itself reaches that subnet, the default network has the next", async () => {
  await using fresh = await World.make();
  fresh.host.run("ip", "addr", "add", "172.17.5.1/24", "dev", "far");
  await fresh.ok("network", "create", "mine");
  const subnet = (name: string) =>
    fresh.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", name);
  expect(await subnet("bridge")).toBe("172.18.0.0/16");
  expect(await subnet("mine")).toBe("172.19.0.0/16");
});

describe("whoever comes next repairs", () => {
  test("a table that was deleted, flushed, or flushed with all others: for all containers", async () => {
    await world.serve("steady", "-p", "8140:80");
    const table = world.table() ?? "";
    const list = () => world.host.run("nft", "-a", "list", "table", "inet", table);
    const rules = () => list().slice(list().indexOf("\n"));
    for (const flush of [`delete table inet ${table}`, `flush table inet ${table}`, "flush ruleset"]) {
      const before = rules();
      world.host.run("nft", ...flush.split(" "));
      expect(await world.fromFar("10.9.0.1", 8140)).toBeUndefined();
      await world.ok("run", "--rm", "host", "true");
      expect(await world.fromFar("10.9.0.1", 8140)).toBe("10.9.0.2");
      expect(rules()).toBe(before);
    }
    // A start that finds all of it makes nothing: the table has the number that it had.
    const numbered = list();
    expect(numbered).toMatch(/^table inet \S+ \{ # handle \d+\n/);
    await world.ok("run", "--rm", "host", "true");
    expect(list()).toBe(numbered);
    await world.ok("rm", "-f", "steady");
  });

  test.each([
    ["set down", "bridge", (bridge: string) => [["ip", "link", "set", bridge, "down"]]],
    ["without its address", "bridge", (bridge: string) => [["ip", "-4", "addr", "flush", "dev", bridge]]],
    ["of IPv6 alone, set down", "six", (bridge: string) => [["ip", "link", "set", bridge, "down"]]],
    [
      "of IPv6 alone, without its address",
      "six",
      (bridge: string) => [["ip", "addr", "flush", "dev", bridge]],
    ],
  ] as const)("a bridge %s: for all containers by the next start", async (_, network, harm) => {
    const flags = network === "six" ? ["--six", "--network", "six"] : [];
    if (network === "six")
      await world.ok(..."network create --ipv6 --ipv4=false --subnet fd77::/64 six".split(" "));
    await world.serve("steady", ...flags);
    const field = network === "six" ? "GlobalIPv6Address" : "IPAddress";
    const address = await world.address("steady", network, field);
    expect(await world.fromHost(address, 80)).toBeDefined();
    const id = await world.ok("network", "inspect", "-f", "{{.Id}}", network);
    const bridge =
      network === "six"
        ? `br-${id.slice(0, 12)}`
        : (world.links().find((name) => name.startsWith("sampan")) ?? "");
    for (const words of harm(bridge)) world.host.run(...words);
    expect(await world.fromHost(address, 80)).toBeUndefined();
    await world.ok("run", "--rm", "--network", network, "host", "true");
    await until(async () => (await world.fromHost(address, 80)) !== undefined);
    await world.ok("rm", "-f", "steady");
    if (network === "six") await world.ok("network", "rm", "six");
  });

  test("what no start looks at, once the table is gone: elements", async () => {
    await world.serve("steady", "-p", "8146:80");
    const table = world.table() ?? "";
    world.host.run("nft", "flush", "map", "inet", table, "any4");
    expect(await world.fromFar("10.9.0.1", 8146)).toBeUndefined();
    world.host.run("nft", "delete", "table", "inet", table);
    await world.ok("run", "--rm", "host", "true");
    await until(() => world.fromFar("10.9.0.1", 8146));
    await world.ok("rm", "-f", "steady");
  });

  test("a table made anew between a container's end and its record: its port goes all the same", async () => {
    await sleeper("--name", "ending", "-p", "8144:80");
    const id = await world.ok("inspect", "-f", "{{.Id}}", "ending");
    const pid = Number(await world.ok("inspect", "-f", "{{.State.Pid}}", "ending"));
    // Whoever has the claim keeps the end from being recorded.
    const folder = openSync(`${world.box.root}/containers/${id}`, "r");
    expect(tryFlock(folder, LOCK_EX)).toBe(true);
    process.kill(pid, "SIGKILL");
    await until(() => world.elements("any4") === "");
    world.host.run("nft", "delete", "table", "inet", world.table() ?? "");
    await world.ok("run", "--rm", "host", "true");
    expect(world.elements("any4")).toContain("8144");
    closeSync(folder);
    await until(() => world.elements("any4") === "");
    await world.ok("rm", "ending");
  });

  test("a table of a hundred networks", async () => {
    const each = (command: string): string =>
      world.host.run("sh", "-c", `for i in $(seq 0 99); do ${command}; done`);
    each("ip link add name many$i type bridge");
    for (let i = 0; i < 100; i++)
      await world.ok(
        ..."network create --subnet".split(" "),
        `10.91.${i}.0/24`,
        "-o",
        `com.docker.network.bridge.name=many${i}`,
        `many${i}`,
      );
    const table = world.table();
    if (table) world.host.run("nft", "delete", "table", "inet", table);
    await world.ok("run", "--rm", "host", "true");
    expect(world.elements("bridges").match(/"many\d+"/g)?.length).toBe(100);
    expect(world.elements("own4").match(/"many\d+"/g)?.length).toBe(100);
    expect(world.elements("masquerade4")).toContain("10.91.");
    each("ip link del many$i");
    await world.ok("network", "rm", ...Array.from({ length: 100 }, (_, i) => `many${i}`));
  });

  test("a bridge that was deleted: the same container starts again", async () => {
    await world.serve("again", "-p", "8141:80");
    const bridge = world.links().find((name) => name.startsWith("sampan")) ?? "";
    world.host.run("ip", "link", "del", bridge);
    world.host.run("nft", "delete", "table", "inet", world.table() ?? "");
    await world.ok("restart", "again");
    expect(await until(() => world.fromFar("10.9.0.1", 8141))).toBe("10.9.0.2");
    await world.ok("rm", "-f", "again");
  });

  test("both gone while its keeper starts it again", async () => {
    await world.serve("policy", "-p", "8142:80", "--restart", "always");
    const bridge = world.links().find((name) => name.startsWith("sampan")) ?? "";
    world.host.run("ip", "link", "del", bridge);
    world.host.run("nft", "delete", "table", "inet", world.table() ?? "");
    process.kill(Number(await world.ok("inspect", "-f", "{{.State.Pid}}", "policy")), "SIGKILL");
    expect(await until(() => world.fromFar("10.9.0.1", 8142))).toBe("10.9.0.2");
    await world.ok("rm", "-f", "policy");
  });

  test("a keeper that was killed: its ports and its address are free, and it starts again", async () => {
    await world.serve("lost", "-p", "8143:80");
    expect(world.elements("any4")).toContain("8143");
    await killed(await keeperOf("lost"));
    expect(await world.ok("ps", "-q", "--filter", "name=lost")).toBe("");
    expect(world.elements("any4")).toBe("");
    await world.ok("run", "--rm", "-p", "8143:80", "host", "true");
    await world.ok("start", "lost");
    expect(await until(() => world.fromFar("10.9.0.1", 8143))).toBe("10.9.0.2");
    await world.ok("rm", "-f", "lost");
  });

  test("a network removed while its container was stopped: the start says so, one of the same name will do", async () => {
    await world.ok("network", "create", "gone");
    await sleeper("--name", "homeless", "--network", "gone");
    await world.ok("stop", "homeless");
    await world.ok("network", "rm", "gone");
    expect(await refusal("start", "homeless")).toContain("network gone not found");
    await world.ok("network", "create", "gone");
    await world.ok("start", "homeless");
    const unused = () =>
      world.ok("network", "ls", "-q", "--filter", "dangling=true", "--filter", "name=gone");
    expect(await unused()).toBe("");
    expect(await world.ok("network", "prune", "-f")).not.toContain("gone");
    await world.ok("stop", "homeless");
    expect(await unused()).not.toBe("");
    // As in Docker, whoever does not run keeps no network.
    expect(await world.ok("network", "prune", "-f")).toContain("gone\n");
    expect(await refusal("start", "homeless")).toContain("network gone not found");
    await world.ok("network", "create", "gone");
    await world.ok("rm", "-f", "homeless");
    await world.ok("network", "rm", "gone");
  });
});

test("when nobody needs it nothing is left: no bridge, no table, and no other table was touched", async () => {
  world.host.run("nft", "add", "table", "inet", "somebody");
  await world.ok("network", "create", "late");
  await sleeper("--name", "last", "--network", "late", "-p", "8150:80");
  expect(world.table()).toBeDefined();
  await world.ok("rm", "-f", "last");
  expect(await world.ok("network", "prune", "-f")).toBe("Deleted Networks:\nlate\n");
  expect(world.host.run("nft", "list", "tables").trim()).toBe("table inet somebody");
  expect(world.links()).toEqual([]);
});

test("two engines on one machine do not meet", async () => {
  const other = new Sandbox();
  try {
    await sleeper("--name", "ours");
    const child = Bun.spawn(
      world.host.enter(
        `${import.meta.dir}/../../../dist/sampan`,
        "run",
        "--rm",
        "host",
        "ip",
        "-br",
        "-4",
        "addr",
      ),
      { stdio: ["ignore", "pipe", "inherit"], env: other.env },
    );
    expect(await new Response(child.stdout).text()).toMatch(/172\.(?!17)\d+\.0\.2\/16/);
    expect(await child.exited).toBe(0);
    expect(await world.address("ours")).toBe("172.17.0.2");
    await world.ok("rm", "-f", "ours");
  } finally {
    await other[Symbol.asyncDispose]();
  }
});

describe("a template for networks", () => {
  const CONFIG =
    "{{.Driver}} {{.ConfigOnly}} {{.ConfigFrom.Network}} {{json .IPAM.Config}} {{json .Options}} {{json .Labels}}";
  beforeAll(() =>
    world.ok(
      ..."network create --config-only --subnet 10.77.0.0/24 --ip-range 10.77.0.64/26".split(" "),
      ..."-o com.docker.network.driver.mtu=1400 --label of=template mould".split(" "),
    ),
  );

  test("says what it was given and takes nothing for itself", async () => {
    expect(await world.ok("network", "inspect", "-f", CONFIG, "mould")).toBe(
      'null true  [{"Subnet":"10.77.0.0/24","IPRange":"10.77.0.64/26"}] {"com.docker.network.driver.mtu":"1400"} {"of":"template"}',
    );
    expect(
      await world.ok("network", "ls", "--format", "{{.Name}} {{.Driver}}", "--filter", "driver=null"),
    ).toBe("mould null\nnone null");
    // Somebody else may have its subnet.
    await world.ok("network", "create", "--subnet", "10.77.0.0/24", "other");
    expect(await refusal("network", "create", "--config-from", "mould", "cast")).toContain("Pool overlaps");
    await world.ok("network", "rm", "other");
  });

  test("gives a network all it has, and a container is on that", async () => {
    await world.ok("network", "create", "--config-from", "mould", "cast");
    expect(await world.ok("network", "inspect", "-f", CONFIG, "cast")).toBe(
      'bridge false mould [{"Subnet":"10.77.0.0/24","IPRange":"10.77.0.64/26","Gateway":"10.77.0.1"}] {"com.docker.network.driver.mtu":"1400"} {"of":"template"}',
    );
    const shown = await world.ok(
      "run",
      "--rm",
      "--network",
      "cast",
      "host",
      "ip",
      "-4",
      "addr",
      "show",
      "eth0",
    );
    expect(shown).toContain("inet 10.77.0.64/24");
    expect(shown).toContain("mtu 1400");
  });

  test("stays as long as there is such a network, and prune leaves it alone", async () => {
    expect(await refusal("network", "rm", "mould")).toBe(
      'sampan: error while removing network: configuration network "mould" is in use\nMade from it: cast.',
    );
    expect(await world.ok("network", "prune", "-f")).toContain("cast\n");
    expect(await world.ok("network", "ls", "-q", "--filter", "name=mould")).not.toBe("");
  });

  test.each(["--subnet=10.78.0.0/24", "--label=a=b", "--ipv6", "--ipam-opt=a=b"])(
    "leaves no choice of %s",
    async (word) =>
      expect(await refusal("network", "create", "--config-from", "mould", word, "cast")).toStartWith(
        "sampan: user specified configurations are not supported if the network depends on a configuration network\n",
      ),
  );

  test("leaves no choice of options, but of the driver", async () => {
    expect(await refusal("network", "create", "--config-from", "mould", "-o", "a=b", "cast")).toStartWith(
      "sampan: network driver options are not supported if the network depends on a configuration network\n",
    );
    await world.ok("network", "create", "-d", "macvlan", "--internal", "--config-from", "mould", "cast");
    expect(await world.ok("network", "inspect", "-f", "{{.Driver}} {{.Internal}}", "cast")).toBe(
      "macvlan true",
    );
    await world.ok("network", "rm", "cast");
  });

  test("is no place for containers, and goes by its name", async () => {
    const said = "sampan: cannot create endpoint on configuration-only network\n";
    expect(await refusal("run", "--rm", "--network", "mould", "host", "true")).toStartWith(said);
    await world.ok("create", "--name", "outside", "host", "true");
    expect(await refusal("network", "connect", "mould", "outside")).toStartWith(said);
    await world.ok("rm", "outside");
    await world.ok("network", "rm", "mould");
  });
});
