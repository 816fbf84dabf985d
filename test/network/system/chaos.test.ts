/**
 * Two processes make and remove networks and containers at random, and some of their commands are killed half way. Then the
 * ordinary commands remove what there is: nothing may be left, in the kernel or in the store. Fifteen seconds, or as many as
 * SAMPAN_CHAOS says; the seed is printed, and SAMPAN_SEED sets it.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { until } from "../../support/until.ts";
import { World } from "./world.ts";

const SECONDS = Number(process.env["SAMPAN_CHAOS"] ?? 15);
const SEED = Number(process.env["SAMPAN_SEED"] ?? Date.now() % 1_000_000);

let world: World;
beforeAll(async () => {
  world = await World.make();
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

function dice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** One command; now and then it is killed before it can end, and now and then the keeper of a container is. */
async function command(roll: (below: number) => number, words: readonly string[]): Promise<void> {
  const child = Bun.spawn(world.host.enter(`${import.meta.dir}/../../../dist/sampan`, ...words), {
    stdio: ["ignore", "ignore", "ignore"],
    env: world.box.env,
  });
  if (roll(4) === 0) {
    // On a machine that is busy a command takes its time.
    await Promise.race([child.exited, Bun.sleep(roll(roll(2) === 0 ? 60 : 400))]);
    child.kill("SIGKILL");
  }
  await child.exited;
}

async function killKeeper(roll: (below: number) => number): Promise<void> {
  const ids = (await world.cli("ps", "-q")).stdout.split("\n").filter(Boolean);
  const id = ids[roll(ids.length)];
  if (id === undefined) return;
  try {
    const pid = Number(readlinkSync(`${world.box.root}/run/${id}/pid`).split(" ")[0]);
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

async function trouble(seed: number, end: number): Promise<void> {
  const roll = dice(seed);
  const net = (): string => `net${roll(4)}`;
  const name = (): string => `c${roll(6)}`;
  const acts: readonly (() => Promise<void>)[] = [
    () => command(roll, ["network", "create", ...(roll(2) === 0 ? ["--ipv6"] : []), net()]),
    () => command(roll, ["network", "rm", net()]),
    () =>
      command(roll, [
        ..."run -d --stop-signal KILL --name".split(" "),
        name(),
        ...(roll(3) === 0 ? [] : ["--network", net()]),
        ...(roll(2) === 0 ? ["-p", `${9000 + roll(4)}:80`] : []),
        ...(roll(4) === 0 ? ["--restart", "always"] : []),
        "host",
        "sleep",
        "1000",
      ]),
    () => command(roll, ["run", "--rm", "-p", `${9000 + roll(4)}:80`, "host", "true"]),
    () => command(roll, ["rm", "-f", name()]),
    () => command(roll, ["stop", name()]),
    () => command(roll, ["start", name()]),
    () => command(roll, ["network", "connect", net(), name()]),
    () => command(roll, ["network", "disconnect", net(), name()]),
    () => command(roll, ["update", "--publish-add", `${9000 + roll(4)}:81`, name()]),
    () => command(roll, ["update", "--publish-rm", `${80 + roll(2)}`, name()]),
    () => command(roll, ["run", "--rm", "-p", `[::1]:${9000 + roll(4)}:80`, "host", "true"]),
    () => killKeeper(roll),
  ];
  // On a slow machine a few of them take longer than that.
  for (let done = 0; Date.now() < end || done < 6; done++) await acts[roll(acts.length)]?.();
}

test(
  `nothing is left of ${SECONDS} seconds of trouble`,
  async () => {
    console.error(`seed ${SEED}`);
    const end = Date.now() + SECONDS * 1000;
    await Promise.all([trouble(SEED, end), trouble(SEED + 1, end)]);

    // No two of those that run have one address.
    const shown = (await world.ok("ps", "-q")).split("\n").filter(Boolean);
    const addresses: string[] = [];
    for (const id of shown) {
      const text = await world.cli(
        "inspect",
        "-f",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}",
        id,
      );
      addresses.push(...text.stdout.trim().split(/\s+/).filter(Boolean));
    }
    expect(new Set(addresses).size).toBe(addresses.length);

    const ids = (await world.ok("ps", "-aq")).split("\n").filter(Boolean);
    if (ids.length > 0) await world.ok("rm", "-f", ...ids);
    await world.ok("network", "prune", "-f");
    await world.ok("container", "prune", "-f");

    await until(() => world.links().length === 0).catch(() => {});
    expect(world.links()).toEqual([]);
    expect(world.host.run("nft", "list", "tables").trim()).toBe("");
    expect(world.host.run("ip", "-br", "-4", "addr", "show", "up").split("\n").filter(Boolean).length).toBe(
      2,
    );
    const db = new Database(`${world.box.root}/sampan.db`, { readonly: true });
    const count = (table: string): unknown => db.query(`SELECT count(*) AS n FROM ${table}`).get();
    expect(count("containers")).toEqual({ n: 0 });
    expect(count("endpoints")).toEqual({ n: 0 });
    expect(count("ports")).toEqual({ n: 0 });
    expect(
      db
        .query<{ name: string }, []>("SELECT name FROM networks ORDER BY name")
        .all()
        .map(({ name }) => name)
        .filter((name) => name.startsWith("net")),
    ).toEqual([]);
    db.close();
    expect(await world.box.left()).toEqual([]);
  },
  (SECONDS + 120) * 1000,
);
