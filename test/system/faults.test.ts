/**
 * Kill anything at any point: the next command must read the state rightly and nothing may be left. A plan can be told to
 * stop after a step (SAMPAN_STOP_AFTER), so every point between two steps is tried.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  utimesSync,
} from "node:fs";
import type { Context } from "../../src/container/context.ts";
import type { StoredContainer } from "../../src/container/rows.ts";
import { endStart } from "../../src/container/stop.ts";
import { cgroupFolders, readCgroupHost } from "../../src/runtime/index.ts";
import { alive, isHeld, killed } from "../support/processes.ts";
import { REPO, Sandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});

const kill = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended on its own.
  }
};

const childrenOf = (pid: number): number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
};

/** The keeper's pid as it wrote it, for a container that runs. */
const keeperOf = (id: string): number =>
  Number(readlinkSync(`${box.root}/run/${id.slice(0, 12)}/pid`).split(" ")[0]);

async function isClean(when = ""): Promise<void> {
  const ids = (await box.ok("ps", "-aq")).split("\n").filter(Boolean);
  if (ids.length > 0) await box.ok("rm", "-f", ...ids);
  expect(await box.left(), when).toEqual([]);
  expect(await box.ok("run", "--rm", "host", "echo", "again")).toBe("again");
}

test("kill -9 of the command leaves a container that goes on", async () => {
  const child = box.spawn({}, "run", "--name", "goes-on", "host", "sleep", "1000");
  await until(() => box.ok("ps", "-q", "--filter", "name=goes-on"));
  child.kill("SIGKILL");
  await child.exited;
  expect(await box.ok("ps", "--format", "{{.Names}} {{.State}}")).toBe("goes-on running");
  expect(await box.ok("exec", "goes-on", "echo", "here")).toBe("here");
  await isClean();
});

test("restart policy and health check need nobody but the keeper", async () => {
  const flags = "--restart always --health-cmd true --health-interval 50ms --health-start-period 1ms".split(
    " ",
  );
  const commands = [box.spawn({}, "run", "--name", "alone", ...flags, "host", "sleep", "1000")];
  const inspect = async (template: string) =>
    (await box.cli("inspect", "-f", template, "alone")).stdout.trim();
  const reached = (template: string, wanted: string): Promise<true> =>
    until(async () => (await inspect(template)) === wanted, `${template} to be ${wanted}`);
  await reached("{{.State.Status}}", "running");
  commands.push(
    box.spawn({}, "logs", "-f", "alone"),
    box.spawn({}, "events"),
    box.spawn({}, "attach", "alone"),
  );
  for (const command of commands) command.kill("SIGKILL");
  await Promise.all(commands.map(({ exited }) => exited));
  await reached("{{.State.Health.Status}}", "healthy");
  const first = Number(await inspect("{{.State.Pid}}"));
  kill(first, "SIGKILL");
  await reached("{{.RestartCount}} {{.State.Status}} {{.State.Health.Status}}", "1 running healthy");
  expect(Number(await inspect("{{.State.Pid}}"))).not.toBe(first);
  await isClean();
});

test("kill -9 of the keeper ends its container, and the next command says so", async () => {
  const id = await box.ok("run", "-d", "--name", "orphan", "host", "sleep", "1000");
  const pid = Number(await box.ok("inspect", "-f", "{{.State.Pid}}", "orphan"));
  kill(keeperOf(id), "SIGKILL");
  await until(() => !alive(pid), "the container to die with its keeper");
  expect(await box.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "orphan")).toBe("exited 137");
  expect(await box.ok("inspect", "-f", "{{.State.Error}}", "orphan")).not.toBe("");
  expect(await box.ok("start", "orphan")).toBe("orphan");
  expect(await box.ok("inspect", "-f", "{{.State.Running}}", "orphan")).toBe("true");
  await isClean();
});

test("kill -9 of the container is an exit with 137, not out of memory", async () => {
  await box.ok("run", "-d", "--name", "victim", "host", "sleep", "1000");
  kill(Number(await box.ok("inspect", "-f", "{{.State.Pid}}", "victim")), "SIGKILL");
  expect(await box.ok("wait", "victim")).toBe("137");
  expect(await box.ok("inspect", "-f", "{{.State.OOMKilled}}", "victim")).toBe("false");
  await isClean();
});

test("out of memory can be told from a kill", async () => {
  const { code } = await box.cli(
    ..."run --name greedy --memory 16m --memory-swap 16m host sh -c".split(" "),
    "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo $x | wc -c",
  );
  expect(await box.ok("inspect", "-f", "{{.State.OOMKilled}}", "greedy")).toBe("true");
  expect(code).not.toBe(0);
  await isClean();
});

/** What a container may be at when something of it is killed: its flags, what goes on in it, and when that is so. */
const AT: Record<string, { flags?: string; program?: string[]; begin?: (name: string) => Promise<unknown> }> =
  {
    "nothing more": {},
    "with processes that were executed in it": {
      async begin(name) {
        const held = box.spawn({}, "exec", name, "sh", "-c", "trap '' TERM HUP; echo up; sleep 1000");
        await held.stdout.getReader().read();
        await box.ok("exec", "-d", name, "sleep", "1000");
      },
    },
    paused: { begin: (name) => box.ok("pause", name) },
    "with a probe that hangs": {
      flags: "--health-cmd",
      program: ["echo > /probing; sleep 1000", "--health-interval", "20ms", "--health-timeout", "1h"],
      async begin(name) {
        await until(async () => (await box.cli("exec", name, "test", "-e", "/probing")).code === 0);
      },
    },
    "with --init": { flags: "--init" },
    "with a terminal": { flags: "-it" },
    "with --rm": { flags: "--rm" },
    "with a port and a volume": { flags: "-p 127.0.0.1:7373:80 -v kept:/data" },
  };
const atAll = Object.entries(AT);

async function begun(name: string, { flags = "", program = [], begin }: (typeof AT)[string]) {
  const words = [...flags.split(" ").filter(Boolean), ...program];
  const id = await box.ok("run", "-d", "--name", name, ...words, "host", "sleep", "1000");
  await begin?.(name);
  return { id, pid: Number(await box.ok("inspect", "-f", "{{.State.Pid}}", name)) };
}

test.each(atAll)(
  "kill -9 of the keeper of one %s: it is over, its name and port are free, and it can be started",
  async (what, at) => {
    const { id, pid } = await begun("one", at);
    kill(keeperOf(id), "SIGKILL");
    await until(() => !alive(pid), "its process to die");
    if (what === "with --rm") expect(await box.ok("ps", "-aq")).toBe("");
    else {
      expect(await box.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one")).toBe(
        "exited 137",
      );
      expect(await box.ok("start", "one")).toBe("one");
    }
    await isClean();
  },
);

test.each(atAll)("kill -9 of the process of one %s: the keeper puts all in order", async (what, at) => {
  const { pid } = await begun("one", at);
  kill(pid, "SIGKILL");
  if (what === "with --rm") await until(async () => (await box.ok("ps", "-aq")) === "");
  else {
    expect(await box.ok("wait", "one")).toBe("137");
    expect(await box.ok("start", "one")).toBe("one");
  }
  await isClean();
});

test("what a dead container had, nobody has: its port, its name with --rm, though nobody has looked since", async () => {
  for (const flags of [
    ["-p", "127.0.0.1:7374:80"],
    ["--rm", "--name", "same"],
  ]) {
    for (let round = 0; round < 2; round++) {
      const id = await box.ok("run", "-d", ...flags, "host", "sleep", "1000");
      await killed(keeperOf(id));
    }
    await isClean();
  }
});

test("kill -9 of the keeper between two runs: the container has ended as its last run did", async () => {
  const id = await box.ok(
    "run",
    "-d",
    "--name",
    "again",
    "--restart",
    "always",
    "host",
    "sh",
    "-c",
    "exit 3",
  );
  await until(
    () =>
      readlinkSync(`${box.root}/run/${id.slice(0, 12)}/pid`).includes("restarting") &&
      existsSync(`${box.root}/containers/${id}/exit.json`),
    "a pause between two runs",
  );
  kill(keeperOf(id), "SIGKILL");
  expect(await box.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "again")).toBe("exited 3");
  await isClean();
});

test("a cgroup that no container has goes with the next prune, one in which something lives does not", async () => {
  const folder = readdirSync("/sys/fs/cgroup").map((name) => `/sys/fs/cgroup/${name}`);
  const base = [...folder, "/sys/fs/cgroup"].find((path) => existsSync(`${path}/cgroup.procs`)) ?? "";
  const [empty, young, lived] = ["a", "b", "c"].map(
    (digit) => `${base}${box.cgroupParent}/${digit.repeat(64)}`,
  );
  for (const path of [empty, young, lived] as string[]) mkdirSync(path, { recursive: true });
  const dweller = Bun.spawn(["sh", "-c", `echo $$ > ${lived}/cgroup.procs; echo in; exec sleep 1000`], {
    stdout: "pipe",
  });
  await dweller.stdout.getReader().read();
  for (const path of [empty, lived] as string[]) utimesSync(path, 0, 0);
  await box.ok("container", "prune", "-f");
  expect([empty, young, lived].map((path) => existsSync(path ?? ""))).toEqual([false, true, true]);
  dweller.kill("SIGKILL");
  await dweller.exited;
  for (const path of [young, lived] as string[]) rmdirSync(path);
});

test("on a full disk what is there is seen as it is, ends when asked and goes, and then there is room again", async () => {
  const disk = `${box.root}/disk`;
  mkdirSync(disk);
  const lines = [
    `mount -t tmpfs -o size=5m tmpfs ${disk}`,
    `export SAMPAN_ROOT=${disk}/root SAMPAN_RUN=${box.root}/run-of-full`,
    "sampan run -d --name ends --network none host sh -c 'until [ -e /go ]; do sleep 0.02; done; exit 7' > /dev/null",
    "sampan run -d --name stays --restart always --health-cmd true --network none host sleep 1000 > /dev/null",
    "sampan create --name waits --network none host true > /dev/null",
    // Made before, since now nothing can be.
    "files=/proc/$(sampan inspect -f '{{.State.Pid}}' ends)/root; touch $files/come",
    `dd if=/dev/zero of=${disk}/fill bs=1k 2> /dev/null; dd if=/dev/zero of=${disk}/rest bs=1 2> /dev/null`,
    "mv $files/come $files/go; sampan wait ends",
    "sampan inspect -f '{{.State.Status}} {{.State.ExitCode}}{{.State.Error}}' ends",
    "sampan ps -a --format '{{.Names}} {{.State}}'; sampan logs ends; sampan exec stays echo inside",
    "sampan start waits 2>&1 | head -1; sampan run --rm host true; echo $?",
    "sampan stop -t 0 stays; sampan ps -q; sampan rm ends; sampan container prune -f | head -3 | wc -l",
    "sampan run --rm --network none host echo room",
    "sampan ps -aq",
  ];
  const child = Bun.spawn(["unshare", "-m", "sh", "-c", lines.join("\n")], {
    env: { ...box.env, PATH: `${REPO}/dist:${process.env["PATH"]}` },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const full = `writing ${disk}/root/sampan.db: no space left on device`;
  expect((await new Response(child.stdout).text()).trimEnd().split("\n")).toEqual([
    "7",
    "exited 7",
    "waits created",
    "stays running",
    "ends exited",
    "inside",
    `sampan: ${full}`,
    "125",
    "stays",
    "ends",
    "3",
    "room",
  ]);
  await child.exited;
  expect(await box.left()).toEqual([]);
});

test("what is removed while the keeper of its start is ending by itself leaves no cgroup", async () => {
  const id = "d".repeat(64);
  const folders = cgroupFolders(readCgroupHost(), `${box.cgroupParent}/${id}`);
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  const row = { id, config: { cgroupParent: box.cgroupParent }, state: { status: "starting" } };
  const context = { paths: { root: box.root, run: `${box.root}/run` } };
  await endStart(context as Context, row as StoredContainer);
  expect(folders.filter(existsSync)).toEqual([]);
});

test("a start that is held, and nobody waits for, is ended by whoever removes it, by force or not", async () => {
  for (const words of [["rm"], ["rm", "-f"], ["container", "prune", "-f"]]) {
    const id = await box.ok("create", "host", "true");
    const child = box.spawn({ env: { SAMPAN_STOP_AFTER: "20" } }, "start", id);
    await until(() => childrenOf(child.pid).some((keeper) => [keeper, ...childrenOf(keeper)].some(isHeld)));
    child.kill("SIGKILL");
    await child.exited;
    await box.ok(...words, ...(words[0] === "rm" ? [id] : []));
    expect(await box.left(), words.join(" ")).toEqual([]);
  }
});

test("between any two steps: the launcher killed, then both, then only the command", async () => {
  for (let step = 1; ; step++) {
    const child = box.spawn({ env: { SAMPAN_STOP_AFTER: String(step) } }, "run", "--rm", "host", "true");
    let exited = false;
    void child.exited.then(() => (exited = true));
    let keeper = 0;
    let held: number[] = [];
    await until(() => {
      keeper = childrenOf(child.pid)[0] ?? keeper;
      held = [keeper, ...childrenOf(keeper)].filter((pid) => pid > 0 && isHeld(pid));
      return exited || held.length > 0;
    }, `a stop after step ${step}`);
    if (held.length === 0) {
      // The plan was over before this step: every point has been tried.
      expect(step).toBeGreaterThan(20);
      break;
    }
    const mode = step % 3;
    if (mode !== 0) child.kill("SIGKILL");
    if (mode !== 2) kill(keeper, "SIGKILL");
    await child.exited;
    // A keeper that goes on ends by itself; one whose child is held is for `rm -f` to end.
    if (mode === 2 && held.includes(keeper)) {
      kill(keeper, "SIGCONT");
      await until(() => !alive(keeper), "the container to end by itself");
    }
    await isClean(`step ${step}, mode ${mode}`);
  }
}, 300_000);
