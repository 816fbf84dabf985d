import { describe, expect, test } from "bun:test";
import { plain } from "../../src/common/plain.ts";
import { fit, size, table, words } from "../../src/explain/layout.ts";
import { address, parseSockets } from "../../src/explain/ports.ts";
import { idMap } from "../../src/explain/processes.ts";
import { filterKey, sorted } from "../../src/explain/refusals.ts";
import { READY } from "../../src/explain/refusals-ready.ts";
import { list } from "../../src/explain/summary.ts";
import { recognise } from "../../src/explain/target.ts";
import { DEFAULT_CAPABILITIES } from "../../src/runtime/index.ts";
import { assemble } from "../../src/runtime/seccomp/assemble.ts";
import { judge } from "../../src/runtime/seccomp/judge.ts";
import { profileFor } from "../../src/runtime/seccomp/profile.ts";

const ID = "0123456789abcdef".repeat(4);
const style = { columns: 40, colour: false };

describe("whose container a cgroup is", () => {
  test.each([
    [`0::/system.slice/docker-${ID}.scope`, "docker", ID],
    [`4:memory:/docker/${ID}`, "docker", ID],
    [
      `0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope/container`,
      "podman",
      ID,
    ],
    [`0::/machine.slice/libpod-${ID}.scope`, "podman", ID],
    [`0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-${ID}.scope`, "containerd", ID],
    [`0::/kubepods/besteffort/pod1/${ID}`, "containerd", ID],
    ["0::/lxc.payload.web", "lxc", "web"],
    [`7:pids:/sampan/${ID}`, "sampan", ID],
  ])("%s: %s", (line, maker, id) => {
    expect(recognise(line)).toEqual({ maker: maker as "docker", id });
  });

  test("a session of a user is no container", () => {
    expect(recognise("0::/user.slice/user-1000.slice/session-3.scope\n")).toBeUndefined();
  });
});

describe("what the default profile's filters refuse is what they answer", () => {
  test.each(["x86_64", "aarch64"] as const)("%s", (arch) => {
    for (const capabilities of [DEFAULT_CAPABILITIES, []]) {
      const program = assemble(profileFor(capabilities, arch));
      const verdicts = judge(program, arch);
      expect(READY[filterKey(program)]).toEqual(sorted(verdicts ?? new Map()));
      expect(READY[filterKey(program)]?.refused).toBeGreaterThan(50);
    }
  });
});

describe("listening sockets", () => {
  test("addresses are words in the machine's order", () => {
    expect(address("0100007F")).toBe("127.0.0.1");
    expect(address("00000000000000000000000000000000")).toBe("::");
    expect(address("00000000000000000000000001000000")).toBe("::1");
    expect(address("B80D0120000000000000000001000000")).toBe("2001:db8::1");
  });

  test("only those that listen", () => {
    const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0
   1: 0100007F:1F91 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0
`;
    expect(parseSockets(text, "tcp")).toEqual([
      { protocol: "tcp", address: "127.0.0.1", port: 8080, inode: "4242" },
    ]);
  });
});

test("an id outside is looked up in the map", () => {
  const map = idMap([
    [0, 1000, 1],
    [1, 100000, 65536],
  ]);
  expect(map.inside(1000)).toBe(0);
  expect(map.inside(100004)).toBe(5);
  expect(map.inside(0)).toBeUndefined();
});

describe("layout", () => {
  test("sizes have three digits", () => {
    expect([0, 512, 1536, 64 * 2 ** 20, 1023 * 2 ** 20].map(size)).toEqual([
      "0 B",
      "512 B",
      "1.5 KiB",
      "64 MiB",
      "1023 MiB",
    ]);
  });

  test("a table ends at the terminal's edge", () => {
    const text = table({ head: ["A", "B"], rows: [["1", "x".repeat(80)]], right: [0] }, style);
    for (const line of text.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(40);
  });

  test("words wrap under themselves", () => {
    const text = words("label", 5, Array(12).fill("word"), style);
    expect(text.split("\n").slice(0, 2)).toEqual([
      "  label  word word word word word word",
      "         word word word word word word",
    ]);
  });

  test("what a terminal would act upon is shown", () => {
    expect(plain("a\u001b[2Jb\n")).toBe("a\\x1b[2Jb\\x0a");
  });

  test("cut text says so", () => {
    expect(fit("abcdef", 4)).toBe("abc…");
    expect(fit("abcdef", 4, "end")).toBe("…def");
  });

  test("lists are spoken", () => {
    expect(list(["a"])).toBe("a");
    expect(list(["a", "b", "c"])).toBe("a, b and c");
  });
});
