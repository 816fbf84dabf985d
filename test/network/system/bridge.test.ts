/** Bridges and published ports as users and other machines meet them. */
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

/** With and without the bridge module that sends bridged packets through the rules of IP. */
const FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables";
const filterBridges = (on: boolean): void => {
  world.host.run("sh", "-c", `[ ! -e ${FILTER} ] || echo ${on ? 1 : 0} > ${FILTER}`);
};

describe.each([
  ["and the kernel filters bridges", true],
  ["and the kernel leaves bridges alone", false],
])("two networks and another machine, %s", (_, filtered) => {
  const nets = filtered ? ["one", "two", "walled"] : ["three", "four", "fenced"];
  const [one = "", two = "", walled = ""] = nets;
  const name = (role: string): string => `${role}-${one}`;
  const port = filtered ? 8080 : 8090;

  beforeAll(async () => {
    filterBridges(filtered);
    await world.ok("network", "create", one);
    await world.ok("network", "create", two);
    await world.ok("network", "create", "--internal", walled);
    await world.serve(name("a"), "--network", one, "-p", `${port}:80`);
    await world.serve(name("b"), "--network", one);
    await world.serve(name("c"), "--network", two);
    await world.serve(name("d"), "--network", walled);
  });

  test("a published port answers on every address of the host, and knows the client from afar", async () => {
    expect(await world.fromFar("10.9.0.1", port)).toBe("10.9.0.2");
    expect(await world.fromHost("10.9.0.1", port)).toBeDefined();
    expect(await world.fromHost("127.0.0.1", port)).toBeDefined();
    expect(await world.fromHost("127.0.0.77", port)).toBeDefined();
    // By IPv6 it is carried, as soon as somebody does.
    await until(() => world.fromHost("::1", port));
    expect(await world.fromFar("fd99::1", port)).toBeDefined();
  });

  test("from another container, from one on another network, and from itself", async () => {
    expect(await world.from(name("b"), "10.9.0.1", port)).toBeDefined();
    expect(await world.from(name("c"), "10.9.0.1", port)).toBe(await world.address(name("c"), two));
    expect(await world.from(name("a"), "10.9.0.1", port)).toBeDefined();
    const gateway = await world.address(name("a"), one, "Gateway");
    expect(await world.from(name("a"), gateway, port)).toBeDefined();
  });

  test("containers of a network reach each other, those of two do not", async () => {
    expect(await world.from(name("b"), await world.address(name("a"), one), 80)).toBe(
      await world.address(name("b"), one),
    );
    expect(await world.from(name("c"), await world.address(name("a"), one), 80)).toBeUndefined();
    expect(await world.from(name("a"), await world.address(name("c"), two), 80)).toBeUndefined();
  });

  test("what is not published is not reached from another machine, not by the container's own address either", async () => {
    world.far.run("ip", "route", "replace", "172.16.0.0/12", "via", "10.9.0.1");
    expect(await world.fromFar(await world.address(name("b"), one), 80)).toBeUndefined();
    expect(await world.fromFar(await world.address(name("a"), one), 80)).toBeUndefined();
    expect(await world.fromHost(await world.address(name("b"), one), 80)).toBeDefined();
  });

  test("the world sees the host's address", async () => {
    const seen = Bun.spawn(
      world.far.enter(
        "python3",
        "-c",
        "import socket\ns=socket.create_server(('',7001))\nprint('ready',flush=True)\nc,a=s.accept()\nprint(a[0],flush=True)",
      ),
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    let text = "";
    for await (const chunk of seen.stdout) {
      text += new TextDecoder().decode(chunk);
      if (text === "ready\n") await world.from(name("b"), "10.9.0.2", 7001);
    }
    expect(text).toBe("ready\n10.9.0.1\n");
  });

  test("an internal network has no way out and none in", async () => {
    const route = await world.ok("exec", name("d"), "ip", "route");
    expect(route).not.toContain("default");
    expect(await world.from(name("d"), "10.9.0.2", 7002)).toBeUndefined();
    const pid = await world.ok("inspect", "-f", "{{.State.Pid}}", name("d"));
    const gateway = (
      await world.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", walled)
    ).trim();
    world.host.run("nsenter", `--net=/proc/${pid}/ns/net`, "ip", "route", "add", "default", "via", gateway);
    expect(await world.from(name("d"), await world.address(name("a"), one), 80)).toBeUndefined();
    expect(await world.fromFar(await world.address(name("d"), walled), 80)).toBeUndefined();
  });

  test("nobody on a bridge reaches what listens on the host's loopback", async () => {
    const pid = await world.ok("inspect", "-f", "{{.State.Pid}}", name("b"));
    const gateway = await world.address(name("b"), one, "Gateway");
    const inside = ["nsenter", `--net=/proc/${pid}/ns/net`];
    world.host.run(...inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet");
    world.host.run(...inside, "ip", "route", "add", "127.0.0.9", "via", gateway, "dev", "eth0");
    world.host.run(...inside, "ip", "route", "flush", "table", "local", "127.0.0.0/8");
    const listener = Bun.spawn(
      world.host.enter(
        "python3",
        "-c",
        "import socket,time\ns=socket.create_server(('127.0.0.9',7003))\nprint('ready',flush=True)\ntime.sleep(30)",
      ),
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await listener.stdout.getReader().read();
    const ask =
      "import socket\ntry:\n  socket.create_connection(('127.0.0.9',7003),1)\n  print('in')\nexcept OSError:\n  print('out')";
    expect(world.host.run(...inside, "python3", "-c", ask).trim()).toBe("out");
    expect(world.host.run("python3", "-c", ask).trim()).toBe("in");
    listener.kill("SIGKILL");
    await listener.exited;
  });
});
