/** What others paid for: each rule attacked from within a container. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { ATTACH, CLONE, type LaunchError, launch, launcherPath, type Step } from "../../src/launch/index.ts";
import { isHeld } from "../support/processes.ts";
import {
  after,
  alive,
  childrenOf,
  container,
  execve,
  inside,
  keeperOf,
  kept,
  outside,
  Place,
  plan,
  until,
} from "./support.ts";

/** The kernel's cgroup v2, wherever it is mounted. */
const UNIFIED = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
  existsSync(`${path}/cgroup.procs`),
);

const place = new Place();
afterAll(() => place.clean());

async function output(
  script: string,
  o: Parameters<typeof container>[3] = {},
  dir = place.container(),
): Promise<string> {
  const connection = await launch(plan(container(place, dir, ["sh", "-c", script], o)));
  let text = "";
  connection.onOutput = (_, data) => {
    text += new TextDecoder().decode(data);
  };
  connection.attach(ATTACH.stdout | ATTACH.stderr);
  await connection.exit;
  connection.close();
  return text;
}

const bind = (source: string, target: string): Step =>
  inside({
    call: "bind",
    at: "root",
    source,
    target,
    recursive: true,
    set: 0,
    clear: 0,
    create: "dir",
    propagation: 16384 | (1 << 18),
  });

describe("the launcher's executable", () => {
  test("cannot be written through /proc/PID/exe (CVE-2019-5736)", async () => {
    // A copy of its own: other keepers, whose text is busy, would answer for it.
    const own = `${place.path}/launcher`;
    copyFileSync(launcherPath(), own);
    const before = readFileSync(own);
    process.env["SAMPAN_LAUNCHER"] = own;
    const dir = place.container();
    const connection = await launch(
      plan(container(place, dir, ["sleep", "1000"], { before: [inside({ call: "init" })] }), kept(dir)),
    );
    delete process.env["SAMPAN_LAUNCHER"];
    const { keeper, pid } = connection.report ?? { keeper: 0, pid: 0 };
    // What the container's root could do to pid 1, root on the host does: it is refused all the same.
    for (const target of [keeper, pid]) {
      expect(readlinkSync(`/proc/${target}/exe`)).not.toBe(own);
      for (const mode of ["r+", "w", "a"]) {
        let code = "";
        try {
          openSync(`/proc/${target}/exe`, mode);
        } catch (error) {
          code = (error as { code: string }).code;
        }
        expect(["EROFS", "ETXTBSY"]).toContain(code);
      }
    }
    // After its end too, when nothing keeps the text busy.
    const fd = openSync(`/proc/${keeper}/exe`, "r");
    process.kill(keeper, "SIGKILL");
    await until(() => !alive(keeper) && !alive(pid));
    expect(() => openSync(`/proc/self/fd/${fd}`, "r+")).toThrow("EROFS");
    closeSync(fd);
    connection.close();
    expect(readFileSync(own).equals(before)).toBe(true);
  });

  test("shares its pages between keepers: the file's own", async () => {
    const dir = place.container();
    const connection = await launch(plan(container(place, dir, ["sleep", "1000"]), kept(dir)));
    const keeper = connection.report?.keeper ?? 0;
    const inode = statSync(launcherPath()).ino;
    expect(statSync(`/proc/${keeper}/exe`).ino).toBe(inode);
    process.kill(keeper, "SIGKILL");
    connection.close();
  });

  test("is the file's own on a tmpfs too, where any file may have seals", async () => {
    const own = `/dev/shm/sampan-test-${process.pid}`;
    copyFileSync(launcherPath(), own);
    try {
      process.env["SAMPAN_LAUNCHER"] = own;
      const dir = place.container();
      const connection = await launch(plan(container(place, dir, ["sleep", "1000"]), kept(dir)));
      delete process.env["SAMPAN_LAUNCHER"];
      const keeper = connection.report?.keeper ?? 0;
      const exe = `/proc/${keeper}/exe`;
      expect(statSync(exe).ino).toBe(statSync(own).ino);
      // Its text is busy as long as it runs; what is left behind when it ends can be opened for reading alone.
      const fd = openSync(exe, "r");
      process.kill(keeper, "SIGKILL");
      await until(() => !alive(keeper));
      expect(() => openSync(`/proc/self/fd/${fd}`, "r+")).toThrow("EROFS");
      closeSync(fd);
      connection.close();
    } finally {
      rmSync(own);
    }
  });

  test("is a sealed copy where mounts cannot be cloned", async () => {
    const child = Bun.spawn({
      cmd: ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", launcherPath()],
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    const exe = await until(() => {
      try {
        const link = readlinkSync(`/proc/${child.pid}/exe`);
        return link.includes("memfd:") && link;
      } catch {
        return false;
      }
    });
    expect(exe).toContain("memfd:sampan-launcher");
    expect(() => openSync(`/proc/${child.pid}/exe`, "r+")).toThrow();
    child.kill(9);
  });
});

describe("the way into a container", () => {
  test("has no descriptor of the host (CVE-2016-9962)", async () => {
    const dir = place.container();
    const steps = container(place, dir, ["true"]);
    // Stopped after its last step inside, before execve.
    const started = launch(plan(steps, kept(dir, { stopAfter: steps.length - 1 })));
    void started.catch(() => {});
    const keeper = await keeperOf(dir);
    const child = await until(() => childrenOf(keeper)[0]);
    await until(() => readlinkSync(`/proc/${child}/cwd`) === "/" && isHeld(child));
    for (const fd of readdirSync(`/proc/${child}/fd`)) {
      const link = readlinkSync(`/proc/${child}/fd/${fd}`);
      expect(link).toMatch(/^(\/dev\/null|pipe:|socket:|\/|\/proc|\/proc\/acpi)/);
    }
    process.kill(keeper, "SIGKILL");
    await until(() => !alive(child));
  });

  test("a working folder that a descriptor of the host leads to is refused, though one came along (CVE-2024-21626)", async () => {
    const dir = place.container();
    // A plan that no compiler makes: its first root is the host's, and stays open when the second takes its place.
    const steps = container(place, dir, ["true"]).flatMap((step) =>
      step.call === "root" ? [inside({ call: "root", path: "/" }), step] : [step],
    );
    const refused: (string | undefined)[] = [];
    for (let fd = 3; fd < 32; fd++)
      await launch(
        plan(steps.map((step) => (step.call === "chdir" ? { ...step, path: `/proc/self/fd/${fd}` } : step))),
      ).then(
        async (connection) => {
          connection.attach(ATTACH.stdout);
          await connection.exit;
          connection.close();
        },
        (error: LaunchError) => refused.push(error.kernel?.errno),
      );
    expect(refused).toContain("EXDEV");
  });

  test("a working folder outside of the root is refused (CVE-2024-21626)", async () => {
    const dir = place.container();
    const steps = container(place, dir, ["true"]).map((step) =>
      step.call === "chdir" ? { ...step, path: "/proc/self/fd/9" } : step,
    );
    await expect(launch(plan(steps))).rejects.toThrow();
    for (let fd = 3; fd < 40; fd++) {
      const error = await launch(
        plan(steps.map((step) => (step.call === "chdir" ? { ...step, path: `/proc/self/fd/${fd}` } : step))),
      ).then(
        async (connection) => {
          // Only a folder of the container itself is fine.
          connection.attach(ATTACH.stdout);
          await connection.exit;
          connection.close();
          return undefined;
        },
        (error: LaunchError) => error,
      );
      if (error) expect(["ENOENT", "ENOTDIR", "EXDEV", "EACCES"]).toContain(error.kernel?.errno ?? "");
    }
  });

  test("the program has a session of its own: no typing into the caller's terminal (CVE-2017-5226)", async () => {
    expect(await output("cat /proc/self/stat")).toMatch(/^\d+ \(cat\) R \d+ 1 1 0 /);
  });
});

describe("a mount target", () => {
  test("that an image made a symlink stays within the root (CVE-2021-30465)", async () => {
    const dir = place.container();
    const outsideOf = `${dir}/host`;
    mkdirSync(outsideOf);
    mkdirSync(`${dir}/data`);
    writeFileSync(`${dir}/data/file`, "x");
    for (const [name, to] of [
      ["abs", outsideOf],
      ["up", `../../../../../../..${outsideOf}`],
      ["dangling", "/made/by/link"],
      ["loop", "loop"],
    ] as const)
      symlinkSync(to, `${place.root}/${name}`);
    const script = `ls ${outsideOf}; ls /made/by/link`;
    expect(
      await output(script, { more: [bind(`${dir}/data`, "/abs"), bind(`${dir}/data`, "/dangling/in")] }, dir),
    ).toBe("file\nin\n");
    expect(readdirSync(outsideOf)).toEqual([]);
    expect(await output(`ls ${outsideOf}/sub`, { more: [bind(`${dir}/data`, "/up/sub")] })).toBe("file\n");
    expect(readdirSync(outsideOf)).toEqual([]);
    await expect(output("true", { more: [bind(`${dir}/data`, "/loop/x")] })).rejects.toMatchObject({
      kernel: { errno: "ELOOP" },
    });
    for (const name of ["abs", "up", "dangling", "loop"]) rmSync(`${place.root}/${name}`);
  });

  test("of /proc that is a symlink is refused (CVE-2019-19921)", async () => {
    rmSync(`${place.root}/proc`, { recursive: true });
    symlinkSync("/tmp", `${place.root}/proc`);
    await expect(output("true")).rejects.toMatchObject({
      message: expect.stringContaining("it is a symbolic link in the image"),
    });
    rmSync(`${place.root}/proc`);
    mkdirSync(`${place.root}/proc`);
  });

  test("a fake /proc that cannot be told from a real one by its mount is told by its superblock (CVE-2019-16884)", async () => {
    mkdirSync(`${place.root}/proc/self`, { recursive: true });
    writeFileSync(`${place.root}/proc/self/oom_score_adj`, "fake");
    const dir = place.container();
    // In a user namespace without a pid namespace of its own no procfs can be mounted: what lies there is all there is.
    const steps: Step[] = [
      outside({ call: "clone", flags: CLONE.user | CLONE.mnt }),
      outside({ call: "write", path: "/proc/{pid}/uid_map", data: "0 0 4294967295\n", pid: true }),
      outside({ call: "write", path: "/proc/{pid}/gid_map", data: "0 0 4294967295\n", pid: true }),
      inside({ call: "barrier", waits: "inside" }),
      inside({ call: "propagation", flags: 16384 | (1 << 18) }),
      { ...bind(place.root, `${dir}/target`), at: "host" } as Step,
      inside({ call: "root", path: `${dir}/target` }),
      inside({ call: "pivot" }),
      inside({ call: "proc", path: "self/oom_score_adj", data: "321" }),
      execve("true"),
    ];
    await expect(launch(plan(steps))).rejects.toMatchObject({ kernel: { errno: "ENODEV" } });
    expect(readFileSync(`${place.root}/proc/self/oom_score_adj`, "utf8")).toBe("fake");
    rmSync(`${place.root}/proc/self`, { recursive: true });
  });

  test("a fake /proc of the image is never written to (CVE-2019-16884)", async () => {
    mkdirSync(`${place.root}/fake/self`, { recursive: true });
    writeFileSync(`${place.root}/fake/self/oom_score_adj`, "fake");
    const dir = place.container();
    const fake = inside({
      call: "bind",
      at: "root",
      from: "root",
      source: "/fake",
      target: "/proc",
      recursive: true,
      set: 0,
      clear: 0,
      create: "none",
      propagation: 0,
    });
    const out = await output(
      "cat /fake/self/oom_score_adj; umount /proc; cat /proc/self/oom_score_adj",
      { more: [fake], before: [inside({ call: "proc", path: "self/oom_score_adj", data: "321" })] },
      dir,
    );
    expect(out).toBe("fake321\n");
    rmSync(`${place.root}/fake`, { recursive: true });
  });

  test("masking uses the host's /dev/null whatever the image has (CVE-2025-31133)", async () => {
    writeFileSync(`${place.root}/etc/secret`, "secret");
    const out = await output(
      "cat /etc/secret; stat -c '%F %t:%T' /etc/secret; rm /etc/secret 2>&1; umount /etc/none 2>/dev/null; echo x > /masked/x",
      {
        more: [
          inside({ call: "mkdir", at: "root", path: "/masked/deep", mode: 0o755 }),
          inside({ call: "mask", target: "/etc/secret" }),
          inside({ call: "mask", target: "/masked" }),
          inside({ call: "mask", target: "/absent/thing" }),
        ],
      },
    );
    expect(out).toContain("character special file 1:3\n");
    expect(out).toContain("resource busy");
    expect(out).toContain("can't create /masked/x: Read-only file system");
    expect(out).not.toContain("secret\n");
  });
});

describe("the end of a cgroup", () => {
  test("signals nobody but who is named: a process that this pid namespace does not see reads 0, which is everybody's group", async () => {
    const victims = [0, 1].map(() => Bun.spawn(["sleep", "1000"]));
    const folder = `${place.path}/cgroup`;
    mkdirSync(folder);
    writeFileSync(`${folder}/cgroup.procs`, `${victims[0]?.pid}\n0\n${victims[1]?.pid}\n`);
    const dir = place.container();
    const steps = container(place, dir, ["true"], { after: [after({ call: "kill", path: folder })] });
    const connection = await launch(plan(steps, kept(dir)));
    connection.close();
    for (const victim of victims) expect(await victim.exited).toBe(137);
    // The keeper, which would have been killed with its group, goes on to write the end down.
    await until(() => !alive(connection.report?.keeper ?? 0));
    expect(existsSync(`${dir}/exit.json`)).toBe(true);
  });
});

describe("faults", () => {
  test("kill -9 of the keeper between any two steps leaves no process and no mount", async () => {
    const mounts = readFileSync("/proc/self/mountinfo", "utf8");
    const count = container(place, "/", ["true"]).length;
    for (let n = 1; n <= count; n += 3) {
      const dir = place.container();
      const steps = container(place, dir, ["sleep", "1000"], {
        early: [
          outside({ call: "write", path: "/dev/null", data: "x" }),
          inside({ call: "barrier", waits: "inside" }),
        ],
      });
      const started = launch(plan(steps, kept(dir, { stopAfter: n })));
      void started.catch(() => {});
      const keeper = await keeperOf(dir);
      await Bun.sleep(10);
      const children = childrenOf(keeper);
      process.kill(keeper, "SIGKILL");
      await expect(started).rejects.toThrow("ended without a report");
      for (const pid of [keeper, ...children]) await until(() => !alive(pid));
    }
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(mounts);
  });

  test.skipIf(!UNIFIED)(
    "kill -9 of the keeper before its child has come so far as to die with it",
    async () => {
      const cgroup = `${UNIFIED}/sampan-test-launch-${process.pid}`;
      const freeze = (how: string): void => writeFileSync(`${cgroup}/cgroup.freeze`, how);
      mkdirSync(cgroup);
      try {
        // Born frozen, it has yet to begin when the keeper has told it already to go on.
        freeze("1");
        const dir = place.container();
        const steps = container(place, dir, ["sleep", "1000"], {
          early: [inside({ call: "barrier", waits: "inside" })],
        }).map((step) => (step.call === "clone" ? { ...step, cgroup } : step));
        const started = launch(plan(steps, kept(dir)));
        void started.catch(() => {});
        const keeper = await keeperOf(dir);
        const child = await until(() => childrenOf(keeper)[0]);
        // It waits for the end of the child's way now.
        await until(() => readFileSync(`/proc/${keeper}/stat`, "utf8").includes(") S "));
        process.kill(keeper, "SIGKILL");
        await until(() => !alive(keeper));
        freeze("0");
        await until(() => !alive(child));
      } finally {
        writeFileSync(`${cgroup}/cgroup.kill`, "1");
        await until(() => readFileSync(`${cgroup}/cgroup.procs`, "utf8") === "");
        rmdirSync(cgroup);
      }
    },
  );

  test("kill -9 of the container's process on its way is said, and the after column runs", async () => {
    const dir = place.container();
    const steps = container(place, dir, ["true"], {
      after: [{ column: "after", why: "test", call: "rmdir", path: `${dir}/target` }],
    });
    const started = launch(plan(steps, kept(dir, { stopAfter: 12 })));
    const keeper = await keeperOf(dir);
    const child = await until(() => childrenOf(keeper)[0]);
    process.kill(child, "SIGKILL");
    await expect(started).rejects.toThrow("the process was killed before it could execute its program");
    await until(() => !existsSync(`${dir}/target`));
  });

  test("kill -9 of the caller leaves the container running", async () => {
    const dir = place.container();
    const script = `${dir}/caller.ts`;
    writeFileSync(
      script,
      `import { launch } from ${JSON.stringify(new URL("../../src/launch/index.ts", import.meta.url).pathname)};
       const connection = await launch(JSON.parse(process.argv[2]));
       connection.attach(7); console.log(connection.report.keeper, connection.report.pid); await connection.exit;`,
    );
    const p = plan(
      container(place, dir, ["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.02; done; echo done"]),
      kept(dir, { foreground: true }),
    );
    const caller = Bun.spawn({
      cmd: [process.execPath, script, JSON.stringify(p)],
      stdio: ["ignore", "pipe", "inherit"],
    });
    const first = await caller.stdout.getReader().read();
    const [keeperPid, pid] = new TextDecoder().decode(first.value).split(" ").map(Number);
    caller.kill(9);
    await caller.exited;
    expect(alive(keeperPid ?? 0)).toBe(true);
    expect(alive(pid ?? 0)).toBe(true);
    writeFileSync(`/proc/${pid}/root/tmp/go`, "");
    await until(() => existsSync(`${dir}/exit.json`));
    expect(readFileSync(`${dir}/log`, "utf8")).toContain("done");
  });

  test("a keeper is small", async () => {
    const dirs = Array.from({ length: 8 }, () => place.container());
    const all = await Promise.all(
      dirs.map((dir) => launch(plan(container(place, dir, ["sleep", "1000"]), kept(dir)))),
    );
    const pss = all.map(({ report }) =>
      Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${report?.keeper}/smaps_rollup`, "utf8"))?.[1]),
    );
    for (const connection of all) {
      process.kill(connection.report?.keeper ?? 0, "SIGKILL");
      connection.close();
    }
    expect(Math.max(...pss)).toBeLessThan(300);
  });
});
