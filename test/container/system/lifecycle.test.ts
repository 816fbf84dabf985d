/** Real containers through the engine, in a state root and a cgroup of their own. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import {
  type ContainerConfig,
  type ContainerRecord,
  DEFAULTS,
  type Event,
} from "../../../src/container/index.ts";
import { Engine } from "../../../src/engine.ts";
import { killed } from "../../support/processes.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { until } from "../../support/until.ts";

let box: Sandbox;
let engine: Engine;
beforeAll(() => {
  box = new Sandbox();
  engine = Engine.open({ root: box.root });
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});
afterEach(async () => {
  for (const { id } of engine.containers.list({ all: true }))
    await engine.containers.remove(id, { force: true });
  const folders = () => readdirSync(`${box.root}/containers`);
  await until(() => box.leaks().length === 0 && folders().length === 0).catch(() => {});
  expect(await box.left()).toEqual([]);
  expect(folders()).toEqual([]);
  // Of everybody: where roots are mounted, who takes the network away, and that there is one.
  const shared = ["rootfs", "network.idle", "network.there"];
  const run = existsSync(`${box.root}/run`) ? readdirSync(`${box.root}/run`) : [];
  expect(run.filter((name) => !shared.includes(name))).toEqual([]);
});

const config = (command: readonly string[], part: Partial<ContainerConfig> = {}): ContainerConfig => ({
  ...DEFAULTS,
  image: "host",
  command,
  cgroupParent: box.cgroupParent,
  ...part,
});

async function logs(id: string): Promise<string> {
  let text = "";
  for await (const { data } of engine.containers.logs(id)) text += new TextDecoder().decode(data);
  return text;
}

/** Runs it to its end in the foreground. */
async function run(command: readonly string[], part: Partial<ContainerConfig> = {}) {
  const { container, connection } = await engine.containers.run(config(command, part), { attach: true });
  let output = "";
  const decoder = new TextDecoder();
  connection.onOutput = (_, data) => {
    output += decoder.decode(data);
  };
  connection.attach(6);
  const exit = await engine.containers.finish(container.id, connection);
  return { container, exit, output };
}

const detached = async (
  command: readonly string[],
  part: Partial<ContainerConfig> = {},
): Promise<ContainerRecord> => (await engine.containers.run(config(command, part))).container;

const sleeper = (part: Partial<ContainerConfig> = {}): Promise<ContainerRecord> =>
  detached(["sleep", "1000"], { stopSignal: "KILL", ...part });

const message = (work: () => unknown): Promise<string> =>
  Promise.resolve()
    .then(work)
    .then(
      () => "",
      (error: Error) => error.message,
    );

async function events(): Promise<Event[]> {
  const found: Event[] = [];
  for await (const event of engine.events.read()) found.push(event);
  return found;
}

describe("a run in the foreground", () => {
  test("brings output and code", async () => {
    const { container, exit, output } = await run(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    expect(output).toContain("out\n");
    expect(output).toContain("err\n");
    expect(exit?.code).toBe(3);
    expect(engine.containers.get(container.id).state).toMatchObject({
      status: "exited",
      exitCode: 3,
      oomKilled: false,
    });
  });

  test("with --rm leaves nothing at all", async () => {
    const { container } = await run(["true"], { autoRemove: true });
    expect(await message(() => engine.containers.get(container.id))).toBe(
      `No such container: ${container.id}`,
    );
    expect(engine.store.db.query("SELECT count(*) AS n FROM containers").get()).toEqual({ n: 0 });
  });
});

describe("created, started, looked at", () => {
  test("create makes a container that does not run", async () => {
    const { id, name } = await engine.containers.create(config(["true"]));
    expect(engine.containers.get(name).state.status).toBe("created");
    expect(engine.containers.list()).toEqual([]);
    expect(engine.containers.list({ all: true })).toHaveLength(1);
    await engine.containers.start(id.slice(0, 10));
    expect(await engine.containers.wait(name)).toBe(0);
  });

  test("a living one is known by its process", async () => {
    const before = Date.now();
    const { id } = await sleeper();
    const { state } = engine.containers.get(id);
    expect(state.status).toBe("running");
    expect(readFileSync(`/proc/${state.pid}/comm`, "utf8")).toBe("sleep\n");
    expect(Date.parse(state.startedAt)).toBeWithin(before - 20, Date.now() + 1);
  });

  test("names: conflicts, lookups by prefix, renaming", async () => {
    const { id } = await engine.containers.create(config(["true"]), { name: "one" });
    expect(await message(() => engine.containers.create(config(["true"]), { name: "one" }))).toBe(
      `Conflict. The container name "/one" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
    expect(readdirSync(`${box.root}/containers`)).toHaveLength(1);
    await engine.containers.rename("one", "two");
    expect(engine.containers.get("two").id).toBe(id);
    expect(engine.containers.get("/two").id).toBe(id);
    expect(engine.containers.get(id.slice(0, 4)).name).toBe("two");
    expect(await message(() => engine.containers.get("one"))).toBe("No such container: one");
    expect(await message(() => engine.containers.rename("two", "two"))).toBe(
      "Renaming a container with the same name as its current name",
    );
  });

  test("what happens to one that was renamed while it runs happens under its new name", async () => {
    const { id } = await sleeper({ labels: { name: "a label" } });
    await engine.containers.rename(id, "renamed");
    await engine.containers.kill(id);
    const after = (await events()).filter((event) => event.id === id).slice(-3);
    const named = after.map(({ action, attributes }) => `${action} ${attributes["name"]}`);
    expect(named.toSorted()).toEqual(["die renamed", "kill renamed", "rename renamed"]);
  });

  test("starting one that runs changes nothing", async () => {
    const { id } = await sleeper();
    const { pid } = engine.containers.get(id).state;
    (await engine.containers.start(id)).close();
    expect(engine.containers.get(id).state.pid).toBe(pid);
  });

  test("its own names and environment", async () => {
    const { output } = await run(["sh", "-c", "hostname; cat /etc/hostname /etc/hosts; env; pwd"], {
      hostname: "web",
      workdir: "/made/for/it",
      env: ["A=1"],
      extraHosts: ["db:10.0.0.9"],
    });
    expect(output).toStartWith("web\nweb\n127.0.0.1\tlocalhost\n");
    expect(output).toContain("10.0.0.9\tdb\n");
    for (const line of ["A=1", "HOSTNAME=web", "HOME=/root"]) expect(output.split("\n")).toContain(line);
    expect(output).toEndWith("/made/for/it\n");
  });
});

test("all users of a container read its own files, whatever the umask of who runs it", async () => {
  const before = process.umask(0o077);
  try {
    const files = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    const { output } = await run(["stat", "-c", "%a", "/", ...files], { user: "65534" });
    expect(output).toBe("755\n644\n644\n644\n");
  } finally {
    process.umask(before);
  }
});

describe("what fails to start", () => {
  test("says why, keeps the container as created and its exit code", async () => {
    expect(await message(() => detached(["nonsense"], {}))).toBe(
      'exec: "nonsense": executable file not found in $PATH',
    );
    const [left] = engine.containers.list({ all: true });
    expect(left?.state).toMatchObject({ status: "created", exitCode: 127 });
    expect(left?.state.error).toContain("executable file not found");
  });

  test("with --rm leaves nothing", async () => {
    expect(await message(() => detached(["/etc/passwd"], { autoRemove: true }))).toStartWith(
      'exec: "/etc/passwd": permission denied: /etc/passwd has mode',
    );
    expect(engine.containers.list({ all: true })).toEqual([]);
  });

  test("a user that nobody knows", async () => {
    expect(await message(() => detached(["true"], { user: "nobodyknows", autoRemove: true }))).toBe(
      "unable to find user nobodyknows: no matching entries in passwd file",
    );
  });

  test("a bind whose source is missing", async () => {
    const mounts = [{ type: "bind", source: "/no/such", target: "/x" }] as const;
    expect(await message(() => detached(["true"], { mounts, autoRemove: true }))).toBe(
      'invalid mount config for type "bind": bind source path does not exist: /no/such',
    );
  });

  test("and can be started again when the cause is gone", async () => {
    const script = `${box.root}/script`;
    writeFileSync(script, "#!/bin/sh\nexit 7\n", { mode: 0o644 });
    const mounts = [{ type: "bind", source: script, target: "/script" }] as const;
    const { id } = await engine.containers.create(config(["/script"], { mounts }));
    expect(await message(() => engine.containers.start(id))).toContain("without an x bit");
    expect(engine.containers.get(id).state.exitCode).toBe(126);
    rmSync(script);
    writeFileSync(script, "#!/bin/sh\nexit 7\n", { mode: 0o755 });
    (await engine.containers.start(id)).close();
    expect(await engine.containers.wait(id)).toBe(7);
  });
});

describe("the end", () => {
  test("stop asks, then kills", async () => {
    const polite = await detached(["sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"]);
    await until(async () => (await logs(polite.id)) === "up\n");
    await engine.containers.stop(polite.id);
    expect(engine.containers.get(polite.id).state).toMatchObject({ status: "exited", exitCode: 5 });
    const deaf = await detached(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]);
    await until(async () => (await logs(deaf.id)) === "up\n");
    await engine.containers.stop(deaf.id, { timeout: 100 });
    expect(engine.containers.get(deaf.id).state).toMatchObject({ status: "exited", exitCode: 137 });
  });

  test("stop of one that does not run is nothing; kill is refused", async () => {
    const { id } = await engine.containers.create(config(["true"]));
    await engine.containers.stop(id);
    expect(await message(() => engine.containers.kill(id))).toBe(
      `cannot kill container: ${id}: container ${id} is not running`,
    );
  });

  test("kill with another signal does not end it", async () => {
    const { id } = await detached([
      "sh",
      "-c",
      "trap 'echo caught' USR1; echo up; while :; do sleep 0.02; done",
    ]);
    await until(async () => (await logs(id)) === "up\n");
    await engine.containers.kill(id, "SIGUSR1");
    await until(async () => (await logs(id)) === "up\ncaught\n");
    expect(engine.containers.get(id).state.status).toBe("running");
    await engine.containers.kill(id);
    expect(engine.containers.get(id).state).toMatchObject({ status: "exited", exitCode: 137 });
  });

  test("restart is a stop and a start", async () => {
    const { id } = await sleeper();
    const before = engine.containers.get(id).state.pid;
    await engine.containers.restart(id);
    const { status, pid } = engine.containers.get(id).state;
    expect(status).toBe("running");
    expect(pid).not.toBe(before);
  });

  test("rm refuses a living container unless it is forced", async () => {
    const { id, name } = await sleeper();
    expect(await message(() => engine.containers.remove(id))).toBe(
      `cannot remove container "/${name}": container is running: stop the container before removing or force remove`,
    );
    await engine.containers.remove(name, { force: true });
    expect(engine.containers.list({ all: true })).toEqual([]);
  });

  test("a detached --rm is gone when it has ended, although nobody stayed", async () => {
    const { id } = await detached(["true"], { autoRemove: true });
    await until(() => !existsSync(`${box.root}/containers/${id}`));
    expect(engine.store.db.query("SELECT count(*) AS n FROM containers").get()).toEqual({ n: 0 });
  });

  test("wait: for the end, the next end, the removal", async () => {
    const { id } = await engine.containers.create(config(["sh", "-c", "sleep 0.1; exit 4"]));
    const next = engine.containers.wait(id, "next-exit");
    const removed = engine.containers.wait(id, "removed");
    await Bun.sleep(20);
    (await engine.containers.start(id)).close();
    expect(await engine.containers.wait(id)).toBe(4);
    expect(await next).toBe(4);
    await engine.containers.remove(id);
    expect(await removed).toBe(4);
  });

  test("out of memory is told from a kill", async () => {
    const limits = { memory: 16 << 20, memorySwap: 16 << 20 };
    const { container } = await run(
      ["sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}"],
      {
        resources: limits,
      },
    );
    expect(engine.containers.get(container.id).state.oomKilled).toBe(true);
  });

  test("a kill is a kill, though a process at its side ran out of memory before", async () => {
    const { id } = await detached(
      ["sh", "-c", "sh -c 'x=$(head -c 100000000 /dev/zero | tr \\\\0 x); echo $x'; echo over; sleep 1000"],
      { resources: { memory: 16 << 20, memorySwap: 16 << 20 } },
    );
    await until(async () => (await logs(id)).includes("over"));
    await engine.containers.kill(id);
    expect(engine.containers.get(id).state).toMatchObject({ exitCode: 137, oomKilled: false });
    expect((await events()).filter((e) => e.id === id).map(({ action }) => action)).toContain("oom");
  });

  test("prune removes what does not run, and says what that gave back", async () => {
    const { id } = await run(["sh", "-c", "head -c 50000 /dev/zero > /tmp/sampan-prune"]).then(
      (r) => r.container,
    );
    const alive = await sleeper();
    const { removed, reclaimed } = await engine.containers.prune();
    expect(removed).toEqual([id]);
    expect(reclaimed).toBe(50_000);
    expect(engine.containers.list().map((each) => each.id)).toEqual([alive.id]);
  });
});

/** Whoever waits is told of the first end; this is the last, after which nothing starts it again. */
const ended = (id: string): Promise<true> =>
  until(() => engine.containers.get(id).state.status === "exited", `the end of ${id}`);

describe("restart policies", () => {
  test("on-failure starts again, as often as it may", async () => {
    const { id } = await detached(["sh", "-c", "exit 9"], {
      restart: { name: "on-failure", maximumRetryCount: 2 },
    });
    expect(await engine.containers.wait(id)).toBe(9);
    await ended(id);
    expect(engine.containers.get(id).state).toMatchObject({ status: "exited", exitCode: 9, restartCount: 2 });
  });

  test("while it waits for its restart it is restarting, and a stop ends that", async () => {
    const { id } = await detached(["sh", "-c", "exit 2"], {
      restart: { name: "always", maximumRetryCount: 0 },
    });
    await until(() => engine.containers.get(id).state.status === "restarting");
    expect(engine.containers.get(id).state.exitCode).toBe(2);
    await engine.containers.stop(id);
    expect(engine.containers.get(id).state.status).toBe("exited");
  });

  test("one that was changed while it ran is restarting too, and a stop ends that", async () => {
    const { id } = await detached(["sh", "-c", "read line; exit 2"], {
      openStdin: true,
      restart: { name: "always", maximumRetryCount: 0 },
    });
    await engine.containers.update(id, { memory: 64 * 2 ** 20 });
    const client = await engine.containers.attach(id);
    const restarts = new Promise<boolean>((resolve) => {
      client.onRestart = () => resolve(true);
      client.exit.then(() => resolve(false));
    });
    client.attach(1);
    client.writeStdin(new TextEncoder().encode("\n"));
    expect(await restarts).toBe(true);
    await engine.containers.stop(id);
    expect(engine.containers.get(id).state).toMatchObject({ status: "exited", exitCode: 2 });
    const starts = (await events()).filter((event) => event.id === id && event.action === "start");
    expect(starts).toHaveLength(1);
  });

  test("how often it was is known though its keeper is killed, and goes on where it was changed", async () => {
    const { id } = await detached(["sh", "-c", "sleep 1000"], {
      restart: { name: "always", maximumRetryCount: 0 },
    });
    const again = async (count: number): Promise<void> => {
      process.kill(engine.containers.get(id).state.pid, "SIGKILL");
      await until(() => {
        const { status, restartCount } = engine.containers.get(id).state;
        return status === "running" && restartCount === count;
      });
    };
    await again(1);
    await engine.containers.update(id, { memory: 64 * 2 ** 20 });
    await again(2);
    const [keeper] = readlinkSync(`${box.root}/run/${id.slice(0, 12)}/pid`).split(" ");
    process.kill(Number(keeper), "SIGKILL");
    await until(() => engine.containers.get(id).state.status === "exited");
    expect(engine.containers.get(id).state.restartCount).toBe(2);
  });
});

describe("asked for at the start, done by the keeper", () => {
  test("a health check, whose state everybody sees", async () => {
    const healthcheck = {
      test: ["CMD-SHELL", "test -e /tmp/sampan-well"],
      interval: 50,
      timeout: 1000,
      retries: 2,
    };
    const before = Date.now();
    const { id } = await sleeper({ healthcheck });
    expect(engine.containers.get(id).state.health?.status).toBe("starting");
    await until(() => engine.containers.get(id).state.health?.status === "unhealthy");
    const connection = await engine.containers.exec(id, { command: ["touch", "/tmp/sampan-well"] });
    connection.close();
    await until(() => engine.containers.get(id).state.health?.status === "healthy");
    const { health } = engine.containers.get(id).state;
    expect(health?.log.at(-1)).toMatchObject({ exitCode: 0 });
    expect(health?.log.at(-1)?.end).toBeWithin(before - 20, Date.now() + 1);
    // Each probe is an exec in the events, with an id of its own.
    await engine.containers.kill(id);
    const probes = (await events()).filter((event) => event.id === id && event.action.startsWith("exec_"));
    const [first = ""] = probes.map(({ attributes }) => attributes["execID"]);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(
      probes
        .filter(({ attributes }) => attributes["execID"] === first)
        .map(({ action, attributes }) => [action, attributes["exitCode"]]),
    ).toEqual([
      ["exec_create: /bin/sh -c test -e /tmp/sampan-well", undefined],
      ["exec_start: /bin/sh -c test -e /tmp/sampan-well", undefined],
      ["exec_die", "1"],
    ]);
    const count = (action: string) => probes.filter((event) => event.action.startsWith(action)).length;
    expect(count("exec_die")).toBe(count("exec_create"));
  });

  test("--timeout ends it and says so", async () => {
    const { id } = await sleeper({ timeout: 100 });
    expect(await engine.containers.wait(id)).toBe(137);
    expect(engine.containers.get(id).state).toMatchObject({ timedOut: true, oomKilled: false });
    expect(engine.containers.get(id).state.error).toContain("--timeout");
  });

  test("a restart policy that is changed while it runs", async () => {
    const { id } = await detached(["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.02; done; exit 1"]);
    await engine.containers.update(id, { restart: { name: "on-failure", maximumRetryCount: 1 } });
    (await engine.containers.exec(id, { command: ["touch", "/tmp/go"] })).close();
    expect(await engine.containers.wait(id)).toBe(1);
    await ended(id);
    expect(engine.containers.get(id).state.restartCount).toBe(1);
  });
});

describe("with --rm", () => {
  test("restart keeps it, and it can still write", async () => {
    const { id } = await detached(["sh", "-c", "echo x >> /tmp/sampan-kept; sleep 1000"], {
      autoRemove: true,
      stopSignal: "KILL",
    });
    await until(async () => (await written(id)) === "x\n");
    await engine.containers.restart(id);
    await until(async () => (await written(id)) === "x\nx\n");
    await engine.containers.stop(id);
    expect(await message(() => engine.containers.get(id))).toBe(`No such container: ${id}`);
  });

  async function written(id: string): Promise<string> {
    const connection = await engine.containers.exec(id, { command: ["cat", "/tmp/sampan-kept"] });
    let text = "";
    connection.onOutput = (stream, data) => {
      if (stream === 1) text += new TextDecoder().decode(data);
    };
    connection.attach(6);
    await connection.exit;
    connection.close();
    return text;
  }
});

describe("memory shared on purpose", () => {
  test("is one folder for those that join, and goes with its owner", async () => {
    const first = await detached(["sh", "-c", "echo shared > /dev/shm/x; sleep 1000"], {
      namespaces: { ipc: { mode: "shareable" } },
      stopSignal: "KILL",
    });
    await until(() => existsSync(`/dev/shm/sampan-${first.id.slice(0, 12)}/x`));
    const { output } = await run(["cat", "/dev/shm/x"], {
      namespaces: { ipc: { mode: "container", container: first.id } },
    });
    expect(output).toBe("shared\n");
    await engine.containers.remove(first.id, { force: true });
    expect(existsSync(`/dev/shm/sampan-${first.id.slice(0, 12)}`)).toBe(false);
    const closed = await sleeper();
    expect(
      await message(() =>
        detached(["true"], { namespaces: { ipc: { mode: "container", container: closed.id } } }),
      ),
    ).toStartWith(`cannot join IPC of container ${closed.id}: non-shareable IPC`);
  });
});

describe("many at once", () => {
  test("twenty start together, and none is lost", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => sleeper()));
    expect(engine.containers.list()).toHaveLength(20);
    await Promise.all(all.map(({ id }) => engine.containers.remove(id, { force: true })));
    expect(engine.containers.list({ all: true })).toEqual([]);
  });

  test("two that want the same name: one gets it", async () => {
    const config2 = config(["true"]);
    const results = await Promise.allSettled(
      [1, 2, 3].map(async () => engine.containers.create(config2, { name: "only" })),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("start, stop and remove at the same time end in one of the states that they lead to", async () => {
    for (let round = 0; round < 5; round++) {
      const { id } = await engine.containers.create(config(["sleep", "1000"], { stopSignal: "KILL" }));
      await Promise.allSettled([
        engine.containers.start(id).then((connection) => connection.close()),
        engine.containers.stop(id),
        engine.containers.remove(id, { force: true }),
      ]);
      const left = engine.containers.list({ all: true });
      if (left.length > 0) await engine.containers.remove(id, { force: true });
    }
  });
});

describe("paused", () => {
  test("it stands still, refuses company and goes on", async () => {
    const { id, name } = await sleeper();
    await engine.containers.pause(id);
    expect(engine.containers.get(id).state.status).toBe("paused");
    expect(await message(() => engine.containers.exec(id, { command: ["true"] }))).toBe(
      `Container ${id} is paused, unpause the container before exec`,
    );
    expect(await message(() => engine.containers.pause(id))).toBe(`Container ${id} is already paused`);
    expect(await message(() => engine.containers.remove(id))).toBe(
      `cannot remove container "/${name}": container is paused and must be unpaused first`,
    );
    await engine.containers.unpause(id);
    expect(engine.containers.get(id).state.status).toBe("running");
    expect(await message(() => engine.containers.unpause(id))).toBe(`Container ${id} is not paused`);
  });

  test("a kill reaches it", async () => {
    const { id } = await sleeper();
    await engine.containers.pause(id);
    await engine.containers.kill(id);
    expect(engine.containers.get(id).state).toMatchObject({ status: "exited", exitCode: 137 });
  });
});

describe("limits changed", () => {
  test("at once where it runs, at its start where it does not", async () => {
    const { id } = await sleeper({ resources: { memory: 64 << 20 } });
    await engine.containers.update(id, { memory: 32 << 20, memorySwap: 64 << 20, pidsLimit: 20 });
    expect(engine.containers.get(id).config.resources).toMatchObject({ memory: 32 << 20, pidsLimit: 20 });
    for await (const { now } of engine.containers.stats(id, { oneShot: true })) {
      expect(now?.memory.limit).toBe(32 << 20);
      expect(now?.pids.limit).toBe(20);
    }
    expect(await message(() => engine.containers.update(id, { memory: 100 }))).toBe(
      "Minimum memory limit allowed is 6MB",
    );
  });
});

describe("processes", () => {
  test("exec: output, code, user, folder, environment", async () => {
    const { id } = await sleeper();
    const connection = await engine.containers.exec(id, {
      command: ["sh", "-c", "echo $A $PWD $(id -u); exit 6"],
      env: ["A=b"],
      user: "1234",
      workdir: "/tmp",
    });
    let output = "";
    connection.onOutput = (_, data) => {
      output += new TextDecoder().decode(data);
    };
    connection.attach(6);
    expect((await connection.exit)?.code).toBe(6);
    expect(output).toBe("b /tmp 1234\n");
    connection.close();
    expect(await message(() => engine.containers.exec(id, { command: ["nonsense"] }))).toBe(
      'exec: "nonsense": executable file not found in $PATH',
    );
  });

  test("top shows host pids in the columns that are asked for", async () => {
    const { id } = await sleeper();
    const { pid } = engine.containers.get(id).state;
    const full = await engine.containers.top(id);
    expect(full.titles).toEqual(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    expect(full.processes).toHaveLength(1);
    expect(full.processes[0]?.[1]).toBe(String(pid));
    expect(full.processes[0]?.[7]).toBe("sleep 1000");
    expect(await engine.containers.top(id, ["-o", "pid,comm"])).toEqual({
      titles: ["PID", "COMMAND"],
      processes: [[String(pid), "sleep"]],
    });
    expect((await engine.containers.top(id, ["aux"])).titles[2]).toBe("%CPU");
    expect(await message(() => engine.containers.top(id, ["-Z"]))).toBe('top: unsupported ps option "-Z"');
  });

  test("logs follow a running container to its end", async () => {
    const { id } = await detached(["sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.05; done"]);
    let text = "";
    for await (const { data } of engine.containers.logs(id, { follow: true }))
      text += new TextDecoder().decode(data);
    expect(text).toBe("1\n2\n3\n");
  });

  test("attach sees what comes", async () => {
    const { id } = await detached(["cat"], { openStdin: true });
    const connection = await engine.containers.attach(id);
    let output = "";
    connection.onOutput = (_, data) => {
      output += new TextDecoder().decode(data);
    };
    connection.attach(7);
    await connection.writeStdin(new TextEncoder().encode("hello\n"));
    await until(() => output === "hello\n");
    connection.close();
  });

  test("a namespace of another container", async () => {
    const first = await sleeper();
    const { output } = await run(["readlink", "/proc/self/ns/net"], {
      namespaces: { net: { mode: "container", container: first.name } },
    });
    const { pid } = engine.containers.get(first.id).state;
    expect(output.trim()).toBe((await Bun.$`readlink /proc/${pid}/ns/net`.text()).trim());
    await engine.containers.kill(first.id);
    expect(
      await message(() =>
        detached(["true"], {
          autoRemove: true,
          namespaces: { net: { mode: "container", container: first.id } },
        }),
      ),
    ).toBe(`cannot join network of a non running container: ${first.id}`);
  });
});

describe("what happened", () => {
  test("is told in Docker's words", async () => {
    const { id } = await sleeper({ labels: { tier: "db" } });
    await engine.containers.pause(id);
    await engine.containers.unpause(id);
    await engine.containers.kill(id);
    await engine.containers.remove(id);
    const mine = (await events()).filter((event) => event.id === id);
    expect(mine.map(({ action }) => action)).toEqual([
      "create",
      "start",
      "pause",
      "unpause",
      "kill",
      "die",
      "destroy",
    ]);
    expect(mine.find(({ action }) => action === "die")?.attributes).toMatchObject({
      exitCode: "137",
      tier: "db",
    });
  });

  test("of what came in by exec too: its end is told by its keeper, though nobody waited", async () => {
    const { id } = await sleeper();
    await engine.containers.execDetached(id, { command: ["sh", "-c", "exit 7"] });
    const execs = async () => (await events()).filter((e) => e.id === id && e.action.startsWith("exec_"));
    await until(async () => (await execs()).length >= 3);
    const [created, started, died, ...more] = await execs();
    expect(more).toEqual([]);
    expect(created?.action).toBe("exec_create: sh -c exit 7");
    expect(started?.action).toBe("exec_start: sh -c exit 7");
    expect(died).toMatchObject({ action: "exec_die", attributes: { exitCode: "7", image: "host" } });
    expect(died?.attributes["execID"]).toMatch(/^[0-9a-f]{64}$/);
    for (const { attributes } of [created, started] as Event[])
      expect(attributes["execID"]).toBe(died?.attributes["execID"] as string);
  });

  test("of who looks at its processes and joins its streams", async () => {
    const { id } = await sleeper();
    await engine.containers.top(id);
    (await engine.containers.attach(id)).close();
    const mine = (await events()).filter((event) => event.id === id);
    expect(mine.map(({ action }) => action)).toEqual(["create", "start", "top", "attach"]);
  });
});

test.each([
  [["run", "--rm", "host", "true"], 15],
  [["create", "host", "true"], 40],
] as const)(
  "the database's log stays short, since every command reads it: sampan %p",
  async (words, times) => {
    for (let n = 0; n < times; n++) await box.ok(...words);
    await until(() => statSync(`${box.root}/sampan.db-wal`).size < 150_000);
  },
);

describe("whoever comes next repairs", () => {
  const keeperOf = (id: string): number =>
    Number(readlinkSync(`${box.root}/run/${id.slice(0, 12)}/pid`).split(" ")[0]);

  test("a keeper that was killed", async () => {
    const { id } = await sleeper();
    process.kill(keeperOf(id), "SIGKILL");
    await until(() => engine.containers.get(id).state.status === "exited");
    expect(engine.containers.get(id).state).toMatchObject({ exitCode: 137, oomKilled: false });
    expect(engine.containers.get(id).state.error).toContain("keeper was killed");
    (await engine.containers.start(id)).close();
    expect(engine.containers.get(id).state.status).toBe("running");
  });

  test("a keeper that was killed when its container had begun, and nobody had been told so", async () => {
    const { id } = await engine.containers.create(config(["sleep", "1000"]));
    // The keeper has written who it is, and waits for somebody who reads the next that it has to say.
    const file = `${box.root}/events.jsonl`;
    renameSync(file, `${file}.kept`);
    Bun.spawnSync(["mkfifo", file]);
    const starting = box.spawn({}, "start", id);
    await until(() => lstatSync(`${box.root}/run/${id.slice(0, 12)}/pid`, { throwIfNoEntry: false }));
    renameSync(`${file}.kept`, file);
    await killed(keeperOf(id));
    expect(await starting.exited).toBe(1);
    expect(engine.containers.get(id).state).toMatchObject({ status: "exited", exitCode: 137 });
  });

  test("a keeper that was killed while its container was paused", async () => {
    const { id } = await sleeper();
    await engine.containers.pause(id);
    process.kill(keeperOf(id), "SIGKILL");
    await until(() => engine.containers.get(id).state.status === "exited");
  });

  test("a machine that went down", async () => {
    const { id } = await sleeper();
    await killed(keeperOf(id));
    rmSync(`${box.root}/run/${id.slice(0, 12)}`, { recursive: true });
    expect(engine.containers.get(id).state).toMatchObject({ status: "exited", exitCode: 255 });
    expect(engine.containers.get(id).state.error).toContain("machine went down");
  });

  test("a list of many needs no file of those whose end is recorded", async () => {
    const { connection, container } = await engine.containers.run(config(["true"]), { attach: true });
    connection.attach(0);
    await engine.containers.finish(container.id, connection);
    const row = engine.store.db
      .query<Record<string, string>, [string]>("SELECT * FROM containers WHERE id = ?")
      .get(container.id);
    const insert = engine.store.db.query("INSERT INTO containers VALUES (?, ?, ?, ?, ?, ?)");
    engine.store.transaction(() => {
      for (let n = 0; n < 500; n++) {
        const id = n.toString(16).padStart(64, "0");
        insert.run(id, `many_${n}`, n, row?.["image"] ?? "", row?.["record"] ?? "", row?.["state"] ?? "");
      }
    });
    const states = engine.containers
      .list({ all: true })
      .map(({ state }) => `${state.status} ${state.exitCode}`);
    expect(states).toEqual(Array.from({ length: 501 }, () => "exited 0"));
    engine.store.db.run("DELETE FROM containers WHERE name LIKE 'many_%'");
  });
});
