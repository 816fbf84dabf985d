/** One more process in a container that runs: by its pid and start time, into its namespaces. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import {
  ATTACH,
  CLONE,
  type Connection,
  type KeeperPlan,
  launch,
  type Step,
} from "../../src/launch/index.ts";
import {
  alive,
  container,
  execve,
  inside,
  keeper,
  kept,
  NAMESPACES,
  outside,
  Place,
  plan,
  until,
} from "./support.ts";

const place = new Place();
let live: Connection;
beforeAll(async () => {
  const dir = place.container();
  live = await launch(plan(container(place, dir, ["sleep", "1000"]), kept(dir)));
});
afterAll(() => {
  if (live.report) process.kill(live.report.keeper, "SIGKILL");
  live.close();
  place.clean();
});

const startOf = (pid: number): bigint =>
  BigInt(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19] ?? 0);

function exec(
  argv: readonly string[],
  o: { tty?: boolean; start?: bigint; keeper?: Partial<KeeperPlan>; before?: Step[] } = {},
) {
  const pid = live.report?.pid ?? 0;
  return launch(
    plan(
      [
        outside({ call: "clone", flags: 0 }),
        inside({ call: "join", pid, start: o.start ?? startOf(pid), flags: NAMESPACES }),
        inside({ call: "clone", flags: 0 }),
        ...(o.tty ? [inside({ call: "console", rows: 10, columns: 20 })] : []),
        inside({ call: "setsid" }),
        inside({ call: "stdio" }),
        ...(o.before ?? []),
        execve(...argv),
      ],
      keeper({ ...(o.tty ? { tty: true, openStdin: true } : {}), ...o.keeper }),
    ),
  );
}

async function output(connection: Connection): Promise<string> {
  let text = "";
  connection.onOutput = (_, data) => {
    text += new TextDecoder().decode(data);
  };
  connection.attach(ATTACH.stdin | ATTACH.stdout | ATTACH.stderr);
  await connection.exit;
  connection.close();
  return text;
}

describe("exec", () => {
  test("sees what the container sees, with a pid of its own there", async () => {
    const connection = await exec(
      [
        "sh",
        "-c",
        "read _; hostname; ls -d /bin /work 2>&1; cat /proc/1/comm; test $$ -gt 1 && echo own; readlink /proc/self/ns/net",
      ],
      { keeper: { openStdin: true } },
    );
    const net = readlinkSync(`/proc/${live.report?.pid}/ns/net`) as string;
    expect(readFileSync(`/proc/${connection.report?.pid}/status`, "utf8")).toMatch(/NSpid:\t\d+\t\d+\n/);
    void connection.writeStdin(new TextEncoder().encode("\n"));
    expect(await output(connection)).toBe(
      `box\nls: /work: No such file or directory\n/bin\nsleep\nown\n${net}\n`,
    );
    expect((await connection.exit)?.code).toBe(0);
    await until(() => !alive(connection.report?.keeper ?? 0));
  });

  test("has a terminal of the container's devpts", async () => {
    expect(await output(await exec(["sh", "-c", "tty; stty size"], { tty: true }))).toBe(
      "/dev/pts/0\r\n10 20\r\n",
    );
  });

  test("is refused when the pid belongs to another process by now", async () => {
    await expect(exec(["true"], { start: 1n })).rejects.toMatchObject({ kernel: { errno: "ESRCH" } });
  });

  test("of a missing program ends with Docker's sentence", async () => {
    await expect(exec(["nope"])).rejects.toMatchObject({
      code: "command-not-found",
      message: 'exec: "nope": executable file not found in $PATH',
    });
  });

  test("goes on when its client leaves, and its keeper with it", async () => {
    const connection = await exec(["sleep", "1000"], { keeper: { foreground: false } });
    const { keeper = 0, pid = 0 } = connection.report ?? {};
    connection.close();
    await until(() => !readdirSync(`/proc/${keeper}/fd`).includes("3"), "the keeper to let go of its client");
    expect(alive(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
    await until(() => !alive(keeper));
  });

  test("dies with its keeper", async () => {
    const connection = await exec(["sleep", "1000"]);
    process.kill(connection.report?.keeper ?? 0, "SIGKILL");
    expect(await connection.exit).toBeUndefined();
    await until(() => !alive(connection.report?.pid ?? 0));
  });
});

test("from a pid namespace of its own it joins what the other's user namespace does not own first, and that one last", async () => {
  // A process with a user namespace, and all others are the host's.
  const peer = await launch(
    plan(
      [
        outside({ call: "clone", flags: CLONE.user }),
        outside({ call: "write", path: "/proc/{pid}/uid_map", data: "0 0 4294967295\n", pid: true }),
        outside({ call: "write", path: "/proc/{pid}/gid_map", data: "0 0 4294967295\n", pid: true }),
        inside({ call: "barrier", waits: "inside" }),
        execve("sleep", "1000"),
      ],
      keeper(),
    ),
  );
  const { pid = 0, keeper: its = 0 } = peer.report ?? {};
  const links = ["user", "net"].map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
  const flags = CLONE.user | CLONE.net | CLONE.ipc;
  const entered = await launch(
    plan(
      [
        outside({ call: "clone", flags: CLONE.pid | CLONE.mnt }),
        inside({ call: "join", pid, start: startOf(pid), flags }),
        inside({ call: "stdio" }),
        execve("readlink", "/proc/self/ns/user", "/proc/self/ns/net"),
      ],
      keeper(),
    ),
  ).finally(() => process.kill(its, "SIGKILL"));
  expect(await output(entered)).toBe(`${links.join("\n")}\n`);
  peer.close();
});
