/** The keeper: what stays with a container, with no engine running. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { ATTACH, connect, type Exit, type KeeperPlan, launch, type Step } from "../../src/launch/index.ts";
import { after, alive, container, execve, inside, kept, outside, Place, plan, until } from "./support.ts";

const place = new Place();
const keepers: number[] = [];
afterAll(() => {
  for (const pid of keepers) if (alive(pid)) process.kill(pid, "SIGKILL");
  place.clean();
});

const read = (path: string): string => readFileSync(path, "utf8");
const exitOf = (dir: string): Exit => JSON.parse(read(`${dir}/exit.json`)) as Exit;
const lines = (path: string): string[] => read(path).split("\n").slice(0, -1);
const log = (path: string): { log: string; stream: string; time: string }[] =>
  lines(path).map((line) => JSON.parse(line));
const actions = (dir: string): string[] =>
  lines(`${dir}/events`).map((line) => (JSON.parse(line) as { action: string }).action);

interface Live {
  readonly dir: string;
  readonly keeper: number;
  readonly pid: number;
}

/** A detached container: the report is read, the connection closed. */
async function detach(
  script: string,
  o: Partial<KeeperPlan> = {},
  more: { before?: Step[]; early?: Step[]; after?: Step[]; tty?: boolean } = {},
): Promise<Live> {
  const dir = place.container();
  const steps = container(place, dir, ["sh", "-c", script], { ...more, ...(o.tty ? { tty: true } : {}) });
  const connection = await launch(plan(steps, kept(dir, o)));
  const { keeper, pid } = connection.report ?? { keeper: 0, pid: 0 };
  keepers.push(keeper);
  connection.close();
  return { dir, keeper, pid };
}

const ended = (live: Live): Promise<unknown> => until(() => !alive(live.keeper));

describe("a detached container", () => {
  test("goes on without its caller, and its end is written down", async () => {
    const live = await detach("echo one; sleep 0.2; echo two >&2; exit 3");
    const words = readlinkSync(`${live.dir}/pid`).split(" ");
    expect(words).toHaveLength(7);
    expect(words[0]).toBe(String(live.keeper));
    expect(words[1]).toBe(read(`/proc/${live.keeper}/stat`).split(" ")[21] ?? "");
    expect(words[2]).toBe(String(live.pid));
    expect(words[3]).toBe(read(`/proc/${live.pid}/stat`).split(" ")[21] ?? "");
    expect(words.slice(5)).toEqual(["0", "running"]);
    await ended(live);
    expect(exitOf(live.dir)).toMatchObject({
      code: 3,
      signal: 0,
      timedOut: false,
      restarts: 0,
      startedAt: words[4],
    });
    expect(BigInt(exitOf(live.dir).finishedAt) - BigInt(exitOf(live.dir).startedAt)).toBeGreaterThan(
      150_000_000n,
    );
    expect(log(`${live.dir}/log`).map(({ log, stream }) => [log, stream])).toEqual([
      ["one\n", "stdout"],
      ["two\n", "stderr"],
    ]);
    expect(actions(live.dir)).toEqual(["start", "die"]);
    expect(JSON.parse(lines(`${live.dir}/events`)[1] ?? "")).toMatchObject({
      type: "container",
      id: "test",
      exitCode: "3",
    });
    expect(existsSync(`${live.dir}/attach.sock`)).toBe(false);
  });

  test("holds none of its caller's descriptors open", async () => {
    const dir = place.container();
    const connection = await launch(plan(container(place, dir, ["sleep", "100"]), kept(dir)));
    const keeper = connection.report?.keeper ?? 0;
    keepers.push(keeper);
    for (const fd of [0, 1, 2]) await until(() => readlinkSync(`/proc/${keeper}/fd/${fd}`) === "/dev/null");
    connection.close();
    await until(() => !readdirSync(`/proc/${keeper}/fd`).includes("3"));
    process.kill(keeper, "SIGKILL");
  });

  test("calls the command at its end, unless a client has taken that on itself", async () => {
    const left = place.container();
    const reap = (file: string) => ({ reap: ["/bin/busybox", "touch", file] });
    await ended(await detach("true", reap(`${left}/reaped`)));
    await until(() => existsSync(`${left}/reaped`));
    const dir = place.container();
    const connection = await launch(
      plan(container(place, dir, ["true"]), kept(dir, { foreground: true, ...reap(`${left}/taken`) })),
    );
    connection.attach(ATTACH.stdout);
    await connection.exit;
    expect(existsSync(`${dir}/exit.json`)).toBe(true);
    connection.taken();
    await until(() => !alive(connection.report?.keeper ?? 0));
    expect(existsSync(`${left}/taken`)).toBe(false);
    connection.close();
  });

  test("removes the folders of one that a client has taken, following no link", async () => {
    const left = place.container();
    const outside = `${left}/outside`;
    const gone = `${left}/gone`;
    mkdirSync(`${gone}/a/b`, { recursive: true });
    mkdirSync(outside);
    writeFileSync(`${outside}/stays`, "");
    symlinkSync(outside, `${gone}/a/link`);
    for (let n = 0; n < 300; n++) writeFileSync(`${gone}/a/b/${"x".repeat(100)}${n}`, "");
    const dir = place.container();
    const connection = await launch(
      plan(
        container(place, dir, ["true"]),
        kept(dir, { foreground: true, remove: [gone, `${left}/absent`] }),
      ),
    );
    connection.attach(ATTACH.stdout);
    await connection.exit;
    expect(existsSync(gone)).toBe(true);
    connection.taken();
    await until(() => !existsSync(gone));
    expect(existsSync(`${outside}/stays`)).toBe(true);
    connection.close();
  });

  test("dies with its keeper, and nothing is left", async () => {
    const live = await detach("sleep 1000 & sleep 1000 & wait");
    const children = await until(
      () =>
        read(`/proc/${live.pid}/task/${live.pid}/children`).trim().split(" ").length === 2 &&
        read(`/proc/${live.pid}/task/${live.pid}/children`).trim(),
    );
    process.kill(live.keeper, "SIGKILL");
    await until(() => !alive(live.pid));
    for (const pid of children.split(" ")) await until(() => !alive(Number(pid)));
    expect(existsSync(`${live.dir}/exit.json`)).toBe(false);
  });

  test("holds its lock: a second keeper is refused", async () => {
    const live = await detach("sleep 100");
    await expect(launch(plan(container(place, place.container(), ["true"]), kept(live.dir)))).rejects.toThrow(
      "another keeper holds",
    );
    process.kill(live.keeper, "SIGKILL");
    await until(() => !alive(live.pid));
  });
});

describe("the attach socket", () => {
  test("shows output from now on, takes signals, tells the end", async () => {
    const live = await detach("trap 'echo got it; exit 5' TERM; echo up; while :; do sleep 0.05; done");
    await until(() => log(`${live.dir}/log`).length === 1);
    expect((statSync(`${live.dir}/attach.sock`).mode & 0o777).toString(8)).toBe("600");
    const [a, b, c] = [
      await connect(`${live.dir}/attach.sock`),
      await connect(`${live.dir}/attach.sock`),
      await connect(`${live.dir}/attach.sock`),
    ];
    let text = "";
    a.onOutput = (_, data) => {
      text += new TextDecoder().decode(data);
    };
    a.attach(ATTACH.stdout);
    b.wait();
    c.signal(15);
    expect(await a.exit).toMatchObject({ code: 5 });
    expect(await b.exit).toMatchObject({ code: 5 });
    expect(await c.exit).toBeUndefined();
    expect(text).toBe("got it\n");
    await expect(connect(`${live.dir}/attach.sock`)).rejects.toThrow("no keeper answers");
  });

  test("may lie at a path longer than a socket's address", async () => {
    const dir = `${place.container()}/${"long-".repeat(30)}`;
    mkdirSync(dir);
    const live = await detach("read x; exit 9", { openStdin: true, socket: `${dir}/attach.sock` });
    const client = await connect(`${dir}/attach.sock`);
    client.attach(ATTACH.stdin);
    client.writeStdin(new TextEncoder().encode("\n"));
    expect((await client.exit)?.code).toBe(9);
    await ended(live);
  });

  test("serves 31 clients, each the whole output", async () => {
    const live = await detach("read x; seq 1 20000", { openStdin: true, stdinOnce: true });
    const clients = await Promise.all(Array.from({ length: 31 }, () => connect(`${live.dir}/attach.sock`)));
    const sums = clients.map(() => 0);
    clients.forEach((client, i) => {
      client.onOutput = (_, data) => {
        sums[i] = (sums[i] ?? 0) + data.length;
      };
      client.attach(ATTACH.stdout | ATTACH.stdin);
    });
    clients[0]?.writeStdin(new TextEncoder().encode("go\n"));
    for (const client of clients) expect(await client.exit).toMatchObject({ code: 0 });
    expect(new Set(sums)).toEqual(new Set([108894]));
    expect(lines(`${live.dir}/log`)).toHaveLength(20000);
  });

  test("lets nobody who waits for the end wait for a client that does not read", async () => {
    const dir = place.container();
    const removed = place.container();
    const client = await launch(
      plan(
        container(place, dir, ["yes"]),
        kept(dir, { foreground: true, remove: [removed], restart: { policy: "always", maximum: 0 } }),
      ),
    );
    const { keeper = 0, pid = 0 } = client.report ?? {};
    keepers.push(keeper);
    let bytes = 0;
    client.onOutput = (_, data) => {
      bytes += data.length;
    };
    client.attach(ATTACH.stdout);
    await until(() => bytes > 0);
    client.pause();
    // Its pipe is full, and it has been asleep since.
    await until(() => read(`/proc/${pid}/stat`).includes(") S "));
    const other = await connect(`${dir}/attach.sock`);
    other.wait();
    other.signal(9, true);
    expect(await other.exit).toMatchObject({ code: 137 });
    expect(exitOf(dir)).toMatchObject({ code: 137, restarts: 0 });
    expect(alive(keeper)).toBe(true);
    const before = bytes;
    client.resume();
    // What was in the pipe is still the first client's, and only then the end.
    expect(await client.exit).toMatchObject({ code: 137 });
    expect(bytes).toBeGreaterThan(before + 65536 - 1);
    expect(log(`${dir}/log`).reduce((sum, line) => sum + line.log.length, 0)).toBe(bytes);
    other.taken();
    await until(() => !alive(keeper) && !existsSync(removed));
    client.close();
  });

  test("has room for hundreds, and who comes when it is full is served when one leaves", async () => {
    const live = await detach("sleep 1000");
    const path = `${live.dir}/attach.sock`;
    const waiting = await Promise.all(Array.from({ length: 199 }, () => connect(path)));
    for (const client of waiting) client.wait();
    const late = await connect(path);
    late.wait();
    late.signal(9, true);
    waiting[0]?.close();
    expect(await late.exit).toMatchObject({ code: 137 });
    expect(await waiting[1]?.exit).toMatchObject({ code: 137 });
  });

  test("drops who speaks nonsense and goes on", async () => {
    const live = await detach("read x; echo $x", { openStdin: true, stdinOnce: true });
    for (const type of [99, 17, 19]) {
      const bad = await connect(`${live.dir}/attach.sock`);
      bad.send(type, new Uint8Array(5));
      expect(await bad.exit).toBeUndefined();
    }
    const good = await connect(`${live.dir}/attach.sock`);
    good.attach(ATTACH.stdin);
    good.writeStdin(new TextEncoder().encode("still here\n"));
    await good.exit;
    expect(log(`${live.dir}/log`)[0]?.log).toBe("still here\n");
  });
});

describe("a terminal", () => {
  test("is one: size, resize, input, the container's own devpts", async () => {
    const live = await detach("tty; stty size; read a; echo [$a]; stty size; ls -la /dev/console", {
      tty: true,
      openStdin: true,
      stdinOnce: true,
    });
    const client = await connect(`${live.dir}/attach.sock`);
    let text = "";
    client.onOutput = (_, data) => {
      text += new TextDecoder().decode(data);
    };
    client.attach(ATTACH.stdin | ATTACH.stdout);
    await until(() => log(`${live.dir}/log`).length === 2, "the first size");
    client.resize(33, 111);
    client.writeStdin(new TextEncoder().encode("typed\n"));
    expect((await client.exit)?.code).toBe(0);
    expect(text).toContain("typed\r\n[typed]\r\n33 111\r\n");
    const whole = log(`${live.dir}/log`)
      .map(({ log }) => log)
      .join("");
    expect(whole).toStartWith("/dev/pts/0\r\n24 80\r\n");
    expect(whole).toMatch(/crw--w---- .* 136, +0 .*\/dev\/console\r\n$/);
  });

  test("is never another that has the same name: one whose multiplexer is of another devpts is refused (CVE-2025-52565)", async () => {
    const dir = place.container();
    const devpts = inside({
      call: "mount",
      fstype: "devpts",
      source: "devpts",
      target: "/other",
      flags: 0,
      data: "newinstance,ptmxmode=0666",
      create: "dir",
    });
    // /dev/pts/0 is somebody's by now, and the next terminal, of /other, is called 0 too.
    const first = inside({ call: "console", rows: 0, columns: 0 });
    const swapped = inside({
      call: "bind",
      at: "root",
      from: "root",
      source: "/other/ptmx",
      target: "/dev/pts/ptmx",
      recursive: false,
      set: 0,
      clear: 0,
      create: "none",
      propagation: 0,
    });
    const steps = container(place, dir, ["tty"], { tty: true, more: [devpts, first, swapped] });
    const second = steps.findLastIndex(({ call }) => call === "console");
    await expect(launch(plan(steps, kept(dir, { tty: true })))).rejects.toMatchObject({
      report: { failed: second },
    });
  });

  test("a client's end of input is an end to the program", async () => {
    const live = await detach("cat; echo over", { tty: true, openStdin: true, stdinOnce: true });
    const client = await connect(`${live.dir}/attach.sock`);
    client.attach(ATTACH.stdin | ATTACH.stdout);
    client.closeStdin();
    expect((await client.exit)?.code).toBe(0);
    expect(log(`${live.dir}/log`).at(-1)?.log).toBe("over\r\n");
  });
});

describe("the log", () => {
  test("is Docker's json-file, byte for byte", async () => {
    const before = Date.now();
    const live = await detach(
      `printf 'a"b\\\\c\\t<&>\\r\\n\\n\\001\\377\\342\\200\\250\\303\\244\\360\\237\\230\\200\\342\\200\\nlast'`,
    );
    await ended(live);
    const time = '"time":"\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z"}';
    const [a, b, c, d] = lines(`${live.dir}/log`);
    const strip = (line: string | undefined) => line?.replace(new RegExp(`,"stream":"stdout",${time}$`), "");
    expect(strip(a)).toBe('{"log":"a\\"b\\\\c\\u0009\\u003c\\u0026\\u003e\\r\\n"');
    expect(strip(b)).toBe('{"log":"\\n"');
    expect(strip(c)).toBe('{"log":"\\u0001\\ufffd\\u2028ä😀\\ufffd\\ufffd\\n"');
    expect(strip(d)).toBe('{"log":"last"');
    const at = new Date(JSON.parse(a ?? "").time as string).getTime();
    expect(at).toBeWithin(before - 20, Date.now() + 1);
  });

  test("cuts lines at 16 KiB", async () => {
    const live = await detach("head -c 40000 /dev/zero | tr '\\0' x; echo; echo short");
    await ended(live);
    expect(log(`${live.dir}/log`).map(({ log }) => [log.length, log.endsWith("\n")])).toEqual([
      [16384, false],
      [16384, false],
      [7233, true],
      [6, true],
    ]);
  });

  test("rotates, keeps as many files as it may, and loses no line that it keeps", async () => {
    for (const maxFiles of [1, 3]) {
      const dir = place.container();
      const steps = container(place, dir, ["seq", "1", "3000"]);
      const connection = await launch(
        plan(
          steps,
          kept(dir, { log: { driver: "json-file", path: `${dir}/log`, maxSize: 20_000, maxFiles } }),
        ),
      );
      connection.close();
      await until(() => existsSync(`${dir}/exit.json`));
      const files = ["log.2", "log.1", "log"].filter((name) => existsSync(`${dir}/${name}`));
      expect(files).toHaveLength(maxFiles);
      expect(existsSync(`${dir}/log.3`)).toBe(false);
      for (const name of files) expect(statSync(`${dir}/${name}`).size).toBeLessThanOrEqual(20_000);
      const numbers = files.flatMap((name) => log(`${dir}/${name}`).map(({ log }) => Number(log)));
      expect(numbers.at(-1)).toBe(3000);
      numbers.forEach((n, i) => expect(n).toBe(3000 - numbers.length + 1 + i));
    }
  });

  test("local is time, stream, full or part, and the bytes as they came", async () => {
    const dir = place.container();
    const steps = container(place, dir, ["sh", "-c", "echo 'a\"b'; echo e >&2; sleep 0.05; printf part"]);
    const connection = await launch(
      plan(steps, kept(dir, { log: { driver: "local", path: `${dir}/log`, maxSize: 0, maxFiles: 1 } })),
    );
    connection.close();
    await until(() => existsSync(`${dir}/exit.json`));
    const said = lines(`${dir}/log`).map((line) => line.replace(/^\d{19} /, ""));
    expect(said.toSorted()).toEqual(["eF e", 'oF a"b', "oP part"]);
  });

  test("has every line of 100 MB", async () => {
    const dir = place.container();
    const line = "x".repeat(99);
    const steps = container(place, dir, ["sh", "-c", `yes ${line} | head -c 100000000`]);
    const connection = await launch(plan(steps, kept(dir)));
    connection.close();
    await until(() => existsSync(`${dir}/exit.json`), "100 MB to be written", 50_000);
    const text = readFileSync(`${dir}/log`);
    expect(text.length).toBe(
      1_000_000 * (99 + '{"log":"\\n","stream":"stdout","time":"2026-11-24T02:17:17.123456789Z"}\n'.length),
    );
    rmSync(`${dir}/log`);
  });
});

describe("a restart", () => {
  test("on failure, at most so often, with the log going on", async () => {
    const live = await detach("echo run; exit 4", { restart: { policy: "on-failure", maximum: 2 } });
    await ended(live);
    expect(exitOf(live.dir)).toMatchObject({ code: 4, restarts: 2 });
    expect(log(`${live.dir}/log`)).toHaveLength(3);
    expect(actions(live.dir)).toEqual(["start", "die", "start", "die", "start", "die"]);
  });

  test("not after success; but always with always, until that is taken back", async () => {
    const done = await detach("exit 0", { restart: { policy: "on-failure", maximum: 0 } });
    await ended(done);
    expect(exitOf(done.dir)).toMatchObject({ code: 0, restarts: 0 });
    const live = await detach("echo run", { restart: { policy: "always", maximum: 0 } });
    const words = await until(() => {
      const line = readlinkSync(`${live.dir}/pid`).split(" ");
      return line[6] === "restarting" && line;
    });
    expect(words[2]).toBe("0");
    await until(() => log(`${live.dir}/log`).length >= 3);
    const client = await connect(`${live.dir}/attach.sock`);
    let restarts = 0;
    client.onRestart = () => restarts++;
    client.attach(ATTACH.stdout);
    await until(() => restarts > 0);
    client.signal(0, true);
    expect((await client.exit)?.restarts).toBeGreaterThanOrEqual(2);
    await ended(live);
  });

  test("that cannot be made leaves nothing open, however often it is tried", async () => {
    const needed = `${place.path}/needed`;
    writeFileSync(needed, "");
    const live = await detach(
      "sleep 1000",
      { restart: { policy: "always", maximum: 0 } },
      { early: [outside({ call: "write", path: needed, data: "x" })] },
    );
    const open = () => readdirSync(`/proc/${live.keeper}/fd`).length;
    const deaths = (n: number) => until(() => actions(live.dir).filter((a) => a === "die").length >= n);
    // The caller has left.
    await until(() => !readdirSync(`/proc/${live.keeper}/fd`).includes("3"));
    const before = open();
    rmSync(needed);
    process.kill(live.pid, "SIGKILL");
    await deaths(4);
    expect(open()).toBeLessThanOrEqual(before);
    writeFileSync(needed, "");
    await until(() => actions(live.dir).at(-1) === "start");
    expect(open()).toBe(before);
    process.kill(live.keeper, "SIGKILL");
  });

  test("by another policy, given while it runs", async () => {
    const live = await detach("read x; exit 1", { openStdin: true });
    const client = await connect(`${live.dir}/attach.sock`);
    client.policy({ policy: "on-failure", maximum: 1 });
    client.attach(ATTACH.stdin);
    client.writeStdin(new TextEncoder().encode("\n"));
    await until(() => actions(live.dir).filter((a) => a === "start").length === 2);
    client.writeStdin(new TextEncoder().encode("\n"));
    expect(await client.exit).toMatchObject({ code: 1, restarts: 1 });
  });
});

test("an event holds as many labels as there are", async () => {
  const live = await detach("true", {
    eventMembers: `"id":"test","attributes":{"a":"${"x".repeat(100_000)}"}`,
  });
  await ended(live);
  expect(actions(live.dir)).toEqual(["start", "die"]);
  expect(lines(`${live.dir}/events`)[1]?.length).toBeGreaterThan(100_000);
});

test("an exit record that cannot be written where it should be is written elsewhere", async () => {
  const elsewhere = place.container();
  const live = await detach("exit 3", {
    exitFile: `${elsewhere}/gone/exit.json`,
    exitSpare: `${elsewhere}/exit.json`,
  });
  await ended(live);
  expect(exitOf(elsewhere)).toMatchObject({ code: 3 });
});

describe("a limit", () => {
  test("of time kills the container and says so", async () => {
    const live = await detach("sleep 100", { timeout: 150, restart: { policy: "always", maximum: 0 } });
    await ended(live);
    expect(exitOf(live.dir)).toMatchObject({ code: 137, signal: 9, timedOut: true, restarts: 0 });
  });
});

describe("cgroups", () => {
  const base = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].find(
    (path) => existsSync(`${path}/cgroup.procs`) && statSync(`${path}/cgroup.procs`).isFile(),
  );
  const freezer = existsSync("/sys/fs/cgroup/freezer/cgroup.procs") ? "/sys/fs/cgroup/freezer" : undefined;

  for (const [name, root] of [
    ["of any kind", base],
    ["with a freezer", freezer],
  ] as const)
    test.skipIf(root === undefined)(`${name}: entered first, read, killed, removed`, async () => {
      const path = `${root}/sampan-test-${process.pid}-${name.length}`;
      const live = await detach(
        "sleep 0.1; exit 0",
        { cgroups: [path] },
        {
          early: [
            outside({ call: "mkdir", at: "host", path, mode: 0o755 }),
            outside({ call: "write", path: `${path}/cgroup.procs`, data: "{pid}", pid: true }),
            inside({ call: "barrier", waits: "inside" }),
          ],
          after: [
            after({ call: "read", path: `${path}/cgroup.procs`, key: "procs" }),
            after({ call: "read", path: `${path}/nothing`, key: "none" }),
            after({ call: "kill", path }),
            after({ call: "rmdir", path }),
          ],
        },
      );
      expect(read(`/proc/${live.pid}/cgroup`)).toContain(path.slice(path.lastIndexOf("/")));
      mkdirSync(`${path}/below`);
      await ended(live);
      expect(exitOf(live.dir).readings).toEqual({ procs: "" });
      expect(existsSync(path)).toBe(false);
    });

  test.skipIf(base === undefined)(
    "a process that has left the pid namespace's pid 1 behind is killed with its cgroup",
    async () => {
      const path = `${base}/sampan-test-${process.pid}-left`;
      const dir = place.container();
      // No pid namespace: what the program leaves behind lives on and holds its stdout.
      const steps = [
        outside({ call: "clone", flags: 0x20000 }),
        outside({ call: "mkdir", at: "host", path, mode: 0o755 }),
        outside({ call: "write", path: `${path}/cgroup.procs`, data: "{pid}", pid: true }),
        inside({ call: "barrier", waits: "inside" }),
        inside({ call: "stdio" }),
        { ...execve("/bin/sh", "-c", "sleep 1000 & echo $!"), candidates: ["/bin/sh"] } as Step,
        after({ call: "kill", path }),
        after({ call: "rmdir", path }),
      ];
      const connection = await launch(plan(steps, kept(dir)));
      connection.close();
      await until(() => existsSync(`${dir}/exit.json`));
      expect(alive(Number(log(`${dir}/log`)[0]?.log))).toBe(false);
      await until(() => !existsSync(path));
      if (existsSync(path)) rmdirSync(path);
    },
  );

  test("an oom kill in the readings is an event", async () => {
    const dir = place.container();
    writeFileSync(`${dir}/memory.events`, "low 0\noom 1\noom_kill 1\n");
    const live = await detach(
      "true",
      {},
      { after: [after({ call: "read", path: `${dir}/memory.events`, key: "events" })] },
    );
    await ended(live);
    expect(actions(live.dir)).toEqual(["start", "oom", "die"]);
    expect(exitOf(live.dir).readings["events"]).toContain("oom_kill 1");
  });
});

describe("health", () => {
  const probe = (...argv: string[]): Step[] => [
    outside({ call: "clone", flags: 0 }),
    inside({
      call: "join",
      pid: 0,
      start: 0n,
      flags: 0x20000 | 0x20000000 | 0x04000000 | 0x08000000 | 0x40000000,
    }),
    inside({ call: "clone", flags: 0 }),
    inside({ call: "stdio" }),
    execve(...argv),
  ];
  const health = (dir: string, steps: Step[], o = {}) => ({
    health: {
      interval: 60,
      timeout: 500,
      startPeriod: 0,
      startInterval: 0,
      retries: 2,
      path: `${dir}/health.json`,
      says: 'sh -c \\"test\\"',
      steps,
      ...o,
    },
  });
  interface State {
    status: string;
    failingStreak: number;
    log: { start: string; end: string; exitCode: number; output: string }[];
  }
  const state = (dir: string): State => JSON.parse(read(`${dir}/health.json`)) as State;

  test("goes with what the probe finds in the container", async () => {
    const files = place.container();
    const live = await detach(
      "trap 'touch /tmp/up' USR1; trap 'rm -f /tmp/up' USR2; while :; do sleep 0.02; done",
      health(files, probe("sh", "-c", "echo pid $$; hostname; test -e /tmp/up"), { timeout: 30_000 }),
    );
    expect(state(files).status).toBe("starting");
    await until(() => state(files).status === "unhealthy");
    process.kill(live.pid, "SIGUSR1");
    await until(() => state(files).status === "healthy");
    process.kill(live.pid, "SIGUSR2");
    await until(() => state(files).status === "unhealthy");
    const last = await until(() => state(files).log.length === 5 && state(files));
    expect(last.failingStreak).toBeGreaterThanOrEqual(2);
    expect(last.log.at(-1)).toMatchObject({ exitCode: 1 });
    expect(last.log.at(-1)?.output).toMatch(/^pid \d+\nbox\n$/);
    expect(BigInt(last.log.at(-1)?.end ?? 0)).toBeGreaterThan(BigInt(last.log.at(-1)?.start ?? 0));
    expect(actions(live.dir).filter((a) => a.startsWith("health"))).toEqual([
      "health_status: unhealthy",
      "health_status: healthy",
      "health_status: unhealthy",
    ]);
    process.kill(live.keeper, "SIGKILL");
  });

  test("failures of the start period do not count; a probe that hangs is killed", async () => {
    const hanging = async (startPeriod: number) => {
      const files = place.container();
      const times = { timeout: 60, startPeriod, startInterval: startPeriod > 0 ? 20 : 0 };
      const steps = probe("sh", "-c", "echo half; exec sleep 50");
      return { files, live: await detach("exec sleep 100", health(files, steps, times)) };
    };
    const [young, old] = [await hanging(600_000), await hanging(0)];
    await until(() => state(young.files).log.length >= 4);
    expect(state(young.files)).toMatchObject({ status: "starting", failingStreak: 0 });
    expect(state(young.files).log[0]).toMatchObject({ exitCode: -1 });
    await until(() => state(old.files).status === "unhealthy");
    for (const { live } of [young, old]) process.kill(live.keeper, "SIGKILL");
  });

  test("a probe that writes without end keeps the keeper from nothing, and takes its process with it", async () => {
    const files = place.container();
    const live = await detach("exec sleep 100", health(files, probe("yes"), { timeout: 100, interval: 20 }));
    await until(() => state(files).log.length >= 2);
    expect(state(files).log[0]).toMatchObject({ exitCode: -1 });
    // Nothing of it is a zombie that only the machine's init could reap, without which this container would not end.
    const inside = readdirSync("/proc").filter((pid) => {
      try {
        return (
          /^\d+$/.test(pid) &&
          readlinkSync(`/proc/${pid}/ns/pid`) === readlinkSync(`/proc/${live.pid}/ns/pid`)
        );
      } catch {
        return false;
      }
    });
    expect(inside.length).toBeLessThanOrEqual(2);
    const client = await connect(`${live.dir}/attach.sock`);
    client.wait();
    client.signal(9, true);
    expect(await client.exit).toMatchObject({ code: 137 });
    await ended(live);
  });

  test("a probe that cannot be executed says why", async () => {
    const files = place.container();
    const live = await detach("exec sleep 100", health(files, probe("nope")));
    const { log } = await until(() => state(files).log.length > 0 && state(files));
    expect(log[0]).toMatchObject({ exitCode: 126 });
    expect(log[0]?.output).toContain("No such file or directory");
    process.kill(live.keeper, "SIGKILL");
  });
});
