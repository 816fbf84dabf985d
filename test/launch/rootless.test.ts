/** The same plans for a caller without root: in a user namespace of one id, from a sealed copy of the launcher. */
import { afterAll, expect, test } from "bun:test";
import { chmodSync, chownSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { CLONE, type Step } from "../../src/launch/index.ts";
import {
  childrenOf,
  container,
  execve,
  inside,
  keeper,
  keeperOf,
  kept,
  NAMESPACES,
  outside,
  Place,
  plan,
  until,
} from "./support.ts";

const place = new Place();
afterAll(() => place.clean());
const USER = 65534;

/** Runs plans one after the other as the user and prints what each said: its output, or why it did not start. */
const RUNNER = `${place.path}/runner.ts`;
writeFileSync(
  RUNNER,
  `import { launch } from ${JSON.stringify(new URL("../../src/launch/index.ts", import.meta.url).pathname)};
   import { readFileSync } from "node:fs";
   let first;
   for (const text of process.argv.slice(2)) {
     const pid = first?.report.pid;
     const start = pid && readFileSync("/proc/" + pid + "/stat", "utf8").split(") ")[1].split(" ")[19];
     const plan = JSON.parse(text.replaceAll('"PID"', pid).replaceAll('"START"', start));
     try {
       const connection = await launch(plan);
       connection.onOutput = (_, data) => process.stdout.write(data);
       connection.attach(7);
       if (!first && process.argv.length > 3) { first = connection; await Bun.sleep(50); continue; }
       await connection.exit;
       connection.close();
     } catch (error) { console.log(error.message); }
   }
   process.exit(0);`,
);

const ENV = { HOME: place.path, PATH: "/usr/bin:/bin" };

const command = (...plans: object[]): string[] => [
  "/usr/bin/setpriv",
  `--reuid=${USER}`,
  `--regid=${USER}`,
  "--clear-groups",
  process.execPath,
  RUNNER,
  ...plans.map((p) => JSON.stringify(p)),
];

function as(...plans: object[]): string {
  const ran = Bun.spawnSync({
    cmd: command(...plans),
    env: ENV,
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 50_000,
  });
  return ran.stdout.toString();
}

function own(): string {
  const dir = place.container();
  for (const path of [dir, `${dir}/upper`, `${dir}/work`, `${dir}/target`]) {
    chownSync(path, USER, USER);
    chmodSync(path, 0o700);
  }
  return dir;
}

/** A device cannot be made here: the host's is bound. setgroups is denied, so devpts has no group to give. */
function rootless(steps: readonly Step[]): Step[] {
  return steps.map((step): Step => {
    if (step.call === "clone") return { ...step, flags: step.flags | CLONE.user };
    if (step.call === "overlay") return { ...step, options: ["userxattr"] };
    if (step.call === "mount" && step.fstype === "devpts")
      return { ...step, data: "newinstance,ptmxmode=0666,mode=0620" };
    if (step.call !== "mknod") return step;
    return inside({
      call: "bind",
      at: "root",
      source: step.target,
      target: step.target,
      recursive: false,
      set: 0,
      clear: 0,
      create: "file",
      propagation: 0,
    });
  });
}

const maps: Step[] = [
  outside({ call: "write", path: "/proc/{pid}/setgroups", data: "deny", pid: true }),
  outside({ call: "write", path: "/proc/{pid}/uid_map", data: `0 ${USER} 1\n`, pid: true }),
  outside({ call: "write", path: "/proc/{pid}/gid_map", data: `0 ${USER} 1\n`, pid: true }),
  inside({ call: "barrier", waits: "inside" }),
  inside({ call: "user", uid: 0, gid: 0, groups: [] }),
  inside({ call: "proc", path: "self/oom_score_adj", data: "100" }),
];

test("a container in a user namespace", () => {
  const dir = own();
  const script =
    "id -u; hostname; echo x > /dev/null && echo again > /dev/stdout; touch /made && stat -c %u /made; cat /proc/self/oom_score_adj; cat /proc/1/uid_map";
  expect(as(plan(rootless(container(place, dir, ["sh", "-c", script], { early: maps }))))).toMatch(
    /^0\nbox\nagain\n0\n100\n +0 +65534 +1\n$/,
  );
});

/** Whose a process's files in /proc are: its user's if anybody of that user may look into it, else root's. */
const lookedInto = (pid: number): boolean => statSync(`/proc/${pid}/environ`).uid !== 0;

test("nobody may look into a keeper, or into its child on the way in, not even their own user (CVE-2016-9962)", async () => {
  const dir = own();
  const steps = rootless(container(place, dir, ["true"], { early: maps }));
  // Stopped after its last step inside, before execve.
  const stopped = plan(steps, kept(dir, { stopAfter: steps.length - 1 }));
  const runner = Bun.spawn({ cmd: command(stopped), env: ENV, stdio: ["ignore", "ignore", "inherit"] });
  const keeperPid = await keeperOf(dir);
  try {
    const child = await until(() => childrenOf(keeperPid)[0]);
    await until(() => readlinkSync(`/proc/${child}/cwd`) === "/" && !lookedInto(child));
    expect(lookedInto(keeperPid)).toBe(false);
    // So says the kernel of one that may be looked into.
    expect(lookedInto(runner.pid)).toBe(true);
  } finally {
    process.kill(keeperPid, "SIGKILL");
    await runner.exited;
  }
});

test("an exec into it", () => {
  const dir = own();
  const exec = [
    outside({ call: "clone", flags: 0 }),
    {
      ...inside({ call: "join", pid: 0, start: 0n, flags: NAMESPACES | CLONE.user }),
      pid: "PID",
      start: "START",
    },
    inside({ call: "clone", flags: 0 }),
    inside({ call: "user", uid: 0, gid: 0, groups: [] }),
    inside({ call: "stdio" }),
    execve("sh", "-c", "hostname; id -u; cat /proc/1/comm"),
  ];
  const run = plan(rootless(container(place, dir, ["sleep", "5"], { early: maps })));
  expect(as(run, { steps: exec, keeper: keeper() })).toBe("box\n0\nsleep\n");
});

test("what it may not do is refused by name", () => {
  const dir = own();
  const mknod = inside({
    call: "mknod",
    target: "/dev/null",
    mode: 0o20666,
    major: 1,
    minor: 3,
    uid: 0,
    gid: 0,
  });
  const steps = [...rootless(container(place, dir, ["true"], { early: maps }))];
  steps.splice(-1, 0, mknod);
  expect(as(plan(steps))).toContain("making the device /dev/null: operation not permitted");
});
