/** Names on networks of the user's, asked for by the programs that containers have: getent (libc), busybox and dig. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { udp } from "bun";
import packet from "dns-packet";
import { tableName } from "../../../src/network/names.ts";
import { killed } from "../../support/processes.ts";
import { SAMPAN, Sandbox } from "../../support/sandbox.ts";
import { until } from "../../support/until.ts";

const sandbox = new Sandbox();
const table = tableName({ root: sandbox.root, run: "" });
const ready = `${sandbox.root}/run/names/ready`;
/** An address of the host's, as that of a resolver would be. */
const UPSTREAM = "192.0.2.53";
const asked: string[] = [];
let upstream: udp.Socket<"buffer">;

const idle = (name: string, ...options: string[]): Promise<string> =>
  sandbox.ok("run", "-d", "--name", name, ...options, "host", "sleep", "1000");
const inside = async (name: string, ...command: string[]): Promise<string> =>
  (await sandbox.cli("exec", name, ...command)).stdout.trim();
const dig = (name: string, ...words: string[]): Promise<string> =>
  inside(name, "dig", "+tries=1", "+time=4", "+short", ...words);
const status = async (name: string, ...words: string[]): Promise<string | undefined> =>
  /status: (\w+)/.exec(await inside(name, "dig", "+tries=1", "+time=4", ...words))?.[1];

/** What a resolver says of any name. */
function answerTo(data: Buffer): Buffer {
  const question = packet.decode(data);
  return packet.encode({
    type: "response",
    id: question.id ?? 0,
    flags: packet.RECURSION_AVAILABLE,
    questions: question.questions ?? [],
    answers: [{ type: "A", name: question.questions?.[0]?.name ?? "", ttl: 60, data: "198.51.100.7" }],
  });
}

beforeAll(async () => {
  Bun.spawnSync(["ip", "addr", "add", `${UPSTREAM}/32`, "dev", "lo"]);
  upstream = await Bun.udpSocket({
    hostname: UPSTREAM,
    port: 53,
    socket: {
      data(socket, data, port, address) {
        asked.push(packet.decode(data).questions?.[0]?.name ?? "");
        socket.send(answerTo(data), port, address);
      },
    },
  });
  await sandbox.ok("network", "create", "--subnet", "10.201.0.0/24", "front");
  await sandbox.ok("network", "create", "--subnet", "10.202.0.0/24", "--internal", "back");
  await idle(
    "web",
    "--network",
    "front",
    "--network-alias",
    "www",
    "--hostname",
    "machine",
    "--dns",
    UPSTREAM,
  );
  await idle(
    "web2",
    "--network",
    "front",
    "--network-alias",
    "www",
    "--dns",
    UPSTREAM,
    "--dns-opt",
    "ndots:1",
  );
  await idle("db", "--network", "back", "--dns", UPSTREAM);
  await idle("both", "--network", "front", "--network", "back", "--dns", UPSTREAM);
}, 60_000);

afterAll(async () => {
  upstream.close();
  await sandbox[Symbol.asyncDispose]();
  Bun.spawnSync(["ip", "addr", "del", `${UPSTREAM}/32`, "dev", "lo"]);
}, 30_000);

describe("a container", () => {
  test("is found by name, alias, host name and short id, whatever the case, by libc, busybox and dig", async () => {
    const id = (await sandbox.ok("inspect", "-f", "{{.Id}}", "web")).slice(0, 12);
    for (const name of ["web", "WEB", "web.front", "machine", id])
      expect(await dig("web2", name)).toBe("10.201.0.2");
    expect(await inside("web2", "getent", "hosts", "web")).toMatch(/^10\.201\.0\.2\s+web$/);
    expect(await inside("web2", "busybox", "nslookup", "web")).toContain("Address: 10.201.0.2");
    expect(await dig("web2", "+tcp", "web")).toBe("10.201.0.2");
    expect(await dig("web2", "-x", "10.201.0.2")).toBe("web.front.");
  });

  test("that shares its alias is named first in turns", async () => {
    const first = new Set<string | undefined>();
    for (let i = 0; i < 4; i++) first.add((await dig("both", "www")).split("\n")[0]);
    expect([...first].sort()).toEqual(["10.201.0.2", "10.201.0.3"]);
  });

  test("has no IPv6 address, which is no error", async () => {
    expect(await status("web2", "web", "AAAA")).toBe("NOERROR");
    expect(await dig("web2", "web", "AAAA")).toBe("");
  });

  test("with IPv6 has both, and a name for either", async () => {
    await sandbox.ok(
      "network",
      "create",
      "--ipv6",
      "--subnet",
      "10.204.0.0/24",
      "--subnet",
      "fd00:204::/64",
      "six",
    );
    await idle("alpha", "--network", "six");
    await idle("beta", "--network", "six");
    expect(await dig("beta", "alpha", "AAAA")).toBe("fd00:204::2");
    expect(await dig("beta", "alpha")).toBe("10.204.0.2");
    expect(await dig("beta", "-x", "fd00:204::2")).toBe("alpha.six.");
    expect(await inside("beta", "getent", "ahosts", "alpha")).toContain("fd00:204::2");
    await sandbox.ok("rm", "-f", "alpha", "beta");
    await sandbox.ok("network", "rm", "six");
  });

  test("sees only who is on its networks", async () => {
    expect(await dig("both", "db")).toBe("10.202.0.2");
    expect(await dig("both", "web")).toBe("10.201.0.2");
    asked.length = 0;
    expect(await dig("web", "db")).toBe("198.51.100.7");
    expect(asked).toEqual(["db"]);
  });

  test("that has just started resolves, one that has ended does not", async () => {
    await idle("late", "--network", "front");
    expect(await dig("both", "late")).toBe("10.201.0.5");
    await sandbox.ok("rm", "-f", "late");
    expect(await dig("both", "late")).toBe("198.51.100.7");
  });
});

describe("other questions", () => {
  test("go to the servers that were given, and their answers come back as they are", async () => {
    expect(await dig("web", "example.org")).toBe("198.51.100.7");
    expect(await dig("both", "example.org")).toBe("198.51.100.7");
  });

  test("of a container that has internal networks only go nowhere (CVE-2024-29018)", async () => {
    asked.length = 0;
    expect(await status("db", "example.org")).toBe("SERVFAIL");
    expect(await status("db", "example.org", "TXT")).toBe("SERVFAIL");
    expect(asked).toEqual([]);
  });

  test("nor do they as another class, or with a dot within a label", async () => {
    asked.length = 0;
    expect(await status("db", "-c", "CH", "-t", "TXT", "loot.example")).toBe("SERVFAIL");
    const dotted = `import socket
s=socket.socket(type=socket.SOCK_DGRAM);s.settimeout(4);s.connect(('127.0.0.11',53))
s.send(bytes.fromhex('000701000001000000000000046c6f2e74076578616d706c650000010001'))
print(s.recv(512)[:4].hex())`;
    expect(await inside("db", "python3", "-c", dotted)).toBe("00078582");
    expect(asked).toEqual([]);
    // Whoever has a way out may ask so.
    expect(await inside("web", "python3", "-c", dotted)).toStartWith("0007");
    expect(asked).toHaveLength(1);
  });

  test("are not asked from an internal network in the name of a neighbour that has a way out", async () => {
    await idle("thief", "--network", "back", "--privileged");
    const neighbour = /10\.202\.0\.\d+/.exec(await inside("both", "hostname", "-I"))?.[0] ?? "";
    // The neighbour's answers are to come here, so that it shows what was said.
    await sandbox.ok("exec", "thief", "ip", "addr", "add", `${neighbour}/32`, "dev", "eth0");
    asked.length = 0;
    const direct = ["-b", neighbour, "-p", "20053", "+time=1", "@10.202.0.1", "loot.example"];
    await dig("thief", ...direct);
    // This one is answered when that one has been.
    expect(await dig("both", "example.org")).toBe("198.51.100.7");
    expect(asked).toEqual(["example.org"]);
    await sandbox.ok("rm", "-f", "thief");
  });

  test("of a container whose way out is the default network go there, those for names do not", async () => {
    await idle("mixed", "--network", "bridge", "--network", "back", "--dns", UPSTREAM);
    await idle("plain", "--dns", UPSTREAM);
    expect(await dig("mixed", "db")).toBe("10.202.0.2");
    expect(await dig("mixed", "example.org")).toBe("198.51.100.7");
    expect(await dig("db", "mixed")).toStartWith("10.202.0.");
    // Nobody is called anything on the default network, and who is only there is not answered.
    expect(await dig("mixed", "plain")).toBe("198.51.100.7");
    const gateway = await sandbox.ok(
      "inspect",
      "-f",
      "{{.NetworkSettings.Networks.bridge.Gateway}}",
      "plain",
    );
    expect(readFileSync(ready, "utf8").split("\n")).toContain(gateway);
    expect(await dig("plain", "+time=1", "-p", "20053", `@${gateway}`, "mixed")).toContain(
      "no servers could be reached",
    );
    await sandbox.ok("rm", "-f", "mixed", "plain");
    await dig("both", "db");
    await until(() => !readFileSync(ready, "utf8").split("\n").includes(gateway));
  });

  test("by TCP whose answers are never read are not taken without end, and nobody else notices", async () => {
    const flood = `import socket,struct
s=socket.socket();s.settimeout(15);s.setsockopt(socket.SOL_SOCKET,socket.SO_RCVBUF,4096);s.connect(('127.0.0.11',53))
q=struct.pack('>6H',7,256,1,0,0,0)+b'\\x03web\\0\\0\\1\\0\\1'
many=(struct.pack('>H',len(q))+q)*1000
try:
  for i in range(1000): s.sendall(many)
  print('taken')
except OSError: print('left')`;
    expect(await inside("web", "python3", "-c", flood)).toBe("left");
    expect(await dig("web2", "+tcp", "web")).toBe("10.201.0.2");
  });

  test("are not asked in another's name from an internal network", async () => {
    await idle("thief", "--network", "back", "--privileged");
    const routes =
      "ip addr add 10.201.0.2/32 dev eth0 && ip route add 10.201.0.1 via 10.202.0.1 src 10.201.0.2";
    await sandbox.ok("exec", "thief", "sh", "-c", routes);
    asked.length = 0;
    const steal = () =>
      dig("thief", "-b", "10.201.0.2", "-p", "20053", "+time=1", "@10.201.0.1", "loot.example");
    await steal();
    expect(asked).toEqual([]);
    // Without the rule they were.
    Bun.spawnSync(["nft", "flush", "chain", "inet", table, "raw"]);
    await steal();
    expect(asked).toEqual(["loot.example"]);
    await sandbox.ok("rm", "-f", "thief");
  });

  test("of one word stay here where a search domain is to be tried first", async () => {
    asked.length = 0;
    expect(await status("web2", "nobody")).toBe("NOERROR");
    expect(asked).toEqual([]);
  });
});

describe("its files", () => {
  test("say its own address, the host's, and whom to ask", async () => {
    const hosts = await inside("web", "cat", "/etc/hosts");
    expect(hosts).toContain("10.201.0.1\thost.docker.internal\n");
    expect(hosts).toEndWith("10.201.0.2\tmachine");
    expect(await inside("web", "cat", "/etc/resolv.conf")).toMatch(
      /^nameserver 127\.0\.0\.11\n(.*\n)*options ndots:0$/,
    );
    expect(await inside("web2", "cat", "/etc/resolv.conf")).toEndWith("options ndots:1");
    const gate = ["--network", "front", "--add-host", "gate:host-gateway", "host"];
    expect(await sandbox.ok("run", "--rm", ...gate, "getent", "hosts", "gate")).toMatch(
      /^10\.201\.0\.1\s+gate$/,
    );
  });

  test("on the default network name who was linked", async () => {
    await idle("old");
    const address = await inside("old", "sh", "-c", "ip -4 -br addr show eth0 | grep -o '172[0-9.]*'");
    const said = await sandbox.ok("run", "--rm", "--link", "old:elder", "host", "getent", "hosts", "elder");
    expect(said).toStartWith(address);
    await sandbox.ok("rm", "-f", "old");
    const refused = await sandbox.cli("run", "--rm", "--link", "web:x", "host", "true");
    expect(refused.stderr).toStartWith("sampan: Cannot link to a non running container: web");
  });

  test("on the default network variables say the linked one's ports and variables, as with Docker", async () => {
    await idle(
      "old",
      "-e",
      "FOO=bar=1",
      "-e",
      "PATH=/bin:/usr/bin",
      "--expose",
      "80",
      "--expose",
      "53/udp",
      "--expose",
      "1000-1001",
    );
    const address = await inside("old", "sh", "-c", "ip -4 -br addr show eth0 | grep -o '172[0-9.]*'");
    const at = address.trim().replace(/\/.*/, "");
    await idle("knows", "--link", "old:el-der", "-e", "EL_DER_ENV_FOO=mine", "-e", "X=1");
    const wanted = `EL_DER_ENV_FOO=mine
EL_DER_NAME=/knows/el-der
EL_DER_PORT=udp://${at}:53
EL_DER_PORT_1000_TCP=tcp://${at}:1000
EL_DER_PORT_1000_TCP_ADDR=${at}
EL_DER_PORT_1000_TCP_END=tcp://${at}:1001
EL_DER_PORT_1000_TCP_PORT=1000
EL_DER_PORT_1000_TCP_PORT_END=1001
EL_DER_PORT_1000_TCP_PORT_START=1000
EL_DER_PORT_1000_TCP_PROTO=tcp
EL_DER_PORT_1000_TCP_START=tcp://${at}:1000
EL_DER_PORT_1001_TCP=tcp://${at}:1001
EL_DER_PORT_1001_TCP_ADDR=${at}
EL_DER_PORT_1001_TCP_PORT=1001
EL_DER_PORT_1001_TCP_PROTO=tcp
EL_DER_PORT_53_UDP=udp://${at}:53
EL_DER_PORT_53_UDP_ADDR=${at}
EL_DER_PORT_53_UDP_PORT=53
EL_DER_PORT_53_UDP_PROTO=udp
EL_DER_PORT_80_TCP=tcp://${at}:80
EL_DER_PORT_80_TCP_ADDR=${at}
EL_DER_PORT_80_TCP_PORT=80
EL_DER_PORT_80_TCP_PROTO=tcp`;
    const sorted = "env | grep ^EL_DER | LC_ALL=C sort";
    expect(await inside("knows", "sh", "-c", sorted)).toBe(wanted);
    const pid = await sandbox.ok("inspect", "-f", "{{.State.Pid}}", "knows");
    const environment = (await Bun.file(`/proc/${pid}/environ`).text()).split("\0");
    expect(environment.filter((entry) => entry.startsWith("EL_DER")).sort()).toEqual(wanted.split("\n"));
    // They are no part of what was asked for.
    expect(await sandbox.ok("inspect", "-f", "{{json .Config.Env}}", "knows")).not.toContain("EL_DER_PORT");
    await sandbox.ok("rm", "-f", "old", "knows");
  });

  test("beside --network none who was linked has to be there, as with Docker, and has no name", async () => {
    const none = ["--network", "none", "--link"];
    const refused = await sandbox.cli("run", "--rm", ...none, "nobody:x", "host", "true");
    expect(refused.stderr).toStartWith(
      "sampan: could not get container for nobody: No such container: nobody\n--link nobody:x leads nowhere",
    );
    await sandbox.ok("create", "--name", "lone", ...none, "web:x", "host", "grep", "-c", "web", "/etc/hosts");
    expect(await sandbox.ok("inspect", "-f", "{{.HostConfig.Links}}", "lone")).toBe("[web:x]");
    expect((await sandbox.cli("start", "-a", "lone")).stdout).toBe("0\n");
    await sandbox.ok("rm", "lone");
  });
});

test("the rules are what nft reads: led to the gateway, and nothing from outside for its loopback (CVE-2020-8558)", async () => {
  const pid = await sandbox.ok("inspect", "-f", "{{.State.Pid}}", "web");
  const said = Bun.spawnSync(["nsenter", "-t", pid, "-n", "nft", "list", "ruleset"]).stdout.toString();
  expect(said.replace(/\s+/g, " ").trim()).toBe(
    'table inet sampan { chain raw { type filter hook prerouting priority raw; policy accept; iifname != "lo" ip daddr 127.0.0.0/8 drop } ' +
      "chain output { type nat hook output priority -100; policy accept; " +
      "ip daddr 127.0.0.11 udp dport 53 dnat ip to 10.201.0.1:20053 ip daddr 127.0.0.11 tcp dport 53 dnat ip to 10.201.0.1:20053 } " +
      "chain postrouting { type nat hook postrouting priority srcnat; policy accept; ip saddr 127.0.0.0/8 ip daddr 10.201.0.1 masquerade } }",
  );
});

test("what listens on a container's loopback is not reached by its neighbours (CVE-2020-8558)", async () => {
  await idle("thief", "--network", "front", "--privileged");
  const listener = "exec socat TCP-LISTEN:4000,bind=127.0.0.9,fork,reuseaddr SYSTEM:'echo secret'";
  await sandbox.ok("exec", "-d", "web", "sh", "-c", listener);
  await until(async () => (await inside("web", "sh", "-c", "ss -ltn")).includes(":4000"));
  // What is for 127.0.0.9 goes to the neighbour instead of staying.
  const own = (await inside("thief", "hostname", "-I")).split(" ")[0] ?? "";
  const routes = `ip route flush table local 127.0.0.0/8; ip route add 127.0.0.9 via 10.201.0.2 dev eth0 src ${own}`;
  await sandbox.ok("exec", "thief", "sh", "-c", routes);
  const reach = (patience: number) =>
    inside(
      "thief",
      "sh",
      "-c",
      `echo | socat -t ${patience} - TCP:127.0.0.9:4000,connect-timeout=${patience}`,
    );
  expect(await reach(1)).toBe("");
  // Without the rule it would be.
  const pid = await sandbox.ok("inspect", "-f", "{{.State.Pid}}", "web");
  Bun.spawnSync(["nsenter", "-t", pid, "-n", "nft", "flush", "chain", "inet", "sampan", "raw"]);
  Bun.spawnSync(["nft", "flush", "chain", "inet", table, "raw"]);
  expect(await until(() => reach(20))).toBe("secret");
  await sandbox.ok("rm", "-f", "thief");
});

describe("a container that runs", () => {
  test("finds others where it is connected, and no longer where it is not; its files say so", async () => {
    await idle("guest", "--dns", UPSTREAM);
    expect(await dig("guest", `@127.0.0.11`, "web")).toContain("connection refused");
    await sandbox.ok("network", "connect", "--alias", "visitor", "front", "guest");
    expect(await inside("guest", "getent", "hosts", "web")).toMatch(/^10\.201\.0\.2\s/);
    expect(await dig("web", "visitor")).toStartWith("10.201.0.");
    expect(await inside("guest", "cat", "/etc/hosts")).toContain("10.201.0.");
    await sandbox.ok("network", "disconnect", "front", "guest");
    expect(await inside("guest", "cat", "/etc/resolv.conf")).toContain(`nameserver ${UPSTREAM}`);
    expect(await inside("guest", "getent", "hosts", "web")).not.toContain("10.201.");
    await sandbox.ok("network", "connect", "back", "guest");
    expect(await dig("guest", "db")).toBe("10.202.0.2");
    await sandbox.ok("rm", "-f", "guest");
  });
});

describe("where the machine's only resolver is on its own loopback", () => {
  const server = "127.0.0.153";
  const own = new Sandbox();
  /** Runs a command where /etc/resolv.conf says so. */
  const there = (...words: string[]) =>
    Bun.spawnSync(
      [
        "unshare",
        "-m",
        "sh",
        "-c",
        'mount --bind "$0" /etc/resolv.conf && exec "$@"',
        `${own.root}/resolv.conf`,
        SAMPAN,
        ...words,
      ],
      { env: own.env },
    );

  test("a container of the default network has none, and that is said", async () => {
    writeFileSync(`${own.root}/resolv.conf`, `nameserver ${server}\nsearch corp.example\n`);
    const { stdout, stderr } = there("run", "--rm", "host", "cat", "/etc/resolv.conf");
    expect(stdout.toString()).toBe("search corp.example\n");
    expect(stderr.toString()).toBe(
      "WARNING: this machine's resolvers are on its own loopback, where a container of the default network cannot ask them: " +
        "give --dns, or use a network of your own (sampan network create)\n",
    );
  });

  test("one of a network of its own asks it all the same", async () => {
    const resolver = await Bun.udpSocket({
      hostname: server,
      port: 53,
      socket: { data: (socket, data, port, address) => void socket.send(answerTo(data), port, address) },
    });
    there("network", "create", "--subnet", "10.203.0.0/24", "net");
    const asking = there("run", "-d", "--name", "one", "--network", "net", "host", "sleep", "100");
    expect(asking.stderr.toString()).toBe("");
    const said = await own.ok("exec", "one", "dig", "+short", "+tries=1", "example.org");
    expect(said).toBe("198.51.100.7");
    expect(await own.ok("exec", "one", "cat", "/etc/resolv.conf")).toBe(
      "search corp.example\nnameserver 127.0.0.11\noptions ndots:0",
    );
    resolver.close();
    await own[Symbol.asyncDispose]();
  });
});

describe("the responder", () => {
  test("answers on, whatever it is sent", async () => {
    const noise =
      "for i in 1 2 3 4 5 6 7 8; do head -c $((i * 60)) /dev/urandom | socat -t 0.1 - UDP:127.0.0.11:53; done";
    await inside("web", "sh", "-c", noise);
    await inside("web", "sh", "-c", "head -c 5000 /dev/urandom | socat -t 0.1 - TCP:127.0.0.11:53");
    await inside("web", "sh", "-c", "(printf '\\377\\377'; sleep 0.1) | socat -t 0.1 - TCP:127.0.0.11:53");
    expect(await dig("web", "web2")).toBe("10.201.0.3");
    expect(await dig("web", "+tcp", "web2")).toBe("10.201.0.3");
  });

  const pid = (): number =>
    Number(
      Bun.spawnSync(["pgrep", "-f", `names ${sandbox.root}`])
        .stdout.toString()
        .trim()
        .split("\n")[0],
    );

  test("that was killed is back by the next command, and running containers ask on", async () => {
    await killed(pid());
    await sandbox.ok("ps");
    await until(pid, "a responder");
    expect(await inside("web2", "getent", "hosts", "web")).toMatch(/^10\.201\.0\.2\s/);
  });

  test("is one, however many start at once", async () => {
    await killed(pid());
    const names = ["a1", "a2", "a3", "a4"];
    await Promise.all(names.map((name) => idle(name, "--network", "front")));
    const count = (): string => Bun.spawnSync(["pgrep", "-fc", `names ${sandbox.root}`]).stdout.toString();
    await until(() => count() === "1\n", "one responder");
    for (const name of names) expect(await dig("both", name)).toStartWith("10.201.0.");
    await sandbox.ok("rm", "-f", ...names);
  });

  test("goes with the last container that needs it", async () => {
    await sandbox.ok("rm", "-f", ...(await sandbox.ok("ps", "-aq")).split("\n"));
    await until(() => !pid(), "the responder to go");
    expect(existsSync(ready)).toBe(false);
    expect(readFileSync(`${sandbox.root}/run/names/lock`, "utf8")).toBe("");
  });
});
