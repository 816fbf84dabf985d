/** What people write: users, capabilities, sysctls, mount options, ids. */
import { describe, expect, test } from "bun:test";
import {
  CAPABILITIES,
  canonicalCapabilities,
  capabilityMask,
  capabilityNames,
  chooseCapabilities,
  DEFAULT_CAPABILITIES,
  matchUser,
  orderMounts,
  parseUser,
} from "../../src/runtime/index.ts";
import { parseOptions } from "../../src/runtime/options.ts";
import { mappings, subRanges } from "../../src/runtime/rootless.ts";
import { sysctlSteps } from "../../src/runtime/sysctls.ts";

const PASSWD = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:2:daemon:/usr/sbin:/bin/false
# a comment
broken
bad:x:not-a-number:1::/:
huge:x:4294967296:1::/huge:
app:x:1000:1001:App:/home/app:/bin/sh
7:x:777:778:looks numeric:/seven:/bin/sh
nohome:x:50:51:::
`;
const GROUP = `root:x:0:
daemon:x:2:app,daemon
app:x:1001:
extra:x:2000:app,root
8:x:888:
`;
const user = (text: string, add: string[] = []) => parseUser(text, PASSWD, GROUP, add);

describe("a user", () => {
  const cases: readonly (readonly [string, number, number, readonly number[], string])[] = [
    ["", 0, 0, [0, 2000], "/root"],
    ["0", 0, 0, [0, 2000], "/root"],
    ["root", 0, 0, [0, 2000], "/root"],
    ["1", 1, 2, [2], "/usr/sbin"],
    ["daemon", 1, 2, [2], "/usr/sbin"],
    ["app", 1000, 1001, [1001, 2, 2000], "/home/app"],
    ["1000", 1000, 1001, [1001, 2, 2000], "/home/app"],
    ["1:1", 1, 1, [1], "/usr/sbin"],
    ["app:daemon", 1000, 2, [2], "/home/app"],
    [":5", 0, 5, [5], "/root"],
    ["4242", 4242, 0, [0], "/"],
    ["4242:4243", 4242, 4243, [4243], "/"],
    ["007", 7, 0, [0], "/"],
    ["7", 7, 0, [0], "/"],
    ["1:8", 1, 8, [8], "/usr/sbin"],
    ["2147483647", 2147483647, 0, [0], "/"],
    ["nohome", 50, 51, [51], "/"],
  ];
  for (const [text, uid, gid, groups, home] of cases)
    test(`"${text}" is ${uid}:${gid}`, () => {
      expect(user(text)).toMatchObject({ uid, gid, groups, home });
    });

  for (const [text, message] of [
    ["nobody", "unable to find user nobody: no matching entries in passwd file"],
    ["app:nogroup", "unable to find group nogroup: no matching entries in group file"],
    ["2147483648", "uids and gids must be in range 0-2147483647"],
    ["99999999999999999999", "uids and gids must be in range"],
    ["1:4294967296", "uids and gids must be in range"],
    ["+1", "unable to find user +1"],
    ["-1", "uids and gids must be in range 0-2147483647"],
    ["1:-1", "uids and gids must be in range 0-2147483647"],
    ["-", "unable to find user -"],
    ["0x1", "unable to find user 0x1"],
    [" 1", "unable to find user"],
    ["1 ", "unable to find user"],
    ["1e3", "unable to find user 1e3"],
    ["٣", "unable to find user"],
    ["bad", "unable to find user bad"],
    ["huge", "unable to find user huge"],
    ["a:b:c", "at most one"],
  ] as const)
    test(`"${text}" is refused`, () => {
      expect(() => user(text)).toThrow(message);
    });

  test("becomes 0 by nothing but 0, root and the empty string", () => {
    for (let n = 1; n < 300; n++) expect(user(String(n)).uid).toBe(n);
    expect(parseUser("1", "", "")).toMatchObject({ uid: 1, gid: 0, home: "/" });
    expect(() => parseUser("root", "", "")).toThrow("unable to find user root");
  });

  test("has the groups that are added", () => {
    expect(user("1:1", ["extra", "77", "1"]).groups).toEqual([1, 2000, 77]);
    expect(() => user("1", ["none"])).toThrow("unable to find group none");
  });
});

describe("capabilities", () => {
  test("are the kernel's bits", () => {
    expect(capabilityMask(DEFAULT_CAPABILITIES)).toBe(0xa80425fbn);
    expect(capabilityMask(["CAP_CHECKPOINT_RESTORE", "CAP_CHOWN"])).toBe((1n << 40n) | 1n);
    expect(CAPABILITIES.indexOf("SYS_ADMIN")).toBe(21);
    expect(capabilityNames(0x200001n)).toEqual(["CAP_CHOWN", "CAP_SYS_ADMIN"]);
  });

  test("are added and dropped in Docker's way", () => {
    const all = () => ["CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN"];
    const choose = (add: string[], drop: string[]) => chooseCapabilities(add, drop, false, all);
    expect(choose([], [])).toEqual(DEFAULT_CAPABILITIES);
    expect(choose(["net_admin"], ["CAP_CHOWN"])).toEqual([
      ...DEFAULT_CAPABILITIES.filter((c) => c !== "CAP_CHOWN"),
      "CAP_NET_ADMIN",
    ]);
    expect(choose(["ALL"], ["KILL"])).toEqual(["CAP_CHOWN", "CAP_SYS_ADMIN"]);
    expect(choose(["KILL"], ["ALL"])).toEqual(["CAP_KILL"]);
    expect(choose([], ["all"])).toEqual([]);
    expect(chooseCapabilities([], [], true, all)).toEqual(all());
    expect(() => choose(["nothing"], [])).toThrow('invalid CapAdd: unknown capability: "CAP_NOTHING"');
    expect(() => choose([], ["CAP_NOTHING"])).toThrow('invalid CapDrop: unknown capability: "CAP_NOTHING"');
    expect(canonicalCapabilities(["sys_admin", "all", "CAP_NET_ADMIN", "SYS_ADMIN"], "CapAdd")).toEqual([
      "ALL",
      "CAP_NET_ADMIN",
      "CAP_SYS_ADMIN",
    ]);
  });
});

describe("sysctls", () => {
  const own = (name: string): boolean => name !== "ipc";
  const steps = (key: string, value = "1") => sysctlSteps({ [key]: value }, own);

  test("of the container's own namespaces are one write each", () => {
    expect(steps("net.ipv4.ip_forward")).toMatchObject([
      { call: "proc", path: "sys/net/ipv4/ip_forward", data: "1" },
    ]);
    expect(steps("net/ipv4/conf/eth0.1/forwarding")).toMatchObject([
      { path: "sys/net/ipv4/conf/eth0.1/forwarding" },
    ]);
    expect(steps("net.ipv4.conf.eth0/1.forwarding")).toMatchObject([
      { path: "sys/net/ipv4/conf/eth0.1/forwarding" },
    ]);
    expect(steps("net.ipv4.ip_local_port_range", "1024 65000")).toMatchObject([{ data: "1024 65000" }]);
  });

  test("of the host are refused, however they are written (CVE-2022-0811)", () => {
    for (const key of [
      "kernel.core_pattern",
      "kernel.hostname",
      "vm.swappiness",
      "kernel.shm_rmid_forced+kernel.core_pattern",
      "net.../kernel/core_pattern",
      "net/../kernel/core_pattern",
      "net..kernel",
      "",
      "net.ipv4/../../kernel/core_pattern",
      "fs.file-max",
      "netx.y",
      "net",
    ])
      expect(() => steps(key)).toThrow(/sysctl/);
    for (const value of ["1\n2", "1\0"])
      expect(() => steps("net.ipv4.ip_forward", value)).toThrow("invalid sysctl");
  });

  test("of a namespace that is not the container's own are refused", () => {
    expect(() => steps("kernel.msgmax")).toThrow("no ipc namespace of its own");
    expect(() => steps("fs.mqueue.msg_max")).toThrow("no ipc namespace of its own");
  });
});

describe("mount options", () => {
  test("become flags and data", () => {
    expect(parseOptions(["nosuid", "noexec", "ro", "size=64k", "mode=755"])).toMatchObject({
      flags: 1 | 2 | 8,
      data: "size=64k,mode=755",
    });
    expect(parseOptions(["ro", "rw"])).toMatchObject({ flags: 0, set: 0, clear: 1 });
    expect(parseOptions(["rbind", "rro", "rslave"])).toMatchObject({
      bind: true,
      recursiveBind: true,
      recursiveSet: 1,
      set: 0,
      propagation: (1 << 19) | 0x4000,
    });
    expect(parseOptions(["bind", "noatime"])).toMatchObject({
      bind: true,
      recursiveBind: false,
      set: 0x10,
      clear: 0x70,
    });
    expect(parseOptions(undefined)).toMatchObject({ flags: 0, data: "", bind: false });
  });
});

test("a user's mounts replace the defaults at their place and come by depth", () => {
  const at = (destination: string, source = "own") => ({ destination, source });
  const order = orderMounts(
    [at("/proc", "d"), at("/dev", "d"), at("/dev/shm", "d")],
    [at("/a/b/c"), at("/dev/shm"), at("/a"), at("/a/b")],
  );
  expect(order.map(({ destination, source }) => `${source}${destination}`)).toEqual([
    "d/proc",
    "d/dev",
    "own/a",
    "own/dev/shm",
    "own/a/b",
    "own/a/b/c",
  ]);
  expect(
    orderMounts([at("/dev", "d"), at("/dev/shm", "d")], [at("/dev")]).map(({ source }) => source),
  ).toEqual(["own"]);
});

describe("ids of a user without root", () => {
  test("come from /etc/subuid by name or number", () => {
    const text = "other:1:2\nme:100000:65536\n1000:300000:10\nme:x:1\n";
    expect(subRanges(text, "me", 1000)).toEqual([
      { start: 100000, count: 65536 },
      { start: 300000, count: 10 },
    ]);
    expect(mappings(1000, subRanges(text, "me", 1000))).toEqual([
      { containerID: 0, hostID: 1000, size: 1 },
      { containerID: 1, hostID: 100000, size: 65536 },
      { containerID: 65537, hostID: 300000, size: 10 },
    ]);
  });

  test("match-user leaves nobody inside the owner's number", () => {
    expect(matchUser(1000, 0)).toEqual([
      { containerID: 1000, hostID: 0, size: 1 },
      { containerID: 1, hostID: 1, size: 999 },
      { containerID: 1001, hostID: 1001, size: 4294967294 - 1001 },
    ]);
    expect(matchUser(5, 5)).toEqual([]);
  });
});
