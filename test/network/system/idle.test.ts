/** What networks have in the kernel goes when nobody needs it any more, without anybody's asking for it. */

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { killed } from "../../support/processes.ts";
import { until } from "../../support/until.ts";
import { World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await World.make();
  world.host.run("nft", "add", "table", "inet", "somebody");
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const tables = (): string[] => world.host.run("nft", "list", "tables").trim().split("\n");
const bridges = (): string[] => world.links().filter((name) => !name.startsWith("veth"));
/** The processes that wait for it. */
const waiting = (): string[] =>
  Bun.spawnSync(["pgrep", "-f", `repair ${world.box.root} .* idle`])
    .stdout.toString()
    .trim()
    .split("\n")
    .filter(Boolean);
/** Nobody waits for it to be there, but there is never a second. */
const oneWaits = async (): Promise<void> =>
  expect((await until(() => waiting().length > 0 && waiting(), "a process that waits")).length).toBe(1);
const allGone = (): Promise<true> => until(() => waiting().length === 0);

test("after the last container bridges and table go, and no other table is touched", async () => {
  await world.ok("network", "create", "mine");
  await world.ok("run", "--rm", "--network", "mine", "-p", "8150:80", "host", "true");
  await world.ok("run", "--rm", "host", "true");
  // One that follows soon finds all of it there.
  expect(bridges().length).toBe(2);
  expect(tables().length).toBe(2);
  await oneWaits();
  await allGone();
  expect(bridges()).toEqual([]);
  expect(tables()).toEqual(["table inet somebody"]);
  // The networks are still there, and are made again for whoever comes.
  await world.ok("run", "--rm", "--network", "mine", "host", "true");
  expect(bridges().length).toBe(1);
});

test("not while one runs, whoever else has ended", async () => {
  await world.ok("run", "-d", "--name", "stays", "host", "sleep", "1000");
  await world.ok("run", "--rm", "--network", "mine", "host", "true");
  await allGone();
  expect(bridges().length).toBe(2);
  expect(tables().length).toBe(2);
  await world.ok("network", "disconnect", "bridge", "stays");
  await allGone();
  expect(bridges()).toEqual([]);
  await world.ok("network", "connect", "mine", "stays");
  expect(bridges().some((name) => name.startsWith("br-"))).toBe(true);
});

test("after a keeper was killed, as soon as somebody looks", async () => {
  const id = await world.ok("inspect", "-f", "{{.Id}}", "stays");
  await killed(Number(readlinkSync(`${world.box.root}/run/${id.slice(0, 12)}/pid`).split(" ")[0]));
  expect(await world.ok("ps", "-q")).toBe("");
  await oneWaits();
  await allGone();
  expect(bridges()).toEqual([]);
  expect(tables()).toEqual(["table inet somebody"]);
  await world.ok("rm", "stays");
});

test("after the process that waits for it was killed, as soon as anybody looks", async () => {
  await world.ok("run", "--rm", "-p", "8150:80", "host", "true");
  const kill = async () => {
    for (const pid of waiting()) await killed(Number(pid));
  };
  await kill();
  expect(bridges().length).toBe(1);
  await world.ok("ps");
  await oneWaits();
  await kill();
  await world.ok("run", "--rm", "--network", "none", "host", "true");
  await oneWaits();
  await allGone();
  expect(bridges()).toEqual([]);
  expect(tables()).toEqual(["table inet somebody"]);
  // There is nothing left to do.
  await world.ok("ps");
  expect(waiting()).toEqual([]);
});

test("one process waits for it, however many containers end", async () => {
  await Promise.all(Array.from({ length: 6 }, () => world.ok("run", "--rm", "host", "true")));
  await world.ok("run", "-d", "--name", "forced", "host", "sleep", "1000");
  await allGone();
  await world.ok("rm", "-f", "forced");
  await oneWaits();
  await allGone();
  expect(bridges()).toEqual([]);
});

test("a network whose removal was broken off is removed by the next that has to do with networks", async () => {
  await world.ok("network", "create", "broken");
  await world.ok("run", "-d", "--name", "keeps", "host", "sleep", "1000");
  await world.ok("run", "--rm", "--network", "broken", "host", "true");
  const file = `${world.box.root}/sampan.db`;
  const db = new Database(file);
  const row = db
    .query<{ id: string; record: string }, []>("SELECT id, record FROM networks WHERE name = 'broken'")
    .get();
  db.run("DELETE FROM networks WHERE name = 'broken'");
  db.close();
  const network = { ...JSON.parse(row?.record ?? ""), id: row?.id, name: "broken", created: 0 };
  writeFileSync(`${world.box.root}/network.leaving`, `${JSON.stringify(network)}\n{"half`);
  const bridge = `br-${row?.id.slice(0, 12)}`;
  expect(bridges()).toContain(bridge);
  await world.ok("network", "create", "next");
  await world.ok("network", "rm", "next");
  expect(bridges()).not.toContain(bridge);
  expect(existsSync(`${world.box.root}/network.leaving`)).toBe(false);
  await world.ok("rm", "-f", "keeps");
});

test("after the machine went down its ports and addresses are free, and a container starts as if all were there", async () => {
  await world.serve("server", "-p", "8180:80");
  const id = await world.ok("inspect", "-f", "{{.Id}}", "server");
  const run = `${world.box.root}/run/${id.slice(0, 12)}`;
  const address = await world.address("server");
  await killed(Number(readlinkSync(`${run}/pid`).split(" ")[0]));
  // What a boot finds: an empty run folder, and nothing in the kernel.
  rmSync(`${world.box.root}/run`, { recursive: true });
  for (const name of bridges()) world.host.run("ip", "link", "del", name);
  world.host.run("nft", "delete", "table", "inet", world.table() ?? "");
  const other = ["run", "-d", "--name", "other", "--stop-signal", "KILL", "-p", "8180:80"];
  await world.ok(...other, "host", "sleep", "1000");
  expect(await world.address("other")).toBe(address);
  expect(await world.ok("inspect", "-f", "{{.State.ExitCode}}", "server")).toBe("255");
  await world.ok("rm", "-f", "other");
  await world.ok("start", "server");
  expect(await until(() => world.fromFar("10.9.0.1", 8180))).toBe("10.9.0.2");
  await world.ok("rm", "-f", "server");
});
