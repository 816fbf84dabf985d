/** JSON shapes, rows and lines, beside what Docker gives for the same things. */
import { describe, expect, test } from "bun:test";
import { EVENT_COLUMNS, EventRow, eventJson, eventLine } from "../../src/docker/events.ts";
import { formatter } from "../../src/docker/format.ts";
import { HistoryRow, ImageRow, inspectImage } from "../../src/docker/images.ts";
import { inspectContainer } from "../../src/docker/inspect.ts";
import { inspectTemplate } from "../../src/docker/inspect-format.ts";
import { StatsRow } from "../../src/docker/stats.ts";
import { parseTimestamp } from "../../src/docker/timestamp.ts";
import { container, image, NOW } from "./records.ts";

describe("inspect of a container", () => {
  const one = container({
    labels: { z: "w", a: "b" },
    config: {
      labels: { z: "w", a: "b" },
      mounts: [
        { type: "bind", source: "/tmp", target: "/mnt", readonly: true, createSource: true, short: true },
        { type: "tmpfs", source: "", target: "/t", tmpfsOptions: ["size=1m"] },
        { type: "bind", source: "/a", target: "/b", propagation: "rshared" },
      ],
      resources: { memory: 64 * 1024 ** 2, nanoCpus: 500_000_000 },
      healthcheck: { test: ["CMD-SHELL", "true"], interval: 1000 },
      stopTimeout: 3000,
      namespaces: { ipc: { mode: "container", container: "abc" } },
    },
  });
  const object = inspectContainer(one, {
    volumes: "/v",
    folder: "/var/lib/sampan/containers/x",
    lower: ["/l2", "/l1"],
  });

  test("has Docker's members in Docker's order", () =>
    expect(Object.keys(object)).toEqual(
      "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config NetworkSettings".split(
        " ",
      ),
    ));

  test("says what was asked for", () => {
    expect(object).toMatchObject({
      Path: "sleep",
      Args: ["1000"],
      Name: "/one",
      State: { Status: "running", Running: true, Paused: false, Pid: 11377, ExitCode: 0 },
      HostConfig: {
        Binds: ["/tmp:/mnt:ro"],
        Tmpfs: { "/t": "size=1m" },
        Mounts: [{ Type: "bind", Source: "/a", Target: "/b", BindOptions: { Propagation: "rshared" } }],
        Memory: 67108864,
        MemorySwap: 134217728,
        NanoCpus: 500000000,
        PidsLimit: null,
        IpcMode: "container:abc",
        PidMode: "",
        NetworkMode: "none",
        CapAdd: null,
      },
      Config: {
        Hostname: "4fd8c6c1aa6e",
        Cmd: ["sleep", "1000"],
        Entrypoint: null,
        Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 1_000_000_000 },
        StopTimeout: 3,
      },
      GraphDriver: { Data: { LowerDir: "/l2:/l1", UpperDir: "/var/lib/sampan/containers/x/upper" } },
    });
    expect(object.Mounts[0]).toEqual({
      Type: "bind",
      Source: "/tmp",
      Destination: "/mnt",
      Mode: "ro",
      RW: false,
      Propagation: "rprivate",
    });
    expect(Object.keys(object.Config.Labels)).toEqual(["a", "z"]);
    expect(object.NetworkSettings.Networks).toHaveProperty("none");
  });

  test("command and entrypoint are told apart", () => {
    const asked = container({
      args: ["/x", "-c", "y"],
      config: { entrypoint: ["/x"], command: ["-c", "y"] },
    });
    expect(inspectContainer(asked, { volumes: "/v", folder: "" }).Config).toMatchObject({
      Entrypoint: ["/x"],
      Cmd: ["-c", "y"],
    });
  });

  test("by template: Go's names, maps without an entry, nothing", () => {
    expect(
      inspectTemplate(
        "{{.ID}} {{.Config.Labels.nope}} {{.HostConfig.CapAdd}} {{.HostConfig.PidsLimit}} {{.Config.Volumes}}",
      )(object),
    ).toBe(`${one.id} <no value> [] <nil> map[]`);
    expect(
      inspectTemplate("{{.Mounts}} {{.Ports}} {{.RestartPolicy}} {{.Options}}")({
        Mounts: [
          { Type: "bind", Source: "/a", Destination: "/b", Mode: "ro", RW: false, Propagation: "rprivate" },
        ],
        Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }], "90/tcp": null },
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
        Options: null,
      }),
    ).toBe("[{bind  /a /b  ro false rprivate}] map[80/tcp:[{0.0.0.0 8080}] 90/tcp:[]] {no 0} map[]");
    // What JSON leaves out while it is empty is there for a template.
    const { HostConfig, ...plain } = inspectContainer(container({}), { volumes: "/v", folder: "" });
    expect(JSON.stringify([HostConfig, plain.State])).not.toMatch(/"(Sysctls|Init|Health)"/);
    expect(
      inspectTemplate(
        "{{if .State.Health}}x{{else}}well{{end}} {{.HostConfig.Init}} {{.HostConfig.Sysctls}} {{.HostConfig.Mounts}} {{.HostConfig.Tmpfs}} {{.HostConfig.StorageOpt}} {{.HostConfig.Annotations}}",
      )({ HostConfig, State: plain.State }),
    ).toBe("well <nil> map[] [] map[] map[] map[]");
    // A map that is nothing is an empty one, and what a map does not have has no fields; a struct lacks what it lacks.
    expect(
      inspectTemplate(
        '{{.Config.Labels.x}} {{index .Config.Labels "x"}} {{.Networks.x.IPAddress}} {{.LogConfig.Config.x}} {{.LogConfig}}',
      )({ Config: { Labels: null }, Networks: {}, LogConfig: { Type: "none", Config: {} } }),
    ).toBe("<no value>  <no value> <no value> {none map[]}");
    expect(() => inspectTemplate("{{.Config.Foo}}")(object)).toThrow(
      'executing "" at <.Config.Foo>: map has no entry for key "Foo"',
    );
    expect(() => inspectTemplate("{{.State")).toThrow(
      "template parsing error: template: :1: unclosed action",
    );
    expect(() => inspectTemplate("{{.Foo}}")(object)).toThrow(
      'template parsing error: template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"',
    );
  });
});

describe("images", () => {
  test("a row for a name, and for none", () => {
    const named = new ImageRow(image(), { truncate: true, name: "localhost:5000/x/busybox:v1", now: NOW });
    expect([named.Repository, named.Tag, named.ID, named.CreatedSince, named.Size]).toEqual([
      "localhost:5000/x/busybox",
      "v1",
      "3c3c3c3c3c3c",
      "2 seconds ago",
      "1.98MB",
    ]);
    const none = new ImageRow(image(), { truncate: false, now: NOW });
    expect([none.Repository, none.Tag, none.ID]).toEqual(["<none>", "<none>", `sha256:${"3c".repeat(32)}`]);
  });

  test("history", () => {
    const step = {
      id: "<missing>",
      created: NOW - 3_600_000,
      createdBy: `/bin/sh -c ${"x".repeat(60)}`,
      size: 1024,
      comment: "c",
    };
    const short = new HistoryRow(step, { truncate: true, human: true, now: NOW });
    expect([short.ID, short.CreatedSince, short.Size]).toEqual(["<missing>", "About an hour ago", "1.02kB"]);
    expect(short.CreatedBy).toBe(`/bin/sh -c ${"x".repeat(33)}…`);
    const long = new HistoryRow(step, { truncate: false, human: false, now: NOW });
    expect([long.CreatedSince, long.Size]).toEqual(["2026-11-24T01:27:00Z", "1024"]);
    const fraction = new HistoryRow(
      { ...step, created: step.created + 123 },
      { truncate: true, human: true },
    );
    expect(fraction.CreatedAt).toBe("2026-11-24T01:27:00Z");
  });

  test("of no date, or of 1970's first second", () => {
    for (const created of [0, Date.parse("0001-01-01T00:00:00Z")]) {
      const row = new ImageRow(image({ created }), { truncate: true, now: NOW });
      expect([row.CreatedSince, row.CreatedAt]).toEqual(["N/A", "N/A"]);
      const step = { id: "<missing>", created, createdBy: "", size: 0, comment: "" };
      expect(new HistoryRow(step, { truncate: true, human: true, now: NOW }).CreatedSince).toBe("N/A");
    }
    const { created: _, ...undated } = image().config;
    expect(inspectImage(image({ created: 0, config: undated }), String).Created).toBe("0001-01-01T00:00:00Z");
    const docker = { ...image().config, docker_version: "20.10.24" };
    expect(inspectImage(image({ config: docker }), String).DockerVersion).toBe("20.10.24");
  });

  test("a comment: the config's own, or the last step's", () => {
    const history = [{ comment: "first" }, { comment: "last" }, {}];
    const of = (config: object) =>
      inspectImage(image({ config: { ...image().config, ...config } }), String).Comment;
    expect(of({ history })).toBe("");
    expect(of({ history: history.slice(0, 2) })).toBe("last");
    expect(of({ history, comment: "own" })).toBe("own");
    expect(of({})).toBe("");
  });

  test("inspect", () =>
    expect(inspectImage(image(), (reference) => reference.replace("docker.io/library/", ""))).toMatchObject({
      RepoTags: ["busybox:latest"],
      RepoDigests: [],
      Created: "2026-11-24T02:26:57.5724952Z",
      Config: { Env: ["PATH=/bin"], Cmd: ["sh"], Volumes: null, Labels: { a: "b" } },
      Architecture: "amd64",
      Size: 1982366,
      RootFS: { Type: "layers", Layers: ["sha256:583685baed"] },
    }));
});

describe("stats", () => {
  const reading = (cpu: number, host: number) => ({
    cpu: { total: cpu },
    host: { cpu: host, cpus: 2 },
    memory: { usage: 400 * 1024, inactiveFile: 60 * 1024, limit: 64 * 1024 ** 2 },
    pids: { current: 1 },
    io: [
      { op: "read", bytes: 1500 },
      { op: "write", bytes: 2_000_000 },
      { op: "read", bytes: 500 },
    ] as const,
    network: { received: 1240, sent: 0 },
  });
  const subject = {
    id: "4fd8c6c1aa6e0000",
    name: "one",
    called: "o",
    truncate: true,
    machine: 25_276_510_208,
  };

  test("two readings become a row", () => {
    const row = new StatsRow({ ...subject, before: reading(0, 0), now: reading(500, 2000) });
    expect([
      row.ID,
      row.Name,
      row.CPUPerc,
      row.MemUsage,
      row.MemPerc,
      row.NetIO,
      row.BlockIO,
      row.PIDs,
    ]).toEqual(["4fd8c6c1aa6e", "one", "50.00%", "340KiB / 64MiB", "0.52%", "1.24kB / 0B", "2kB / 2MB", "1"]);
  });

  test("one that does not run uses nothing", () => {
    const row = new StatsRow({ ...subject, before: undefined, now: undefined });
    expect([row.CPUPerc, row.MemUsage, row.MemPerc, row.NetIO, row.BlockIO, row.PIDs]).toEqual([
      "0.00%",
      "0B / 0B",
      "0.00%",
      "0B / 0B",
      "0B / 0B",
      "0",
    ]);
  });
});

describe("events", () => {
  const event = {
    time: "1795487218323428593",
    type: "container",
    action: "die",
    id: "2e365bf11f67",
    attributes: { name: "three", image: "busybox", exitCode: "1" },
  } as const;

  test("as a line", () =>
    expect(eventLine(event)).toMatch(
      /^2026-11-2\dT\d\d:\d\d:\d\d\.323428593\S+ container die 2e365bf11f67 \(exitCode=1, image=busybox, name=three\)$/,
    ));

  test("as JSON, every digit of the time kept", () =>
    expect(eventJson(event)).toBe(
      '{"status":"die","id":"2e365bf11f67","from":"busybox","Type":"container","Action":"die","Actor":{"ID":"2e365bf11f67","Attributes":{"exitCode":"1","image":"busybox","name":"three"}},"scope":"local","time":1795487218,"timeNano":1795487218323428593}',
    ));
});

describe("events by a template", () => {
  const line = async (format: string, attributes: Record<string, string> = {}): Promise<string> => {
    const { row } = await formatter(format, EVENT_COLUMNS);
    const event = { time: "1795487218323428593", type: "container", action: "start", id: "ab" } as const;
    return row(new EventRow({ ...event, attributes }));
  };

  test("an attribute that this event lacks has no value, which is no error", async () =>
    expect(
      await line("{{.Action}} {{.Actor.Attributes.exitCode}} {{.Actor.Attributes.name}}", { name: "one" }),
    ).toBe("start <no value> one"));

  test("fields, the whole, and one that does not exist", async () => {
    expect(await line("{{.Type}} {{.ID}} {{.Time}} {{.TimeNano}} {{.Actor}}", { name: "one" })).toBe(
      "container ab 1795487218 1795487218323428593 {ab map[name:one]}",
    );
    expect(JSON.parse(await line("{{json .}}"))).toMatchObject({ status: "start", Actor: { ID: "ab" } });
    expect(line("{{.Foo}}")).rejects.toThrow("can't evaluate field Foo in type *events.Message");
  });
});

describe("moments", () => {
  test.each([
    ["10m", `${NOW - 600_000}000000`],
    ["1.5s", `${NOW - 1500}000000`],
    ["2026-11-24T02:27:00Z", `${NOW}000000`],
    ["2026-11-24T02:27:00.123456789Z", `${NOW / 1000}123456789`],
    ["2026-11-24T03:27:00+01:00", `${NOW}000000`],
    ["2026-11-24T02:27Z", `${NOW}000000`],
    ["1795487218", "1795487218000000000"],
    ["1795487218.5", "1795487218500000000"],
    ["0", "000000000"],
  ])("%s", (text, nanoseconds) => expect(BigInt(parseTimestamp(text, NOW))).toBe(BigInt(nanoseconds)));

  test("what is none", () =>
    expect(() => parseTimestamp("x")).toThrow('failed to parse value as time or duration: "x"'));
});
