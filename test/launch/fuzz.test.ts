/** Random and mutated plans for the decoder, built with the address and undefined-behaviour sanitizers. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { CLONE, launch, type Plan, type Step } from "../../src/launch/index.ts";
import { encode } from "../../src/launch/wire.ts";
import { generator, mutate } from "./mutate.ts";
import { after, execve, inside, keeper, outside, rootfs } from "./support.ts";

const dir = mkdtempSync("/tmp/sampan-fuzz-");
const decoder = `${dir}/fuzz`;
beforeAll(() => {
  const made = Bun.spawnSync({
    cmd: ["make", "-s", "-C", new URL("../../launcher", import.meta.url).pathname, "fuzz", `FUZZ=${decoder}`],
    stdio: ["ignore", "inherit", "inherit"],
  });
  expect(made.exitCode).toBe(0);
}, 60_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A plan in which every kind of operand occurs. */
const steps: Step[] = [
  outside({ call: "clone", flags: CLONE.mnt | CLONE.pid }),
  outside({ call: "write", path: "/proc/{pid}/uid_map", data: "0 0 1\n", pid: true }),
  outside({ call: "spawn", argv: ["/usr/bin/newuidmap", "{pid}", "0", "1000", "1"] }),
  inside({ call: "barrier", waits: "inside" }),
  inside({ call: "join", pid: 1, start: 77n, flags: CLONE.net }),
  ...rootfs({ root: "/lower" } as never, "/place"),
  inside({
    call: "bind",
    at: "root",
    source: "/a",
    target: "/b",
    recursive: true,
    set: 1,
    clear: 2,
    create: "file",
    propagation: 0,
    idmap: { uid: "0 0 1", gid: "0 0 1" },
  }),
  inside({ call: "user", uid: 1, gid: 2, groups: [3, 4, 5] }),
  inside({ call: "rlimit", resource: 7, soft: 1n, hard: (1n << 64n) - 1n }),
  inside({ call: "capabilities", effective: 1n, permitted: 1n, inheritable: 0n, ambient: 0n }),
  inside({ call: "seccomp", program: new Uint8Array(64), flags: 0 }),
  inside({
    call: "netlink",
    protocol: 0,
    messages: new Uint8Array(32),
    fill: { pid: [4], digits: [8], links: [{ at: 16, name: "eth0" }] },
    repair: ["/repair", "it"],
  }),
  outside({ call: "hold", type: 1, protocol: 6, address: new Uint8Array(16) }),
  execve("sh", "-c", "echo hi"),
  after({ call: "read", path: "/sys/x", key: "x" }),
  after({ call: "rmdir", path: "/sys/x" }),
];
const whole: Plan = {
  steps,
  keeper: keeper({
    lock: "/l",
    cgroups: ["/c"],
    reap: ["/r", "x"],
    remove: ["/a", "/b"],
    health: {
      interval: 1,
      timeout: 1,
      startPeriod: 1,
      startInterval: 1,
      retries: 1,
      path: "/h",
      says: "true",
      steps: [outside({ call: "clone", flags: 0 }), execve("true")],
    },
  }),
};

async function feed(records: Iterable<Uint8Array>): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn({
    cmd: [decoder],
    stdio: ["pipe", "pipe", "pipe"],
    env: { ASAN_OPTIONS: "allocator_may_return_null=0" },
  });
  const out = new Response(child.stdout).text();
  const err = new Response(child.stderr).text();
  for (const record of records) {
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, record.length, true);
    child.stdin.write(head);
    child.stdin.write(record);
    // The sink keeps what the pipe does not take.
    await child.stdin.flush();
  }
  await child.stdin.end();
  return { code: await child.exited, out: await out, err: await err };
}

test("a whole plan is accepted", async () => {
  expect(await feed([encode(whole)])).toMatchObject({ code: 0, out: "1 accepted, 0 refused\n", err: "" });
});

test("a text with a NUL inside would be two: it is refused, wherever it stands", async () => {
  const records = [
    encode({ ...whole, steps: [...steps.slice(0, -1), after({ call: "rmdir", path: "/sys/x\0/etc" })] }),
    encode({ ...whole, keeper: { ...whole.keeper, lock: "/l\0/m" } }),
    encode({ ...whole, keeper: { ...whole.keeper, remove: ["/a", "/b\0"] } }),
  ];
  expect(await feed(records)).toMatchObject({ code: 0, out: "0 accepted, 3 refused\n", err: "" });
});

test("a file of the keeper's is nothing or an absolute path that fits", async () => {
  const files = ["lock", "pidFile", "socket", "exitFile", "exitSpare", "events"] as const;
  const plans = files.flatMap((name) =>
    ["relative", `/${"x".repeat(5000)}`].map((path) =>
      encode({ ...whole, keeper: { ...whole.keeper, [name]: path } }),
    ),
  );
  expect(await feed(plans)).toMatchObject({ code: 0, out: `0 accepted, ${plans.length} refused\n`, err: "" });
  // The one that came down to a buffer of the launcher's.
  const socket = `${"x/".repeat(10_000)}s`;
  await expect(launch({ ...whole, keeper: { ...whole.keeper, socket } })).rejects.toThrow(
    "path that is not absolute",
  );
});

test("25,000 random and mutated plans are each accepted or refused, never a crash", async () => {
  const random = generator(20261124);
  const good = encode(whole).slice();
  function* plans(): Generator<Uint8Array> {
    for (let n = 0; n < 25_000; n++) {
      if (n % 10 > 0) yield mutate(good, random);
      else {
        // Random from its start, or behind a true beginning.
        const bytes = Uint8Array.from({ length: random(600) }, () => random(256));
        if (n % 20 > 0) bytes.set(good.subarray(0, Math.min(bytes.length, random(200))));
        yield bytes;
      }
    }
  }
  const { code, out, err } = await feed(plans());
  expect(err).toBe("");
  expect(code).toBe(0);
  const [accepted = 0, refused = 0] = (out.match(/\d+/g) ?? []).map(Number);
  expect(accepted + refused).toBe(25_000);
  expect(accepted).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(10_000);
}, 60_000);

test("a list or a step count as large as the bytes that follow is refused, and its arena holds", async () => {
  const good = encode(whole).slice();
  const records: Uint8Array[] = [];
  for (let at = 8; at + 4 <= good.length; at++)
    for (const value of [
      Math.floor((good.length - at) / 4),
      Math.floor((good.length - at) / 5),
      0xffffffff,
    ]) {
      const bytes = good.slice();
      new DataView(bytes.buffer).setUint32(at, value, true);
      records.push(bytes);
    }
  expect(await feed(records)).toMatchObject({ code: 0, err: "" });
}, 60_000);
