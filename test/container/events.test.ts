import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Event, Events, type NewEvent } from "../../src/container/events.ts";
import type { EventQuery } from "../../src/container/events-read.ts";
import { nanosecondsNow } from "../../src/kernel/clock.ts";
import { until } from "../support/until.ts";

let root: string;
let events: Events;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sampan-events-"));
  events = new Events({ root, run: join(root, "run") });
});
afterEach(() => rmSync(root, { recursive: true }));

const event = (action: string, name: string, more: Record<string, string> = {}): NewEvent => ({
  type: "container",
  action,
  id: name.padEnd(64, "0"),
  attributes: { name, image: "busybox:1", ...more },
});

async function read(query: EventQuery = {}): Promise<Event[]> {
  const found: Event[] = [];
  for await (const each of events.read(query)) found.push(each);
  return found;
}
const actions = async (query: EventQuery = {}): Promise<string[]> =>
  (await read(query)).map(({ action }) => action);

test("what was appended is read in order", async () => {
  events.append(event("create", "a"), event("start", "a"));
  events.append(event("die", "a", { exitCode: "3" }));
  expect(await actions()).toEqual(["create", "start", "die"]);
  expect((await read())[2]?.attributes).toMatchObject({ exitCode: "3", name: "a" });
});

test("what a keeper writes beside the attributes belongs to them", async () => {
  appendFileSync(
    join(root, "events.jsonl"),
    `{"time":"${nanosecondsNow()}","type":"container","action":"die","id":"x","attributes":{"name":"n"},"exitCode":"137"}\n{"broken\n`,
  );
  expect(await read()).toMatchObject([{ action: "die", attributes: { name: "n", exitCode: "137" } }]);
});

test("an event behind half a line, which a full disk left, is read", async () => {
  appendFileSync(join(root, "events.jsonl"), '{"time":"1795705224160673126","type":"contai');
  events.append(event("die", "a"));
  expect(await actions()).toEqual(["die"]);
});

test("filters: values of one name are alternatives, names must all match", async () => {
  events.append(event("create", "abc"), event("start", "abc", { tier: "web" }), event("create", "def"));
  events.append({ type: "image", action: "tag", id: "sha256:1", attributes: { name: "busybox:1" } });
  const by = (filters: Record<string, string[]>) => actions({ filters });
  expect(await by({ container: ["abc"] })).toEqual(["create", "start"]);
  expect(await by({ container: ["de"], event: ["create", "die"] })).toEqual(["create"]);
  expect(await by({ type: ["image"] })).toEqual(["tag"]);
  expect(await by({ image: ["busybox"] })).toEqual(["create", "start", "create", "tag"]);
  expect(await by({ label: ["tier"] })).toEqual(["start"]);
  expect(await by({ label: ["tier=db"] })).toEqual([]);
});

test("since and until", async () => {
  events.append(event("create", "a"));
  await Bun.sleep(2);
  const between = nanosecondsNow();
  await Bun.sleep(2);
  events.append(event("start", "a"));
  expect(await actions({ since: between })).toEqual(["start"]);
  expect(await actions({ until: between, follow: true })).toEqual(["create"]);
});

test("a follower sees what comes, through a rotation, until it is told to end", async () => {
  events.append(event("create", "a"));
  const controller = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { action } of events.read({ follow: true, signal: controller.signal }))
      seen.push(action);
  })();
  await until(() => seen.length === 1);
  events.append(event("start", "a"));
  const filler = event("exec_start: x", "a", { filler: "y".repeat(1_000_000) });
  for (let n = 0; n < 11; n++) events.append(filler);
  events.append(event("die", "a"));
  await until(() => seen.at(-1) === "die");
  controller.abort();
  await reading;
  expect(existsSync(join(root, "events.jsonl.1"))).toBe(true);
  expect(statSync(join(root, "events.jsonl")).size).toBeLessThan(5_000_000);
  expect(seen.filter((action) => !action.startsWith("exec"))).toEqual(["create", "start", "die"]);
  expect(seen).toHaveLength(14);
});

test("who wants what is new sees all of it, though the clock was set back, and through a rotation", async () => {
  events.append(event("create", "a"));
  const after = events.mark();
  const line = '{"time":"1","type":"container","action":"start","id":"x"}\n';
  appendFileSync(join(root, "events.jsonl"), line);
  expect(await actions({ after })).toEqual(["start"]);
  renameSync(join(root, "events.jsonl"), join(root, "events.jsonl.1"));
  events.append(event("die", "a"));
  expect(await actions({ after })).toEqual(["start", "die"]);
  expect(await actions({ after: events.mark() })).toEqual([]);
  expect(await actions({ after: { inode: 0, size: 0 } })).toEqual(["die"]);
});

test("until a moment to come, the follower waits for it", async () => {
  const moment = String(BigInt(nanosecondsNow()) + 100_000_000n);
  const reading = actions({ follow: true, until: moment });
  const line = `{"time":"${moment}","type":"container","action":"start","id":"x"}\n`;
  appendFileSync(join(root, "events.jsonl"), line);
  expect(await reading).toEqual(["start"]);
  expect(BigInt(nanosecondsNow())).toBeGreaterThan(BigInt(moment) - 10_000_000n);
});
