import { describe, expect, test } from "bun:test";
import {
  type ContainerLookup,
  collect,
  containerFilter,
  imageFilter,
  pruneChoice,
  wantsAll,
} from "../../src/docker/filters.ts";
import { networkFilter } from "../../src/docker/networks.ts";
import { volumeFilter } from "../../src/docker/volumes.ts";
import type { Network } from "../../src/network/types.ts";
import type { VolumeRecord } from "../../src/volume/record.ts";
import { at, container, image, NOW } from "./records.ts";

const older = container({
  id: "aa".repeat(32),
  name: "older",
  created: NOW - 9000,
  labels: { x: "y" },
  exposedPorts: ["80/tcp"],
});
const newer = container({
  id: "bb".repeat(32),
  name: "newer",
  created: NOW - 1000,
  labels: { x: "z", q: "" },
  imageId: "sha256:other",
  config: {
    mounts: [{ type: "volume", source: "data", target: "/d" }],
    namespaces: { net: { mode: "host" } },
  },
  state: {
    status: "exited",
    exitCode: 3,
    finishedAt: at(1),
    health: { status: "unhealthy", failingStreak: 3, log: [] },
  },
});
const lookup: ContainerLookup = {
  attached: (id) =>
    id === newer.id
      ? {
          endpoints: [],
          ports: [{ id, address: "0.0.0.0", port: 8080, target: 90, protocol: "tcp" } as never],
        }
      : undefined,
  find: (name) => [older, newer].find((each) => each.name === name),
  images: (name) => new Set(name === "busybox" ? [older.imageId] : []),
};

const names = (...filters: string[]) => {
  const pairs = filters.map((text) => text.split(/=(.*)/s).slice(0, 2) as [string, string]);
  return [older, newer].filter(containerFilter(collect(pairs), lookup)).map(({ name }) => name);
};

describe("ps --filter", () => {
  test.each([
    [["name=ld"], ["older"]],
    [["name=^newer$"], ["newer"]],
    [["name=^/newer$"], ["newer"]],
    [
      ["name=older", "name=newer"],
      ["older", "newer"],
    ],
    [["id=aaaa"], ["older"]],
    [["label=x"], ["older", "newer"]],
    [["label=x=y"], ["older"]],
    [["label=x", "label=q"], ["newer"]],
    // Nobody has these, whatever every object of the language has.
    [["label=toString"], []],
    [["label=constructor"], []],
    [["label=__proto__"], []],
    [["exited=3"], ["newer"]],
    [["exited=0"], []],
    [["status=exited"], ["newer"]],
    [
      ["status=exited", "status=running"],
      ["older", "newer"],
    ],
    [["health=none"], ["older"]],
    [["health=unhealthy"], ["newer"]],
    [["ancestor=busybox"], ["older"]],
    [["before=newer"], ["older"]],
    [["since=older"], ["newer"]],
    [["volume=data"], ["newer"]],
    [["volume=/d"], ["newer"]],
    [["network=host"], ["newer"]],
    [["expose=80"], ["older"]],
    [["expose=79-81/tcp"], ["older"]],
    [["expose=80/udp"], []],
    [["expose=90"], ["newer"]],
    [["expose=8080"], []],
    [["publish=8080"], ["newer"]],
    [["publish=8000-8090/tcp"], ["newer"]],
    [["publish=90"], []],
    [["is-task=false"], ["older", "newer"]],
    [["is-task=true"], []],
    [["name=er", "label=x=z"], ["newer"]],
  ])("%j", (filters, expected) => expect(names(...filters)).toEqual(expected));

  test.each([
    ["foo=bar", "invalid filter 'foo'"],
    ["status=foo", "invalid filter 'status=foo'"],
    ["health=x", "unrecognized filter value for health: x"],
    ["exited=x", 'strconv.Atoi: parsing "x": invalid syntax'],
    ["expose=1:2", "filter for 'expose' should not contain ':': 1:2"],
    ["expose=2-1", "error while looking up for expose 2-1: invalid range specified for port: 2-1"],
    ["before=nope", "no such container nope"],
    ["is-task=x", "invalid filter 'is-task=[x]'"],
  ])("%s is refused: %s", (filter, message) => expect(() => names(filter)).toThrow(message));

  test("a status is looked for among all", () => {
    expect(wantsAll(collect([["status", "exited"]]))).toBe(true);
    expect(wantsAll(collect([["name", "x"]]))).toBe(false);
  });
});

describe("a name is a regular expression", () => {
  const ask = (name: string, value: string) => collect([[name, value]]);
  test.each([
    ["^db$", ["db"]],
    ["db", ["db", "db2", "mydb"]],
    ["^(db2|mydb)$", ["db2", "mydb"]],
    ["[", []],
  ])("of volumes and networks: %s", (value, wanted) => {
    const all = ["db", "db2", "mydb", "other"].map((name) => ({ name, id: name, labels: {} }));
    const found = (filter: (each: never) => boolean) =>
      all.filter((each) => filter(each as never)).map(({ name }) => name);
    expect(found(volumeFilter(ask("name", value), new Map()) as (each: VolumeRecord) => boolean)).toEqual(
      wanted,
    );
    for (const name of ["name", "id"])
      expect(found(networkFilter(ask(name, value), new Set()) as (each: Network) => boolean)).toEqual(wanted);
  });
});

describe("prune --filter", () => {
  test("until, label, label!", () =>
    expect(
      pruneChoice(
        collect([
          ["until", "2026-11-24T02:27:00Z"],
          ["label", "a"],
          ["label!", "b=c"],
        ]),
      ),
    ).toEqual({
      until: NOW,
      labels: ["a"],
      withoutLabels: ["b=c"],
    }));
  test("what it cannot take", () => {
    expect(() => pruneChoice(collect([["until", "x"]]))).toThrow(
      'invalid value for "until": failed to parse value as time or duration: "x"',
    );
    for (const name of ["name", "constructor", "__proto__"])
      expect(() => pruneChoice(collect([[name, "x"]]))).toThrow(`invalid filter '${name}'`);
  });
});

describe("images --filter", () => {
  const busybox = image();
  const dangling = image({ id: "sha256:dd", tags: [], created: NOW - 60_000 });
  const familiar = (reference: string) => reference.replace("docker.io/library/", "");
  const filter = (...pairs: [string, string][]) =>
    imageFilter(collect(pairs), { find: (name) => (name === "busybox" ? busybox : undefined), familiar });

  test("dangling, before, since, label", () => {
    const chosen = (...pairs: [string, string][]) => [busybox, dangling].filter(filter(...pairs).image);
    expect(chosen(["dangling", "true"])).toEqual([dangling]);
    expect(chosen(["dangling", "false"])).toEqual([busybox]);
    expect(chosen(["before", "busybox"])).toEqual([dangling]);
    expect(chosen(["label", "a=b"])).toEqual([busybox, dangling]);
    expect(chosen(["label", "nope"])).toEqual([]);
  });

  test("reference is a pattern over names as people write them", () => {
    const matches = (pattern: string) =>
      filter(["reference", pattern]).name("docker.io/library/busybox:latest");
    expect(matches("busybox")).toBe(true);
    expect(matches("busybox:latest")).toBe(true);
    expect(matches("busy*:l?test")).toBe(true);
    expect(matches("busybox:1")).toBe(false);
    expect(matches("docker.io/library/busybox")).toBe(true);
    expect(matches("*/busybox")).toBe(false);
    expect(matches("*/*/*")).toBe(false);
  });
});
