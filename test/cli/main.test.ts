/** The command line from outside: what is printed where, and the exit code, where no container is needed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import pkg from "../../package.json";
import { VERSION } from "../../src/common/version.ts";
import { REPO, Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box[Symbol.asyncDispose]());

/** From the sources, so that this also holds before anything was built. */
async function sampan(...args: string[]) {
  const child = Bun.spawn([process.execPath, `${REPO}/src/cli/main.ts`, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: box.env,
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

describe("the version", () => {
  test("is the package's", () => expect(VERSION).toBe(pkg.version));
  test.each([["--version"], ["-v"]])("%s", async (flag) =>
    expect(await sampan(flag)).toEqual({ code: 0, stdout: `Sampan version ${VERSION}\n`, stderr: "" }),
  );
});

describe("help", () => {
  test.each([[[]], [["--help"]], [["-h"]], [["help"]]])("of all: %j", async (args: string[]) => {
    const { code, stdout } = await sampan(...args);
    expect(code).toBe(0);
    expect(stdout).toStartWith("Usage:  sampan [OPTIONS] COMMAND\n");
    expect(stdout).toContain("\nCommon Commands:\n  run ");
  });

  test("of a group", async () => {
    const { code, stdout } = await sampan("container");
    expect(code).toBe(0);
    expect(stdout).toStartWith(
      "Usage:  sampan container COMMAND\n\nManage containers\n\nCommands:\n  attach  ",
    );
    expect(stdout).toContain("\n  prune ");
  });

  test("of a command, laid out as Docker's", async () =>
    expect((await sampan("container", "ls", "--help")).stdout).toBe(`Usage:  sampan container ls [OPTIONS]

List containers

Aliases:
  sampan container ls, sampan container list, sampan container ps, sampan ps

Options:
  -a, --all             Show all containers (default shows just running)
  -f, --filter filter   Filter output based on conditions provided
      --format string   Format output using a custom template:
                        'table':            Print output in table format
                        with column headers (default)
                        'table TEMPLATE':   Print output in table format
                        using the given Go template
                        'json':             Print in JSON format
                        'TEMPLATE':         Print output using the given
                        Go template.
                        Refer to https://docs.docker.com/go/formatting/
                        for more information about formatting output with
                        templates
  -n, --last int        Show n last created containers (includes all
                        states) (default -1)
  -l, --latest          Show the latest created container (includes all
                        states)
      --no-trunc        Don't truncate output
  -q, --quiet           Only display container IDs
  -s, --size            Display total file sizes
`));

  test("help COMMAND is COMMAND --help", async () =>
    expect((await sampan("help", "rm")).stdout).toBe((await sampan("rm", "--help")).stdout));
});

describe("a command line that cannot be", () => {
  test.each([
    [
      ["--foo"],
      125,
      "unknown flag: --foo\n\nUsage:  sampan [OPTIONS] COMMAND [ARG...]\n\nRun 'sampan --help' for more information\n",
    ],
    [["foo"], 1, "sampan: unknown command: sampan foo\n\nRun 'sampan --help' for more information\n"],
    [
      ["container", "foo"],
      1,
      "sampan: unknown command: sampan container foo\n\nUsage:  sampan container\n\nRun 'sampan container --help' for more information\n",
    ],
    [
      ["ps", "--foo"],
      125,
      "unknown flag: --foo\n\nUsage:  sampan ps [OPTIONS]\n\nRun 'sampan ps --help' for more information\n",
    ],
    [
      ["ps", "-z"],
      125,
      "unknown shorthand flag: 'z' in -z\n\nUsage:  sampan ps [OPTIONS]\n\nRun 'sampan ps --help' for more information\n",
    ],
    [
      ["run", "-m", "x", "host"],
      125,
      `invalid argument "x" for "-m, --memory" flag: invalid size: 'x'\n\nUsage:  sampan run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'sampan run --help' for more information\n`,
    ],
    [
      ["ps", "a"],
      1,
      "sampan: 'sampan ps' accepts no arguments\n\nUsage:  sampan ps [OPTIONS]\n\nRun 'sampan ps --help' for more information\n",
    ],
    [
      ["run"],
      1,
      "sampan: 'sampan run' requires at least 1 argument\n\nUsage:  sampan run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'sampan run --help' for more information\n",
    ],
    [
      ["exec", "a"],
      1,
      "sampan: 'sampan exec' requires at least 2 arguments\n\nUsage:  sampan exec [OPTIONS] CONTAINER COMMAND [ARG...]\n\nRun 'sampan exec --help' for more information\n",
    ],
    [
      ["rename", "a"],
      1,
      "sampan: 'sampan rename' requires 2 arguments\n\nUsage:  sampan rename CONTAINER NEW_NAME\n\nRun 'sampan rename --help' for more information\n",
    ],
    [
      ["images", "a", "b"],
      1,
      "sampan: 'sampan images' requires at most 1 argument\n\nUsage:  sampan images [OPTIONS] [REPOSITORY[:TAG]]\n\nRun 'sampan images --help' for more information\n",
    ],
    [
      ["run", "-d", "-a", "stdout", "host"],
      1,
      "conflicting options: cannot specify both --attach and --detach\n",
    ],
    [["run", "-it", "host"], 1, "the input device is not a TTY\n"],
    [["run", "-t", "-a", "stdin", "host"], 1, "the input device is not a TTY\n"],
    [["run", "-it", "-a", "stdout", "host"], 1, "the input device is not a TTY\n"],
    [
      ["ps", "-f", "foo"],
      125,
      `invalid argument "foo" for "-f, --filter" flag: bad format of filter (expected name=value)\n\nUsage:  sampan ps [OPTIONS]\n\nRun 'sampan ps --help' for more information\n`,
    ],
    [
      ["start", "--checkpoint", "x", "y"],
      125,
      `invalid argument "x" for "--checkpoint" flag: checkpoints are not available\n\nUsage:  sampan start [OPTIONS] CONTAINER [CONTAINER...]\n\nRun 'sampan start --help' for more information\n`,
    ],
    [["start", "-a", "x", "y"], 1, "you cannot start and attach multiple containers at once\n"],
    [
      ["inspect", "--type", "foo", "x"],
      1,
      'unknown type: "foo": must be one of "container", "image", "network", "volume"\n',
    ],
    [
      ["exec", "--env-file", "/no/such", "x", "true"],
      1,
      "sampan: open /no/such: no such file or directory\n\nRun 'sampan exec --help' for more information\n",
    ],
    [["load", "-i", "/no/such"], 1, "sampan: open /no/such: no such file or directory\n"],
    [["load", "-i", "/etc"], 1, "sampan: read /etc: is a directory\n"],
    [["update", "x"], 1, "you must provide one or more flags when using this command\n"],
  ])("%j: exit %d", async (args: string[], code, stderr) => {
    expect(await sampan(...args)).toEqual({ code, stdout: "", stderr });
  });
});

describe("what is not there", () => {
  test.each([
    "stop",
    "kill",
    "rm",
    "pause",
    "unpause",
    "restart",
    "wait",
    "start",
    "logs",
    "top",
    "attach",
    "stats",
  ])("%s nope", async (name) => {
    const { code, stdout, stderr } = await sampan(name, "nope");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toStartWith("sampan: No such container: nope\n");
  });

  test("rm -f of nothing is no failure", async () => {
    const { code, stderr } = await sampan("rm", "-f", "nope");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "sampan: No such container: nope\n" });
  });

  test("inspect prints what there is, then what there is not", async () => {
    const { code, stdout, stderr } = await sampan("inspect", "nope");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "[]\n" });
    expect(stderr).toBe("sampan: No such object: nope\n");
  });

  test("images and containers to begin with", async () => {
    expect((await sampan("ps")).stdout).toBe(
      "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n",
    );
    expect((await sampan("images")).stdout).toMatch(
      /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\nhost +latest +[0-9a-f]{12} /,
    );
    expect((await sampan("ps", "-q")).stdout).toBe("");
  });

  test("filters that mean nothing", async () => {
    const { code, stderr } = await sampan("ps", "-f", "foo=bar");
    expect(code).toBe(1);
    expect(stderr).toStartWith("sampan: invalid filter 'foo'\nThe filters are ancestor, ");
  });

  test("--since that is no moment", async () => {
    const { code, stderr } = await sampan("logs", "--since", "x", "nope");
    expect(code).toBe(1);
    expect(stderr).toStartWith(
      'sampan: invalid value for "since": failed to parse value as time or duration: "x"\n',
    );
  });
});

describe("info and version", () => {
  test("version --format", async () => {
    expect((await sampan("version", "--format", "{{.Server.Version}} {{.Client.Os}}")).stdout).toBe(
      `${VERSION} linux\n`,
    );
  });
  test("info --format", async () => {
    expect((await sampan("info", "-f", "{{.Driver}} {{.Containers}} {{.OSType}}")).stdout).toBe(
      "overlay2 0 linux\n",
    );
    expect((await sampan("system", "info")).stdout).toContain("\n Storage Driver: overlay2\n");
  });
  test("a template that cannot be read: 64", async () => {
    const { code, stderr } = await sampan("version", "-f", "{{.Server");
    expect({ code, stderr }).toEqual({
      code: 64,
      stderr: "sampan: template parsing error: template: :1: unclosed action\n",
    });
  });
});
