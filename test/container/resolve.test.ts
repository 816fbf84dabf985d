import { describe, expect, test } from "bun:test";
import { type ContainerConfig, DEFAULTS } from "../../src/container/config.ts";
import { mergeEnv, resolve } from "../../src/container/resolve.ts";
import type { ImageConfig } from "../../src/image/record.ts";

const ID = "0123456789abcdef".repeat(4);
const image = (config: NonNullable<ImageConfig["config"]>): ImageConfig => ({
  architecture: "amd64",
  os: "linux",
  config,
  rootfs: { type: "layers", diff_ids: [] },
});
const ask = (config: Partial<ContainerConfig>, of: NonNullable<ImageConfig["config"]> = {}) =>
  resolve(ID, { ...DEFAULTS, ...config }, image(of), () => "machine");

describe("entrypoint and command", () => {
  const of = { Entrypoint: ["/entry", "-e"], Cmd: ["run"] };
  test("both are the image's unless one says otherwise", () => {
    expect(ask({}, of).args).toEqual(["/entry", "-e", "run"]);
  });
  test("a command of one's own keeps the image's entrypoint", () => {
    expect(ask({ command: ["walk"] }, of).args).toEqual(["/entry", "-e", "walk"]);
  });
  test("an entrypoint of one's own discards the image's command", () => {
    expect(ask({ entrypoint: ["/mine"] }, of).args).toEqual(["/mine"]);
    expect(ask({ entrypoint: ["/mine"], command: ["x"] }, of).args).toEqual(["/mine", "x"]);
  });
  test("an empty entrypoint is none", () => {
    expect(ask({ entrypoint: [""], command: ["sh"] }, of).args).toEqual(["sh"]);
    expect(ask({ entrypoint: [], command: ["sh"] }, of).args).toEqual(["sh"]);
  });
  test("no command at all is refused", () => {
    expect(() => ask({})).toThrow("no command specified");
    expect(() => ask({ entrypoint: [""] }, of)).toThrow("no command specified");
  });
});

test("the environment is the image's with one's own laid over it", () => {
  expect(mergeEnv(["PATH=/bin", "A=1", "B=2"], ["A=3", "C=4", "B"])).toEqual(["PATH=/bin", "A=3", "C=4"]);
  expect(mergeEnv([], ["A=1", "A=2", "EMPTY="])).toEqual(["A=2", "EMPTY="]);
});

test("user, folder, labels and stop signal come from the image where nothing is said", () => {
  const of = {
    User: "app",
    WorkingDir: "/srv",
    Labels: { a: "1", b: "2" },
    StopSignal: "SIGINT",
    ExposedPorts: { "80/tcp": {} },
  };
  expect(ask({ command: ["x"], labels: { b: "3" } }, of)).toMatchObject({
    user: "app",
    workdir: "/srv",
    labels: { a: "1", b: "3" },
    stopSignal: "SIGINT",
    exposedPorts: ["80/tcp"],
  });
  expect(ask({ command: ["x"], expose: ["80/tcp", "90/udp"] }, of).exposedPorts).toEqual([
    "80/tcp",
    "90/udp",
  ]);
  expect(ask({ command: ["x"], expose: ["90/udp"] }).exposedPorts).toEqual(["90/udp"]);
  expect(ask({ command: ["x"], user: "0", workdir: "/", stopSignal: "USR1" }, of)).toMatchObject({
    user: "0",
    workdir: "/",
    stopSignal: "USR1",
  });
});

test("the hostname is the short id, or the machine's where its names are shared", () => {
  expect(ask({ command: ["x"] }).hostname).toBe("0123456789ab");
  expect(ask({ command: ["x"], hostname: "web" }).hostname).toBe("web");
  expect(ask({ command: ["x"], namespaces: { uts: { mode: "host" } } }).hostname).toBe("machine");
  expect(ask({ command: ["x"], namespaces: { net: { mode: "host" } } }).hostname).toBe("machine");
});

describe("health checks", () => {
  const of = { Cmd: ["x"], Healthcheck: { Test: ["CMD", "check"], Interval: 5e9, Retries: 2 } };
  test("the image's is kept, member by member", () => {
    expect(ask({}, of).config.healthcheck).toMatchObject({
      test: ["CMD", "check"],
      interval: 5000,
      retries: 2,
    });
    expect(ask({ healthcheck: { interval: 100 } }, of).config.healthcheck).toMatchObject({
      test: ["CMD", "check"],
      interval: 100,
      retries: 2,
    });
  });
  test("an image's times are whole milliseconds, never less than it said", () => {
    const odd = { Cmd: ["x"], Healthcheck: { Test: ["CMD", "check"], Interval: 1, Timeout: 1_500_000 } };
    expect(ask({}, odd).config.healthcheck).toMatchObject({ interval: 1, timeout: 2 });
  });
  test("NONE turns it off", () => {
    expect(ask({ healthcheck: { test: ["NONE"] } }, of).config.healthcheck).toEqual({ test: ["NONE"] });
  });
  test("without one there is none", () => {
    expect(ask({ command: ["x"] }).config.healthcheck).toBeUndefined();
    expect(ask({ command: ["x"], healthcheck: { interval: 5 } }).config.healthcheck).toBeUndefined();
  });
});
