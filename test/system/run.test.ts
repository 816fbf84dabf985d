/** `run` as a user meets it: the program's output, its exit code, its surroundings, and nothing left behind. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});

describe("a run's output and exit code are the program's", () => {
  test("hello", async () => {
    expect(await box.cli("run", "--rm", "host", "echo", "hello")).toEqual({
      code: 0,
      stdout: "hello\n",
      stderr: "",
    });
  });

  test("stdout and stderr stay apart", async () => {
    const { stdout, stderr } = await box.cli("run", "--rm", "host", "sh", "-c", "echo out; echo err >&2");
    expect({ stdout, stderr }).toEqual({ stdout: "out\n", stderr: "err\n" });
  });

  test.each([0, 1, 3, 42, 255])("exit code %d", async (code) => {
    expect((await box.cli("run", "--rm", "host", "sh", "-c", `exit ${code}`)).code).toBe(code);
  });

  test("a signal is 128 and its number", async () => {
    expect((await box.cli("run", "--rm", "--init", "host", "sh", "-c", "kill -TERM $$")).code).toBe(143);
  });

  test("a program that does not exist: 127", async () => {
    const { code, stderr } = await box.cli("run", "--rm", "host", "no-such-program");
    expect(code).toBe(127);
    expect(stderr).toContain('exec: "no-such-program": executable file not found in $PATH');
  });

  test("a file that is no program: 126", async () => {
    const { code, stderr } = await box.cli("run", "--rm", "host", "/etc/passwd");
    expect(code).toBe(126);
    expect(stderr).toContain("permission denied");
  });

  test("a flag that does not exist: 125", async () => {
    const { code, stderr } = await box.cli("run", "--no-such-flag", "host", "true");
    expect(code).toBe(125);
    expect(stderr).toContain("unknown flag: --no-such-flag");
  });

  test("an image that is not here and cannot be had: 125, and what works instead", async () => {
    const { code, stderr } = await box.cli("run", "--rm", "127.0.0.1:1/no-such-image");
    expect(code).toBe(125);
    expect(stderr).toContain("no-such-image");
    expect(stderr).toContain("host");
    expect(stderr).toContain("sampan load");
  });

  test("a platform that it is not for: 125, and which it is for", async () => {
    const here = process.arch === "x64" ? "amd64" : process.arch;
    expect(await box.cli("run", "--rm", "--platform", "linux/s390x", "host", "true")).toEqual({
      code: 125,
      stdout: "",
      stderr:
        `sampan: image with reference host was found but its platform (linux/${here}) does not match the specified platform (linux/s390x)\n` +
        "Pull it or load an archive of it for that platform, or leave --platform out.\n",
    });
    expect((await box.cli("run", "--rm", "--platform", "foo", "host", "true")).stderr).toBe(
      'sampan: error parsing specified platform: "foo": unknown operating system or architecture: invalid argument\n' +
        "A platform is written linux/amd64 or linux/arm/v7.\n",
    );
    expect((await box.cli("run", "--rm", "--platform", here, "host", "true")).code).toBe(0);
  });

  test("a megabyte of output arrives whole", async () => {
    const { stdout } = await box.cli("run", "--rm", "host", "head", "-c", "1000000", "/dev/zero");
    expect(stdout.length).toBe(1_000_000);
  });

  test("stdin reaches the program with -i, and its end does too", async () => {
    const { stdout } = await box.cliWith({ stdin: "one\ntwo\n" }, "run", "-i", "--rm", "host", "cat");
    expect(stdout).toBe("one\ntwo\n");
  });

  test("without -i stdin is empty", async () => {
    const { stdout } = await box.cliWith({ stdin: "one\n" }, "run", "--rm", "host", "cat");
    expect(stdout).toBe("");
  });
});

describe("the host image", () => {
  test("shows this machine's files, and keeps what is written to itself", async () => {
    const mark = `/etc/sampan-test-${process.pid}`;
    const { stdout } = await box.cli(
      "run",
      "--rm",
      "host",
      "sh",
      "-c",
      `echo x > ${mark} && cat ${mark} /etc/hostname`,
    );
    expect(stdout.startsWith("x\n")).toBe(true);
    expect(existsSync(mark)).toBe(false);
  });

  test("may be destroyed", async () => {
    const { stdout } = await box.cli(
      "run",
      "--rm",
      "host",
      "sh",
      "-c",
      "rm -rf /srv /etc/apt /bin/true; test -e /srv || test -e /etc/apt || test -e /bin/true || echo gone",
    );
    expect(stdout.trim()).toBe("gone");
    expect(existsSync("/etc/apt")).toBe(true);
  });

  test("does not show the engine's state or the host's /run", async () => {
    const { stdout } = await box.cli("run", "--rm", "host", "sh", "-c", `ls -A /run ${box.root}`);
    expect(stdout).not.toContain("sampan.db");
    expect(stdout).not.toContain("containers");
  });

  test("goes by its full name too", async () => {
    expect(await box.ok("run", "--rm", "docker.io/library/host", "echo", "hi")).toBe("hi");
  });
});

describe("flags of the process", () => {
  test("-e, --env-file and the defaults", async () => {
    const file = `${box.root}/env`;
    writeFileSync(file, "# a comment\nFILE=1\nBOTH=file\n");
    const text = await box.ok(
      "run",
      "--rm",
      "-e",
      "A=1",
      "-e",
      "BOTH=flag",
      "--env-file",
      file,
      "host",
      "env",
    );
    const lines = text.split("\n");
    expect(lines).toContain("A=1");
    expect(lines).toContain("FILE=1");
    expect(lines).toContain("BOTH=flag");
    expect(lines.some((line) => line.startsWith("PATH="))).toBe(true);
    expect(lines.some((line) => line.startsWith("HOSTNAME="))).toBe(true);
    expect(lines).toContain("HOME=/root");
  });

  test("-w makes the folder where it is missing", async () => {
    expect(await box.ok("run", "--rm", "-w", "/no/such/folder", "host", "pwd")).toBe("/no/such/folder");
  });

  test("-u by name and number, --group-add", async () => {
    expect(await box.ok("run", "--rm", "-u", "daemon", "host", "id", "-un")).toBe("daemon");
    expect(await box.ok("run", "--rm", "-u", "12345:54321", "host", "sh", "-c", "id -u; id -g")).toBe(
      "12345\n54321",
    );
    expect(
      await box.ok("run", "--rm", "-u", "1000:1000", "--group-add", "audio", "host", "id", "-G"),
    ).toMatch(/^1000 \d+$/);
    expect((await box.cli("run", "--rm", "-u", "nobody-of-that-name", "host", "true")).code).not.toBe(0);
  });

  test("--hostname, --domainname", async () => {
    expect(await box.ok("run", "--rm", "--hostname", "boat", "host", "hostname")).toBe("boat");
    expect(await box.ok("run", "--rm", "--hostname", "boat", "host", "cat", "/etc/hostname")).toBe("boat");
    expect(
      await box.ok("run", "--rm", "--domainname", "harbour", "host", "cat", "/proc/sys/kernel/domainname"),
    ).toBe("harbour");
  });

  test("--entrypoint", async () => {
    expect(await box.ok("run", "--rm", "--entrypoint", "echo", "host", "a", "b")).toBe("a b");
  });

  test("--ulimit, --sysctl, --shm-size", async () => {
    expect(
      await box.ok("run", "--rm", "--ulimit", "nofile=100:200", "host", "sh", "-c", "ulimit -Sn; ulimit -Hn"),
    ).toBe("100\n200");
    expect(
      await box.ok(
        "run",
        "--rm",
        "--sysctl",
        "net.ipv4.ip_forward=1",
        "host",
        "cat",
        "/proc/sys/net/ipv4/ip_forward",
      ),
    ).toBe("1");
    expect(
      await box.ok("run", "--rm", "--shm-size", "8m", "host", "df", "-k", "--output=size", "/dev/shm"),
    ).toMatch(/8192$/);
  });

  test("--cidfile holds the id, and an existing one is refused", async () => {
    const file = `${box.root}/cid`;
    await box.ok("run", "--rm", "--cidfile", file, "host", "true");
    expect(readFileSync(file, "utf8")).toMatch(/^[0-9a-f]{64}$/);
    expect((await box.cli("run", "--rm", "--cidfile", file, "host", "true")).code).toBe(125);
  });

  test("a --cidfile that cannot be written makes no container, and without a container there is no file", async () => {
    const file = `${box.root}/no/such/cid`;
    expect(await box.cli("run", "--name", "unfiled", "--cidfile", file, "host", "true")).toMatchObject({
      code: 127,
      stderr: expect.stringContaining(
        `failed to create the container ID file: open ${file}: no such file or directory`,
      ),
    });
    expect(await box.ok("ps", "-aq", "--filter", "name=unfiled")).toBe("");
    const other = `${box.root}/none`;
    expect(
      (await box.cli("create", "--cidfile", other, "-u", "nobody-here", "--cpus", "-1", "host")).code,
    ).toBe(1);
    expect(existsSync(other)).toBe(false);
  });

  test("/etc/hostname is the host's name without its domain", async () => {
    expect(
      await box.ok("run", "--rm", "-h", "web", "--domainname", "example.org", "host", "cat", "/etc/hostname"),
    ).toBe("web");
  });

  test("a working directory is folded before it is made", async () => {
    expect(await box.ok("run", "--rm", "-w", "/folded/b/../c", "host", "sh", "-c", "pwd; ls /folded")).toBe(
      "/folded/c\nc",
    );
  });

  test("-a stdin alone waits for the end and prints nothing", async () => {
    expect(await box.cli("run", "--rm", "-a", "stdin", "host", "sh", "-c", "echo unseen; exit 5")).toEqual({
      code: 5,
      stdout: "",
      stderr: "",
    });
  });

  test("--init reaps and forwards", async () => {
    expect(await box.ok("run", "--rm", "--init", "host", "sh", "-c", "echo $$")).not.toBe("1");
    expect(await box.ok("run", "--rm", "host", "sh", "-c", "echo $$")).toBe("1");
  });

  test("--timeout kills and says so", async () => {
    const { code, stderr } = await box.cli("run", "--timeout", "1", "--name", "slow", "host", "sleep", "100");
    expect(code).toBe(137);
    expect(stderr).toMatch(/time/i);
    expect(await box.ok("ps", "-a", "--filter", "name=slow", "--format", "{{.Status}}")).toContain(
      "timed out",
    );
    await box.ok("rm", "slow");
  });
});

describe("flags of the root filesystem", () => {
  test("--read-only", async () => {
    const { code, stderr } = await box.cli("run", "--rm", "--read-only", "host", "touch", "/x");
    expect(code).toBe(1);
    expect(stderr).toContain("Read-only file system");
  });

  test("-v binds, read-only where asked", async () => {
    writeFileSync(`${box.root}/file`, "content");
    expect(
      await box.ok("run", "--rm", "-v", `${box.root}/file:/mnt/file:ro`, "host", "cat", "/mnt/file"),
    ).toBe("content");
    expect(
      (
        await box.cli(
          "run",
          "--rm",
          "-v",
          `${box.root}/file:/mnt/file:ro`,
          "host",
          "sh",
          "-c",
          "echo x > /mnt/file",
        )
      ).code,
    ).not.toBe(0);
    expect(
      (
        await box.cli(
          "run",
          "--rm",
          "--mount",
          "type=bind,source=/no/such/folder,target=/mnt",
          "host",
          "true",
        )
      ).stderr,
    ).toContain("/no/such/folder");
  });

  test("files written through an id-mapped bind belong to the caller", async () => {
    await Bun.$`mkdir ${box.root}/mine`.quiet();
    const mount = `type=bind,source=${box.root}/mine,target=/work,bind-idmap=match-user`;
    const { code, stderr } = await box.cli(
      "run",
      "--rm",
      "-u",
      "1234",
      "--mount",
      mount,
      "host",
      "touch",
      "/work/new",
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const owner = (await Bun.$`stat -c %u ${box.root}/mine/new`.text()).trim();
    expect(owner).toBe(String(process.getuid?.()));
  });

  test("--tmpfs", async () => {
    expect(
      await box.ok("run", "--rm", "--tmpfs", "/srv:size=1m", "host", "sh", "-c", "stat -f -c %T /srv"),
    ).toBe("tmpfs");
  });

  test("--tmpfs with options of the mount, of the filesystem and of the superblock", async () => {
    const options = "exec,sync,dirsync,noatime,size=1m,nr_inodes=9,mode=770,uid=1,gid=2";
    const line = await box.ok(
      "run",
      "--rm",
      "--tmpfs",
      `/srv:${options}`,
      "host",
      "grep",
      " /srv ",
      "/proc/self/mounts",
    );
    expect(line).toBe(
      "tmpfs /srv tmpfs rw,sync,dirsync,nosuid,nodev,noatime,size=1024k,nr_inodes=9,mode=770,uid=1,gid=2 0 0",
    );
    expect((await box.cli("create", "--tmpfs", "/srv:fast", "host")).stderr).toStartWith(
      'sampan: invalid tmpfs option ["fast"]\n',
    );
  });

  test("a tmpfs has the mode of the folder that it covers, and one that covers none is everybody's, at each start", async () => {
    const script = "stat -c '%a %n' /new /new/below /root; touch /new/below/file";
    const flags = ["--tmpfs", "/new/below", "--tmpfs", "/root", "-u", "65534"];
    await box.ok("create", "--name", "tmp", ...flags, "host", "sh", "-c", script);
    for (const _ of [1, 2])
      expect(await box.ok("start", "-a", "tmp")).toBe("755 /new\n1777 /new/below\n700 /root");
    await box.ok("rm", "tmp");
  });

  test("--rootfs runs a plain folder, :O leaves it as it was", async () => {
    const root = `${box.root}/plain`;
    await Bun.$`mkdir -p ${root}/bin && cp /bin/busybox ${root}/bin/ && ln -s busybox ${root}/bin/sh`.quiet();
    expect(await box.ok("run", "--rm", "--rootfs", `${root}:O`, "sh", "-c", "echo hi > /new; echo ok")).toBe(
      "ok",
    );
    expect(existsSync(`${root}/new`)).toBe(false);
    expect(await box.ok("run", "--rm", "--rootfs", root, "sh", "-c", "echo hi > /new; echo ok")).toBe("ok");
    expect(existsSync(`${root}/new`)).toBe(true);
  });
});

describe("namespaces", () => {
  const own = async (...flags: string[]): Promise<Record<string, boolean>> => {
    const kinds = ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"];
    const script = kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join("; ");
    const inside = (await box.ok("run", "--rm", ...flags, "host", "sh", "-c", script)).split("\n");
    const outside = (await Bun.$`sh -c ${script}`.text()).trim().split("\n");
    return Object.fromEntries(kinds.map((kind, index) => [kind, inside[index] !== outside[index]]));
  };

  test("Docker's set by default", async () => {
    expect(await own()).toEqual({
      mnt: true,
      pid: true,
      net: true,
      ipc: true,
      uts: true,
      user: false,
      cgroup: true,
      time: false,
    });
  });

  test("the host's where asked", async () => {
    expect(await own("--pid", "host", "--network", "host", "--uts", "host", "--ipc", "host")).toMatchObject({
      pid: false,
      net: false,
      uts: false,
      ipc: false,
    });
  });

  test("another container's", async () => {
    await box.ok("run", "-d", "--name", "first", "--ipc", "shareable", "host", "sleep", "1000");
    const inode = await box.ok("exec", "first", "readlink", "/proc/self/ns/net");
    expect(
      await box.ok("run", "--rm", "--network", "container:first", "host", "readlink", "/proc/self/ns/net"),
    ).toBe(inode);
    expect(await box.ok("run", "--rm", "--pid", "container:first", "host", "cat", "/proc/1/comm")).toBe(
      "sleep",
    );
    await box.ok("rm", "-f", "first");
  });

  test("another container's that are this machine's, or a third's", async () => {
    const links = (name: string) =>
      box.ok("exec", name, "readlink", "/proc/self/ns/user", "/proc/self/ns/net");
    const joined = async (name: string): Promise<string> => {
      const join = ["--userns", `container:${name}`, "--network", `container:${name}`];
      await box.ok("run", "-d", "--name", "joined", ...join, "host", "sleep", "1000");
      const found = await links("joined");
      expect(await box.ok("exec", "joined", "ls", "/sys/class/net")).toContain("lo");
      await box.ok("rm", "-f", "joined");
      return found;
    };
    const sleeps = ["host", "sleep", "1000"];
    await box.ok("run", "-d", "--name", "plain", ...sleeps);
    expect(await joined("plain")).toBe(await links("plain"));
    await box.ok("run", "-d", "--name", "hosted", "--userns", "private", "--network", "host", ...sleeps);
    expect(await joined("hosted")).toBe(await links("hosted"));
    await box.ok(
      "run",
      "-d",
      "--name",
      "third",
      "--userns",
      "private",
      "--network",
      "container:plain",
      ...sleeps,
    );
    expect(await joined("third")).toBe(await links("third"));
    await box.ok("run", "-d", "--name", "own", "--userns", "private", ...sleeps);
    await box.ok(
      "run",
      "-d",
      "--name",
      "guest",
      "--userns",
      "container:own",
      "--network",
      "container:own",
      ...sleeps,
    );
    expect(await joined("guest")).toBe(await links("own"));
    await box.ok("rm", "-f", "plain", "hosted", "third", "own", "guest");
  });

  test("exactly these and no others", async () => {
    expect(await own("--namespaces", "mnt,uts")).toEqual({
      mnt: true,
      pid: false,
      net: false,
      ipc: false,
      uts: true,
      user: false,
      cgroup: false,
      time: false,
    });
  });

  test("a user namespace of its own", async () => {
    expect(await own("--userns", "private")).toMatchObject({ user: true });
  });
});

test("nothing is left", async () => {
  expect(await box.ok("ps", "-aq")).toBe("");
  expect(await box.left()).toEqual([]);
});
