/**
 * Two commands on one container at the same moment, for every pair of those that change it: each does its work or says why
 * not, what is shown afterwards is what the kernel has, and nothing is left when it is removed.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box[Symbol.asyncDispose]());

const COMMANDS: readonly (readonly string[])[] = [
  ["start", "it"],
  ["stop", "-t", "0", "it"],
  ["kill", "it"],
  ["restart", "-t", "0", "it"],
  ["rm", "-f", "it"],
  ["rename", "it", "other"],
  ["update", "--memory", "64m", "--memory-swap", "64m", "it"],
  ["pause", "it"],
  ["exec", "it", "true"],
];
/** A process that is to be executed in one that is being paused may be frozen on its way, and then waits with it. */
const waits = ([one]: readonly string[], [two]: readonly string[]): boolean =>
  one === "pause" && two === "exec";
const PAIRS = COMMANDS.flatMap((one, i) => COMMANDS.slice(i).map((two) => [one, two] as const)).filter(
  ([one, two]) => !waits(one, two),
);

/** What the one that comes too late may say. */
const TOO_LATE =
  /No such container|is not running|is not paused|is already paused|already in use|is paused|paused container|Renaming a container|removed at the same time|killed before it could execute/;

const isAlive = (pid: number): boolean => {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
};

test.each(["running", "stopped"])(
  "on one that is %s",
  async (begins) => {
    for (const pair of PAIRS) {
      // Of one that is stopped the others only say that it does not run.
      if (begins === "stopped" && !pair.some(([word]) => word === "start" || word === "restart")) continue;
      const what = `${pair[0].join(" ")} | ${pair[1].join(" ")}`;
      await box.cli("rm", "-f", "it", "other");
      const id = await box.ok("run", "-d", "--network", "none", "--name", "it", "host", "sleep", "1000");
      if (begins === "stopped") await box.ok("kill", "it");
      for (const [i, { code, stderr }] of (
        await Promise.all(pair.map((words) => box.cli(...words)))
      ).entries()) {
        // What was executed was killed with the container.
        const killed = pair[i]?.[0] === "exec" && code === 137 && stderr === "";
        if (code !== 0 && !killed) expect(stderr, what).toMatch(TOO_LATE);
        expect(stderr, what).not.toMatch(/ at .*\.ts|undefined|Error:/);
      }
      const seen = await box.cli("inspect", "-f", "{{.State.Running}} {{.State.Pid}}", id);
      if (seen.code === 0) {
        const [running, pid] = seen.stdout.trim().split(" ");
        expect(isAlive(Number(pid)), `${what}: ${seen.stdout}`).toBe(running === "true");
      }
      await box.cli("rm", "-f", id);
      expect(await box.ok("ps", "-aq"), what).toBe("");
      expect(await box.left(), what).toEqual([]);
    }
  },
  180_000,
);
