/** The commands around one container, as a user meets them: what they print, in which order, and their exit codes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { killed } from "../support/processes.ts";
import { Sandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box[Symbol.asyncDispose]());

/** A container that waits; its id. */
const idle = (name: string, ...flags: string[]): Promise<string> =>
  box.ok("run", "-d", "--name", name, ...flags, "host", "sleep", "1000");
const field = (name: string, template: string): Promise<string> => box.ok("inspect", "-f", template, name);

describe("the life of a container", () => {
  test("create, start, pause, unpause, stop, restart, kill, rm: each prints what it was given", async () => {
    const id = await box.ok("create", "--name", "life", "host", "sleep", "1000");
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await box.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}")).toBe("life Created");
    for (const [command, status] of [
      [["start"], "running"],
      [["pause"], "paused"],
      [["unpause"], "running"],
      [["stop", "-t", "0"], "exited"],
      [["restart", "-t", "0"], "running"],
      [["kill"], "exited"],
    ] as const) {
      expect(await box.ok(...command, "life")).toBe("life");
      expect(await field("life", "{{.State.Status}}")).toBe(status);
    }
    expect(await box.ok("wait", "life")).toBe("137");
    expect(await box.ok("rm", id.slice(0, 8))).toBe(id.slice(0, 8));
    expect(await box.ok("ps", "-aq")).toBe("");
  });

  test("start -a stays, and its exit code is the program's", async () => {
    await box.ok("create", "--name", "staying", "host", "sh", "-c", "echo hello; exit 6");
    expect(await box.cli("start", "-a", "staying")).toEqual({ code: 6, stdout: "hello\n", stderr: "" });
    await box.ok("rm", "staying");
  });

  test("start -ai feeds its stdin", async () => {
    await box.ok("create", "-i", "--name", "fed", "host", "cat");
    expect(await box.cliWith({ stdin: "to and fro\n" }, "start", "-ai", "fed")).toEqual({
      code: 0,
      stdout: "to and fro\n",
      stderr: "",
    });
    await box.ok("rm", "fed");
  });

  test("several at once: what fails stops no other", async () => {
    await Promise.all([idle("one"), idle("two")]);
    const { code, stdout, stderr } = await box.cli("stop", "-t", "0", "nope", "one", "two");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "one\ntwo\n" });
    expect(stderr).toStartWith("sampan: No such container: nope\n");
    await box.ok("rm", "one", "two");
  });

  test("rm of one that runs is refused, -f is not", async () => {
    await idle("running");
    const { code, stderr } = await box.cli("rm", "running");
    expect(code).toBe(1);
    expect(stderr).toContain("container is running: stop the container before removing or force remove");
    expect(await box.ok("rm", "-f", "running")).toBe("running");
  });

  test("a name in use, a name that cannot be", async () => {
    const id = await box.ok("create", "--name", "taken", "host", "true");
    const used = await box.cli("run", "--name", "taken", "host", "true");
    expect(used.code).toBe(125);
    expect(used.stderr).toContain(
      `Conflict. The container name "/taken" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
    expect((await box.cli("rename", "taken", "a b")).stderr).toContain(
      "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    );
    expect((await box.cli("rename", "", "free")).stderr).toBe(
      "sampan: Neither old nor new names may be empty\n",
    );
    await box.ok("rename", "taken", "free");
    await box.ok("create", "--name", "/slashed", "host", "true");
    expect(await box.ok("ps", "-a", "--filter", "name=slashed", "--format", "{{.Names}}")).toBe("slashed");
    await box.ok("rm", "slashed");
    await box.ok("rm", "free");
  });
});

test("inspect names the files of one that runs, its own or of the one whose network it has; otherwise there are none", async () => {
  const hosts = (name: string) => box.ok("inspect", "--format", "{{.HostsPath}}", name);
  const run = ["run", "-d", "--network"];
  await box.ok(...run, "none", "--name", "filed", "--add-host", "other:1.2.3.4", "host", "sleep", "1000");
  await box.ok(...run, "container:filed", "--name", "guest", "host", "sleep", "1000");
  expect(readFileSync(await hosts("filed"), "utf8")).toContain("1.2.3.4\tother");
  expect(await hosts("guest")).toBe(await hosts("filed"));
  await box.ok("rm", "-f", "guest");
  await box.ok("kill", "filed");
  expect(await hosts("filed")).toBe("");
  await box.ok("rm", "filed");
});

test("a published port is an exposed one", async () => {
  const publish = ["-p", "127.0.0.1::80", "-p", "127.0.0.1::53/udp", "--expose", "90"];
  await box.ok("create", "--name", "open", ...publish, "host", "true");
  expect(await box.ok("inspect", "--format", "{{json .Config.ExposedPorts}}", "open")).toBe(
    '{"53/udp":{},"80/tcp":{},"90/tcp":{}}',
  );
  expect(await box.ok("ps", "-a", "-f", "expose=80", "--format", "{{.Names}}")).toBe("open");
  expect(await box.ok("ps", "-a", "-f", "expose=81", "--format", "{{.Names}}")).toBe("");
  await box.ok("rm", "open");
});

describe("a restart policy", () => {
  test("who ran it, started it, attached or waited is told of the first end, and the container goes on", async () => {
    const policy = ["--restart", "on-failure:100", "host", "sh", "-c"];
    expect(await box.cli("run", "--name", "again", ...policy, "echo once; exit 3")).toEqual({
      code: 3,
      stdout: "once\n",
      stderr: "",
    });
    expect(["restarting", "running"]).toContain(await field("again", "{{.State.Status}}"));
    expect(await box.ok("wait", "again")).toBe("3");
    await box.ok("rm", "-f", "again");
    await box.ok("create", "--name", "later", ...policy, "echo once; exit 4");
    expect(await box.cli("start", "-a", "later")).toEqual({ code: 4, stdout: "once\n", stderr: "" });
    await box.ok("rm", "-f", "later");
    await box.ok("run", "-d", "-i", "--name", "fed", ...policy, "read line; echo $line; exit 6");
    expect(await box.cliWith({ stdin: "word\n" }, "attach", "fed")).toEqual({
      code: 6,
      stdout: "word\n",
      stderr: "",
    });
    await box.ok("rm", "-f", "fed");
  });

  test("is changed between two runs, too", async () => {
    await box.ok("run", "-d", "--name", "circling", "--restart", "always", "host", "false");
    await until(async () => (await field("circling", "{{.State.Status}}")) === "restarting");
    await box.ok("update", "--restart", "no", "circling");
    // It may be started once more, and then no more.
    await until(async () => (await field("circling", "{{.State.Status}}")) === "exited");
    await box.ok("rm", "circling");
  });

  test("limits that were changed while it ran are those of its next run", async () => {
    const limit =
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; sleep 1000";
    const flags = ["--restart", "always", "-m", "64m", "--memory-swap", "64m"];
    await box.ok("run", "-d", "--name", "raised", ...flags, "host", "sh", "-c", limit);
    const told = async (): Promise<string[]> => (await box.ok("logs", "raised")).split("\n").filter(Boolean);
    await until(async () => (await told()).length >= 1);
    await box.ok("update", "-m", "128m", "--memory-swap", "128m", "raised");
    await killed(Number(await field("raised", "{{.State.Pid}}")));
    await until(async () => (await told()).length >= 2);
    expect(await told()).toEqual([String(64 << 20), String(128 << 20)]);
    await box.ok("rm", "-f", "raised");
  });
});

describe("ps", () => {
  test("columns, filters, formats", async () => {
    const id = await idle("seen", "-l", "x=y");
    await box.cli("run", "--name", "gone", "host", "sh", "-c", "exit 3");
    const [head, row, ...more] = (await box.ok("ps")).split("\n");
    expect(head).toMatch(/^CONTAINER ID {3}IMAGE {5}COMMAND {8}CREATED +STATUS +PORTS {5}NAMES$/);
    expect(row).toMatch(new RegExp(`^${id.slice(0, 12)}   host      "sleep 1000"   .* ago +Up .*seen$`));
    expect(more).toEqual([]);
    expect(await box.ok("ps", "-a", "-f", "exited=3", "--format", "{{.Names}}: {{.Status}}")).toMatch(
      /^gone: Exited \(3\) .* ago$/,
    );
    expect(await box.ok("ps", "-q", "-f", "label=x=y", "--no-trunc")).toBe(id);
    expect(await box.ok("ps", "-l", "--format", "{{.Names}}")).toBe("gone");
    expect(await box.ok("ps", "-an", "1", "--format", "{{.Names}}")).toBe("gone");
    expect(await box.cli("ps", "-f", "name=nobody", "--format", "{{.Names}} {{.Nope}}")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("can't evaluate field Nope in type *formatter.ContainerContext"),
    });
    expect(JSON.parse(await box.ok("ps", "--format", "json"))).toMatchObject({
      Names: "seen",
      State: "running",
      Labels: expect.stringContaining("x=y"),
    });
    await box.ok("rm", "-f", "seen", "gone");
  });
});

describe("looking into a container", () => {
  test("top: threads, and lines in the order that was asked for", async () => {
    // A program with several threads, and one without.
    const script = `sleep 1000 & exec ${process.execPath} -e 'setInterval(() => {}, 1000)'`;
    await box.ok("run", "-d", "--name", "many", "host", "sh", "-c", script);
    const lines = async (...options: string[]): Promise<string[][]> =>
      (await box.ok("top", "many", ...options))
        .split("\n")
        .slice(1)
        .map((line) => line.split(/ {3,}/));
    await until(async () => {
      const pids = (await lines("-L", "-o", "pid")).map(([pid]) => pid);
      return new Set(pids).size === 2 && pids.length > 2;
    }, "two processes, one of which has several threads");
    const threads = await lines("-L", "-o", "pid,lwp");
    expect(new Set(threads.map(([, lwp]) => lwp)).size).toBe(threads.length);
    expect(threads.length).toBeGreaterThan(new Set(threads.map(([pid]) => pid)).size);
    const pids = (await lines("-o", "pid")).map(([pid]) => Number(pid)).sort((x, y) => x - y);
    expect(await lines("-o", "pid", "--sort", "-pid")).toEqual(pids.toReversed().map((pid) => [String(pid)]));
    await box.ok("rm", "-f", "many");
  });

  test("top: a process cannot write lines of its own, nor speak to the terminal", async () => {
    const forge = `exec -a $'one\\ntwo\\e[2Jdr\u00e9i' sleep 1000`;
    await box.ok("run", "-d", "--name", "forger", "host", "bash", "-c", forge);
    await box.ok("exec", "forger", "sh", "-c", "until grep -q two /proc/1/cmdline; do :; done");
    expect(await box.ok("top", "forger", "-o", "args")).toBe("COMMAND\none?two?[2Jdr\u00e9i 1000");
    await box.ok("rm", "-f", "forger");
  });

  test("top: the host's pids, in the columns that were asked for", async () => {
    await idle("busy");
    const pid = await field("busy", "{{.State.Pid}}");
    const [head, row] = (await box.ok("top", "busy")).split("\n");
    expect(head).toMatch(/^UID {4}PID +PPID +C {3}STIME {3}TTY {3}TIME {7}CMD$/);
    expect(row).toMatch(new RegExp(`^root   ${pid} .*sleep 1000$`));
    expect(await box.ok("top", "busy", "-o", "pid,comm")).toBe(
      `PID${" ".repeat(pid.length)}COMMAND\n${pid}   sleep`,
    );
    expect(await box.ok("top", "busy", "-eo", "pid,comm")).toBe(
      `PID${" ".repeat(pid.length)}COMMAND\n${pid}   sleep`,
    );
    await box.ok("rm", "-f", "busy");
  });

  test("exec: output, exit code, environment, folder, user, detached", async () => {
    await idle("host-of-many");
    expect(await box.cli("exec", "host-of-many", "sh", "-c", "echo out; echo err >&2; exit 4")).toEqual({
      code: 4,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(await box.ok("exec", "-e", "A=b", "-w", "/usr", "host-of-many", "sh", "-c", "echo $A $PWD")).toBe(
      "b /usr",
    );
    expect(await box.ok("exec", "-u", "65534:1", "host-of-many", "sh", "-c", "id -u; id -g")).toBe(
      "65534\n1",
    );
    expect(await box.cliWith({ stdin: "in\n" }, "exec", "-i", "host-of-many", "cat")).toMatchObject({
      code: 0,
      stdout: "in\n",
    });
    expect(await box.cli("exec", "-d", "host-of-many", "sleep", "999")).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect(await box.ok("top", "host-of-many", "-o", "args")).toContain("sleep 999");
    expect((await box.cli("exec", "host-of-many", "no-such-program")).code).toBe(127);
    for (const line of [" /etc", "-u nope true", "-w /nope true", "-w rel true"]) {
      const words = line.replace(/(.*) /, "$1 host-of-many ").trim().split(" ");
      expect((await box.cli("exec", ...words)).code, line).toBe(126);
    }
    await box.ok("rm", "-f", "host-of-many");
  });

  test("logs: streams apart, the last lines, timestamps", async () => {
    await box.cli("run", "--name", "writer", "host", "sh", "-c", "echo 1; echo 2; echo 3; echo e >&2");
    expect(await box.cli("logs", "writer")).toEqual({ code: 0, stdout: "1\n2\n3\n", stderr: "e\n" });
    expect((await box.cli("logs", "-n", "2", "writer")).stdout).toBe("3\n");
    expect((await box.cli("logs", "-t", "writer")).stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z 1\n/);
    expect((await box.cli("logs", "--until", "1h", "writer")).stdout).toBe("");
    await box.ok("rm", "writer");
  });

  test("logs -f ends with the container", async () => {
    await box.ok(
      "run",
      "-d",
      "--name",
      "ticker",
      "host",
      "sh",
      "-c",
      "for i in 1 2 3; do echo $i; sleep 0.1; done",
    );
    expect((await box.cli("logs", "-f", "ticker")).stdout).toBe("1\n2\n3\n");
    await box.ok("rm", "-f", "ticker");
  });

  test("stats --no-stream", async () => {
    await idle("measured", "-m", "64m");
    const [head, row] = (await box.ok("stats", "--no-stream", "measured")).split("\n");
    expect(head).toMatch(
      /^CONTAINER ID {3}NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS$/,
    );
    expect(row).toMatch(/ measured +\d+\.\d\d% +[\d.]+[KM]iB \/ 64MiB +/);
    expect(await box.ok("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "measured")).toBe(
      "measured 1",
    );
    await box.ok("rm", "-f", "measured");
  });

  test("inspect says what was asked for, update what is from now on", async () => {
    await idle("limited", "-m", "64m", "--cpus", "0.5", "-e", "A=b", "-l", "k=v");
    expect(
      await field(
        "limited",
        '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{index .Config.Env 1}} {{index .Config.Labels "k"}}',
      ),
    ).toBe("67108864 500000000 A=b v");
    expect(await box.ok("update", "-m", "80m", "--memory-swap", "160m", "limited")).toBe("limited");
    expect(await field("limited", "{{.HostConfig.Memory}}")).toBe("83886080");
    expect(await box.ok("stats", "--no-stream", "--format", "{{.MemUsage}}", "limited")).toContain("/ 80MiB");
    await box.ok("rm", "-f", "limited");
  });
});

describe("what is printed for programs", () => {
  test("inspect -f json is the whole list, in one line", async () => {
    const id = await box.ok("create", "--name", "listed", "host", "true");
    const { stdout, code } = await box.cli("inspect", "-f", "json", "listed", "nope");
    expect(code).toBe(1);
    expect(stdout.trimEnd()).not.toContain("\n");
    expect(JSON.parse(stdout)).toMatchObject([{ Id: id }]);
    await box.ok("rm", "listed");
  });

  test("logs --details", async () => {
    const options = ["--log-opt", "labels=a", "--log-opt", "env=B", "-l", "a=1", "-e", "B=2"];
    await box.ok("run", "--name", "detailed", ...options, "host", "echo", "hi");
    expect(await box.ok("logs", "--details", "detailed")).toBe("B=2,a=1 hi");
    expect(await box.ok("logs", "detailed")).toBe("hi");
    await box.ok("rm", "detailed");
  });
});

describe("events and prune", () => {
  test("events tell the story in order", async () => {
    await box.ok("run", "--rm", "--name", "told", "host", "true");
    const story = await box.ok(
      "events",
      "--since",
      "1h",
      "--until",
      "0s",
      "-f",
      "container=told",
      "--format",
      "{{.Action}}",
    );
    expect(story.split("\n")).toEqual(["create", "attach", "start", "die", "destroy"]);
  });

  test("events tell who stays with a container and who does not", async () => {
    await box.ok("create", "--name", "joined", "host", "true");
    await box.ok("start", "-a", "joined");
    await box.ok("start", "joined");
    await box.ok("wait", "joined");
    const joined = ["events", "--since", "1h", "--until", "0s", "-f", "container=joined", "--format"];
    const story = await box.ok(...joined, "{{.Action}}");
    expect(story.split("\n")).toEqual(["create", "attach", "start", "die", "start", "die"]);
    await box.ok("rm", "joined");
  });

  test("events refuse a filter that does not exist, and an end before the begin", async () => {
    expect(await box.cli("events", "--since", "1h", "--until", "0s", "-f", "names=told")).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "sampan: invalid filter 'names'\n" +
        "The filters are config, container, daemon, event, image, label, network, node, plugin, scope, secret, service, type, volume.\n",
    });
    const { code, stderr } = await box.cli("events", "--since", "1m", "--until", "1h");
    expect([code, stderr.split("\n")[0]]).toEqual([1, "sampan: --since 1m is after --until 1h"]);
  });

  test("prune removes what does not run", async () => {
    const kept = await idle("kept");
    const old = await box.ok("create", "--name", "old", "host", "true");
    expect(await box.ok("container", "prune", "-f", "--filter", "label=toString")).toBe(
      "Total reclaimed space: 0B",
    );
    expect(await box.ok("container", "prune", "-f")).toBe(
      `Deleted Containers:\n${old}\n\nTotal reclaimed space: 0B`,
    );
    expect(await box.ok("ps", "-aq", "--no-trunc")).toBe(kept);
    await box.ok("rm", "-f", "kept");
  });
});

describe("what ends a run early says so", () => {
  test("--timeout", async () => {
    const { code, stderr } = await box.cli("run", "--name", "slow", "--timeout", "1", "host", "sleep", "100");
    expect({ code, stderr }).toEqual({
      code: 137,
      stderr: "sampan: slow was killed: its time (1s) was over\n",
    });
    expect(await box.ok("ps", "-a", "-f", "name=slow", "--format", "{{.Status}}")).toEndWith("(timed out)");
    await box.ok("rm", "slow");
  });

  test("too little memory", async () => {
    const { code, stderr } = await box.cli(
      "run",
      "--name",
      "hungry",
      "-m",
      "10m",
      "--memory-swap",
      "10m",
      "host",
      "sh",
      "-c",
      'a=$(head -c 50000000 /dev/zero | tr "\\0" x)',
    );
    expect(code).toBe(137);
    expect(stderr).toContain("sampan: hungry was killed: it needed more memory than its limit allows\n");
    expect(await field("hungry", "{{.State.OOMKilled}}")).toBe("true");
    expect(await box.ok("ps", "-a", "-f", "name=hungry", "--format", "{{.Status}}")).toEndWith(
      "(out of memory)",
    );
    await box.ok("rm", "hungry");
  });

  test("--cidfile, and one that is there already", async () => {
    const file = `${box.root}/cid`;
    const id = await box.ok("run", "-d", "--cidfile", file, "host", "true");
    expect(await Bun.file(file).text()).toBe(id);
    expect((await box.cli("run", "--cidfile", file, "host", "true")).code).toBe(125);
    await box.ok("rm", "-f", id);
  });
});
