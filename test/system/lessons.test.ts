/** Rules that other engines paid for and that show only in a whole container: each attacked through the command line. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { alive } from "../support/processes.ts";
import { Pty } from "../support/pty.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

/** A host that has both, as long as nobody takes the other away. */
const FREEZER = "/sys/fs/cgroup/freezer";
const UNIFIED = "/sys/fs/cgroup/unified";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box[Symbol.asyncDispose]());

const runFolder = (id: string): string => `${box.root}/run/${id.slice(0, 12)}`;
const keeperOf = (id: string): number => Number(readlinkSync(`${runFolder(id)}/pid`).split(" ")[0]);

test("a process that became another user still dies with its keeper", async () => {
  const id = await box.ok("run", "-d", "-u", "65534:65534", "--name", "nobody", "host", "sleep", "1000");
  const pid = Number(await box.ok("inspect", "-f", "{{.State.Pid}}", "nobody"));
  process.kill(keeperOf(id), "SIGKILL");
  await until(() => !alive(pid));
  await box.ok("rm", "nobody");
});

test("whoever shares the host's network finds no socket to speak to (CVE-2020-15257)", async () => {
  const abstract = (text: string): string[] => text.match(/@\S+/g) ?? [];
  const before = abstract(readFileSync("/proc/net/unix", "latin1"));
  const id = await box.ok("run", "-d", "--network", "host", "--name", "near", "host", "sleep", "1000");
  expect(abstract(await box.ok("exec", "near", "cat", "/proc/net/unix"))).toEqual(before);
  expect(statSync(`${runFolder(id)}/attach.sock`).mode & 0o777).toBe(0o600);
  expect(statSync(runFolder(id)).mode & 0o777).toBe(0o700);
  await box.ok("rm", "-f", "near");
});

test("a tmpfs has the mode of the folder that it covers", async () => {
  const modes = (...folders: string[]) =>
    box.ok("run", "--rm", "--tmpfs", "/tmp", "--tmpfs", "/root", "host", "stat", "-c", "%a", ...folders);
  const here = ["/tmp", "/root"].map((folder) => (statSync(folder).mode & 0o7777).toString(8));
  expect(await modes("/tmp", "/root")).toBe(here.join("\n"));
  expect(await modes("/proc", "/sys")).toBe("555\n555");
});

describe("the end of a cgroup", () => {
  test("takes with it what flees into sessions of its own", async () => {
    const flee = "while :; do setsid sleep 1000 & done";
    await box.ok("run", "-d", "--pids-limit", "100", "--name", "fleeing", "host", "sh", "-c", flee);
    await box.ok("rm", "-f", "fleeing");
    expect(await box.left()).toEqual([]);
  });

  test.skipIf(!existsSync(FREEZER))(
    "comes to one that is paused where only cgroup v1 can freeze and kill",
    async () => {
      const ends = ["kill", "stop -t 1", "rm -f"].map(
        (end) =>
          `sampan run -d --network none --name frozen --pid host host sh -c 'sleep 1000 & exec sleep 1000' >/dev/null; sampan pause frozen >/dev/null; ` +
          `timeout 60 sampan ${end} frozen; sampan rm frozen 2>/dev/null || true; `,
      );
      const apart = Bun.spawn(["unshare", "-m", "sh", "-ec", `umount -l ${UNIFIED}; ${ends.join("")}`], {
        stdout: "pipe",
        env: { ...box.env, PATH: `${process.cwd()}/dist:${process.env["PATH"]}` },
      });
      expect(await new Response(apart.stdout).text()).toBe("frozen\nfrozen\nfrozen\nfrozen\nfrozen\n");
      expect(await box.left()).toEqual([]);
    },
  );

  test("takes with it what no pid namespace would: every process that it has among the host's", async () => {
    const flee = "i=0; while [ $i -lt 20 ]; do setsid sleep 1000 & i=$((i + 1)); done; echo; exec sleep 1000";
    for (const end of [["kill"], ["rm", "-f"]]) {
      const options = ["--pid", "host", "--network", "none", "--name", "fleeing"];
      const fleeing = box.spawn({}, "run", ...options, "host", "sh", "-c", flee);
      await fleeing.stdout.getReader().read();
      await box.ok(...end, "fleeing");
      expect(await fleeing.exited).toBe(137);
      if (end[0] !== "rm") await box.ok("rm", "fleeing");
      expect(await box.left()).toEqual([]);
    }
  });

  test("comes to one that is paused, too", async () => {
    for (const end of [["kill"], ["stop", "-t", "1"], ["rm", "-f"]]) {
      await box.ok("run", "-d", "--name", "frozen", "host", "sleep", "1000");
      await box.ok("pause", "frozen");
      await box.ok(...end, "frozen");
      if (end[0] !== "rm") await box.ok("rm", "frozen");
      expect(await box.left()).toEqual([]);
    }
  });
});

test.each([
  ["--name ../escape", "Invalid container name (../escape), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"],
  ["--name ..", "Invalid container name (..), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"],
  ["--cgroup-parent /a/../../b", '".."'],
  ["--volume a/..:/x", 'create a/..: "a/.." includes invalid characters for a local volume name'],
])("%s leads nowhere", async (flags, message) => {
  const { code, stderr } = await box.cli("run", "--rm", ...flags.split(" "), "host", "true");
  expect(code).toBe(125);
  expect(stderr).toContain(message);
});

describe("a process that enters a container", () => {
  test("shows nothing of the host, not even to one that may trace it (CVE-2016-9962)", async () => {
    // Looks at everything that appears, as fast as it can, and says what leads anywhere else.
    const spy =
      "$| = 1; print qq(ready\\n); my %said; while (1) { for my $l (glob('/proc/[0-9]*/fd/* /proc/[0-9]*/cwd /proc/[0-9]*/root')) " +
      "{ next if $l =~ m{^/proc/($$|1)/}; my $to = readlink($l) // next; print qq(saw one\n) unless $said{one}++; " +
      "next if $to =~ m{^(pipe|socket|anon_inode):|^/dev/(null|pts/\\d+)$|^/$|^/proc(/\\d+/fd)?$|^/usr/lib/|^/etc/ld}; " +
      "print qq($l $to\\n) unless $said{$to}++; } }";
    const watch = box.spawn(
      {},
      "run",
      "--name",
      "spied",
      "--cap-add",
      "SYS_PTRACE",
      "host",
      "perl",
      "-e",
      spy,
    );
    const reader = watch.stdout.getReader();
    let seen = new TextDecoder().decode((await reader.read()).value);
    expect(seen).toBe("ready\n");
    const spying = (async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read())
        seen += new TextDecoder().decode(part.value);
    })();
    // On a machine of one processor it may be a while before it meets any.
    for (let round = 0; round < 15 || (round < 500 && !seen.includes("saw one")); round++)
      await box.ok("exec", "-w", "/", "spied", "true");
    await box.ok("rm", "-f", "spied");
    await spying;
    expect(seen).toBe("ready\nsaw one\n");
  });

  test("comes into one whose network belongs to no user namespace of its own", async () => {
    const own = ["--network", "none", "host", "sleep", "1000"];
    await box.ok("run", "-d", "--name", "wired", ...own);
    const share = ["--userns", "private", "--network", "container:wired"];
    await box.ok("run", "-d", "--name", "mapped", ...share, "host", "sleep", "1000");
    const links = ["user", "net", "pid", "mnt"].map((name) => `/proc/1/ns/${name}`);
    const inside = await box.ok("exec", "mapped", "readlink", ...links);
    const entered = links.map((link) => link.replace("1", "self"));
    expect(await box.ok("exec", "mapped", "readlink", ...entered)).toBe(inside);
    await box.ok("rm", "-f", "mapped", "wired");
  });

  test("is never seen there with another user namespace than the container's", async () => {
    // A process that hides from one who may trace is none of theirs yet: nothing of it can be read.
    const spy =
      "$| = 1; print qq(ready\\n); my $own = readlink('/proc/self/ns/user'); my %said; while (1) { for my $p (glob('/proc/[0-9]*')) " +
      "{ next if $p =~ m{/($$|1)$}; print qq(saw one\\n) unless $said{one}++; my $to = readlink(qq($p/ns/user)) // next; " +
      "print qq($to\\n) unless $to eq $own || $said{$to}++; } }";
    const options = ["--userns", "private", "--cap-add", "SYS_PTRACE"];
    const watch = box.spawn({}, "run", "--name", "mapped", ...options, "host", "perl", "-e", spy);
    const reader = watch.stdout.getReader();
    let seen = new TextDecoder().decode((await reader.read()).value);
    expect(seen).toBe("ready\n");
    const spying = (async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read())
        seen += new TextDecoder().decode(part.value);
    })();
    for (let round = 0; round < 15 || (round < 500 && !seen.includes("saw one")); round++)
      await box.ok("exec", "mapped", "true");
    await box.ok("rm", "-f", "mapped");
    await spying;
    expect(seen).toBe("ready\nsaw one\n");
  });

  test("begins in no folder of the host, whatever its working folder is called (CVE-2024-21626)", async () => {
    await box.ok("run", "-d", "--name", "inside", "host", "sleep", "1000");
    const inside = await box.ok("exec", "inside", "stat", "-c", "%d:%i", "/");
    for (let fd = 3; fd < 24; fd++) {
      const where = ["-w", `/proc/self/fd/${fd}`];
      const look = ["sh", "-c", "cd ../../../../../../..; stat -c %d:%i ."];
      const entered = await box.cli("exec", ...where, "inside", ...look);
      if (entered.code === 0) expect(entered.stdout.trim()).toBe(inside);
      const made = await box.cli("run", "--rm", "--network", "none", ...where, "host", "pwd");
      if (made.code === 0) expect(made.stdout).toStartWith("/");
    }
    await box.ok("rm", "-f", "inside");
  });

  test("inherits no capability, executed as another user neither (CVE-2022-29162)", async () => {
    await box.ok("run", "-d", "--name", "inside", "--cap-add", "SYS_ADMIN", "host", "sleep", "1000");
    const sets = await box.ok(
      "exec",
      "-u",
      "65534",
      "inside",
      "grep",
      "-E",
      "^Cap(Inh|Prm|Eff|Amb)",
      "/proc/self/status",
    );
    expect(sets.split("\n").map((line) => line.split("\t")[1])).toEqual(Array(4).fill("0".repeat(16)));
    await box.ok("rm", "-f", "inside");
  });
});

test("the caller's terminal cannot be typed into (CVE-2017-5226)", async () => {
  const type =
    "for my $f (0, 1, 2) { open(my $t, '+<&=', $f); my $c = 'x'; print qq(a terminal at $f\n) if -t $t; print qq(typed by $f\\n) if ioctl($t, 0x5412, $c); } " +
    "print qq(opened\\n) if open(my $t, '+<', '/dev/tty');";
  const quoted = type.replaceAll("$", "\\$");
  const command = `${SAMPAN} run --rm -i --network none host perl -e "${quoted}"; echo end`;
  const pty = new Pty(["sh", "-c", command], { env: box.env });
  await pty.expect("end");
  expect(pty.seen.trim()).toBe("end");
  pty.close();
});

test("a mount target that another container swaps for a link all the time leads nowhere (CVE-2021-30465)", async () => {
  const shared = `${box.root}/shared`;
  const victim = `${box.root}/victim`;
  mkdirSync(shared);
  mkdirSync(victim);
  const swap =
    `mkdir /s/a; ln -s ${victim} /s/b; ln -s /../../../../../..${victim} /s/c; echo; ` +
    "while :; do mv -T /s/a /s/t; mv -T /s/t /s/a; mv -T /s/b /s/t; mv -T /s/t /s/b; mv -T /s/c /s/t; mv -T /s/t /s/c; done";
  const swapping = box.spawn({}, "run", "--name", "swaps", "-v", `${shared}:/s`, "host", "sh", "-c", swap);
  await swapping.stdout.getReader().read();
  const mounts = [
    "--tmpfs",
    "/s/t/deep",
    "-v",
    "/usr:/s/t/usr",
    "--mount",
    "type=bind,src=/etc/hostname,dst=/s/t/file",
  ];
  for (let round = 0; round < 12; round++)
    await box.cli("run", "--rm", "--network", "none", "-v", `${shared}:/s`, ...mounts, "host", "true");
  expect(readdirSync(victim)).toEqual([]);
  await box.ok("rm", "-f", "swaps");
});

test("one sysctl is one key, and the host's are not written (CVE-2022-0811)", async () => {
  const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
  for (const sysctl of [
    "kernel.shm_rmid_forced=1+kernel.core_pattern=|/evil",
    "kernel.core_pattern=|/evil",
    "net.ipv4.ip_forward=1\nkernel.core_pattern=|/evil",
    "net/../kernel/core_pattern=|/evil",
    "net.ipv4...kernel.core_pattern=|/evil",
  ]) {
    const { code } = await box.cli("run", "--rm", "--network", "none", "--sysctl", sysctl, "host", "true");
    expect(code, sysctl).not.toBe(0);
    expect(readFileSync("/proc/sys/kernel/core_pattern", "utf8")).toBe(pattern);
  }
});

test("with no_new_privs the filter comes last: one that forbids what the launcher itself needs is no hindrance", async () => {
  const filter = `${box.root}/strict.json`;
  const forbidden = [
    "capset",
    "setresuid",
    "setresgid",
    "setgroups",
    "prctl",
    "umask",
    "chdir",
    "close_range",
  ];
  writeFileSync(
    filter,
    JSON.stringify({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: forbidden, action: "SCMP_ACT_ERRNO", errnoRet: 71 }],
    }),
  );
  const options = ["--security-opt", `seccomp=${filter}`, "--security-opt", "no-new-privileges"];
  const run = ["run", "--rm", "-u", "65534", "--network", "none", ...options, "host"];
  expect(await box.ok(...run, "sh", "-c", "id -u; cd /tmp 2>/dev/null || echo refused")).toBe(
    "65534\nrefused",
  );
  // Without, it is there before the rights are given up, which it forbids.
  const early = run.filter((word, i) => word !== "no-new-privileges" && run[i + 1] !== "no-new-privileges");
  expect((await box.cli(...early, "true")).code).toBe(125);
});

test("another user of this machine reads nothing of the state, and executes nothing of a layer or a volume (CVE-2021-41091)", async () => {
  // One folder that the engine makes, and one that somebody has made for it, open to all.
  const open = mkdtempSync("/tmp/sampan-open-");
  chmodSync(open, 0o755);
  const asNobody = (...args: string[]) =>
    Bun.spawnSync(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...args]).exitCode;
  try {
    for (const root of [open, `${open}/made`]) {
      await box.ok("--root", root, "volume", "create", "data");
      await box.ok(
        "--root",
        root,
        "create",
        "--name",
        "one",
        "-e",
        "SECRET=word",
        "-v",
        "data:/data",
        "host",
      );
      const files = readdirSync(root).filter((name) => name.startsWith("sampan.db"));
      expect(files).toContain("sampan.db");
      for (const name of files) expect(asNobody("cat", `${root}/${name}`)).not.toBe(0);
      expect(asNobody("ls", `${root}/volumes/data/_data`)).not.toBe(0);
      await box.ok("--root", root, "rm", "one");
      await box.ok("--root", root, "volume", "rm", "data");
    }
    expect(statSync(`${open}/made`).mode & 0o777).toBe(0o700);
  } finally {
    rmSync(open, { recursive: true });
  }
});

test("the host's devices, bound where nodes cannot be made, stay as they are: their owner, their mode", async () => {
  // Each change would change nothing even if it worked. Root in a user namespace that maps all ids is the owner.
  const change =
    "for d in null zero full random urandom tty; do (chmod $(stat -c %a /dev/$d) /dev/$d || chown 0:0 /dev/$d) 2>/dev/null && echo $d; done; " +
    "chmod 666 /proc/self/fd/0 2>/dev/null && echo input; echo into >/dev/null && head -c 1 /dev/zero | wc -c";
  expect(await box.ok("run", "--rm", "--userns", "private", "host", "sh", "-c", change)).toBe("1");
});
