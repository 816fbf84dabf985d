/**
 * What a command costs before it does anything is what it imports. One stray import can triple it, so the modules that
 * the hot commands load are checked here, by following their static imports. The other cost is builtins that
 * JavaScriptCore compiles from source when they are first used; the engine itself says which these are.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { COMMANDS } from "../../src/cli/commands.ts";
import { busyboxArchive } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

const SRC = new URL("../../src/", import.meta.url).pathname;
const transpiler = new Bun.Transpiler({ loader: "ts" });

/** Every file under src/, relative to it, and every built-in module that is loaded with these. */
function loaded(...entries: string[]): { files: Set<string>; builtin: Set<string> } {
  const files = new Set<string>();
  const builtin = new Set<string>();
  const visit = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    for (const { path: target, kind } of transpiler.scanImports(readFileSync(SRC + path, "utf8"))) {
      if (kind !== "import-statement") continue;
      if (target.startsWith(".")) visit(new URL(target, `file:///${path}`).pathname.slice(1));
      else builtin.add(target);
    }
  };
  for (const entry of entries) visit(entry);
  return { files, builtin };
}

const command = (name: string) => loaded("cli/main.ts", `cli/commands/${name}.ts`);

describe("a command loads no more than it needs", () => {
  test("the start alone: no engine, no database, no command", () => {
    const { files, builtin } = loaded("cli/main.ts");
    expect([...builtin].sort()).toEqual(["bun:ffi"]);
    expect([...files].filter((file) => !/^(cli|common)\//.test(file)).sort()).toEqual([
      "kernel/errno.ts",
      "kernel/fs.ts",
      "kernel/libc.ts",
    ]);
    expect([...files].filter((file) => file.startsWith("cli/commands/"))).toEqual([]);
  });

  test.each(["run", "exec", "ps", "create", "start", "stop", "rm", "logs", "explain"])(
    "%s: Bun's own, and not even node:fs",
    (name) => {
      const { builtin } = command(name);
      expect([...builtin].filter((module) => !["bun:sqlite", "bun:ffi"].includes(module))).toEqual([]);
    },
  );

  test.each(["run", "exec"])("%s: none of Docker's shapes", (name) => {
    expect([...command(name).files].filter((file) => file.startsWith("docker/"))).toEqual([]);
  });

  test("run: of networks only what every container passes; the rest where there is one", () => {
    const { files } = command("run");
    expect([...files].filter((file) => file.startsWith("network/")).sort()).toEqual([
      "network/dns/posts.ts",
      "network/index.ts",
      "network/networks.ts",
      "network/release.ts",
    ]);
    expect([...files].filter((file) => /^kernel\/.*netlink|^kernel\/nftables/.test(file))).toEqual([]);
  });

  test.each(["attach", "uplink", "create", "remove"])("networks, %s: Bun's own too", (name) => {
    expect([...loaded(`network/${name}.ts`).builtin].filter((module) => module !== "bun:ffi")).toEqual([]);
  });

  test("the library: nothing that explains, until it is asked", () => {
    const { files, builtin } = loaded("index.ts");
    expect([...files].filter((file) => /^(explain|cli|docker)\//.test(file))).toEqual([]);
    expect([...builtin].filter((module) => !["bun:sqlite", "bun:ffi"].includes(module))).toEqual([]);
  });

  test("ps: no templates, no filters", () => {
    expect([...command("ps").files].filter((file) => file.startsWith("docker/")).sort()).toEqual([
      "docker/human.ts",
      "docker/ports.ts",
      "docker/ps.ts",
      "docker/table.ts",
    ]);
  });

  test("nothing that reads archives or speaks to registries is on the way of a run", () => {
    expect(
      [...command("run").files].filter((file) =>
        /^image\/(tar\/|unpack\/|registry\/|load\.|save\.|import\.)/.test(file),
      ),
    ).toEqual([]);
  });

  test("a run without volumes passes their door and does not open it", () => {
    expect([...command("run").files].filter((file) => /volume/.test(file)).sort()).toEqual([
      "volume/index.ts",
      "volume/volumes.ts",
    ]);
  });

  test("every command of the table has its file", async () => {
    for (const { names, load } of COMMANDS) expect((await load()).default.usage, names[0]).toBeString();
  });
});

describe("a command compiles no builtin: what it passes is plain loops (see src/common/loops.ts)", () => {
  let box: Sandbox;
  beforeAll(async () => {
    box = new Sandbox();
    await box.ok("load", "-i", busyboxArchive(box.root));
    // The first has the bridge made.
    await box.ok("run", "--rm", "busybox", "true");
    await box.ok("run", "-d", "--name", "sleeper", "--network", "none", "busybox", "sleep", "1000");
  });
  afterAll(async () => {
    await box.ok("rm", "-f", "sleeper");
    await box[Symbol.asyncDispose]();
  });

  test.each([
    "run --rm --network none host true",
    "run --rm --network none busybox true",
    "run --rm busybox true",
    "run --rm -p 18080:80 busybox true",
    "run -d --rm --network none host true",
    "exec sleeper true",
    "ps",
    "ps -a",
  ])("%s", async (words) => {
    const env = { BUN_JSC_reportBytecodeCompileTimes: "1", BUN_JSC_dumpGeneratedBytecodes: "1" };
    const { code, stdout, stderr } = await box.cliWith({ env }, ...words.split(" "));
    expect(code).toBe(0);
    const names = new Map<string, string>();
    const compiled: string[] = [];
    // Functions by name and hash as they are entered; before that a line with the hash of what had to be compiled.
    for (const [, hash = "", name = "", entered = ""] of `${stdout}\n${stderr}`.matchAll(
      /^Compiled #(\w+) into bytecode|^([^\s#]*)#(\w+):\[/gm,
    ))
      if (hash !== "") compiled.push(hash);
      else names.set(entered, name);
    expect(names.size).toBeGreaterThan(50);
    // Those without a name are Bun's own, before the program begins.
    expect(compiled.map((hash) => names.get(hash)).filter(Boolean)).toEqual([]);
  });
});
