/** `-it` as a person at a real terminal has it: size, raw mode, job control, detaching, and the terminal given back. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Pty, type PtyOptions } from "../support/pty.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

let box: Sandbox;
let open: Pty[] = [];
beforeAll(() => {
  box = new Sandbox();
});
afterEach(() => {
  for (const pty of open) pty.close();
  open = [];
});
afterAll(() => box[Symbol.asyncDispose]());

function pty(command: readonly string[], options: PtyOptions = {}): Pty {
  const made = new Pty(command, { rows: 30, columns: 100, ...options, env: box.env });
  open.push(made);
  return made;
}
const sampan = (...args: string[]): Pty => pty([SAMPAN, ...args]);
/** A shell without line editing, so that what is seen is what was typed and printed. */
const shell = (...flags: string[]): Pty => sampan("run", "-it", "--rm", ...flags, "host", "sh");

/** At a prompt: types a command, gives its output, waits for the next prompt. The echo cannot be mistaken for its end. */
async function said(pty: Pty, command: string): Promise<string> {
  pty.type(`${command}; echo e''nd\r`);
  const seen = await pty.expect("\nend\r\n");
  await pty.expect("# ");
  return seen.slice(seen.indexOf("\n") + 1, -"\nend\r\n".length).trim();
}

/** Until the program is the one that the terminal's keys are for: before, they are the shell's, which has not read its line. */
const runs = (name: string, program: string): Promise<true> =>
  until(async () => (await box.cli("top", name, "-o", "comm")).stdout.split("\n").includes(program));

describe("run -it", () => {
  test("is a terminal of the caller's size, and follows its changes", async () => {
    const one = shell();
    await one.expect("# ");
    expect(await said(one, "tty")).toBe("/dev/pts/0");
    expect(await said(one, "stty size")).toBe("30 100");
    one.resize(40, 120);
    // The new size comes by a signal, a moment later.
    await until(async () => (await said(one, "stty size")) === "40 120");
    one.type("exit 7\r");
    expect(await one.exited()).toBe(7);
  });

  test("keys go through as they are typed: Ctrl-C ends the program inside, not the caller's", async () => {
    const one = shell("--name", "keys");
    await one.expect("# ");
    one.type("sleep 100\r");
    await one.expect("sleep 100\r\n");
    await runs("keys", "sleep");
    one.type("\x03");
    await one.expect("# ");
    expect(await said(one, "echo still here")).toBe("still here");
  });

  test("job control: Ctrl-Z stops, fg goes on", async () => {
    const one = shell("--name", "jobs");
    await one.expect("# ");
    one.type("sleep 100\r");
    await one.expect("sleep 100\r\n");
    await runs("jobs", "sleep");
    one.type("\x1a");
    await one.expect("Stopped");
    await one.expect("# ");
    expect(await said(one, "jobs")).toContain("sleep 100");
    one.type("fg\r");
    await one.expect("sleep 100\r\n");
    one.type("\x03");
    await one.expect("# ");
  });

  test("the caller's terminal is given back as it was", async () => {
    const one = pty(["sh"]);
    await one.expect("# ");
    const before = await said(one, "stty -a");
    one.type(`${SAMPAN} run -it --rm host sh -c 'exit 3'; echo code=$?\r`);
    await one.expect("code=3\r\n");
    await one.expect("# ");
    expect(await said(one, "stty -a")).toBe(before);
  });

  test("TERM is the terminal's kind", async () => {
    const one = shell();
    await one.expect("# ");
    expect(await said(one, "echo $TERM")).toBe("xterm");
  });
});

describe("detaching", () => {
  test("Ctrl-P Ctrl-Q leaves it running; attach comes back to it", async () => {
    const one = sampan("run", "-it", "--name", "left", "host", "sh");
    await one.expect("# ");
    await said(one, "mark=kept");
    one.type("\x10\x11");
    expect(await one.exited()).toBe(0);
    expect(await box.ok("inspect", "-f", "{{.State.Status}}", "left")).toBe("running");

    const two = sampan("attach", "left");
    two.type("\r");
    await two.expect("# ");
    expect(await said(two, "echo $mark")).toBe("kept");
    two.type("\x10\x11");
    await two.expect("read escape sequence\r\n");
    expect(await two.exited()).toBe(1);

    const three = sampan("attach", "left");
    three.type("\r");
    await three.expect("# ");
    three.type("exit 9\r");
    expect(await three.exited()).toBe(9);
    await box.ok("rm", "left");
  });

  test("by keys of one's own", async () => {
    const one = sampan("run", "-it", "--name", "own", "--detach-keys", "ctrl-a,x", "host", "cat", "-v");
    one.type("ready\r");
    await one.expect("ready\r\nready\r\n");
    one.type("\x10\r");
    await one.expect("\n^P\r\n");
    one.type("\x01x");
    expect(await one.exited()).toBe(0);
    expect(await box.ok("inspect", "-f", "{{.State.Running}}", "own")).toBe("true");
    await box.ok("rm", "-f", "own");
  });
});

describe("exec -it", () => {
  test("is a terminal too, beside that of the container", async () => {
    await box.ok("run", "-d", "--name", "busy", "host", "sleep", "1000");
    const one = sampan("exec", "-it", "busy", "sh");
    await one.expect("# ");
    expect(await said(one, "stty size")).toBe("30 100");
    one.type("exit 4\r");
    expect(await one.exited()).toBe(4);
    const two = sampan("exec", "-it", "busy", "sh");
    await two.expect("# ");
    two.type("\x10\x11");
    await two.expect("read escape sequence\r\n");
    expect(await two.exited()).toBe(1);
    await box.ok("rm", "-f", "busy");
  });
});

describe("without a terminal inside", () => {
  test("Ctrl-C is passed on: the program's own handler decides", async () => {
    const one = sampan(
      "run",
      "--rm",
      "host",
      "sh",
      "-c",
      "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done",
    );
    await one.expect("ready");
    one.type("\x03");
    await one.expect("caught");
    expect(await one.exited()).toBe(5);
  });

  test("with --sig-proxy=false it ends the caller alone", async () => {
    const one = sampan(
      "run",
      "--name",
      "alone",
      "--sig-proxy=false",
      "host",
      "sh",
      "-c",
      "echo ready; sleep 1000",
    );
    await one.expect("ready");
    one.type("\x03");
    expect(await one.exited()).toBe(130);
    expect(await box.ok("inspect", "-f", "{{.State.Running}}", "alone")).toBe("true");
    await box.ok("rm", "-f", "alone");
  });

  test("stats redraws its table", async () => {
    await box.ok("run", "-d", "--name", "watched", "host", "sleep", "1000");
    const one = sampan("stats", "watched");
    await one.expect("CONTAINER ID");
    await one.expect("watched");
    await one.expect("\x1b[H\x1b[J");
    await one.expect("watched");
    one.type("\x03");
    await one.exited();
    await box.ok("rm", "-f", "watched");
  });
});

describe("control characters of others", () => {
  const RED = "\x1b[31m";
  beforeAll(async () => {
    await box.ok("create", "--name", "posing", "--label", `worn=a${RED}b\x9bc`, "host", "true");
    await Bun.write(`${box.root}/empty.tar`, new Uint8Array(10_240));
    await box.ok("import", "--message", `made${RED}so`, `${box.root}/empty.tar`, "posing:1");
  });

  test.each<[string[]]>([
    [["ps", "-a", "--format", "{{.Labels}}"]],
    [["inspect", "--format", "{{.Config.Labels.worn}}", "posing"]],
    [["events", "--since", "1h", "--until", "0s", "--filter", "container=posing"]],
    [["history", "posing:1"]],
    [["history", "--format", "{{.Comment}}", "posing:1"]],
  ])("are shown to a terminal and not sent, and go into a pipe as they are: %j", async (words) => {
    const piped = await box.ok(...words);
    expect(piped).toContain(RED);
    const one = sampan(...words);
    await one.expect("\\x1b[31m");
    await one.exited();
    expect(one.seen).not.toContain("\x1b[31");
    expect(one.seen).not.toContain("\x9b");
  });

  test("are the caller's own in a format", async () => {
    const one = sampan("ps", "-a", "--format", `${RED}{{.Names}}`);
    await one.expect(`${RED}posing`);
    await one.exited();
  });
});
