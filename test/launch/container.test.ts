/** Plans executed for real: what a container sees, what its end says, what a failure says. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import {
  ATTACH,
  CLONE,
  type Exit,
  LaunchError,
  launch,
  NO_KEEPER,
  type Plan,
} from "../../src/launch/index.ts";
import { alive, container, execve, inside, keeper, outside, Place, plan, until } from "./support.ts";

const place = new Place();
afterAll(() => place.clean());

export interface Ran {
  readonly out: string;
  readonly err: string;
  readonly exit: Exit | undefined;
}

async function run(p: Plan, stdin?: string): Promise<Ran> {
  const connection = await launch(p);
  const text = { 1: "", 2: "" };
  connection.onOutput = (stream, data) => {
    text[stream] += new TextDecoder().decode(data);
  };
  connection.attach(ATTACH.stdin | ATTACH.stdout | ATTACH.stderr);
  if (stdin !== undefined) {
    connection.writeStdin(new TextEncoder().encode(stdin));
    connection.closeStdin();
  }
  const exit = await connection.exit;
  connection.taken();
  connection.close();
  return { out: text[1], err: text[2], exit };
}

const sh = (script: string, o: Parameters<typeof container>[3] = {}): Plan =>
  plan(container(place, place.container(), ["sh", "-c", script], o));

async function failure(p: Plan): Promise<LaunchError> {
  try {
    (await launch(p)).close();
  } catch (error) {
    if (error instanceof LaunchError) return error;
    throw error;
  }
  throw new Error("it was started");
}

describe("a container", () => {
  test("has its own root, host name and processes", async () => {
    const { out, err, exit } = await run(sh("hostname; ls /; echo $$; pwd; echo bad >&2; exit 7"));
    expect(out).toBe("box\nbin\ndev\netc\nproc\nrun\nsys\ntmp\n1\n/\n");
    expect(err).toBe("bad\n");
    expect(exit).toMatchObject({ code: 7, signal: 0, timedOut: false, restarts: 0 });
  });

  test("that a signal ends says 128 and the signal", async () => {
    const { exit } = await run(
      plan(container(place, place.container(), ["sh", "-c", "kill -9 $$; sleep 0.2"])),
    );
    // pid 1 cannot kill itself: its own SIGKILL does nothing, so it lives until something outside does.
    expect(exit).toMatchObject({ code: 0 });
    const connection = await launch(sh("exec sleep 100"));
    connection.attach(ATTACH.stdout);
    connection.signal(9);
    expect(await connection.exit).toMatchObject({ code: 137, signal: 9 });
    connection.close();
  });

  test("reads stdin to its end", async () => {
    const dir = place.container();
    const big = "0123456789abcdef".repeat(40_000);
    const p = plan(container(place, dir, ["wc", "-c"]), keeper({ openStdin: true, stdinOnce: true }));
    expect(await run(p, big)).toMatchObject({ out: `${big.length}\n`, exit: { code: 0 } });
  });

  test("gets a signal though nobody reads its stdin", async () => {
    const connection = await launch(
      plan(
        container(place, place.container(), ["sleep", "100"], { before: [inside({ call: "init" })] }),
        keeper({ openStdin: true, stdinOnce: true }),
      ),
    );
    connection.attach(ATTACH.stdin | ATTACH.stdout);
    connection.writeStdin(new Uint8Array(1 << 20));
    await Bun.sleep(20);
    connection.signal(15);
    expect(await connection.exit).toMatchObject({ code: 143, signal: 0 });
    connection.close();
  });

  test("loses no output, however slowly it is read", async () => {
    const connection = await launch(sh("dd if=/dev/zero bs=65536 count=160 2>/dev/null; echo end >&2"));
    let bytes = 0;
    let end = "";
    connection.onOutput = (stream, data) => {
      if (stream === 1) bytes += data.length;
      else end += new TextDecoder().decode(data);
    };
    await Bun.sleep(50);
    connection.attach(ATTACH.stdout | ATTACH.stderr);
    connection.pause();
    await Bun.sleep(100);
    connection.resume();
    expect(await connection.exit).toMatchObject({ code: 0 });
    expect(bytes).toBe(160 * 65536);
    expect(end).toBe("end\n");
    connection.close();
  });

  test("can open /dev/stdout again as any user", async () => {
    const user = inside({ call: "user", uid: 4321, gid: 4321, groups: [4321] });
    const { out, err } = await run(
      sh("id -u; echo a > /dev/stdout; echo b > /dev/stderr", { before: [user] }),
    );
    expect(out).toBe("4321\na\n");
    expect(err).toBe("b\n");
  });

  test("has no descriptor but 0 to 2, no signal ignored, the umask 022", async () => {
    const { out } = await run(
      sh("ls /proc/self/fd | wc -l; cat /proc/self/status; touch /tmp/x; stat -c %a /tmp/x"),
    );
    expect(out.split("\n")[0]).toBe("4"); // and the folder that ls reads
    expect(out).toMatch(/SigBlk:\t0{16}\nSigIgn:\t0{16}\n/);
    expect(out).toEndWith("644\n");
  });

  test("with init: zombies are reaped, signals passed on, pid 1 shows nothing of the host", async () => {
    process.env["SAMPAN_SECRET"] = "of the host";
    const { out, exit } = await run(
      sh(
        "cat /proc/1/comm; tr '\\0' ' ' < /proc/1/cmdline; tr '\\0' '\\n' < /proc/1/environ; (sleep 0.05 &); sleep 0.2; ps -o stat | grep -c Z; ls /proc/1/fd | wc -l; exit 3",
        {
          before: [inside({ call: "init" })],
        },
      ),
    );
    delete process.env["SAMPAN_SECRET"];
    expect(out).not.toContain("of the host");
    expect(out).not.toContain("launcher");
    expect(out).toMatch(/^sampan-init\nsampan-init /);
    expect(out).toEndWith("0\n3\n");
    expect(exit?.code).toBe(3);
  });

  test("has the rights that the plan gives it and no others", async () => {
    const few = 0x20n; // CAP_KILL
    const { out } = await run(
      sh("cat /proc/self/status", {
        before: [
          inside({ call: "bounding", mask: few }),
          inside({ call: "user", uid: 0, gid: 0, groups: [1, 2] }),
          inside({ call: "capabilities", effective: few, permitted: few, inheritable: 0n, ambient: 0n }),
          inside({ call: "no_new_privs" }),
        ],
      }),
    );
    expect(out).toContain(
      "CapInh:\t0000000000000000\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\nCapBnd:\t0000000000000020",
    );
    expect(out).toContain("NoNewPrivs:\t1");
    expect(out).toContain("Groups:\t1 2");
  });

  test("has sysctls, limits and names from the plan", async () => {
    const { out } = await run(
      sh(
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj /proc/sys/kernel/domainname; ulimit -n",
        {
          before: [
            inside({ call: "proc", path: "sys/net/ipv4/ip_unprivileged_port_start", data: "77" }),
            inside({ call: "proc", path: "self/oom_score_adj", data: "123" }),
            inside({ call: "domainname", name: "example" }),
            inside({ call: "rlimit", resource: 7, soft: 99n, hard: 100n }),
          ],
        },
      ),
    );
    expect(out).toBe("77\n123\nexample\n99\n");
  });

  test("brings loopback up by a netlink message", async () => {
    const message = new DataView(new ArrayBuffer(32));
    for (const [at, value] of [
      [0, 32],
      [8, 1],
      [20, 1],
      [24, 1],
      [28, 1],
    ] as const)
      message.setUint32(at, value, true);
    message.setUint16(4, 16, true);
    message.setUint16(6, 5, true);
    const up = inside({ call: "netlink", protocol: 0, messages: new Uint8Array(message.buffer) });
    const flags = "cat /sys/class/net/lo/flags";
    const sys = inside({
      call: "mount",
      fstype: "sysfs",
      source: "sysfs",
      target: "/sys",
      flags: 1,
      data: "",
      create: "dir",
    });
    expect((await run(sh(flags, { more: [sys] }))).out).toBe("0x8\n");
    expect((await run(sh(flags, { more: [sys], before: [up] }))).out).toBe("0x9\n");
  });
});

test("a filesystem that speaks with a server is made in the keeper's network", async () => {
  const sys = (abroad: boolean) =>
    inside({
      call: "mount",
      fstype: "sysfs",
      source: "sysfs",
      target: "/sys",
      flags: 1,
      data: "",
      create: "dir",
      abroad,
    });
  // It shows the interfaces of where it was made: loopback is up here, and not yet in there.
  const flags = "cat /sys/class/net/lo/flags";
  expect((await run(sh(flags, { more: [sys(false)] }))).out).toBe("0x8\n");
  expect((await run(sh(flags, { more: [sys(true)] }))).out).toBe("0x9\n");
  const own = sh("cat /proc/net/dev | wc -l; ls -l /proc/1/ns/net | sed 's/.*net://'", { more: [sys(true)] });
  const [, namespace] = (await run(own)).out.split("\n");
  expect(namespace).not.toBe(readlinkSync("/proc/self/ns/net").slice("net:".length));
});

describe("its root", () => {
  test("has binds, read-only ones too, and a tmpfs filled from what lay there", async () => {
    const dir = place.container();
    mkdirSync(`${dir}/data/deep`, { recursive: true });
    writeFileSync(`${dir}/data/deep/file`, "from the host\n");
    writeFileSync(`${place.root}/etc/there`, "from the image\n", { mode: 0o640 });
    const bind = {
      call: "bind",
      at: "root",
      source: `${dir}/data`,
      recursive: true,
      set: 0,
      clear: 0,
      create: "dir",
      propagation: 16384 | (1 << 18),
    };
    const { out } = await run(
      plan(
        container(
          place,
          dir,
          [
            "sh",
            "-c",
            "cat /a/b/c/deep/file; echo x > /a/b/c/new; echo y 2>&1 > /ro/no; cat /etc/there; stat -c '%a %u' /etc/there; echo z > /etc/own; mount | grep -c ' /etc type tmpfs'; stat -c %a /tmp",
          ],
          {
            more: [
              inside({ ...bind, target: "/a/b/c" }),
              inside({ ...bind, target: "/ro", set: 1, recursiveAttributes: true }),
              inside({
                call: "mount",
                fstype: "tmpfs",
                source: "tmpfs",
                target: "/etc",
                flags: 6,
                data: "size=1m",
                create: "dir",
                copyUp: true,
              }),
              inside({
                call: "mount",
                fstype: "tmpfs",
                source: "tmpfs",
                target: "/tmp",
                flags: 6,
                data: "",
                create: "dir",
              }),
            ],
          },
        ),
      ),
    );
    expect(out).toBe(
      "from the host\nsh: can't create /ro/no: Read-only file system\nfrom the image\n640 0\n1\n1777\n",
    );
    expect(readFileSync(`${dir}/data/new`, "utf8")).toBe("x\n");
    expect(existsSync(`${place.root}/etc/own`)).toBe(false);
  });

  test("id-mapped: what root writes in the mount belongs to the caller", async () => {
    const dir = place.container();
    mkdirSync(`${dir}/data`);
    chownSync(`${dir}/data`, 1234, 1234);
    const { out } = await run(
      plan(
        container(place, dir, ["sh", "-c", "touch /data/x; stat -c %u /data/x"], {
          more: [
            inside({
              call: "bind",
              at: "root",
              source: `${dir}/data`,
              target: "/data",
              recursive: false,
              set: 0,
              clear: 0,
              create: "dir",
              propagation: 0,
              idmap: { uid: "1234 0 1\n", gid: "1234 0 1\n" },
            }),
          ],
        }),
      ),
    );
    expect(statSync(`${dir}/data/x`).uid).toBe(1234);
    expect(out).toBe("0\n");
  });

  test("may have more layers than a page of mount options holds", async () => {
    const dir = place.container();
    const layers = Array.from({ length: 300 }, (_, n) => {
      const path = `${dir}/layer-of-a-long-name-${"x".repeat(n % 3 === 0 ? 220 : 10)}-${n}`;
      mkdirSync(path);
      writeFileSync(`${path}/f${n}`, "");
      return path;
    });
    const steps = container(place, dir, ["sh", "-c", "ls -d /f* | wc -l"]).map((step) =>
      step.call === "overlay" ? { ...step, lower: [...layers, place.root] } : step,
    );
    expect((await run(plan(steps))).out).toBe("300\n");
  });

  test("is the host's own with a mount namespace alone; a tmpfs on /tmp is only its own", async () => {
    const dir = place.container();
    const steps = [
      outside({ call: "clone", flags: 0x20000 }),
      inside({ call: "propagation", flags: 16384 | (1 << 18) }),
      inside({
        call: "mount",
        fstype: "tmpfs",
        source: "tmpfs",
        target: "/tmp",
        flags: 0,
        data: "",
        create: "none",
      }),
      inside({ call: "stdio" }),
      inside({
        call: "execve",
        candidates: ["/bin/busybox"],
        argv: [
          "sh",
          "-c",
          `ls -A /tmp; test -e ${place.path} || echo gone; test -e /bin/busybox && echo host`,
        ],
        env: [],
      }),
    ];
    expect((await run(plan(steps))).out).toBe("gone\nhost\n");
    expect(existsSync(dir)).toBe(true);
  });
});

describe("a failure", () => {
  test("of a missing program is Docker's sentence and nothing stays", async () => {
    const error = await failure(plan(container(place, place.container(), ["nope"])));
    expect(error.code).toBe("command-not-found");
    expect(error.message).toBe('exec: "nope": executable file not found in $PATH');
    expect(existsSync(`/proc/${error.report.pid}`)).toBe(false);
    await until(() => !alive(error.report.keeper));
  });

  test("of one without the x bit, or of no known format", async () => {
    writeFileSync(`${place.root}/etc/data`, "no program");
    expect(await failure(plan(container(place, place.container(), ["/etc/data"])))).toMatchObject({
      code: "not-executable",
      message: 'exec: "/etc/data": permission denied',
    });
    writeFileSync(`${place.root}/bin/odd`, "no program", { mode: 0o755 });
    expect(await failure(plan(container(place, place.container(), ["/bin/odd"])))).toMatchObject({
      code: "not-executable",
      message: 'exec: "/bin/odd": exec format error',
    });
    expect((await failure(plan(container(place, place.container(), ["/etc/data/x"])))).message).toBe(
      'exec: "/etc/data/x": not a directory',
    );
  });

  test("of a step names the step, its object, the errno and who asked", async () => {
    const dir = place.container();
    const error = await failure(
      sh("true", {
        more: [
          {
            ...inside({
              call: "bind",
              at: "root",
              source: `${dir}/missing`,
              target: "/x",
              recursive: true,
              set: 0,
              clear: 0,
              create: "dir",
              propagation: 0,
            }),
            why: "-v missing:/x",
          },
        ],
      }),
    );
    expect(error.message).toContain(`binding ${dir}/missing on /x: no such file or directory`);
    expect(error.message).toContain("asked for by -v missing:/x");
    expect(error.kernel).toMatchObject({ errno: "ENOENT" });
  });

  test("has the kernel's own words where it has some", async () => {
    const error = await failure(
      sh("true", {
        more: [
          inside({
            call: "mount",
            fstype: "tmpfs",
            source: "tmpfs",
            target: "/tmp",
            flags: 0,
            data: "size=much",
            create: "dir",
          }),
        ],
      }),
    );
    expect(error.report.detail).toContain("Bad value for 'size'");
  });

  test("outside runs the after column and leaves no child", async () => {
    const dir = place.container();
    const error = await failure(
      plan([
        ...container(place, dir, ["sleep", "100"], {
          early: [
            outside({ call: "mkdir", at: "host", path: `${dir}/made/deep`, mode: 0o755 }),
            outside({ call: "write", path: `${dir}/no/such/file`, data: "{pid}", pid: true }),
            inside({ call: "barrier", waits: "inside" }),
          ],
          after: [{ column: "after", why: "test", call: "rmdir", path: `${dir}/made` }],
        }),
      ]),
    );
    expect(error.message).toContain(`writing ${dir}/no/such/file`);
    expect(error.report.pid).toBeGreaterThan(0);
    expect(existsSync(`/proc/${error.report.pid}`)).toBe(false);
    expect(existsSync(`${dir}/made`)).toBe(false);
  });

  test("of the process is told, not what failed on the host because it had gone", async () => {
    const untilGone =
      "while ! grep -q '^State:.[ZX]' /proc/$0/status 2>/dev/null && [ -d /proc/$0 ]; do :; done; exit 1";
    const error = await failure(
      plan([
        ...container(place, place.container(), ["true"], {
          early: [
            inside({ call: "chdir", path: "/no/such/folder" }),
            outside({ call: "spawn", argv: ["/bin/sh", "-c", untilGone, "{pid}"] }),
          ],
        }),
      ]),
    );
    expect(error.message).toContain("changing to the working directory /no/such/folder");
  });

  test("that is optional is noted and passed over", async () => {
    const connection = await launch(
      sh("true", { before: [{ ...inside({ call: "chdir", path: "/nope" }), optional: true }] }),
    );
    const index = connection.report?.steps.findIndex((step) => step.errno !== undefined) ?? -1;
    expect(connection.report?.steps[index]?.errno).toBe(2);
    connection.attach(1);
    expect((await connection.exit)?.code).toBe(0);
    connection.close();
  });

  test("of a plan that is none is refused in words", async () => {
    const bad = plan([execve("true")]);
    await expect(launch(bad)).rejects.toThrow(
      "the launcher refused the plan: a step inside before the clone",
    );
    await expect(launch(plan([outside({ call: "write", path: "relative", data: "" })]))).rejects.toThrow(
      "a path that is not absolute",
    );
  });
});

test("several that make the same folder at once all have it", async () => {
  const root = place.container();
  for (let round = 0; round < 10; round++) {
    const steps = [
      outside({ call: "clone", flags: CLONE.mnt }),
      inside({ call: "root", path: root }),
      inside({ call: "mkdir", at: "root", path: `/${round}/made/at/once/by/all`, mode: 0o755 }),
    ];
    const made = await Promise.allSettled(
      Array.from({ length: 8 }, async () => (await launch({ steps, keeper: NO_KEEPER })).close()),
    );
    expect(made.filter(({ status }) => status === "rejected")).toEqual([]);
  }
});
