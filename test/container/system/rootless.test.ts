/** The commands around one container for a user who is not root: with one id, and with a range of them. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { busyboxArchive, layerTar } from "../../support/image.ts";
import { REPO } from "../../support/sandbox.ts";

const UID = 23456;
const folder = mkdtempSync("/tmp/sampan-user-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const containers = `${folder}/home/.local/share/sampan/containers`;

/** Runs the lines as that user, in a mount namespace where /etc/subuid and /etc/subgid say `ranges`; what they print. */
async function asUser(ranges: string, ...lines: string[]): Promise<string[]> {
  mkdirSync(`${folder}/home`, { recursive: true });
  mkdirSync(`${folder}/run`, { recursive: true });
  // Once: somebody's keeper may still be on its way out with it.
  for (const name of ["sampan", "sampan-launcher"])
    if (!existsSync(`${folder}/${name}`)) copyFileSync(`${REPO}/dist/${name}`, `${folder}/${name}`);
  writeFileSync(`${folder}/sub`, ranges);
  // newuidmap wants to know its caller by name.
  const passwd = `${readFileSync("/etc/passwd", "utf8")}tester:x:${UID}:${UID}::${folder}/home:/bin/sh\n`;
  writeFileSync(`${folder}/passwd`, passwd);
  writeFileSync(`${folder}/script`, lines.join("\n"));
  const script = [
    "mount --make-rprivate /",
    // A user may open this device almost everywhere; here as well.
    "mkdir -p /dev/net && mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200",
    "touch /etc/subuid /etc/subgid",
    `mount --bind ${folder}/sub /etc/subuid`,
    `mount --bind ${folder}/sub /etc/subgid`,
    `mount --bind ${folder}/passwd /etc/passwd`,
    `chown -R ${UID}:${UID} ${folder}/home ${folder}/run`,
    `chmod 755 ${folder} ${folder}/sampan ${folder}/sampan-launcher ${folder}/script`,
    `cd ${folder}`,
    `exec setpriv --reuid ${UID} --regid ${UID} --clear-groups env HOME=${folder}/home ` +
      `XDG_RUNTIME_DIR=${folder}/run PATH=${folder}:$PATH sh ${folder}/script 2>&1`,
  ].join(" && ");
  const child = Bun.spawn(["unshare", "-m", "sh", "-c", script], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  if (err !== "") throw new Error(err);
  return out.trimEnd().split("\n");
}

describe("with one id", () => {
  test("run, exec, ps, top, logs, stop and rm work, and nothing is left", async () => {
    const said = await asUser(
      "",
      "sampan run --rm host sh -c 'id -u; echo $HOME'",
      "sampan run -d --name web host sh -c 'echo here; sleep 1000' > /dev/null",
      "sampan exec web id -u",
      "sampan ps --format '{{.Names}} {{.State}}'",
      "sampan top web -o comm | tail -1",
      "sampan logs web",
      "sampan run --rm --network container:web host id -u",
      "sampan stop -t 0 web",
      "sampan inspect -f '{{.State.Status}}' web",
      "sampan rm web",
      "sampan ps -aq",
    );
    expect(said).toEqual(["0", "/root", "0", "web running", "sleep", "here", "0", "web", "exited", "web"]);
    expect(readdirSync(containers)).toEqual([]);
  });

  test("what cannot work says why, by name", async () => {
    const said = (
      await asUser("", "sampan run --rm -m 64m host true", "sampan run --rm -u 5 host true")
    ).join("\n");
    expect(said).toContain("--memory: no cgroup is delegated to this user");
    expect(said).toContain(
      "--user: uid 5 is not mapped in this user namespace: /etc/subuid has no range for this user",
    );
    expect(readdirSync(containers)).toEqual([]);
  });

  test.each([
    ["--cpus 1", "--cpus: no cgroup is delegated to this user"],
    ["--pids-limit 10", "--pids-limit: no cgroup is delegated to this user"],
    ["--device-cgroup-rule 'c 1:3 rwm'", "--device-cgroup-rule: no cgroup is delegated to this user"],
    ["--cgroup-parent /x", "--cgroup-parent: no cgroup is delegated to this user"],
    ["--group-add 5", "--group-add 5: a user namespace of one id has no other groups"],
    ["--link other", "--link other: without root there are no networks of one's own"],
    ["--ip 10.0.0.5", "--ip 10.0.0.5: without root there are no networks of one's own"],
    [
      "--mac-address 02:00:00:00:00:01",
      "--mac-address 02:00:00:00:00:01: without root there are no networks of one's own",
    ],
    ["-p 80:80", "Bind for 0.0.0.0:80 failed: ports below 1024 are root's"],
    // Nothing of the terminal's filesystem, which was mounted without a group, is said of a limit.
    [
      "--ulimit nofile=2000000:2000000",
      "setting the limit nofile to 2000000:2000000: operation not permitted, asked for by --ulimit nofile",
    ],
  ])("%s is refused by name", async (flags, words) => {
    const [first, hint] = await asUser("", `sampan run --rm ${flags} host true`);
    expect(first).toBe(`sampan: ${words}`);
    expect(hint).not.toBe("");
    expect(readdirSync(containers)).toEqual([]);
  });

  test("what is accepted works: a device by another name, the host's IPC; pause and stats say what they lack", async () => {
    const said = await asUser(
      "",
      "sampan run --rm --device /dev/null:/dev/nothing host sh -c 'echo x > /dev/nothing; stat -c %t:%T /dev/nothing'",
      "sampan run --rm --ipc host host echo shared",
      "sampan run -d --name one host sleep 1000 > /dev/null",
      "sampan pause one 2>&1 | head -1; sampan stats --no-stream one 2>&1 | head -1",
      "sampan rm -f one",
    );
    expect(said).toEqual([
      "1:3",
      "shared",
      "sampan: pause: no cgroup is delegated to this user",
      "WARNING: no cgroup is delegated to this user: what containers use of the processor, memory and disks is not known",
      "one",
    ]);
  });
});

test("kill -9 of a user's keeper takes all with it, who carries its packets too", async () => {
  const children = (pid: string): string => `$(cat /proc/${pid}/task/*/children)`;
  const said = await asUser(
    `${UID}:700000:65536\n`,
    "sampan run -d --name web -p 127.0.0.1:8199:80 host sleep 1000 > /dev/null",
    "keeper=$(readlink $XDG_RUNTIME_DIR/sampan/*/pid | cut -d' ' -f1)",
    `own="${children("$keeper")}"; for p in $own; do own="$own ${children("$p")}"; done; echo $own | wc -w`,
    "kill -9 $keeper; for p in $own; do until grep -sq '^State:.[ZX]' /proc/$p/status || ! [ -d /proc/$p ]; do sleep 0.02; done; done",
    "sampan ps -a --format '{{.Names}} {{.State}}'",
    "sampan start web > /dev/null; sampan exec web echo again; sampan port web; sampan rm -f web",
  );
  // The process, the nurse, and the program that it looks after.
  expect(said).toEqual(["3", "web exited", "again", "80/tcp -> 127.0.0.1:8199", "web"]);
  expect(readdirSync(containers)).toEqual([]);
});

describe("volumes of a user", () => {
  const volumes = containers.replace(/containers$/, "volumes");
  const script = [
    "sampan run --rm -v vol:/v host sh -c 'echo one > /v/f; mkdir /v/d; ln /v/f /v/d/g; ls /v'",
    "sampan run --rm -v vol:/v:ro host sh -c 'cat /v/f; touch /v/x 2>&1 | cut -d: -f3'",
    "sampan volume clone vol copy",
    "sampan run --rm --mount type=volume,src=copy,dst=/v,volume-subpath=d host sh -c 'cat /v/g; stat -c %h /v/g'",
    "sampan run --rm -v filled:/etc/skel host sh -c 'test -e /etc/skel/.profile && echo filled'",
    "sampan volume create ram -o type=tmpfs -o device=tmpfs -o o=size=1m > /dev/null",
    "sampan run --rm -v ram:/r host sh -c 'echo x > /r/y; ls /r'",
    "mkdir -p home/folder; echo mine > home/folder/f",
    "sampan run --rm --mount type=bind,src=$HOME/folder,dst=/h,overlay host sh -c 'echo theirs > /h/f; cat /h/f'",
    "cat home/folder/f",
    "sampan run --rm -v /anonymous host true",
    "sampan volume rename copy other",
    "sampan volume ls -q",
    "sampan volume rm vol other filled ram > /dev/null; sampan volume ls -q",
  ];
  const said = "d f one  Read-only file system copy one 2 filled y theirs mine filled other ram vol"
    .split(" ")
    .join(" ");

  test.each([
    ["one id", ""],
    ["a range", `${UID}:700000:65536\n`],
  ])(
    "with %s they hold, are filled, copied and removed",
    async (_, ranges) => {
      expect((await asUser(ranges, ...script)).join(" ")).toBe(said);
      expect(readdirSync(volumes)).toEqual([]);
    },
    90_000,
  );

  test("files of other ids in a volume are copied with their owners, and go", async () => {
    const lines = await asUser(
      `${UID}:700000:65536\n`,
      "sampan run --rm -v vol:/v host sh -c 'mkdir -m 700 /v/private; touch /v/private/f; chown -R 33:34 /v/private'",
      "sampan volume clone vol copy",
      "sampan run --rm -v copy:/v host stat -c '%u:%g %a' /v/private /v/private/f",
      "sampan volume export copy | sampan volume import again -",
      "sampan run --rm -v again:/v host stat -c '%u:%g %a' /v/private /v/private/f",
      "sampan volume prune -af | head -3",
    );
    const owned = ["33:34 700", "33:34 644"];
    expect(lines).toEqual(["copy", ...owned, "again", ...owned, "Deleted Volumes:", "again", "copy"]);
    expect(readdirSync(volumes)).toEqual([]);
  }, 90_000);
});

describe("with a range", () => {
  test("there are other users, and their files go too", async () => {
    const said = await asUser(
      `${UID}:700000:65536\n`,
      "sampan run --rm -u 1000 host id -u",
      "sampan run --rm host sh -c 'mkdir /home/other && chown 33:33 /home/other && stat -c %u /home/other'",
      "sampan run -d --name web host sleep 1000 > /dev/null",
      "sampan exec web sh -c 'mkdir -m 700 /home/other; touch /home/other/file; chown -R 33:33 /home/other'",
      "sampan exec -u 5:6 web id -g",
      "sampan rm -f web",
    );
    expect(said).toEqual(["1000", "33", "6", "web"]);
    expect(readdirSync(containers)).toEqual([]);
  });
});

describe("files", () => {
  for (const [ids, ranges] of [
    ["one id", ""],
    ["a range of ids", `${UID}:700000:65536\n`],
  ] as const)
    test(`with ${ids} cp, diff, export and commit work, running or not`, async () => {
      busyboxArchive(folder, { tag: "app:latest" });
      const device = { name: "null", type: "char", major: 1, minor: 3 } as const;
      writeFileSync(`${folder}/device.tar`, layerTar([device]));
      const owner = ids === "one id" ? "0:0" : "33:34";
      const said = await asUser(
        ranges,
        `sampan load -q -i ${folder}/app_latest.tar`,
        "sampan run -d --name web app sleep 1000 > /dev/null",
        `sampan exec web sh -c 'mkdir -m 700 /mine; echo inside > /mine/f; chown -R ${owner} /mine; rm /bin/awk'`,
        "echo outside > home/f",
        "sampan cp home/f web:/tmp/f",
        "sampan exec web stat -c '%u:%g' /tmp/f",
        "sampan cp web:/mine home/out && cat home/out/f && stat -c %U home/out/f",
        "sampan diff web",
        "sampan stop -t 0 web > /dev/null",
        "sampan cp web:/mine/f - | tar -tv | cut -d' ' -f2",
        "sampan cp -a home/f web:/mine/g",
        "sampan cp web:/mine/g - | tar -xO",
        "sampan export web | tar -t | grep mine",
        "sampan commit web kept > /dev/null",
        "sampan cp /dev/zero web:/zero",
        `sampan cp - web:/ < ${folder}/device.tar`,
        "sampan run --rm kept sh -c 'cat /mine/f; ls /bin/awk'",
        "sampan create --name machine host sh -c 'cat /home/x' > /dev/null",
        "sampan cp home/f machine:/home/x && sampan start -a machine; sampan diff machine",
        "sampan export machine",
        "sampan rm web machine && sampan rmi -f kept app > /dev/null",
      );
      expect(said).toEqual([
        "Loaded image: app:latest",
        "0:0",
        "inside",
        "tester",
        "C /bin",
        "D /bin/awk",
        "A /mine",
        "A /mine/f",
        "C /tmp",
        "A /tmp/f",
        owner.replace(":", "/"),
        "outside",
        "mine/",
        "mine/f",
        "mine/g",
        'sampan: "zero" is a device, which only the machine\'s own root may make',
        'sampan: "null" is a device, which only the machine\'s own root may make',
        "inside",
        "ls: /bin/awk: No such file or directory",
        "outside",
        "C /home",
        "A /home/x",
        "sampan: container machine: without root not all of this machine can be read",
        "As root `sampan export` takes it; `sampan cp` takes what you may read.",
        "web",
        "machine",
      ]);
      expect(readdirSync(containers)).toEqual([]);
    }, 90_000);
});
