/** What goes wrong most often, as the command line says it: what failed, on what, why, and what to do. Exact texts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let folder: string;
beforeAll(() => {
  box = new Sandbox();
  folder = `${box.root}/programs`;
  mkdirSync(folder);
});
afterAll(() => box[Symbol.asyncDispose]());

const [HERE, THERE, MACHINE] = process.arch === "x64" ? ["amd64", "arm64", 183] : ["arm64", "amd64", 62];

function program(name: string, content: string | Uint8Array, mode = 0o755): string {
  writeFileSync(`${folder}/${name}`, content);
  chmodSync(`${folder}/${name}`, mode);
  return `/programs/${name}`;
}

/** Runs it; exit code and stderr. */
async function fails(...words: string[]) {
  const { code, stderr } = await box.cli("run", "--rm", ...words);
  return { code, stderr };
}
const failsAs = (path: string) => fails("-v", `${folder}:/programs`, "host", path);

/** Runs a script in a mount namespace of its own, with the sandbox's surroundings; all that it printed. */
async function apart(script: string, ...unshare: string[]): Promise<string> {
  const child = Bun.spawn(["unshare", "-m", ...unshare, "sh", "-ec", `exec 2>&1; ${script}`], {
    stdout: "pipe",
    stderr: "inherit",
    env: { ...box.env, PATH: `${process.cwd()}/dist:${process.env["PATH"]}` },
  });
  return (await new Response(child.stdout).text()).trimEnd();
}

describe("a program that cannot be executed", () => {
  test("of another architecture", async () => {
    const bytes = readFileSync("/bin/busybox");
    bytes.writeUInt16LE(MACHINE as number, 18);
    expect(await failsAs(program("foreign", bytes))).toEqual({
      code: 126,
      stderr:
        `sampan: exec /programs/foreign: exec format error: it is a program for ${THERE}, and this machine is ${HERE}\n` +
        `Use an image for linux/${HERE}, or register an emulator (qemu-user-static with binfmt_misc).\n`,
    });
  });

  test("a script whose interpreter is missing", async () => {
    expect(await failsAs(program("orphan", "#!/no/such -e\n"))).toEqual({
      code: 127,
      stderr:
        "sampan: exec /programs/orphan: no such file or directory: it is a script for /no/such, which the image does not have\n" +
        "Install /no/such in the image, or let the first line of /programs/orphan name an interpreter that is there.\n",
    });
  });

  test("a script with line ends of Windows", async () => {
    expect(await failsAs(program("windows", "#!/bin/sh\r\necho\r\n"))).toEqual({
      code: 127,
      stderr:
        'sampan: exec /programs/windows: no such file or directory: its first line ends in CR LF, so the interpreter\'s name is "/bin/sh\\r"\n' +
        "Save /programs/windows with LF line ends, for instance with `dos2unix` or `sed -i 's/\\r$//'`.\n",
    });
  });

  test("without an x bit", async () => {
    expect(await failsAs(program("shut", "#!/bin/sh\n", 0o644))).toEqual({
      code: 126,
      stderr:
        'sampan: exec: "/programs/shut": permission denied: /programs/shut has mode 0644, without an x bit\n' +
        "Make it executable in the image: `chmod +x /programs/shut`, or run it through its interpreter.\n",
    });
  });

  test("on a noexec mount", async () => {
    mkdirSync(`${box.root}/noexec`);
    const said = await apart(
      `mount -t tmpfs -o noexec tmpfs ${box.root}/noexec; cp /bin/busybox ${box.root}/noexec; ` +
        `sampan run --rm -v ${box.root}/noexec:/n host /n/busybox || echo $?`,
    );
    expect(said).toBe(
      'sampan: exec: "/n/busybox": permission denied: /n/busybox lies on the mount at /n, which is noexec\n' +
        "Mount /n with `exec`, or keep the program outside of it.\n126",
    );
  });
});

test("a full disk", async () => {
  const disk = `${box.root}/disk`;
  mkdirSync(disk);
  const hint =
    "`sampan system prune` removes what nobody uses; --root, or SAMPAN_ROOT, puts the engine's files elsewhere.";
  const said = await apart(
    `mount -t tmpfs -o size=1m tmpfs ${disk}; export SAMPAN_ROOT=${disk} SAMPAN_RUN=${disk}/run; sampan ps -q; ` +
      `dd if=/dev/zero of=${disk}/fill bs=1k 2>/dev/null || true; ` +
      `sampan run --rm host true || echo $?; sampan run -d host true || echo $?; sampan ps -aq; ` +
      `rm ${disk}/fill; sampan run --rm host echo well; ` +
      // The keeper removes what --rm leaves, a moment after the command has gone.
      `for i in $(seq 1000); do [ -n "$(ls ${disk}/containers)" ] || break; sleep 0.02; done; ls ${disk}/containers`,
  );
  const refusal = `sampan: writing ${disk}/sampan.db: no space left on device\n${hint}\n125\n`;
  expect(said).toBe(`${refusal}${refusal}well`);
});

test("a read-only disk: what is there is still seen and ended, what has to be written is refused by name", async () => {
  const disk = `${box.root}/readonly`;
  mkdirSync(disk);
  const said = await apart(
    `mount -t tmpfs tmpfs ${disk}; export SAMPAN_ROOT=${disk} SAMPAN_RUN=${disk}.run; ` +
      "sampan run --network none --name over host echo hello; " +
      "sampan run -d --network none --name on host sleep 1000 >/dev/null; " +
      `mount --bind ${disk} ${disk}; mount -o remount,bind,ro ${disk}; ` +
      "sampan ps --format '{{.Names}} {{.State}}'; sampan logs over; sampan inspect -f '{{.State.ExitCode}}' over; " +
      "sampan exec on echo in; sampan wait over; sampan events --since 1h --until 0s -f event=start --format '{{.Action}}'; " +
      "for words in 'run --rm host true' 'create host' 'start over' 'rm over' 'rm -f over' 'rename over done' 'container prune -f'; do " +
      "sampan $words || true; echo; done 2>&1 | sed -E 's/[0-9a-f]{64}/ID/'; " +
      "sampan kill on; sampan ps -a --format '{{.Names}} {{.State}}'; " +
      `mount -o remount,bind,rw ${disk}; sampan rm over on`,
  );
  const refused = (path: string): string =>
    `sampan: writing ${disk}/${path}: read-only file system\n--root, or SAMPAN_ROOT, puts the engine's files elsewhere.\n`;
  expect(said).toBe(
    "hello\non running\nhello\n0\nin\n0\nstart\nstart\n" +
      [
        refused("containers/ID"),
        refused("containers/ID"),
        `${refused("containers/ID/exit.json")}sampan: failed to start containers: over\n`,
        refused("sampan.lock"),
        refused("sampan.lock"),
        refused("sampan.lock"),
        refused("sampan.lock"),
      ].join("\n") +
      "\non\non exited\nover exited\nover\non",
  );
});

test("a read-only disk that never had networks: the usual ones are listed and shown", async () => {
  const disk = `${box.root}/unwritten`;
  mkdirSync(disk);
  const said = await apart(
    `mount -t tmpfs tmpfs ${disk}; export SAMPAN_ROOT=${disk} SAMPAN_RUN=${disk}.run; sampan ps -q; ` +
      `mount --bind ${disk} ${disk}; mount -o remount,bind,ro ${disk}; ` +
      "sampan network ls --format '{{.Name}} {{.Driver}}'; sampan network inspect -f '{{.Name}}' none; " +
      "sampan network inspect nope 2>&1 || true; sampan network create new 2>&1 || true",
  );
  expect(said).toStartWith("bridge bridge\nhost host\nnone null\nnone\n[]\nsampan: network nope not found");
  expect(said).toContain(`sampan: writing ${disk}/sampan.lock: read-only file system`);
});

test("a program whose name is empty", async () => {
  expect(await fails("host", "")).toEqual({
    code: 127,
    stderr:
      'sampan: exec: "": executable file not found in $PATH\n' +
      "The command's first word is empty: is a variable not set?\n",
  });
});

test("a name in use", async () => {
  const id = await box.ok("create", "--name", "taken", "host", "true");
  expect(await fails("--name", "taken", "host", "true")).toEqual({
    code: 125,
    stderr: `sampan: Conflict. The container name "/taken" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.\n`,
  });
  await box.ok("rm", "taken");
});

test("a flag's value that it does not take", async () => {
  expect(await fails("--memory", "lots", "host", "true")).toEqual({
    code: 125,
    stderr:
      'invalid argument "lots" for "-m, --memory" flag: invalid size: \'lots\'\n\n' +
      "Usage:  sampan run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'sampan run --help' for more information\n",
  });
  expect((await fails("--cpus", "1000", "host", "true")).stderr).toMatch(
    /^sampan: Range of CPUs is from 0.01 to (\d+).00, as there are only \1 CPUs available\n$/,
  );
});

test("no user namespaces on this host, for a user who needs one", async () => {
  const home = `${box.root}/home`;
  for (const name of ["sampan", "sampan-launcher"]) {
    copyFileSync(`${process.cwd()}/dist/${name}`, `${folder}/${name}`);
    chmodSync(`${folder}/${name}`, 0o755);
  }
  chmodSync(box.root, 0o755);
  mkdirSync(home, { mode: 0o777 });
  chmodSync(home, 0o777);
  // The setting is each user namespace's own, for those beneath it: here, one that maps every id to itself.
  const outer = Bun.spawn(["unshare", "-U", "sh", "-c", "echo; exec cat"], { stdin: "pipe", stdout: "pipe" });
  const reader = outer.stdout.getReader();
  await reader.read();
  for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${outer.pid}/${map}`, "0 0 4294967295");
  const user = "setpriv --reuid 23456 --regid 23456 --clear-groups";
  const surroundings = `env -u SAMPAN_ROOT -u SAMPAN_RUN -u SAMPAN_CGROUP_PARENT HOME=${home} XDG_RUNTIME_DIR=${home}`;
  const inner = `echo 0 >/proc/sys/user/max_user_namespaces; ${surroundings} ${user} ${folder}/sampan run --rm --network none host true || echo $?`;
  const said = await apart(`nsenter -U -t ${outer.pid} sh -c '${inner}'`);
  outer.kill();
  expect(said).toBe(
    "sampan: this host does not allow user namespaces: user.max_user_namespaces is 0\n" +
      "As root: sysctl -w user.max_user_namespaces=15000\n125",
  );
});

// What a kernel's cgroups lack is refused in test/runtime/cgroups.test.ts and test/v2.
test("a limit that the kernel refuses to this caller", async () => {
  const said = await apart(
    "setpriv --bounding-set -sys_resource --inh-caps -sys_resource sampan run --rm --ulimit nofile=99999999 host true || echo $?",
  );
  expect(said).toBe(
    "sampan: setting the limit nofile to 99999999:99999999: operation not permitted, asked for by --ulimit nofile\n" +
      'Only a caller with CAP_SYS_RESOURCE raises a hard limit (`ulimit -H -a` shows them), and nofile never above fs.nr_open. The row "root\'s rights" of `sampan doctor` says what is in the way.\n125',
  );
});
