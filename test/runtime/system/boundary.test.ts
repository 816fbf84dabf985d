/**
 * The boundary, attacked from inside: every rule of the runtime is tried by a process that wants to break it, as the
 * container's root.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import {
  allCapabilities,
  defaultMounts,
  MASKED_PATHS,
  maskedPaths,
  READONLY_PATHS,
} from "../../../src/runtime/index.ts";
import { DOCKER_NAMESPACES, World } from "../support.ts";

const world = new World();
afterAll(() => world.clean());

/** An image like the usual one but for some paths: the evil twin. */
function image(name: string, change: (root: string) => void): string {
  const root = `${world.path}/${name}`;
  mkdirSync(root);
  change(root);
  return root;
}

describe("masked paths", () => {
  const present = MASKED_PATHS.filter((path) => existsSync(path));

  test("say nothing", async () => {
    expect(present.length).toBeGreaterThan(2);
    const seen = await world.sh(
      present.map((path) => `if [ -d ${path} ]; then ls -A ${path}; else cat ${path}; fi`).join("; "),
    );
    expect(seen).toBe("");
  });

  test("take nothing, and do not go away", async () => {
    const seen = await world.sh(
      present
        .map(
          (path) =>
            `umount ${path} 2>/dev/null && echo unmounted ${path}; touch ${path}/x 2>/dev/null && echo wrote ${path}; mv ${path} /tmp/x 2>/dev/null && echo moved ${path}; rm -rf ${path} 2>/dev/null && echo removed ${path}`,
        )
        .join("; "),
    );
    expect(seen).toBe("");
  });

  test("leave the host's /dev/null behind them to its owner and its mode", async () => {
    // Each change would change nothing even if it worked.
    const seen = await world.sh(
      present
        .map(
          (path) =>
            `(chmod $(stat -c %a ${path}) ${path} || chown 0:0 ${path}) 2>/dev/null && echo changed ${path}; [ -d ${path} ] || echo into > ${path}`,
        )
        .join("; "),
    );
    expect(seen).toBe("");
  });

  test("cannot be unmounted even with CAP_SYS_ADMIN from a namespace of less privilege", async () => {
    const seen = await world.sh(
      "unshare -U -m sh -c 'umount /proc/interrupts && cat /proc/interrupts' 2>&1 | head -1; cat /proc/interrupts",
      { seccomp: "unconfined" },
    );
    expect(seen).not.toContain("CPU");
  });
});

describe("read-only paths", () => {
  const present = READONLY_PATHS.filter((path) => existsSync(path));

  test("cannot be written", async () => {
    // Each write would change nothing even if it worked.
    const harmless = ["kernel/panic", "kernel/core_pattern", "vm/swappiness", "net/ipv4/ip_forward"];
    const seen = await world.sh(
      harmless
        .map((key) => `(cat /proc/sys/${key} > /proc/sys/${key}) 2>/dev/null && echo wrote ${key}`)
        .join("; "),
    );
    expect(seen).toBe("");
    if (existsSync("/proc/sysrq-trigger"))
      expect(await world.sh("(echo h > /proc/sysrq-trigger) 2>/dev/null && echo wrote")).toBe("");
  });

  test("cannot be made writable again", async () => {
    const seen = await world.sh(
      present
        .map(
          (path) =>
            `mount -o remount,rw ${path} 2>/dev/null && echo remounted ${path}; umount ${path} 2>/dev/null && echo unmounted ${path}`,
        )
        .join("; "),
    );
    expect(seen).toBe("");
  });
});

describe("the host's kernel", () => {
  test("cannot be reached by mount, unshare, a device, a module or a raw key", async () => {
    const seen = await world.sh(
      [
        "mount -t tmpfs none /tmp && echo mounted",
        "mount -t proc none /tmp && echo mounted proc",
        "unshare -U true && echo user namespace",
        "unshare -m true && echo mount namespace",
        "mknod /tmp/disk b 254 0 && dd if=/tmp/disk of=/dev/null bs=1 count=1 && echo read the disk",
        "mknod /tmp/mem c 1 1 && dd if=/tmp/mem of=/dev/null bs=1 count=1 && echo read memory",
        "sysctl -w kernel.hostname=x && echo sysctl",
        "chroot / mount -t tmpfs none /tmp && echo chroot mount",
        "nsenter -t 1 -m true && echo nsenter",
        "date -s @$(date +%s) 2>&1 | grep -q permitted || echo date",
      ]
        .map((attack) => `(${attack}) 2>/dev/null`)
        .join("; "),
    );
    expect(seen).toBe("");
  });

  test.each([[[]], [["user"]]] as const)("keeps its cgroups to itself, in %j too", async (more) => {
    const namespaces = [...DOCKER_NAMESPACES, ...more];
    expect(await world.sh("ls /sys/fs/cgroup", { namespaces })).not.toBe("");
    const seen = await world.sh(
      "for f in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -o -maxdepth 2 -name release_agent); do echo 1 > $f; done 2>/dev/null && echo wrote; mkdir /sys/fs/cgroup/x /sys/fs/cgroup/*/x 2>/dev/null && echo made; mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo remounted; cat /sys/fs/cgroup/*/release_agent 2>/dev/null; echo end",
      { namespaces },
    );
    expect(seen).toBe("end");
  });

  test("shows the container's cgroup as the root of its own", async () => {
    const seen = await world.sh("cut -d: -f3 /proc/self/cgroup | sort -u");
    expect(seen).toBe("/");
  });
});

describe("nothing of the host comes along", () => {
  test("no file descriptor but the three", async () => {
    // The one that lists them is its own.
    expect((await world.sh("ls /proc/self/fd | tr '\\n' ' '")).trim()).toBe("0 1 2 3");
    expect(
      await world.sh("for f in /proc/1/fd/*; do readlink $f; done | grep -v pipe | grep -v /dev/null"),
    ).toBe("");
  });

  test("not the host's /dev/null as its standard input", async () => {
    const device = (path: string) => `stat -L -c %d:%i ${path}`;
    expect(await world.sh(`[ $(${device("/proc/self/fd/0")}) = $(${device("/dev/null")}) ]; echo $?`)).toBe(
      "0",
    );
    // The container may have taken its own away; then there is still nothing to read.
    const without = await world.sh("cat; stat -L -c %F /proc/self/fd/0", {
      defaults: defaultMounts().filter(({ destination }) => !destination.startsWith("/dev")),
    });
    expect(without).toBe("fifo");
  });

  test("no working directory behind the root (CVE-2024-21626)", async () => {
    for (const cwd of ["/proc/self/fd/7", "/proc/self/fd/8", "/proc/1/cwd", "/proc/self/fd/3/../../.."]) {
      const seen = await world.sh("pwd; ls", { process: { cwd } }).catch((error: Error) => error.message);
      expect(seen).not.toContain("lost+found");
      expect(seen).not.toContain(world.path);
    }
  });

  test("no variables and no session keyring", async () => {
    expect(await world.sh("env | grep -v -E '^(PATH|PWD|SHLVL|_|OLDPWD)='")).toBe("");
  });

  test("the launcher cannot be written through /proc (CVE-2019-5736)", async () => {
    const seen = await world.sh("echo x > /proc/1/exe; readlink /proc/1/exe", { input: { init: true } });
    expect(seen).toMatch(/busy|denied|not permitted|Read-only/i);
  });

  test("the container's processes are all that it sees", async () => {
    expect(await world.sh("ls -d /proc/[0-9]* | wc -l")).toMatch(/^[23]$/);
  });
});

describe("capabilities and filter", () => {
  const status = async (
    ...ask: Parameters<World["sh"]> extends [string, ...infer R] ? R : never
  ): Promise<Record<string, string>> => {
    const text = await world.sh("cat /proc/self/status", ...ask);
    return Object.fromEntries(
      text.split("\n").map((line) => [line.split(":")[0] ?? "", line.split(":")[1]?.trim() ?? ""]),
    );
  };

  test("are Docker's default for root", async () => {
    const found = await status();
    expect(found).toMatchObject({
      CapInh: "0000000000000000",
      CapPrm: "00000000a80425fb",
      CapEff: "00000000a80425fb",
      CapBnd: "00000000a80425fb",
      CapAmb: "0000000000000000",
      NoNewPrivs: "0",
      Seccomp: "2",
    });
  });

  test("are gone for another user, and stay gone", async () => {
    const found = await status({ process: { user: { uid: 1000, gid: 1000, additionalGids: [1000, 7] } } });
    expect(found).toMatchObject({
      CapPrm: "0000000000000000",
      CapEff: "0000000000000000",
      CapBnd: "00000000a80425fb",
      Uid: "1000\t1000\t1000\t1000",
      Groups: "7 1000",
    });
  });

  test("with no_new_privs the filter is still there", async () => {
    expect(await status({ process: { noNewPrivileges: true } })).toMatchObject({
      NoNewPrivs: "1",
      Seccomp: "2",
    });
  });

  test("all that can be given are given to a privileged one, and no filter", async () => {
    const found = await status({ capabilities: allCapabilities(), seccomp: "unconfined" });
    const own = readFileSync("/proc/self/status", "utf8").match(/CapBnd:\s*(\w+)/)?.[1];
    expect(found).toMatchObject({ CapEff: own, Seccomp: "0" });
  });

  test("a profile of one's own decides", async () => {
    const seen = await world.sh("mkdir /x; echo $?; rmdir /tmp 2>/dev/null; ls -d /tmp", {
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 71 }],
      },
    });
    expect(seen).toContain("Protocol error");
  });
});

describe("an image cannot lead the runtime astray", () => {
  test("with /proc as a link", async () => {
    const evil = image("evil-proc", (root) => symlinkSync("/etc", `${root}/proc`));
    rmSync(`${world.image}/proc`, { recursive: true });
    try {
      const outcome = await world
        .sh("true", { root: world.layers([evil, world.image]) })
        .catch((error: Error) => error.message);
      expect(outcome).toContain("/proc");
    } finally {
      mkdirSync(`${world.image}/proc`);
    }
  });

  test("with /dev as a link out of the root", async () => {
    const outside = `${world.path}/outside`;
    mkdirSync(outside);
    const evil = image("evil-dev", (root) => symlinkSync(outside, `${root}/dev`));
    rmSync(`${world.image}/dev`, { recursive: true });
    try {
      await world.sh("true", { root: world.layers([evil, world.image]) }).catch(() => "");
      expect(existsSync(`${outside}/null`)).toBe(false);
    } finally {
      mkdirSync(`${world.image}/dev`);
    }
  });

  test("with a link where something is bound", async () => {
    const victim = `${world.path}/victim`;
    const mine = `${world.path}/mine`;
    mkdirSync(victim);
    mkdirSync(mine);
    writeFileSync(`${mine}/file`, "bound");
    const evil = image("evil-bind", (root) => {
      symlinkSync(victim, `${root}/target`);
      symlinkSync("../../../../../../../../etc", `${root}/up`);
    });
    const seen = await world.sh("cat /target/file; ls /etc/deep; echo x > /target/new", {
      root: world.layers([evil, world.image]),
      mounts: [
        { destination: "/target", type: "bind", source: mine, options: ["rbind"] },
        { destination: "/up/deep", type: "bind", source: mine, options: ["rbind"] },
      ],
    });
    expect(seen).toContain("bound");
    expect(existsSync(`${victim}/new`)).toBe(false);
    expect(existsSync("/etc/deep")).toBe(false);
  });

  test("with /dev/null, /dev/pts and /etc/hosts of its own making", async () => {
    const evil = image("evil-files", (root) => {
      mkdirSync(`${root}/dev`);
      symlinkSync("/etc/passwd", `${root}/dev/null`);
      mkdirSync(`${root}/etc`);
      symlinkSync(`${world.path}/secret`, `${root}/etc/hosts`);
    });
    writeFileSync(`${world.path}/hosts`, "127.0.0.1 localhost");
    const seen = await world.sh("ls -l /dev/null | cut -c1; cat /etc/hosts; echo; cat /proc/interrupts", {
      root: world.layers([evil, world.image]),
      mounts: [
        { destination: "/etc/hosts", type: "bind", source: `${world.path}/hosts`, options: ["rbind"] },
      ],
    });
    expect(seen).toBe("c\n127.0.0.1 localhost");
    expect(existsSync(`${world.path}/secret`)).toBe(false);
  });
});

test("a mask is of the host's /dev/null, though the image's own is in its place (CVE-2025-31133)", async () => {
  const evil = image("evil-null", (root) => {
    mkdirSync(`${root}/dev`);
    mkdirSync(`${root}/etc`);
    writeFileSync(`${root}/dev/null`, "the image's\n");
    writeFileSync(`${root}/etc/masked`, "a secret\n");
  });
  const defaults = defaultMounts().filter(({ destination }) => !destination.startsWith("/dev"));
  const root = world.layers([evil, world.image]);
  const seen = await world.sh("cat /dev/null /etc/masked; stat -c '%t:%T' /etc/masked", {
    root,
    defaults,
    linux: { maskedPaths: ["/etc/masked"], readonlyPaths: [] },
  });
  expect(seen).toBe("the image's\n1:3");
});

describe("a terminal", () => {
  const bare = defaultMounts().filter(({ destination }) => !destination.startsWith("/dev"));
  const devpts = defaultMounts().filter(({ destination }) => destination === "/dev/pts");
  const terminal = { process: { terminal: true } };

  test("comes from a devpts, not from a file that an image calls so (CVE-2025-52565)", async () => {
    const evil = image("evil-ptmx", (root) => {
      mkdirSync(`${root}/dev/pts`, { recursive: true });
      writeFileSync(`${root}/dev/pts/ptmx`, "");
    });
    const root = world.layers([evil, world.image]);
    const failed = await world.run(["true"], { ...terminal, root, defaults: bare }).catch((e: Error) => e);
    expect(String(failed)).toContain("making the terminal: no such device, asked for by --tty");
  });

  test("is bound beneath the root where an image's /dev/console leads out of it", async () => {
    const target = `${world.path}/console-target`;
    writeFileSync(target, "the host's");
    const evil = image("evil-console", (root) => {
      mkdirSync(`${root}/dev/pts`, { recursive: true });
      symlinkSync(target, `${root}/dev/console`);
    });
    const { stdout } = await world.run(["sh", "-c", "test -c /dev/console && tty"], {
      ...terminal,
      root: world.layers([evil, world.image]),
      defaults: [...bare, ...devpts],
    });
    expect(stdout.trim()).toBe("/dev/pts/0");
    expect(readFileSync(target, "utf8")).toBe("the host's");
  });
});

test("the list of masked paths is Docker's", () => {
  expect(maskedPaths().slice(0, MASKED_PATHS.length)).toEqual([...MASKED_PATHS]);
});
