/** The script that `--as sh` prints, run by a shell: its process is compared with the original's, as the kernel has both. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import type { Explanation } from "../../src/explain/index.ts";
import { busyboxArchive } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = new Sandbox();
  await sandbox.ok("load", "-i", busyboxArchive(sandbox.root));
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const explain = async (target: string): Promise<Explanation> =>
  JSON.parse(await sandbox.ok("explain", "--json", target)) as Explanation;

/** The process that executed the container's program, somewhere beneath the script's shell. */
function programOf(shell: number, comm: string): number | undefined {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 4).split(" ")[0]));
    } catch {
      // It ended meanwhile.
    }
  }
  const below = (pid: number | undefined): boolean =>
    pid === shell || (pid !== undefined && pid !== 0 && below(parents.get(pid)));
  for (const pid of parents.keys())
    try {
      if (readFileSync(`/proc/${pid}/comm`, "utf8") === `${comm}\n` && below(pid)) return pid;
    } catch {
      // It ended meanwhile.
    }
  return undefined;
}

/** What is to be equal. Names of folders and sizes of now are each one's own. */
function essence({ namespaces, cgroups, rootfs, process }: Explanation) {
  return {
    own: namespaces.filter(({ own }) => own).map(({ name }) => name),
    limits: cgroups.limits.map(({ what, limit }) => [what, limit]),
    trees: cgroups.places.map(({ hierarchy }) => hierarchy).toSorted(),
    root: [rootfs?.fstype, rootfs?.readonly, rootfs?.layers.map(({ path }) => path)],
    mounts: rootfs?.mounts
      // The engine's own files are bound from elsewhere.
      .map(({ target, fstype, flags }) =>
        [target, target.startsWith("/etc/") ? "" : fstype, flags.join()].join(" "),
      )
      .toSorted(),
    masked: rootfs?.masked.toSorted(),
    readonly: rootfs?.readonlyPaths.toSorted(),
    capabilities: process.capabilities,
    seccomp: [process.seccomp.mode, process.seccomp.filters],
    rights: [process.uid, process.gid, process.groups, process.noNewPrivileges, process.oomScoreAdjust],
    limitsOfProcess: process.limits,
    words: process.words,
    folder: process.folder,
  };
}

const words = (text: string): string[] => text.split(" ");

const CASES: Readonly<Record<string, readonly string[]>> = {
  plain: ["busybox"],
  host: ["host"],
  limits: words("--memory 64m --cpus 0.5 --pids-limit 50 --cpuset-cpus 0 --cpu-shares 512 busybox"),
  files: words("--read-only --tmpfs /tmp -v /usr/share:/data:ro -v /etc:/deep/er --shm-size 1m busybox"),
  rights: [
    "-e",
    'A=it\'s "q" $x',
    ...words("--cap-drop ALL --cap-add KILL --security-opt no-new-privileges --user 1000:1001 --group-add 5"),
    ...words(
      "--ulimit nofile=100:200 --sysctl net.core.somaxconn=100 --oom-score-adj 100 -w /tmp/new busybox",
    ),
  ],
  privileged: ["--privileged", "host"],
  shared: words("--network host --pid host --uts host busybox"),
};

describe("the script makes the same process", () => {
  test.each(Object.keys(CASES))("%s", async (name) => {
    await sandbox.ok("run", "-d", "--name", name, ...(CASES[name] ?? []), "sleep", "1000");
    const script = await sandbox.ok("explain", "--as", "sh", name);
    const shell = Bun.spawn(["sh"], {
      stdin: new TextEncoder().encode(script),
      stdout: "ignore",
      stderr: "pipe",
    });
    let pid: number | undefined;
    try {
      for (let n = 0; pid === undefined && n < 600; n++) {
        if (shell.exitCode !== null) throw new Error(await new Response(shell.stderr).text());
        await Bun.sleep(20);
        pid = programOf(shell.pid, "sleep") ?? programOf(shell.pid, "busybox");
      }
      const original = await explain(name);
      const again = await explain(String(pid));
      expect(essence(again)).toEqual(essence(original));
      const environment = (of: number): string => readFileSync(`/proc/${of}/environ`, "utf8");
      expect(environment(again.target.pid)).toBe(environment(original.target.pid));
    } finally {
      if (pid !== undefined) process.kill(pid, "SIGKILL");
      await shell.exited;
    }
    expect(await new Response(shell.stderr).text()).not.toMatch(/^(mount|mknod|mkdir|rmdir|ln|sh):/m);
    expect(sandbox.leaks().filter((leak) => leak.includes("by-hand"))).toEqual([]);
    await sandbox.ok("rm", "-f", name);
  });
});

test("its exit code is the program's", async () => {
  await sandbox.cli("run", "--name", "code", "--init", "busybox", "sh", "-c", "hostname; exit 7");
  const script = await sandbox.ok("explain", "--as", "sh", "code");
  const shell = Bun.spawn(["sh"], {
    stdin: new TextEncoder().encode(script),
    stdout: "pipe",
    stderr: "inherit",
  });
  expect(await new Response(shell.stdout).text()).toMatch(/^[0-9a-f]{12}\n$/);
  expect(await shell.exited).toBe(7);
});

test("what the container wrote or was told is never a command of the script", async () => {
  const marks = `${sandbox.root}/marks`;
  mkdirSync(marks);
  const mark = (name: string): string => `touch ${marks}/${name}`;
  const variables = [
    `TEXT=x\nINSIDE\n${mark("variable")}\nINSIDE_\n${mark("longer")}`,
    // To env(1) an option, to perl a module to load.
    `-Si=1 ${mark("option")}`,
    `PERL5OPT=-Mstrict;mkdir"${marks}/perl"`,
  ];
  const hosts = `localhost\nEND\n${mark("hosts")}\nE\\0000ND\n${mark("nul")}\nINSIDE\n${mark("inside")}\n`;
  await sandbox.ok(
    ...words("run -d --name hostile"),
    ...variables.flatMap((text) => ["-e", text]),
    "--mount",
    `type=bind,source=/usr,target=/data\n${mark("comment")}`,
    ...words("busybox sh -c"),
    'printf "%b" "$1" > /etc/hosts; exec sleep 1000',
    "sh",
    hosts,
  );
  await sandbox.ok("exec", "hostile", "sh", "-c", "until grep -q inside /etc/hosts; do :; done");
  const script = await sandbox.ok("explain", "--as", "sh", "hostile");
  expect(script).toContain(mark("hosts"));
  const shell = (...flags: string[]) =>
    Bun.spawn(["sh", ...flags], { stdin: new TextEncoder().encode(script), stdout: "pipe", stderr: "pipe" });
  const parsed = shell("-n");
  expect([await parsed.exited, await new Response(parsed.stderr).text()]).toEqual([0, ""]);
  const real = shell();
  let pid: number | undefined;
  for (let n = 0; pid === undefined && n < 600 && real.exitCode === null; n++) {
    await Bun.sleep(20);
    pid = programOf(real.pid, "sleep") ?? programOf(real.pid, "busybox");
  }
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  await real.exited;
  expect([pid === undefined, readdirSync(marks)]).toEqual([false, []]);
});

test("it is short enough to be read, and names who asked for each thing", async () => {
  await sandbox.ok("create", "--name", "never", "busybox", "true");
  expect((await sandbox.cli("explain", "--as", "sh", "never")).stderr).toContain(
    "container never has no plan",
  );
  await sandbox.ok("run", "-d", "--name", "short", "--memory", "64m", "busybox", "sleep", "1000");
  const script = await sandbox.ok("explain", "--as", "sh", "short");
  expect(script.split("\n").length).toBeLessThan(160);
  expect(script).toMatch(/^echo 67108864 > .*# --memory$/m);
});
