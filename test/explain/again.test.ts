/** The forms that are not for a shell: each is given to what it is for, and the outcome compared with the original. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { busyboxArchive } from "../support/image.ts";
import { REPO, Sandbox } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = new Sandbox();
  await sandbox.ok("load", "-i", busyboxArchive(sandbox.root));
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const words = (text: string): string[] => text.split(" ");

/** What a process can say of where it is. */
const WHO = `
hostname; id; pwd; umask; echo "$A"; cat /proc/sys/net/core/somaxconn /proc/self/oom_score_adj
grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null
ulimit -n; ls /data >/dev/null && echo data; touch /data/x 2>&1; touch /new 2>&1; touch /tmp/x && echo written
cat /proc/keys 2>&1; echo 1 2>&1 > /proc/sys/kernel/pid_max
awk '{ print $5, $6 }' /proc/self/mountinfo | grep -vE '^/etc/|^/proc/|^/sys/fs/cgroup|relatime$' | sort
`;

describe("--as oci runs under other runtimes", () => {
  const FLAGS = [
    ...words("--read-only --tmpfs /tmp -v /usr/share:/data:ro --memory 64m --user 1000:1001 --group-add 5"),
    ...words("--cap-drop ALL --cap-add KILL --security-opt no-new-privileges --ulimit nofile=100:200"),
    ...words("--hostname known --sysctl net.core.somaxconn=100 --oom-score-adj 100 -w /usr -e A=1"),
  ];

  test.each(["runc", "crun"])("%s", async (runtime) => {
    const name = `for-${runtime}`;
    const original = await sandbox.cli("run", "--name", name, ...FLAGS, "busybox", "sh", "-c", WHO);
    const { code, stdout: config, stderr: aside } = await sandbox.cli("explain", "--as", "oci", name);
    expect(code).toBe(0);
    const bundle = `${sandbox.root}/${runtime}`;
    mkdirSync(bundle);
    writeFileSync(`${bundle}/config.json`, config);
    const script = `set -e; cd ${bundle}
${aside}
# crun takes no machine whose v2 tree has controllers beside v1's: here it does not see that tree.
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
exec ${runtime} --root ${bundle}/state run ${name}`;
    const run = Bun.spawn(["unshare", "--mount", "sh", "-c", script], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([
      new Response(run.stdout).text(),
      new Response(run.stderr).text(),
    ]);
    expect(stderr).toBe(original.stderr);
    expect(stdout).toBe(original.stdout);
    expect(await run.exited).toBe(original.code);
  });

  const UID = 23_462;
  const USERS = [
    ["a range of ids", `${UID}:700000:65536\n`, "--user 1000:1001 --group-add 5 "],
    ["one id", "", ""],
  ] as const;
  test.each(USERS.flatMap((user) => ["runc", "crun"].map((runtime) => [runtime, ...user] as const)))(
    "%s, for a user with %s",
    async (runtime, _, ranges, rights) => {
      const folder = mkdtempSync("/tmp/sampan-oci-");
      for (const name of ["sampan", "sampan-launcher"])
        copyFileSync(`${REPO}/dist/${name}`, `${folder}/${name}`);
      copyFileSync(busyboxArchive(folder), `${folder}/image.tar`);
      for (const name of ["run", "bundle"]) mkdirSync(`${folder}/${name}`);
      writeFileSync(`${folder}/sub`, ranges);
      const passwd = readFileSync("/etc/passwd", "utf8");
      writeFileSync(`${folder}/passwd`, `${passwd}tester:x:${UID}:${UID}::${folder}:/bin/sh\n`);
      writeFileSync(`${folder}/who`, WHO.replace(/^cat \/sys\/fs\/cgroup.*$/m, ""));
      const flags = `--network none --read-only --tmpfs /tmp -v /usr/share:/data:ro ${rights}--cap-drop ALL --cap-add KILL`;
      const more = "--security-opt no-new-privileges --ulimit nofile=100:200 --hostname known -w /usr -e A=1";
      writeFileSync(
        `${folder}/user`,
        `set -e; export HOME=${folder} XDG_RUNTIME_DIR=${folder}/run PATH=${folder}:$PATH; cd ${folder}/bundle
sampan load -q -i ${folder}/image.tar >/dev/null
sampan run --name u ${flags} ${more} busybox sh -c "$(cat ${folder}/who)" >&2
sampan explain --as oci u 2>aside >config.json; sed -i 's/^  runc /  ${runtime} /' aside
. ./aside; sampan rm u >/dev/null`,
      );
      const script = `mount --make-rprivate /; touch /etc/subuid /etc/subgid
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mount --bind ${folder}/sub /etc/subuid; mount --bind ${folder}/sub /etc/subgid; mount --bind ${folder}/passwd /etc/passwd
chown -R ${UID}:${UID} ${folder}; chmod 755 ${folder}/sampan ${folder}/sampan-launcher
exec setpriv --reuid ${UID} --regid ${UID} --clear-groups sh ${folder}/user`;
      const run = Bun.spawn(["unshare", "--mount", "sh", "-ec", script], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [again, original] = await Promise.all([
        new Response(run.stdout).text(),
        new Response(run.stderr).text(),
      ]);
      expect(again).toBe(original);
      expect(original).toContain("known\n");
      expect(await run.exited).toBe(0);
      rmSync(folder, { recursive: true, force: true });
    },
  );

  test("a filesystem of this machine needs nothing beside", async () => {
    await sandbox.ok("create", "--name", "folder", "--rootfs", "/usr", "true");
    const { stdout, stderr } = await sandbox.cli("explain", "--as", "oci", "folder");
    expect(JSON.parse(stdout)).toMatchObject({
      root: { path: "/usr", readonly: false },
      ociVersion: "1.0.2",
    });
    expect(stderr).toBe("");
  });
});

describe("--as ts is a program", () => {
  test("that the compiler accepts, and that runs the container", async () => {
    const folder = `${sandbox.root}/program`;
    mkdirSync(`${folder}/node_modules`, { recursive: true });
    Bun.spawnSync(["ln", "-s", REPO, `${folder}/node_modules/sampan`]);
    Bun.spawnSync(["ln", "-s", `${REPO}/node_modules/@types`, `${folder}/node_modules/@types`]);
    await sandbox.cli(
      ...words("run --name said --memory 64m -e A=it's --tmpfs /a:size=1m -l x=y --cap-drop NET_RAW"),
      ...words("--health-cmd true busybox sh -c"),
      'echo "out $A"; echo err >&2; exit 3',
    );
    await sandbox.ok("run", ...words("-d --name quiet --init --restart on-failure:3 busybox sleep 1000"));
    const attached = (await sandbox.ok("explain", "--as", "ts", "said")).replace(
      'name: "said"',
      'name: "said-2"',
    );
    const detached = (await sandbox.ok("explain", "--as", "ts", "quiet")).replace(
      'name: "quiet"',
      'name: "quiet-2"',
    );
    writeFileSync(`${folder}/attached.ts`, attached);
    writeFileSync(`${folder}/detached.ts`, detached);
    const options = await Bun.file(`${REPO}/tsconfig.json`).json();
    const compilerOptions = { ...options.compilerOptions, noEmit: true };
    writeFileSync(
      `${folder}/tsconfig.json`,
      JSON.stringify({ compilerOptions, files: ["attached.ts", "detached.ts"] }),
    );
    const check = Bun.spawnSync([`${REPO}/node_modules/.bin/tsc`, "-p", folder], { cwd: folder });
    expect(check.stdout.toString()).toBe("");
    const run = Bun.spawnSync([process.execPath, "attached.ts"], { cwd: folder, env: sandbox.env });
    expect([run.stdout.toString(), run.stderr.toString(), run.exitCode]).toEqual(["out it's\n", "err\n", 3]);
    const wanted = (name: string): Promise<string> =>
      sandbox.ok("inspect", "-f", "{{json .HostConfig}}", name);
    expect(await wanted("said-2")).toBe(await wanted("said"));
    const started = Bun.spawnSync([process.execPath, "detached.ts"], { cwd: folder, env: sandbox.env });
    expect(started.stdout.toString()).toMatch(/^[0-9a-f]{64}\n$/);
    expect(await sandbox.ok("inspect", "-f", "{{.State.Status}}", "quiet-2")).toBe("running");
    expect(await wanted("quiet-2")).toBe(await wanted("quiet"));
  });
});
