/** Explanations of real processes, compared with what other tools of the engine and the machine say of them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { Engine } from "../../src/engine.ts";
import { type Explanation, explain as explainThere } from "../../src/explain/index.ts";
import { alive } from "../support/processes.ts";
import { REPO, SAMPAN, Sandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = new Sandbox();
  const limits = ["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"];
  await sandbox.ok(
    "run",
    "-d",
    "--name",
    "web",
    ...limits,
    "--cap-drop",
    "NET_RAW",
    "host",
    "sh",
    "-c",
    "sleep 1000; true",
  );
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const explain = async (target: string): Promise<Explanation> =>
  JSON.parse(await sandbox.ok("explain", "--json", target)) as Explanation;
const pidOf = (name: string): Promise<string> => sandbox.ok("inspect", "-f", "{{.State.Pid}}", name);

describe("a running container", () => {
  test("is one process, named by what it is", async () => {
    const found = await explain("web");
    expect(found.target).toMatchObject({
      maker: "sampan",
      name: "web",
      image: "host",
      pid: Number(await pidOf("web")),
    });
    expect(found.summary).toContain(`web is process ${found.target.pid} (sh) of the image host`);
    expect(found.summary).toContain("its own mnt, pid, net, uts, ipc and cgroup namespaces");
  });

  test("its tree has both pids; an exec is in it", async () => {
    await sandbox.ok("exec", "-d", "web", "sleep", "999");
    const { processes } = await explain("web");
    const target = processes.find(({ role }) => role === "target");
    expect(target?.pid.inside).toBe(1);
    const sleep = processes.find(({ command }) => command === "sleep 1000");
    expect(sleep).toMatchObject({ role: "member", depth: 2, user: { outside: "root", inside: "root" } });
    expect(sleep?.pid.inside).toBeGreaterThan(1);
    expect(processes.some(({ command, role }) => command === "sleep 999" && role === "member")).toBe(true);
    const text = await sandbox.ok("explain", "web");
    expect(text).toMatch(/its keeper: .*\n.* └─ sh -c/);
    expect(text).toMatch(/came in by exec: .*\n.* └─ sleep 999/);
  });

  test("its namespaces are the kernel's", async () => {
    const { namespaces, target } = await explain("web");
    expect(namespaces).toHaveLength(8);
    for (const { name, inode, own } of namespaces) {
      expect(`${name}:[${inode.inside}]`).toBe(readlinkSync(`/proc/${target.pid}/ns/${name}`));
      expect(`${name}:[${inode.outside}]`).toBe(readlinkSync(`/proc/self/ns/${name}`));
      expect(own).toBe(inode.inside !== inode.outside);
    }
  });

  test("says with whom it shares", async () => {
    await sandbox.ok("run", "-d", "--name", "side", "--network", "container:web", "host", "sleep", "1000");
    const { namespaces } = await explain("web");
    expect(namespaces.find(({ name }) => name === "net")?.containers).toEqual(["side"]);
    expect(namespaces.find(({ name }) => name === "mnt")?.containers).toEqual([]);
    await sandbox.ok("rm", "-f", "side");
  });

  test("whatever it shares, and beside containers that share nothing", async () => {
    const run = (name: string, ...flags: string[]): Promise<string> =>
      sandbox.ok("run", "-d", "--name", name, "--network", "none", ...flags, "host", "sleep", "1000");
    for (const name of ["a", "b"]) await run(name);
    await run("watcher", "--pid", "container:web");
    await run("c");
    const { namespaces } = await explain("web");
    expect(namespaces.filter(({ containers }) => containers.length > 0)).toMatchObject([
      { name: "pid", containers: ["watcher"] },
    ]);
    await sandbox.ok("rm", "-f", "a", "b", "watcher", "c");
  });

  test("one that has nothing but a host name of its own", async () => {
    const lone = ["--name", "lone", "--namespaces", "uts", "--rootfs", "/"];
    await sandbox.ok("run", "-d", ...lone, "sleep", "1000");
    const visitor = Bun.spawn(
      ["nsenter", "-t", await pidOf("lone"), "--uts", "sh", "-c", "echo in; read -r end"],
      { stdin: "pipe", stdout: "pipe" },
    );
    await visitor.stdout.getReader().read();
    const { namespaces } = await explain("lone");
    expect(namespaces.find(({ name }) => name === "uts")).toMatchObject({
      own: true,
      processes: [visitor.pid],
    });
    expect(namespaces.find(({ name }) => name === "mnt")?.own).toBe(false);
    await Promise.all([visitor.stdin.end(), visitor.exited]);
    await sandbox.ok("rm", "-f", "lone");
  });

  test("also with processes of this machine that joined a single one of them", async () => {
    const pid = await pidOf("web");
    for (const [name, flag] of [
      ["net", "--net"],
      ["pid", "--pid"],
      ["mnt", "--mount"],
    ]) {
      const visitor = Bun.spawn(["nsenter", "-t", pid, `${flag}`, "sh", "-c", "echo in; sleep 100; true"], {
        stdin: "ignore",
        stdout: "pipe",
      });
      await visitor.stdout.getReader().read();
      const { namespaces } = await explain("web");
      expect(namespaces.find((each) => each.name === name)?.processes.length).toBeGreaterThan(0);
      const below = await Bun.file(`/proc/${visitor.pid}/task/${visitor.pid}/children`).text();
      for (const child of below.split(" ").filter(Boolean)) process.kill(Number(child), "SIGKILL");
      visitor.kill(9);
      await visitor.exited;
    }
  });

  test("limits have their flag and their file", async () => {
    const { cgroups } = await explain("web");
    const limit = (what: string) => cgroups.limits.find((each) => each.what === what);
    expect(limit("memory")).toMatchObject({ limit: 64 * 2 ** 20, flag: "--memory" });
    expect(limit("processes")).toMatchObject({ limit: 50, flag: "--pids-limit" });
    expect(limit("cpu time")).toMatchObject({ limit: 0.5, flag: "--cpus" });
    // Set along with it: nobody has said --memory-swap.
    expect(limit("memory and swap") ?? limit("swap")).toMatchObject({ flag: "--memory" });
    const plan = await sandbox.ok("explain", "--plan", "web");
    expect(plan).not.toMatch(/--memory-swap|--cpu-period/);
    for (const { file } of cgroups.limits) expect(await Bun.file(file).exists()).toBe(true);
    expect(cgroups.frozen).toBe(false);
  });

  test("of huge pages too, where the machine has them", async () => {
    // On the v2 tree alone, where the controller is.
    const script = `mount --make-rprivate /; umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
id=$(dist/sampan run -d --name huge host sleep 1000)
file=/sys/fs/cgroup${sandbox.cgroupParent}/$id/hugetlb.2MB.max; [ -e $file ] && echo 4194304 > $file && echo $file
dist/sampan explain --json huge; dist/sampan rm -f huge >/dev/null`;
    const child = Bun.spawn(["unshare", "--mount", "sh", "-c", script], {
      cwd: REPO,
      env: sandbox.env,
      stdin: "ignore",
      stdout: "pipe",
    });
    const [, file = "", json = ""] = /^(\/.*\n)?([^]*)$/.exec(await new Response(child.stdout).text()) ?? [];
    const line = (JSON.parse(json) as Explanation).cgroups.limits.find(({ what }) => what.startsWith("huge"));
    const limited = { what: "huge pages of 2MB", unit: "bytes", limit: 4 << 20, now: 0, file: file.trim() };
    if (file === "") expect(line).toBeUndefined();
    else expect(line).toMatchObject(limited);
  });

  test("what it wrote and deleted is counted", async () => {
    await sandbox.ok("exec", "web", "sh", "-c", "echo hi > /root/new; rm /etc/passwd");
    const { rootfs } = await explain("web");
    expect(rootfs).toMatchObject({ fstype: "overlay", host: false, readonly: false });
    expect(rootfs?.upper).toMatchObject({ changed: 1, deleted: 1 });
    expect(rootfs?.masked).toContain("/proc/keys");
    expect(rootfs?.readonlyPaths).toContain("/proc/sys");
    expect(rootfs?.mounts.find(({ target }) => target === "/proc")?.fstype).toBe("proc");
  });

  test("capabilities that were taken are named", async () => {
    const { process } = await explain("web");
    expect(process.capabilities.dropped).toContain("CAP_NET_RAW");
    expect(process.capabilities.dropped).toContain("CAP_SYS_ADMIN");
    expect(process.capabilities.effective).toContain("CAP_CHOWN");
    expect(process.seccomp).toMatchObject({ mode: "filter", filters: 1 });
    const { refusals } = process.seccomp;
    expect(refusals?.families["mounting"]).toContain("mount");
    expect(refusals?.families["the kernel itself"]).toContain("bpf");
    expect(refusals?.depends.toSorted()).toEqual(["clone", "personality", "socket"]);
    expect(Object.values(refusals?.families ?? {}).flat()).toHaveLength(refusals?.refused ?? 0);
  });

  test("paused, it says so", async () => {
    await sandbox.ok("pause", "web");
    const found = await explain("web");
    await sandbox.ok("unpause", "web");
    expect(found.summary).toContain("paused for");
    expect(found.cgroups.frozen).toBe(true);
  });

  test("a pid of it belongs to it", async () => {
    const { processes } = await explain("web");
    const sleep = processes.find(({ command }) => command === "sleep 1000")?.pid.outside ?? 0;
    expect((await explain(String(sleep))).summary).toContain(
      `Process ${sleep} (sleep) belongs to the container web`,
    );
  });

  test("the text fits a terminal of 100 columns", async () => {
    const text = await sandbox.ok("explain", "web");
    for (const heading of ["Processes", "Namespaces", "Cgroups", "Root filesystem", "Process"])
      expect(text).toMatch(new RegExp(`^${heading}\\b`, "m"));
    for (const line of text.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(100);
  });
});

describe("its network", () => {
  test("interfaces, addresses, the way out, and how a published port gets in", async () => {
    const ports = ["-p", "127.0.0.1:8099:80", "-p", "8097:81"];
    await sandbox.ok("run", "-d", "--name", "served", ...ports, "host", "sleep", "1000");
    const { network } = await explain("served");
    const address = await sandbox.ok(
      "inspect",
      "-f",
      "{{.NetworkSettings.Networks.bridge.IPAddress}}",
      "served",
    );
    const gateway = await sandbox.ok(
      "inspect",
      "-f",
      "{{.NetworkSettings.Networks.bridge.Gateway}}",
      "served",
    );
    expect(network?.networks).toEqual([{ name: "bridge", driver: "bridge", interface: "eth0" }]);
    const [lo, eth] = network?.interfaces ?? [];
    expect(lo).toMatchObject({ name: "lo", addresses: ["127.0.0.1/8", "::1/128"] });
    expect(eth).toMatchObject({ name: "eth0", gateway });
    expect(eth?.addresses[0]).toStartWith(`${address}/`);
    const led = { protocol: "tcp", destination: address };
    expect(network?.published.toSorted((a, b) => b.port - a.port)).toEqual([
      { ...led, address: "127.0.0.1", port: 8099, target: 80 },
      { ...led, address: "0.0.0.0", port: 8097, target: 81 },
      { ...led, address: "::", port: 8097, target: 81, carried: true },
    ]);
    const text = await sandbox.ok("explain", "served");
    expect(text).toContain(`is ${address}:80, by a rule in nf_tables`);
    expect(text).toMatch(/tcp \[::\]:8097 +is [\d.]+:81, carried in by the process that answers for names/);
    await sandbox.ok("rm", "-f", "served");
  });

  test("who shares a network does not listen on what the other listens on", async () => {
    const nc = ["host", "busybox", "nc", "-l", "-p", "80"];
    await sandbox.ok("run", "-d", "--name", "hears", "--network", "none", ...nc);
    await sandbox.ok("run", "-d", "--name", "deaf", "--network", "container:hears", "host", "sleep", "1000");
    const heard = async (): Promise<number[] | undefined> =>
      (await explain("hears")).process.ports?.map(({ port }) => port);
    await until(async () => (await heard())?.[0] === 80);
    expect((await explain("deaf")).process.ports).toEqual([]);
    await sandbox.ok("rm", "-f", "hears", "deaf");
  });

  test("one without: the loopback alone; the machine's own is not shown", async () => {
    await sandbox.ok("run", "-d", "--name", "alone", "--network", "none", "host", "sleep", "1000");
    expect((await explain("alone")).network?.interfaces.map(({ name }) => name)).toEqual(["lo"]);
    await sandbox.ok("rm", "-f", "alone");
    expect((await explain(String(process.pid))).network).toBeUndefined();
  });
});

describe("in the library", () => {
  test("a program can say: this container has no CAP_SYS_ADMIN", async () => {
    const engine = Engine.open({ root: sandbox.root, run: `${sandbox.root}/run` });
    const { process: rights, namespaces } = await explainThere(engine, "web");
    expect(rights.capabilities.effective).not.toContain("CAP_SYS_ADMIN");
    expect(rights.capabilities.bounding).not.toContain("CAP_SYS_ADMIN");
    expect(namespaces.find(({ name }) => name === "net")?.own).toBe(true);
    engine.close();
  });
});

test("a container without a cgroup of its own says whose figures these are", async () => {
  const home = mkdtempSync("/tmp/sampan-other-");
  Bun.spawnSync(["chown", "65534:65534", home]);
  const user = (...words: string[]): string =>
    Bun.spawnSync(
      [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "env",
        `HOME=${home}`,
        `SAMPAN_ROOT=${home}`,
        `SAMPAN_RUN=${home}/r`,
        SAMPAN,
        ...words,
      ],
      { env: sandbox.env },
    ).stdout.toString();
  user("run", "-d", "--network", "none", "--name", "loose", "host", "sleep", "1000");
  expect(user("explain", "loose")).toContain("It has none of its own: what these say is true of all");
  expect(await sandbox.ok("explain", "web")).not.toContain("It has none of its own");
  user("rm", "-f", "loose");
  rmSync(home, { recursive: true, force: true });
});

describe("of somebody else", () => {
  test("a process of another user, seen by root and by a third", async () => {
    const other = Bun.spawn(["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "sleep", "1000"]);
    try {
      await until(() => readFileSync(`/proc/${other.pid}/comm`, "utf8") === "sleep\n");
      expect((await explain(String(other.pid))).process).toMatchObject({ uid: 1234, gid: 1234 });
      const home = mkdtempSync("/tmp/sampan-other-");
      Bun.spawnSync(["chown", "65534:65534", home]);
      const nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "env",
        `SAMPAN_ROOT=${home}`,
      ];
      const seen = Bun.spawnSync([...nobody, `SAMPAN_RUN=${home}/r`, SAMPAN, "explain", String(other.pid)], {
        env: sandbox.env,
      });
      expect([seen.exitCode, seen.stderr.toString()]).toEqual([0, ""]);
      expect(seen.stdout.toString()).toContain("Not shown, because this user may not read it:");
      rmSync(home, { recursive: true, force: true });
    } finally {
      other.kill(9);
      await other.exited;
    }
  });
});

describe("any process", () => {
  test("this one is no container", async () => {
    const found = await explain(String(process.pid));
    expect(found.target.maker).toBe("none");
    expect(found.summary).toContain("It shares all namespaces with you");
    expect(found.rootfs?.host).toBe(true);
  });

  test("a port that it listens on", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { process: rights } = await explain(String(process.pid));
    expect(rights.ports).toContainEqual({
      protocol: "tcp",
      address: "127.0.0.1",
      port: server.port ?? 0,
      pid: process.pid,
    });
    await server.stop(true);
  });

  test("pid 1", async () => {
    const found = await explain("1");
    expect(found.target.pid).toBe(1);
    const text = await sandbox.ok("explain", "1");
    // Where its files may not be looked at nobody can say that it listens on nothing.
    if (found.process.ports === undefined) expect(text).toContain("listens on      ? its open files");
    else expect(text).toContain("listens on      ");
  });

  test("a thread of the kernel is called one", async () => {
    const found = await explain("2");
    expect(found.target).toMatchObject({ pid: 2, kernel: true });
    expect(found.summary).toStartWith("Process 2 (kthreadd), a thread of the kernel, has been running for");
    const text = await sandbox.ok("explain", "2");
    expect(text).toContain("program         none: it is the kernel itself");
    // It may have another network than this suite, in which others listen.
    expect(text).toMatch(/listens on {6}nothing\n/);
    for (const line of text.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(100);
  });

  test("a zombie has ended", async () => {
    const parent = Bun.spawn(
      ["perl", "-e", "$| = 1; my $pid = fork // die; exit if !$pid; print $pid; sleep 100"],
      {
        stdin: "ignore",
        stdout: "pipe",
      },
    );
    const { value } = await parent.stdout.getReader().read();
    const pid = new TextDecoder().decode(value);
    await until(() => !alive(Number(pid)));
    const { summary, target } = await explain(pid);
    expect(target).toMatchObject({ zombie: true, comm: "perl" });
    expect(summary).toStartWith(
      `Process ${pid} (perl) has ended. It is a zombie: its exit code is left, until its parent, process ${parent.pid}, asks`,
    );
    await sandbox.ok("explain", pid);
    parent.kill(9);
    await parent.exited;
  });

  test("of a container with --init: what runs beneath it", async () => {
    await sandbox.ok(
      "run",
      "-d",
      "--init",
      "--userns",
      "private",
      "--name",
      "inner",
      "host",
      "sleep",
      "1000",
    );
    const found = await explain("inner");
    expect(found.summary).toContain(`(sampan-init, which runs sleep) of the image host`);
    expect(found.process.program).toBeUndefined();
    // In a user namespace /dev/null is a mount, and no mask.
    expect(found.rootfs?.masked).not.toContain("/dev/null");
    expect(await sandbox.ok("explain", "inner")).toMatch(/program +sampan-init, a file of no mount, in \//);
    await sandbox.ok("rm", "-f", "inner");
  });

  test("one whose namespaces only it has, made by somebody else", async () => {
    const child = Bun.spawn(["unshare", "--uts", "--ipc", "sleep", "100"]);
    await until(() => readFileSync(`/proc/${child.pid}/comm`, "utf8") === "sleep\n");
    const { namespaces, summary } = await explain(String(child.pid));
    child.kill();
    expect(summary).toContain("its own uts and ipc namespaces");
    expect(namespaces.find(({ name }) => name === "uts")?.own).toBe(true);
  });

  test("as an ordinary user: what may be read, and a word on the rest", async () => {
    const pid = await pidOf("web");
    const child = Bun.spawnSync([
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      process.execPath,
      "-e",
      `
      const { explain } = await import(${JSON.stringify(new URL("../../src/explain/index.ts", import.meta.url).pathname)});
      const { Engine } = await import(${JSON.stringify(new URL("../../src/engine.ts", import.meta.url).pathname)});
      console.log(JSON.stringify(await explain(Engine.open({ root: "/tmp/sampan-test-nobody-${process.pid}" }), "${pid}")));
    `,
    ]);
    Bun.spawnSync(["rm", "-rf", `/tmp/sampan-test-nobody-${process.pid}`]);
    const text = child.stdout.toString();
    expect(child.stderr.toString()).toBe("");
    const found = JSON.parse(text) as Explanation;
    expect(found.namespaces.every(({ own }) => own === undefined)).toBe(true);
    expect(found.process.capabilities.dropped).toContain("CAP_SYS_ADMIN");
    expect(found.rootfs?.host).toBe(false);
    expect(found.notes.join()).toContain("may not read it: namespaces");
  });
});

describe("nobody there", () => {
  test.each([
    ["nosuch", "No such container or process: nosuch"],
    ["4194303", "No such process: 4194303"],
  ])("%s", async (target, message) => {
    const { code, stderr, stdout } = await sandbox.cli("explain", target);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(message);
  });

  test("a container that has not been started", async () => {
    await sandbox.ok("create", "--name", "fresh", "host", "true");
    const { code, stderr } = await sandbox.cli("explain", "fresh");
    expect(code).toBe(1);
    expect(stderr).toBe(
      "sampan: container fresh is not running: it is created\nStart it first: sampan start fresh\n",
    );
  });

  test("processes that end while they are read: an answer or a clear error, never a crash", async () => {
    const rounds = Array.from({ length: 20 }, async (_, index) => {
      const child = Bun.spawn(["sleep", (index * 0.004).toFixed(3)]);
      const { code, stdout, stderr } = await sandbox.cli("explain", "--json", String(child.pid));
      if (code === 0) expect((JSON.parse(stdout) as Explanation).process.capabilities).toBeDefined();
      else expect(stderr).toMatch(/No such process|ended while it was read/);
    });
    await Promise.all(rounds);
  });
});
