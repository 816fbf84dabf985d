/** What containers of a macvlan or an ipvlan are on, where nobody has made it: a link that leads nowhere, or a VLAN of another. */
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

/** Whether this kernel makes such links; what it says where it does not. */
const refusal = (kind: string): string =>
  world.host.run(
    "sh",
    "-c",
    `ip link add link far name try type ${kind} 2>&1 && ip link del try >/dev/null 2>&1 || true`,
  );
const gone = (name: string): Promise<true> => until(() => !world.links().includes(name), `${name} to go`);
const parentOf = async (network: string): Promise<string> =>
  `dm-${(await world.ok("network", "inspect", "-f", "{{.Id}}", network)).slice(0, 12)}`;

describe.each([
  ["macvlan", []],
  ["ipvlan", []],
  ["ipvlan", ["-o", "ipvlan_mode=l3"]],
] as const)("a network of driver %s %j without a parent", (driver, options) => {
  test("connects its containers with each other, by name too, and with nobody else", async () => {
    await world.ok("network", "create", "-d", driver, ...options, "alone");
    const parent = await parentOf("alone");
    if (refusal(driver) !== "") {
      const { code, stderr } = await world.cli("run", "--rm", "--network", "alone", "host", "true");
      expect(code).not.toBe(0);
      expect(stderr).toContain("operation not supported");
      await world.ok("network", "rm", "alone");
      return;
    }
    expect(world.links()).not.toContain(parent);
    await world.serve("one", "--network", "alone");
    await world.serve("two", "--network", "alone");
    expect(world.links()).toContain(parent);
    const address = await world.address("one", "alone");
    expect(await world.from("two", address, 80)).toBe(await world.address("two", "alone"));
    expect(await world.ok("exec", "two", "getent", "hosts", "one")).toStartWith(address);
    expect(await world.from("two", "10.9.0.2", 80)).toBeUndefined();
    expect(await world.fromHost(address, 80)).toBeUndefined();
    await world.ok("rm", "-f", "one", "two");
    // Whoever removed it, the next container has it again.
    world.host.run("ip", "link", "del", parent);
    await world.ok("run", "--rm", "--network", "alone", "host", "true");
    expect(world.links()).toContain(parent);
    await world.ok("network", "rm", "alone");
    await gone(parent);
  });
});

test("--internal is one without a parent, whatever is named", async () => {
  const wire = ["-o", "parent=far", "--subnet", "10.9.0.0/24", "--gateway", "10.9.0.2"];
  await world.ok("network", "create", "-d", "macvlan", ...wire, "--internal", "shut");
  await world.serve("caged", "--network", "shut", "--ip", "10.9.0.77");
  expect(await world.fromFar("10.9.0.77", 80)).toBeUndefined();
  expect(await world.from("caged", "10.9.0.77", 80)).toBe("10.9.0.77");
  expect(await world.ok("exec", "caged", "ip", "route")).not.toContain("default");
  await world.ok("rm", "-f", "caged");
  // When nobody needs it any more it goes by itself, as bridges do.
  await gone(await parentOf("shut"));
  await world.ok("network", "rm", "shut");
});

test("eth0.10 that is not there is VLAN 10 of eth0, and goes with the last network that is on it", async () => {
  const on = (name: string, subnet: string) =>
    world.ok("network", "create", "-d", "macvlan", "-o", "parent=far.10", "--subnet", subnet, name);
  await on("tagged", "10.10.0.0/24");
  await on("also", "10.11.0.0/24");
  if (refusal("vlan id 10") !== "") {
    const { code, stderr } = await world.cli("run", "--rm", "--network", "tagged", "host", "true");
    expect(code).not.toBe(0);
    expect(stderr).toContain("operation not supported");
    await world.ok("network", "rm", "tagged", "also");
    return;
  }
  await world.serve("wired", "--network", "tagged", "--ip", "10.10.0.50");
  expect(world.links()).toContain("far.10");
  world.far.run("ip", "link", "add", "link", "near", "name", "near.10", "type", "vlan", "id", "10");
  world.far.run("ip", "addr", "add", "10.10.0.2/24", "dev", "near.10");
  world.far.run("ip", "link", "set", "near.10", "up");
  expect(await world.fromFar("10.10.0.50", 80)).toBe("10.10.0.2");
  await world.ok("rm", "-f", "wired");
  await world.ok("network", "rm", "tagged");
  await world.ok("run", "--rm", "--network", "also", "host", "true");
  expect(world.links()).toContain("far.10");
  await world.ok("network", "rm", "also");
  await gone("far.10");
});

test.each([
  ["far.5000", "sampan: vlan id must be between 1-4094, received: 5000"],
  ["near.10", "sampan: invalid parent interface: near.10: no such interface\n"],
  ["lo", "sampan: loopback interface is not a valid macvlan parent link\n"],
])("a parent that cannot be: %s", async (parent, message) => {
  const { code, stderr } = await world.cli(
    "network",
    "create",
    "-d",
    "macvlan",
    "-o",
    `parent=${parent}`,
    "x",
  );
  expect(code).toBe(1);
  expect(stderr).toStartWith(message);
});
