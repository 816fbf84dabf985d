/** What a container sees and where it lives: namespaces and the root filesystem, run for real. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { processStart } from "../../../src/kernel/proc.ts";
import {
  defaultMounts,
  killAll,
  matchUser,
  type Peer,
  type Root,
  specNamespaces,
} from "../../../src/runtime/index.ts";
import { DOCKER_NAMESPACES, type Running, World } from "../support.ts";

const world = new World();
afterAll(() => world.clean());

const NAMES = ["mnt", "net", "uts", "pid", "ipc", "cgroup", "user", "time"] as const;
const host = (name: string): string => readlinkSync(`/proc/self/ns/${name}`);
const seen = "for n in mnt net uts pid ipc cgroup user time; do echo $n $(readlink /proc/self/ns/$n); done";
const parse = (text: string): Record<string, string> =>
  Object.fromEntries(text.split("\n").map((line) => line.split(" ") as [string, string]));
const peer = ({ connection }: Running): Peer => {
  const pid = connection.report?.pid ?? 0;
  return { pid, start: processStart(pid) ?? 0n };
};

describe("namespaces", () => {
  for (const own of [DOCKER_NAMESPACES, ["mnt"], ["mnt", "pid"], [...NAMES]] as (typeof NAMES)[number][][])
    test(`exactly ${own.join(", ")} are the container's own`, async () => {
      const found = parse(await world.sh(seen, { namespaces: own }));
      for (const name of NAMES) expect(found[name] === host(name)).toBe(!own.includes(name));
    });

  test("those of another container are joined", async () => {
    const first = await world.start(["sleep", "20"]);
    const other = peer(first);
    const joins = { pid: other, net: other, ipc: other };
    const text = await world.sh(`${seen}; ps -o pid,args`, {
      namespaces: ["mnt", "uts", "cgroup"],
      input: { joins },
    });
    const pid = other.pid;
    for (const name of ["pid", "net", "ipc"]) expect(text).toContain(readlinkSync(`/proc/${pid}/ns/${name}`));
    expect(text).toContain("sleep 20");
    await killAll(world.host, first.cgroup);
    await first.done;
  });

  test("and with another's user namespace too", async () => {
    const first = await world.start(["sleep", "20"], { namespaces: [...DOCKER_NAMESPACES, "user"] });
    const other = peer(first);
    const text = await world.sh(`${seen}; ps -o args`, {
      namespaces: ["mnt", "uts", "cgroup"],
      input: { joins: { pid: other, net: other, ipc: other, user: other } },
    });
    expect(text).toContain(readlinkSync(`/proc/${other.pid}/ns/user`));
    expect(text).toContain("sleep 20");
    await killAll(world.host, first.cgroup);
    await first.done;
  });

  test("a pid that is another process by now is not joined", async () => {
    const stale = { pid: process.pid, start: 1n };
    const failed = await world
      .run(["true"], { namespaces: ["mnt", "pid"], input: { joins: { net: stale } } })
      .catch((error: Error) => error);
    expect(failed).toBeInstanceOf(Error);
  });

  test("a user namespace of root's has the powers inside only", async () => {
    const text = await world.sh(
      "id -u; cat /proc/self/uid_map; touch /made; stat -c %u /made; hostname changed && hostname; cat /proc/1/comm",
      { namespaces: [...DOCKER_NAMESPACES, "user"], capabilities: ["CAP_SYS_ADMIN", "CAP_CHOWN"] },
    );
    expect(text.split("\n")[0]).toBe("0");
    expect(text).toMatch(/0\s+0\s+4294967295/);
    expect(text).toContain("changed");
  });

  test.each([
    [[...DOCKER_NAMESPACES, "time"]],
    [["mnt", "time"]],
    [[...DOCKER_NAMESPACES, "user", "time"]],
  ] as const)("clocks are shifted in %j", async (namespaces) => {
    const text = await world.sh(
      "cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets; readlink /proc/self/ns/time",
      {
        namespaces,
        linux: {
          namespaces: specNamespaces(namespaces),
          timeOffsets: { monotonic: { secs: 86_400 }, boottime: { secs: 864_000, nanosecs: 5 } },
        },
      },
    );
    const [uptime, monotonic, boottime, ns] = text.split("\n");
    const here = Number(readFileSync("/proc/uptime", "latin1").split(".")[0]);
    expect(Math.abs(Number(uptime) - here - 864_000)).toBeLessThan(60);
    expect(monotonic).toMatch(/^monotonic +86400 +0$/);
    expect(boottime).toMatch(/^boottime +864000 +5$/);
    expect(ns).not.toBe(host("time"));
  });

  test("steps are timed by the keeper's clock, though the process has another", async () => {
    const { connection, done } = await world.start(["true"], {
      linux: {
        namespaces: specNamespaces([...DOCKER_NAMESPACES, "time"]),
        timeOffsets: { monotonic: { secs: 3_000 } },
      },
    });
    await done;
    const times = (connection.report?.steps ?? []).map(({ at = 0 }) => at);
    expect(times.length).toBeGreaterThan(10);
    for (const at of times) expect(at).toBeLessThan(60_000_000);
  });

  test("loopback is up", async () => {
    expect(await world.sh("ping -c 1 -W 1 127.0.0.1 >/dev/null && echo up")).toBe("up");
  });

  test("hostname, domainname and settings are the container's", async () => {
    const text = await world.sh(
      "hostname; cat /proc/sys/kernel/domainname /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax",
      {
        spec: { hostname: "tester", domainname: "example.org" },
        linux: { sysctl: { "net.core.somaxconn": "321", "kernel.msgmax": "4242" } },
      },
    );
    expect(text).toBe("tester\nexample.org\n321\n4242");
    expect(readFileSync("/proc/sys/kernel/msgmax", "latin1")).not.toBe("4242\n");
  });
});

describe("the lesson", () => {
  const bare = {
    root: { kind: "directory", path: "/" } as Root,
    defaults: [],
    linux: { maskedPaths: [], readonlyPaths: [] },
  };

  test("a process with a mount namespace alone sees exactly the host's files", async () => {
    const text = await world.sh(
      "ls -A /; readlink /proc/self/ns/mnt; cat /proc/self/mountinfo | wc -l; hostname",
      {
        ...bare,
        namespaces: ["mnt"],
      },
    );
    const lines = text.split("\n");
    expect(lines.slice(0, -3).sort()).toEqual(readdirSync("/").sort());
    expect(lines.at(-3)).not.toBe(host("mnt"));
    expect(Number(lines.at(-2))).toBe(readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n").length);
  });

  test("with a tmpfs on /tmp it sees an empty /tmp, and the host's is untouched", async () => {
    const before = readdirSync("/tmp").sort();
    const text = await world.sh("ls -A /tmp; touch /tmp/made-inside; ls -A /tmp", {
      ...bare,
      namespaces: ["mnt"],
      mounts: [{ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"] }],
    });
    expect(text).toBe("made-inside");
    expect(existsSync("/tmp/made-inside")).toBe(false);
    expect(before.every((name) => existsSync(`/tmp/${name}`) || !name.includes("sampan-runtime"))).toBe(true);
  });
});

describe("the root filesystem", () => {
  test("an option in quotes is taken without them", async () => {
    const mounts = [
      { destination: "/q", type: "tmpfs", source: "tmpfs", options: ['mode="710"', "size=4k"] },
    ];
    expect(await world.sh("stat -c %a /q; grep ' /q ' /proc/mounts", { mounts })).toMatch(/^710\n.*size=4k/);
  });

  test("is a copy-on-write view of its layers, top-most first", async () => {
    const layer = (name: string, files: Record<string, string>): string => {
      const path = `${world.path}/layer-${name}`;
      mkdirSync(path);
      for (const file in files) writeFileSync(`${path}/${file}`, files[file] as string);
      return path;
    };
    const top = layer("top", { both: "top\n" });
    const low = layer("low", { both: "low\n", only: "low\n" });
    const text = await world.sh("cat /both /only; echo new > /both; cat /both", {
      root: world.layers([top, low, world.image]),
    });
    expect(text).toBe("top\nlow\nnew");
    expect(readFileSync(`${top}/both`, "utf8")).toBe("top\n");
  });

  test("takes more than a hundred layers", async () => {
    const layers = Array.from({ length: 130 }, (_, index) => {
      const path = `${world.path}/many/layer-with-a-long-name-as-digests-are-${index}`;
      mkdirSync(path, { recursive: true });
      writeFileSync(`${path}/f${index}`, String(index));
      return path;
    });
    expect(
      await world.sh("ls / | grep -c ^f; cat /f129", { root: world.layers([...layers, world.image]) }),
    ).toBe("130\n129");
  });

  test("is this machine's own with the host image, and stays untouched", async () => {
    const path = `${world.path}/host`;
    for (const name of ["upper", "work", "target"]) mkdirSync(`${path}/${name}`, { recursive: true });
    const root: Root = {
      kind: "host",
      upper: `${path}/upper`,
      work: `${path}/work`,
      target: `${path}/target`,
      hide: [world.path],
    };
    const text = await world.sh(
      `cat /etc/debian_version; ls -A /run ${world.path}; touch /etc/made-inside && echo made; rm -rf /etc/passwd; ls /etc/passwd; ls /proc/1/comm`,
      { root },
    );
    expect(text).toContain(readFileSync("/etc/debian_version", "utf8").trim());
    expect(text).toContain("made");
    expect(text).not.toContain("image");
    expect(existsSync("/etc/made-inside")).toBe(false);
    expect(existsSync("/etc/passwd")).toBe(true);
  });

  test("is a plain folder when it is asked for", async () => {
    const path = `${world.path}/plain`;
    Bun.spawnSync(["cp", "-a", world.image, path]);
    await world.sh("echo kept > /var/file", { root: { kind: "directory", path } });
    expect(readFileSync(`${path}/var/file`, "utf8")).toBe("kept\n");
  });

  test("read-only leaves the filesystems that are mounted in it writable", async () => {
    const text = await world.sh(
      "touch /x 2>/dev/null || echo no; touch /dev/shm/x && echo shm; touch /t/x && echo tmpfs",
      {
        spec: { root: { path: "", readonly: true } },
        mounts: [{ destination: "/t", type: "tmpfs", source: "tmpfs", options: ["mode=1777"] }],
      },
    );
    expect(text).toBe("no\nshm\ntmpfs");
  });

  test("has the working folder made", async () => {
    expect(await world.sh("pwd; stat -c '%a %u' .", { process: { cwd: "/not/there/yet" } })).toBe(
      "/not/there/yet\n755 0",
    );
  });

  test("leaves no mount on the host", async () => {
    const running = await world.start(["sleep", "20"]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(world.path);
    await killAll(world.host, running.cgroup);
    await running.done;
  });
});

describe("/dev", () => {
  test("has Docker's nodes and links", async () => {
    const text = await world.sh(
      "cd /dev; for n in null zero full random urandom tty; do stat -c '%n %t:%T %a' $n; done; for l in fd stdin stdout stderr ptmx core; do echo $l $(readlink $l); done",
    );
    expect(text.split("\n")).toEqual([
      "null 1:3 666",
      "zero 1:5 666",
      "full 1:7 666",
      "random 1:8 666",
      "urandom 1:9 666",
      "tty 5:0 666",
      "fd /proc/self/fd",
      "stdin /proc/self/fd/0",
      "stdout /proc/self/fd/1",
      "stderr /proc/self/fd/2",
      "ptmx pts/ptmx",
      "core /proc/kcore",
    ]);
  });

  test("has a console and a terminal of its own", async () => {
    const text = await world.sh(
      "tty; stty size; [ -c /dev/console ] && echo console; ls /dev/pts | tr '\\n' ' '",
      {
        process: { terminal: true, consoleSize: { height: 33, width: 101 } },
      },
    );
    expect(text.replaceAll("\r", "")).toBe("/dev/pts/0\n33 101\nconsole\n0 ptmx ");
  });

  test("has /dev/shm in the size that was asked for", async () => {
    expect(
      await world.sh("df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", {
        defaults: defaultMounts({ shmSize: 1 << 20 }),
      }),
    ).toBe("1024");
  });
});

describe("binds", () => {
  const folder = (name: string): string => {
    const path = `${world.path}/${name}`;
    mkdirSync(`${path}/sub`, { recursive: true });
    writeFileSync(`${path}/file`, "hello\n");
    return path;
  };

  test("show a folder or a file, and what is written is the host's", async () => {
    const path = folder("bind");
    const text = await world.sh("cat /b/file /f; echo changed > /b/file; cat /f", {
      mounts: [
        { destination: "/b", type: "bind", source: path, options: ["rbind", "rprivate"] },
        { destination: "/f", type: "bind", source: `${path}/file`, options: ["rbind", "rprivate"] },
      ],
    });
    expect(text).toBe("hello\nhello\nchanged");
    expect(readFileSync(`${path}/file`, "utf8")).toBe("changed\n");
  });

  test("read-only refuses, and submounts too with rro", async () => {
    const path = folder("readonly");
    const text = await world.sh(
      "touch /b/x 2>/dev/null && echo wrote; touch /b/sub/x 2>/dev/null && echo wrote sub; echo end",
      {
        mounts: [{ destination: "/b", type: "bind", source: path, options: ["rbind", "rro"] }],
      },
    );
    expect(text).toBe("end");
  });

  test("of a folder that is not there are refused", async () => {
    await expect(
      world.run(["true"], {
        mounts: [{ destination: "/b", type: "bind", source: `${world.path}/none`, options: ["rbind"] }],
      }),
    ).rejects.toThrow("bind source path does not exist");
  });

  test("with an id map belong to the caller on disk and to root inside", async () => {
    const path = folder("idmap");
    for (const name of ["", "/sub", "/file"]) chownSync(path + name, 1234, 1235);
    const text = await world.sh(
      "stat -c '%u:%g' /b/file; touch /b/new; mkdir /b/dir; stat -c '%u:%g' /b/new",
      {
        mounts: [
          {
            destination: "/b",
            type: "bind",
            source: path,
            options: ["rbind", "idmap"],
            uidMappings: matchUser(1234, 0),
            gidMappings: matchUser(1235, 0),
          },
        ],
      },
    );
    expect(text).toBe("0:0\n0:0");
    expect(statSync(`${path}/new`)).toMatchObject({ uid: 1234, gid: 1235 });
    expect(statSync(`${path}/dir`)).toMatchObject({ uid: 1234, gid: 1235 });
  });

  test("in a bind: the shallower first, whatever the order", async () => {
    const outer = folder("outer");
    const inner = folder("inner");
    writeFileSync(`${inner}/deep`, "deep\n");
    const text = await world.sh("cat /m/sub/deep", {
      mounts: [
        { destination: "/m/sub", type: "bind", source: inner, options: ["rbind"] },
        { destination: "/m", type: "bind", source: outer, options: ["rbind"] },
      ],
    });
    expect(text).toBe("deep");
  });
});

describe("the process", () => {
  test("has its user, groups, umask, limits and OOM score", async () => {
    const text = await world.sh("id; umask; ulimit -n; cat /proc/self/oom_score_adj", {
      process: {
        user: { uid: 12, gid: 34, additionalGids: [34, 56] },
        rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }],
        oomScoreAdj: 123,
      },
    });
    expect(text).toBe("uid=12 gid=34 groups=34,56\n0022\n100\n123");
  });

  test("takes the nearest of a default limit that may not be raised", async () => {
    const outcome = await world.run(["true"], {
      process: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 2 ** 40, hard: 2 ** 40, nearest: true }] },
    });
    expect(outcome.exit?.code).toBe(0);
  });

  test("is found in its own PATH", async () => {
    await expect(world.run(["no-such-program"])).rejects.toMatchObject({ code: "command-not-found" });
    await expect(world.run(["/etc"])).rejects.toMatchObject({ code: "not-executable" });
    const outcome = await world.run(["echo", "found"], { process: { env: ["PATH=/nowhere:/bin"] } });
    expect(outcome.stdout).toBe("found\n");
  });

  test("has an init above it that reaps and passes signals on", async () => {
    const text = await world.sh("echo $$; (sleep 0.05 &) ; sleep 0.2; ps -o pid,stat | grep -c Z", {
      input: { init: true },
    });
    expect(text).toBe("2\n0");
  });

  test("ends with its exit code", async () => {
    expect((await world.run(["sh", "-c", "exit 42"])).exit).toMatchObject({ code: 42, signal: 0 });
    expect((await world.run(["sh", "-c", "kill -KILL $$"], { input: { init: true } })).exit?.code).toBe(137);
  });

  test("reads its input", async () => {
    expect((await world.run(["cat"], { stdin: "some input\n" })).stdout).toBe("some input\n");
  });
});
