/** Links, addresses and routes as they are encoded, against what ip says of them then. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { NETLINK, NetlinkWriter } from "../../src/kernel/netlink.ts";
import {
  addAddress,
  addDefaultRoute,
  addDeviceRoute,
  deleteLink,
  linkUp,
  loopbackUp,
  newBridge,
  newDeadEnd,
  newIpvlan,
  newMacvlan,
  newVeth,
  newVlan,
  setBridgePort,
} from "../../src/kernel/rtnetlink.ts";
import { readLinkChanges } from "../../src/kernel/rtnetlink-read.ts";
import { CLONE, type Fill, launch, NO_KEEPER, type Step } from "../../src/launch/index.ts";
import { NetworkNamespace } from "../support/netns.ts";

let host: NetworkNamespace;
let container: NetworkNamespace;
beforeAll(async () => {
  host = await NetworkNamespace.make();
  container = await NetworkNamespace.make();
});
afterAll(() => {
  host[Symbol.dispose]();
  container[Symbol.dispose]();
});

const four = Uint8Array.of(10, 1, 2, 3);
const six = Uint8Array.fromHex("fd000000000000000000000000000003");

/** Sends what `write` writes in a namespace; what it returns the launcher fills in. */
async function send(where: NetworkNamespace, write: (w: NetlinkWriter) => Fill | void): Promise<void> {
  const w = new NetlinkWriter();
  const fill = write(w);
  const steps: Step[] = [
    { call: "clone", column: "outside", why: "test", flags: 0 },
    { call: "setns", column: "inside", why: "test", path: `/proc/${where.pid}/ns/net`, flags: CLONE.net },
    {
      call: "netlink",
      column: "inside",
      why: "test",
      protocol: NETLINK.route,
      messages: w.done(),
      ...(fill ? { fill } : {}),
    },
  ];
  (await launch({ steps, keeper: NO_KEEPER })).close();
}

const ask = (where: NetworkNamespace, ...words: string[]) =>
  JSON.parse(where.run("ip", "-j", "-d", ...words)) as Record<string, unknown>[];

/** The pid of another process, where the launcher would write that of its child. */
const patched = (w: NetlinkWriter, at: number, pid: number): void =>
  new DataView(w.done().buffer).setUint32(at, pid, true);

test("a bridge, up, with an address of its own, and asked for twice", async () => {
  for (let round = 0; round < 2; round++)
    await send(host, (w) => newBridge(w, "br-golden", Uint8Array.fromHex("02420a010203"), 1400));
  await send(host, (w) => ({
    links: [{ at: addAddress(w, { address: four, length: 24 }), name: "br-golden" }],
  }));
  const [link] = ask(host, "addr", "show", "br-golden");
  expect(link).toMatchObject({
    mtu: 1400,
    address: "02:42:0a:01:02:03",
    linkinfo: { info_kind: "bridge", info_data: { stp_state: 0, forward_delay: 0 } },
  });
  expect(link?.["flags"]).toContain("UP");
  expect(link?.["addr_info"]).toContainEqual(
    expect.objectContaining({
      family: "inet",
      local: "10.1.2.3",
      prefixlen: 24,
      broadcast: "10.1.2.255",
      scope: "global",
    }),
  );
});

test("a veth pair: a port of the bridge here, the other end in another namespace", async () => {
  await send(host, (w) => {
    const places = newVeth(w, {
      name: "veth0000000",
      peer: "eth0",
      mac: Uint8Array.fromHex("02420a010204"),
      mtu: 1300,
    });
    setBridgePort(w, "veth0000000", { hairpin: true, isolated: true });
    patched(w, places.pid, container.pid);
    return { links: [{ at: places.bridge, name: "br-golden" }] };
  });
  expect(ask(host, "link", "show", "veth0000000")[0]).toMatchObject({
    master: "br-golden",
    mtu: 1300,
    linkinfo: {
      info_kind: "veth",
      info_slave_kind: "bridge",
      info_slave_data: { hairpin: true, isolated: true },
    },
  });
  expect(ask(container, "link", "show", "eth0")[0]).toMatchObject({
    mtu: 1300,
    address: "02:42:0a:01:02:04",
    operstate: "DOWN",
  });
});

test("loopback, addresses of both families and the way out, in one send", async () => {
  await send(container, (w) => {
    loopbackUp(w);
    const links = [four, six].map((address) => ({
      at: addAddress(w, { address, length: address.length === 4 ? 24 : 64 }),
      name: "eth0",
    }));
    linkUp(w, "eth0");
    addDefaultRoute(w, Uint8Array.of(10, 1, 2, 1));
    addDefaultRoute(w, Uint8Array.fromHex("fd000000000000000000000000000001"));
    return { links };
  });
  const [link] = ask(container, "addr", "show", "eth0");
  const local = ((link ?? {})["addr_info"] as { local: string; prefixlen: number; nodad?: boolean }[]).map(
    ({ local, prefixlen, nodad }) => `${local}/${prefixlen}${nodad ? " nodad" : ""}`,
  );
  expect(local).toContain("10.1.2.3/24");
  expect(local).toContain("fd00::3/64 nodad");
  expect(ask(container, "route", "show", "default")).toMatchObject([{ gateway: "10.1.2.1", dev: "eth0" }]);
  expect(ask(container, "-6", "route", "show", "default")).toMatchObject([
    { gateway: "fd00::1", dev: "eth0" },
  ]);
  expect(ask(container, "link", "show", "lo")[0]?.["flags"]).toContain("UP");
});

test("a macvlan on a parent, and the end of a link", async () => {
  await send(host, (w) => {
    const places = newMacvlan(w, { name: "mac0", mac: Uint8Array.fromHex("02420a010205"), mode: "private" });
    patched(w, places.pid, container.pid);
    return { links: [{ at: places.parent, name: "br-golden" }] };
  });
  expect(ask(container, "link", "show", "mac0")[0]).toMatchObject({
    address: "02:42:0a:01:02:05",
    linkinfo: { info_kind: "macvlan", info_data: { mode: "private" } },
  });
  await send(container, (w) => deleteLink(w, "mac0"));
  expect(container.run("ip", "-br", "link")).not.toContain("mac0");
});

test("an interface that is not there is named", async () => {
  const missing = send(host, (w) => ({
    links: [{ at: addAddress(w, { address: four, length: 24 }), name: "nope0" }],
  }));
  expect(String(await missing.catch((error) => error.message))).toContain("no interface nope0");
});

test("what was encoded is read again", () => {
  const w = new NetlinkWriter();
  const mac = Uint8Array.fromHex("02420a010203");
  const veth = newVeth(w, { name: "veth0000000abc0", peer: "eth0", mac, mtu: 1400 });
  setBridgePort(w, "veth0000000abc0", { hairpin: true, isolated: false });
  const macvlan = newMacvlan(w, { name: "mac0", mac, mode: "vepa" });
  loopbackUp(w);
  const first = addAddress(w, { address: four, length: 24 });
  const second = addAddress(w, { address: six, length: 64 });
  linkUp(w, "eth0");
  addDefaultRoute(w, Uint8Array.of(10, 1, 2, 1));
  const links = [
    { at: veth.bridge, name: "br0" },
    { at: macvlan.parent, name: "up0" },
    { at: first, name: "eth0" },
    { at: second, name: "eth0" },
  ];
  const text = "02:42:0a:01:02:03";
  expect(readLinkChanges(w.done(), links)).toEqual([
    { kind: "veth", name: "veth0000000abc0", bridge: "br0", peer: "eth0", mac: text, mtu: 1400 },
    { kind: "port", name: "veth0000000abc0", hairpin: true, isolated: false },
    { kind: "macvlan", name: "mac0", parent: "up0", mode: "vepa", mac: text },
    { kind: "up", name: "lo" },
    { kind: "address", link: "eth0", address: "10.1.2.3", length: 24 },
    { kind: "address", link: "eth0", address: "fd00::3", length: 64 },
    { kind: "up", name: "eth0" },
    { kind: "route", gateway: "10.1.2.1" },
  ]);
});

test("an ipvlan: what iproute2 sends for mode l3, private", () => {
  const w = new NetlinkWriter();
  newIpvlan(w, { name: "eth0", mode: "l3", flag: "private" });
  // Recorded of `ip link add link lo name eth0 netns 1 type ipvlan mode l3 private` by strace.
  expect(w.done().toHex()).toEndWith("06000100010000000600020001000000");
  expect(new TextDecoder().decode(w.done())).toContain("ipvlan\0");
});

test("a default route straight out of an interface", async () => {
  await send(container, (w) => ({ links: [{ at: addDeviceRoute(w, 4), name: "lo" }] }));
  expect(ask(container, "route", "show", "default")).toMatchObject([
    { dst: "default", dev: "lo", scope: "link" },
  ]);
});

test("what is written is read again: ipvlan, and a way out without a gateway", () => {
  const w = new NetlinkWriter();
  const { parent } = newIpvlan(w, { name: "eth0", mode: "l3s", flag: "vepa", mtu: 1400 });
  const links = [
    { at: parent, name: "eno1" },
    { at: addDeviceRoute(w, 6), name: "eth0" },
  ];
  expect(readLinkChanges(w.done(), links)).toEqual([
    { kind: "ipvlan", name: "eth0", parent: "eno1", mode: "l3s", flag: "vepa", mtu: 1400 },
    { kind: "out", link: "eth0", version: 6 },
  ]);
});

test("a VLAN: what iproute2 sends for vlan id 10; a link that leads nowhere, where the kernel has such", async () => {
  const w = new NetlinkWriter();
  newVlan(w, "eth0.10", 10);
  // Recorded of `ip link add link lo name eth0.10 type vlan id 10` by strace.
  expect(w.done().toHex()).toEndWith("060001000a000000");
  expect(new TextDecoder().decode(w.done())).toContain("vlan\0");
  const [kind] = (["dummy", "ifb"] as const).filter(
    (each) => host.run("sh", "-c", `ip link add try type ${each} 2>&1 && ip link del try || true`) === "",
  );
  if (kind === undefined) return;
  await send(host, (each) => newDeadEnd(each, "dm-golden", kind));
  const [link] = ask(host, "link", "show", "dm-golden");
  expect(link).toMatchObject({ linkinfo: { info_kind: kind } });
  expect(link?.["flags"]).toContain("UP");
});
