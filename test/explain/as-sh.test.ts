/** The script that `--as sh` prints, run by a shell: its process is compared with the original's, as the kernel has both. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Explanation } from "../../src/explain/index.ts";
import { TestFolder } from "../support/folder.ts";
import { busyboxArchive } from "../support/image.ts";
import { REPO, Sandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = new Sandbox();
  await sandbox.ok("load", "-i", busyboxArchive(sandbox.root));
  await sandbox.ok(...words("network create --subnet 10.77.0.0/24 --ipv6 --subnet fd77::/64 mine"));
  await sandbox.ok(...words("network create --internal inner"));
  await sandbox.ok(...words("volume create ram -o type=tmpfs -o device=tmpfs -o o=size=1m"));
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const explain = async (target: string): Promise<Explanation> =>
  JSON.parse(await sandbox.ok("explain", "--json", target)) as Explanation;

/** The process that executed the container's program, `sleep 1000`, somewhere beneath the script's shell. */
function programOf(shell: number): number | undefined {
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
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8") === "sleep\x001000\x00" && below(pid)) return pid;
    } catch {
      // It ended meanwhile.
    }
  return undefined;
}

interface Shell {
  readonly pid: number;
  readonly exitCode: number | null;
  readonly stderr: ReadableStream<Uint8Array>;
}

/** The same, from the first moment at which there is one. */
const program = (shell: Shell): Promise<number> =>
  until(async () => {
    if (shell.exitCode !== null) throw new Error(await new Response(shell.stderr).text());
    return programOf(shell.pid);
  }, "the program that the script executes");

/** What is to be equal. Names of folders and sizes of now are each one's own. */
function essence({ namespaces, cgroups, rootfs, process, network }: Explanation) {
  return {
    own: namespaces.filter(({ own }) => own).map(({ name }) => name),
    limits: cgroups.limits.map(({ what, limit }) => [what, limit]),
    trees: cgroups.places.map(({ hierarchy }) => hierarchy).toSorted(),
    // The host's part of an address is the one thing that two on a network cannot share.
    links: network?.interfaces.map(({ name, addresses, gateway }) => [
      name,
      addresses.map((address) => address.replace(/^.*\//, "")),
      gateway,
    ]),
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
    maps: [process.uidMap, process.gidMap],
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
  networks: words("--network mine --network inner --mac-address 02:00:00:00:00:77 -p 8077:80 busybox"),
  userns: words("--userns private --memory 64m --read-only --tmpfs /tmp -v /usr/share:/data:ro busybox"),
  userns_of_host: words("--userns private --network none host"),
  volumes: [
    ...words("-v ram:/ram -v named:/named --mount type=bind,src=/usr/share,dst=/copy,overlay"),
    ...words("--mount type=image,src=busybox,dst=/image -v /usr:/shared busybox"),
  ],
  owners: words(
    "--mount type=bind,src=/usr/share,dst=/data,bind-idmap=match-user --mount type=bind,src=/etc/hostname,dst=/name,readonly,bind-idmap=match-user -u 1234:1234 busybox",
  ),
  folder: words("--namespaces mnt,uts --tmpfs /srv --rootfs /"),
  nothing: words("--namespaces uts --rootfs /"),
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
      pid = await program(shell);
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

describe("of a user who is not root", () => {
  const UID = 23_461;
  /** `folder`: the engine's and the script's own, which the container sees where /tmp has mounts of others in it. */
  const explainHere = async (pid: number, folder: string): Promise<Explanation> => {
    const found = await explain(String(pid));
    const { rootfs } = found;
    if (!rootfs) return found;
    const rest = {
      mounts: rootfs.mounts.filter(({ target }) => !target.startsWith(folder)),
      masked: rootfs.masked.filter((target) => !target.startsWith(folder)),
      // A container of the host image is made of one overlay for each folder, in a root that is a plain folder.
      fstype: rootfs.fstype === "overlay" ? "overlay" : "",
    };
    return { ...found, rootfs: { ...rootfs, ...rest } };
  };

  test.each([
    ["with a range of ids", `${UID}:700000:65536\n`, "busybox"],
    ["with one id", "", "busybox"],
    ["with one id, of the host image", "", "host"],
    ["with a carrier for its packets", `${UID}:700000:65536\n`, "--network bridge -p 8078:80 busybox"],
  ])("%s", async (_, ranges, args) => {
    using place = new TestFolder("by-hand");
    const folder = place.path;
    for (const name of ["sampan", "sampan-launcher"])
      copyFileSync(`${REPO}/dist/${name}`, `${folder}/${name}`);
    for (const name of ["run", "tmp"]) mkdirSync(`${folder}/${name}`);
    writeFileSync(`${folder}/sub`, ranges);
    writeFileSync(
      `${folder}/passwd`,
      `${readFileSync("/etc/passwd", "utf8")}tester:x:${UID}:${UID}::${folder}:/bin/sh\n`,
    );
    writeFileSync(
      `${folder}/user`,
      `set -e; export HOME=${folder} XDG_RUNTIME_DIR=${folder}/run TMPDIR=${folder}/tmp PATH=${folder}:$PATH
sampan load -q -i ${folder}/image.tar >&2
sampan run -d --name u ${args.includes("--network") ? args : `--network none ${args}`} sleep 1000 >&2
sampan explain --as sh u > ${folder}/script
sampan inspect -f '{{.State.Pid}}' u
sh ${folder}/script || echo "ended with $?"
sampan rm -f u >&2; ls ${folder}/tmp`,
    );
    copyFileSync(busyboxArchive(folder), `${folder}/image.tar`);
    const shell = Bun.spawn(
      [
        "unshare",
        "--mount",
        "sh",
        "-ec",
        `mkdir -p /dev/net; mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200; touch /etc/subuid /etc/subgid
mount --bind ${folder}/sub /etc/subuid; mount --bind ${folder}/sub /etc/subgid; mount --bind ${folder}/passwd /etc/passwd
chown -R ${UID}:${UID} ${folder}; chmod 755 ${folder}/sampan ${folder}/sampan-launcher
exec setpriv --reuid ${UID} --regid ${UID} --clear-groups sh ${folder}/user`,
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    const reader = shell.stdout.getReader();
    let said = "";
    while (!said.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(await new Response(shell.stderr).text());
      said += new TextDecoder().decode(value);
    }
    const pid = await program(shell);
    try {
      expect(essence(await explainHere(pid, folder))).toEqual(
        essence(await explainHere(Number(said.trim()), folder)),
      );
    } finally {
      process.kill(pid, "SIGKILL");
    }
    said = "";
    for (let more = await reader.read(); !more.done; more = await reader.read())
      said += new TextDecoder().decode(more.value);
    // And nothing is left of it. (unshare(1) of util-linux 2.38 does not pass on that its child was killed.)
    expect(said).toMatch(/^ended with \d+\n$/);
  });
});

test("a published port leads to it, unless the original has it", async () => {
  await sandbox.ok(
    ...words("run -d --name served -p 8076:80 -p 127.0.0.1:8075:80 busybox sh -c"),
    "echo here > /page; busybox httpd -p 80 -h /; exec sleep 1000",
  );
  const script = new TextEncoder().encode(await sandbox.ok("explain", "--as", "sh", "served"));
  const rules = (): string => Bun.spawnSync(["nft", "list", "ruleset"]).stdout.toString();
  const original = rules();
  expect(original).toContain("tcp . 8076 : ");
  const byHand = async (text: Uint8Array, meanwhile: () => Promise<void>): Promise<string> => {
    const shell = Bun.spawn(["sh"], { stdin: text, stdout: "ignore", stderr: "pipe" });
    const pid = await program(shell);
    try {
      await meanwhile();
    } finally {
      process.kill(pid, "SIGKILL");
    }
    await shell.exited;
    return new Response(shell.stderr).text();
  };
  const refused = await byHand(script, async () => expect(rules()).toBe(original));
  expect(refused.match(/^not published, it leads elsewhere.* \{ tcp \. /gm)).toHaveLength(2);

  await sandbox.ok("stop", "-t", "0", "served");
  const later = new TextEncoder().encode(await sandbox.ok("explain", "--as", "sh", "served"));
  const said = await byHand(later, async () => {
    expect(rules()).toContain("tcp . 127.0.0.1 . 8075 : ");
    expect(await (await fetch("http://127.0.0.1:8076/page")).text()).toBe("here\n");
  });
  expect(said).not.toContain("not published");
  expect(rules()).not.toMatch(/807[56]/);
  await sandbox.ok("rm", "served");
});

test("with a shared bind this machine's mounts are where they were", async () => {
  const at = `${sandbox.root}/shared`;
  mkdirSync(at);
  const script = `mount --make-rprivate /; mount -t tmpfs none ${at}; mount --make-shared ${at}; mkdir ${at}/in ${at}/else
mount -t tmpfs else ${at}/else; touch ${at}/else/kept
dist/sampan run --name shares -v ${at}/in:/m:rshared busybox true
dist/sampan explain --as sh shares > ${at}/script; sh ${at}/script; echo $?
ls ${at}/else; mountpoint ${at}
dist/sampan rm shares`;
  const shell = Bun.spawn(["unshare", "--mount", "sh", "-c", `exec 2>&1; ${script}`], {
    cwd: REPO,
    stdin: "ignore",
    stdout: "pipe",
    env: sandbox.env,
  });
  expect(await new Response(shell.stdout).text()).toBe(`0\nkept\n${at} is a mountpoint\nshares\n`);
});

test("where cgroups are v2 alone, a program judges its devices", async () => {
  const tries = "exec 2>&1; mknod /tmp/loop b 7 0; cat /tmp/loop; head -c 4 /dev/zero | wc -c";
  const script = `mount --make-rprivate /; umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
dist/sampan run --name judged busybox sh -c '${tries}'
dist/sampan explain --as sh judged | sh
dist/sampan rm judged`;
  const shell = Bun.spawn(["unshare", "--mount", "sh", "-c", `exec 2>&1; ${script}`], {
    cwd: REPO,
    stdin: "ignore",
    stdout: "pipe",
    env: sandbox.env,
  });
  const refused = "cat: can't open '/tmp/loop': Operation not permitted\n4\n";
  expect(await new Response(shell.stdout).text()).toBe(`${refused}${refused}judged\n`);
});

test("where cgroups are v2 alone the script makes the same process as well", async () => {
  const flags = "--read-only --tmpfs /tmp --cap-drop KILL -p 8074:80 busybox sleep 1000";
  const script = `mount --make-rprivate /; umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
dist/sampan run -d --name two ${flags} >/dev/null; dist/sampan explain --as sh two > ${sandbox.root}/two.sh
echo ready; sh ${sandbox.root}/two.sh`;
  const shell = Bun.spawn(["unshare", "--mount", "sh", "-ec", script], {
    cwd: REPO,
    env: sandbox.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  await shell.stdout.getReader().read();
  const pid = await program(shell);
  const there = (...more: string[]): string => {
    const join = ["nsenter", "-t", String(shell.pid), "--mount", `${REPO}/dist/sampan`, ...more];
    return Bun.spawnSync(join, { env: sandbox.env }).stdout.toString();
  };
  try {
    const [original, again] = ["two", String(pid)].map((target) => {
      const found = JSON.parse(there("explain", "--json", target)) as Explanation;
      return { ...essence(found), trees: found.cgroups.places.map(({ folder }) => folder.split("/").length) };
    });
    expect(again).toEqual(original);
    expect(original?.own).toEqual(["mnt", "pid", "net", "uts", "ipc", "cgroup"]);
  } finally {
    process.kill(pid, "SIGKILL");
    there("rm", "-f", "two");
    await shell.exited;
  }
});

test("its exit code is the program's, and below an init its number is 2", async () => {
  await sandbox.cli("run", "--name", "code", "--init", "busybox", "sh", "-c", "hostname; echo $$; exit 7");
  const script = await sandbox.ok("explain", "--as", "sh", "code");
  const shell = Bun.spawn(["sh"], {
    stdin: new TextEncoder().encode(script),
    stdout: "pipe",
    stderr: "inherit",
  });
  expect(await new Response(shell.stdout).text()).toMatch(/^[0-9a-f]{12}\n2\n$/);
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
  process.kill(await program(real), "SIGKILL");
  await real.exited;
  expect(readdirSync(marks)).toEqual([]);
});

test("it is short enough to be read, and names who asked for each thing", async () => {
  await sandbox.ok("create", "--name", "never", "busybox", "true");
  expect((await sandbox.cli("explain", "--as", "sh", "never")).stderr).toContain(
    "container never has no plan",
  );
  await sandbox.ok("run", "-d", "--name", "short", "--memory", "64m", "busybox", "sleep", "1000");
  const script = await sandbox.ok("explain", "--as", "sh", "short");
  expect(script.split("\n").length).toBeLessThan(190);
  expect(script).toMatch(/^echo 67108864 > .*# --memory$/m);
});
