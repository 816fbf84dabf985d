/** Who holds a lock, as the kernel lists it. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { flockHolder, isLocked } from "../../src/kernel/flock.ts";
import { readFileSync } from "../../src/kernel/fs.ts";
import { until } from "../support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "sampan-flock-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A program that takes the lock and holds it until its stdin ends. */
const lock = (path: string, ...flags: string[]) =>
  Bun.spawn(["flock", ...flags, path, "sh", "-c", "echo locked; exec cat"], {
    stdin: "pipe",
    stdout: "pipe",
  });

test("an exclusive lock has its holder; a shared one has none, nor has one that is free, and who waits holds nothing", async () => {
  const [mine, shared] = [join(folder, "mine"), join(folder, "shared")];
  for (const path of [mine, shared]) writeFileSync(path, "");
  const holder = lock(mine);
  const reader = lock(shared, "--shared");
  for (const { stdout } of [holder, reader]) await stdout.getReader().read();
  const waiter = lock(mine);
  const waits = (): boolean =>
    readFileSync("/proc/locks", "latin1")
      .split("\n")
      .some((line) => line.includes("->") && line.includes(` ${waiter.pid} `));
  await until(waits);

  // flock(1) starts the program as its child, which has the lock's fd too: the pid is that of who took it.
  expect([flockHolder(mine), flockHolder(shared)]).toEqual([holder.pid, undefined]);

  holder.stdin.end();
  await waiter.stdout.getReader().read();
  expect(flockHolder(mine)).toBe(waiter.pid);
  for (const { stdin } of [reader, waiter]) stdin.end();
  for (const { exited } of [holder, reader, waiter]) await exited;
  expect([flockHolder(mine), isLocked(mine)]).toEqual([undefined, false]);
});
