import { describe, expect, test } from "bun:test";
import { formatRows } from "../../src/docker/format.ts";
import { exposedText } from "../../src/docker/ports.ts";
import { PS_COLUMNS, PsRow, statusText } from "../../src/docker/ps.ts";
import { table } from "../../src/docker/table.ts";
import { at, container, NEVER, NOW } from "./records.ts";

const row = (wishes: Parameters<typeof container>[0], truncate = true) =>
  new PsRow(container(wishes), { truncate, now: NOW });

describe("a container's state in Docker's words", () => {
  const ended = { pid: 0, startedAt: at(3), finishedAt: at(1) } as const;
  test.each([
    [{ startedAt: at(1) }, "Up 1 second"],
    [{ startedAt: at(35 * 3600) }, "Up 35 hours"],
    [{ status: "paused", startedAt: at(6) }, "Up 6 seconds (Paused)"],
    [{ health: { status: "starting", failingStreak: 0, log: [] } }, "Up 1 second (health: starting)"],
    [{ health: { status: "unhealthy", failingStreak: 3, log: [] } }, "Up 1 second (unhealthy)"],
    [{ status: "restarting", exitCode: 2, finishedAt: at(4) }, "Restarting (2) 4 seconds ago"],
    [{ status: "created", startedAt: NEVER }, "Created"],
    [{ status: "removing" }, "Removal In Progress"],
    [{ status: "dead" }, "Dead"],
    [{ ...ended, status: "exited" }, "Exited (0) 1 second ago"],
    [{ ...ended, status: "exited", exitCode: 137 }, "Exited (137) 1 second ago"],
    [
      { ...ended, status: "exited", exitCode: 137, oomKilled: true },
      "Exited (137) 1 second ago (out of memory)",
    ],
    [{ ...ended, status: "exited", exitCode: 137, timedOut: true }, "Exited (137) 1 second ago (timed out)"],
  ] as const)("%j: %s", (state, text) => expect(statusText(container({ state }), NOW)).toBe(text));
});

describe("a row of docker ps", () => {
  test("an image whose name is another's by now goes by its id", () => {
    const id = `sha256:${"ab".repeat(32)}`;
    const record = container({ imageId: id, config: { image: "app:1" } });
    const image = (truncate: boolean, renamed: boolean) =>
      new PsRow(record, { truncate, now: NOW, renamed }).Image;
    expect([image(true, false), image(true, true), image(false, true)]).toEqual([
      "app:1",
      "abababababab",
      id,
    ]);
  });

  test("the columns, as wide as Docker makes them", () => {
    const one = row({
      id: `d3973eb73bec${"0".repeat(52)}`,
      name: "clever_nobel",
      created: NOW - 35 * 3_600_000,
      args: ["/http-server"],
      config: { image: "http-server:v1" },
      state: { startedAt: at(35 * 3600) },
    });
    const columns = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"] as const;
    expect(table([columns.map((name) => PS_COLUMNS.headers[name]), columns.map((name) => one[name])])).toBe(
      `CONTAINER ID   IMAGE            COMMAND          CREATED        STATUS        PORTS     NAMES
d3973eb73bec   http-server:v1   "/http-server"   35 hours ago   Up 35 hours             clever_nobel
`,
    );
  });

  test("the command is one line in quotes, cut to 20 columns", () => {
    const args = ["sh", "-c", "echo hello world this is long; sleep 1000"];
    expect(row({ args }).Command).toBe(`"sh -c 'echo hello w…"`);
    expect(row({ args }, false).Command).toBe(`"sh -c 'echo hello world this is long; sleep 1000'"`);
    expect(row({ args: ["sh", "-c", `it's "a" b`, "a\tb", ""] }, false).Command).toBe(
      `"sh -c 'it's \\"a\\" b' a\\tb "`,
    );
  });

  test("labels, mounts, networks", () => {
    const mounts = [
      { type: "bind", source: "/tmp", target: "/mnt" },
      { type: "bind", source: "/a/very/long/path", target: "/x" },
    ] as const;
    const one = row({
      labels: { z: "w", a: "b" },
      config: { mounts, namespaces: { net: { mode: "host" } } },
    });
    expect(one.Labels).toBe("a=b,z=w");
    expect(one.Label("z")).toBe("w");
    for (const absent of ["nope", "toString", "__proto__"]) expect(one.Label(absent)).toBe("");
    expect(one.Mounts).toBe("/tmp,/a/very/long/p…");
    expect(one.Networks).toBe("host");
    expect(row({}).Networks).toBe("none");
  });
});

test("exposed ports: neighbours of one protocol are one range", () => {
  expect(exposedText([])).toBe("");
  expect(exposedText(["81/tcp", "80/tcp", "91/udp", "90/udp", "100/tcp"])).toBe(
    "80-81/tcp, 100/tcp, 90-91/udp",
  );
  // Docker shows none where there is no network of its own to reach them through.
  expect(row({ exposedPorts: ["80/tcp"], config: { namespaces: { net: { mode: "none" } } } }).Ports).toBe("");
});

describe("--format", () => {
  const rows = [row({ labels: { "com.x-y": "v" } }), row({ name: "two", args: ["a<b"] })];

  test("json has Docker's members, escaped as Go does", async () => {
    const [, second = ""] = (await formatRows("json", rows, PS_COLUMNS)).split("\n");
    expect(second).toStartWith('{"Command":"\\"a\\u003cb\\"","CreatedAt":"2026-11-2');
    expect(Object.keys(JSON.parse(second))).toEqual([...PS_COLUMNS.fields]);
  });

  test("a template prints a line a row; \\t and \\n are what they mean", async () =>
    expect(await formatRows("{{.ID}}\\t{{.Names}}", rows, PS_COLUMNS)).toBe(
      "4fd8c6c1aa6e\tone\n4fd8c6c1aa6e\ttwo\n",
    ));

  test("table heads its columns with the fields' names", async () =>
    expect(
      await formatRows(
        'table {{.ID}}\\t{{.Label "com.x-y"}}\\t{{json .Names}}\\t{{upper .Names}}',
        rows,
        PS_COLUMNS,
      ),
    ).toBe(`CONTAINER ID   x y       NAMES     NAMES
4fd8c6c1aa6e   v         "one"     ONE
4fd8c6c1aa6e             "two"     TWO
`));

  test("{{json .}} is the whole row", async () =>
    expect(await formatRows("{{json .}}", rows, PS_COLUMNS)).toBe(
      await formatRows("json", rows, PS_COLUMNS),
    ));

  test("errors say what there is", async () => {
    expect(formatRows("{{.Names", rows, PS_COLUMNS)).rejects.toThrow(
      "failed to parse template: template: :1: unclosed action",
    );
    expect(formatRows("{{.ID}} {{.Foo}}", rows, PS_COLUMNS)).rejects.toMatchObject({
      message: `failed to execute template: template: :1:10: executing "" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext`,
      hint: expect.stringContaining("Names"),
    });
  });
});
