/** What follows a Tab: in real shells, with the script that the executable prints, and by the table of its own flags. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { COMMANDS } from "../../src/cli/commands.ts";
import { ARGUMENTS, FILTERS } from "../../src/cli/complete/words.ts";
import { busyboxArchive } from "../support/image.ts";
import { Pty } from "../support/pty.ts";
import { REPO, Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let env: Record<string, string>;
beforeAll(async () => {
  box = new Sandbox();
  mkdirSync(`${box.root}/bin`);
  symlinkSync(`${REPO}/bin/sampan`, `${box.root}/bin/sampan`);
  mkdirSync(`${box.root}/home/folder`, { recursive: true });
  writeFileSync(`${box.root}/home/variables.env`, "A=1\n");
  env = { ...box.env, PATH: `${box.root}/bin:${process.env["PATH"]}`, HOME: `${box.root}/home` };
  await box.ok("load", "-i", busyboxArchive(box.root));
  await box.ok("run", "-d", "--name", "looping", "--network", "none", "host", "sleep", "1000");
  await box.ok("create", "--name", "lying", "--network", "none", "host", "true");
  await box.ok("tag", "busybox", "localhost:5000/team/app:v2");
  await box.ok("network", "create", "backend");
  await box.ok("volume", "create", "records");
});
afterAll(() => box[Symbol.asyncDispose]());

/** The words that may follow, and what the shell should add. */
async function after(...words: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await box.cliWith({ env }, "__completeNoDesc", ...words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.trimEnd().split("\n");
}

describe("what may follow", () => {
  test.each<[string, string[]]>([
    ["resta", ["restart", ":"]],
    ["volume cl", ["clone", ":"]],
    ["completion ", ["bash", "fish", "zsh", ":"]],
    ["help vers", ["version", ":"]],
    ["--root /tmp vers", ["version", ":"]],
    ["run --restart ", ["no", "always", "on-failure", "unless-stopped", ":"]],
    ["run --restart=u", ["--restart=unless-stopped", ":"]],
    ["run -itd --pull n", ["never", ":"]],
    ["run --rm=t", ["--rm=true", ":"]],
    ["run --log-driver l", ["local", ":"]],
    ["run --network ba", ["backend", ":"]],
    ["run --network cont", ["container:", ":open"]],
    ["run --pid container:l", ["container:looping", ":"]],
    ["run --cap-add CAP_SYS_P", ["CAP_SYS_PTRACE", "CAP_SYS_PACCT", ":"]],
    ["run --env-file ", [":files"]],
    ["run -v rec", ["records:", ":files open"]],
    ["run --rm localhost:5000/", ["localhost:5000/team/app:v2", ":"]],
    ["run host --re", [":files"]],
    ["exec -it l", ["looping", ":"]],
    ["stop l", ["looping", ":"]],
    ["start l", ["lying", ":"]],
    ["rm l", ["lying", ":"]],
    ["rm -f l", ["lying", "looping", ":"]],
    ["rm -f lying l", ["looping", ":"]],
    ["kill --signal TER", ["TERM", ":"]],
    ["network connect backend lo", ["looping", ":"]],
    ["network create -d ", ["bridge", "macvlan", "ipvlan", ":"]],
    ["volume rm ", ["records", ":"]],
    ["inspect --type volume ", ["records", ":"]],
    ["cp lo", ["looping:", ":files open"]],
    ["cp looping:/e", [":"]],
    ["ps --filter sta", ["status=", ":open"]],
    ["ps --format {{.Run", ["{{.RunningFor}}", ":"]],
    ["explain --as oc", ["oci", ":"]],
    ["explain run --restart=u", ["--restart=unless-stopped", ":"]],
    ["run --nosuch ", ["busybox", "host", "localhost:5000/team/app:v2", ":"]],
    ["nosuch ", [":"]],
    ["network nosuch ", [":"]],
    ["ps surplus ", [":"]],
  ])("sampan %s", async (line, words) =>
    expect((await after(...line.split(" "))).toSorted()).toEqual(words.toSorted()),
  );

  test("a flag is told with what it does, on one line", async () =>
    expect((await box.ok("__complete", "ps", "--form")).split("\n")).toEqual([
      "--format\tFormat output using a custom template:",
      ":",
    ]));

  test("where there is no engine yet, none is made and nothing is said", async () => {
    const none = `${box.root}/none`;
    const outcome = await box.cliWith({ env: { SAMPAN_ROOT: none } }, "__complete", "stop", "");
    expect(outcome).toEqual({ code: 0, stdout: ":\n", stderr: "" });
    expect(await Bun.file(`${none}/sampan.db`).exists()).toBe(false);
  });

  test("a state that cannot be read is no error at a Tab", async () => {
    const broken = `${box.root}/broken`;
    mkdirSync(broken);
    writeFileSync(`${broken}/sampan.db`, "no database at all");
    const outcome = await box.cliWith({ env: { SAMPAN_ROOT: broken } }, "__complete", "stop", "");
    expect(outcome).toEqual({ code: 0, stdout: ":\n", stderr: "" });
  });

  test("every command that takes what there is, is known", async () => {
    for (const { names, load } of COMMANDS) {
      const { usage, flags } = (await load()).default;
      const [name = ""] = names;
      if (
        /\b(CONTAINER|IMAGE|NETWORK|VOLUME|REPOSITORY|MANIFEST|NAME\[:TAG)\b/.test(usage) &&
        name !== "inspect"
      )
        expect([name, ARGUMENTS[name] !== undefined]).toEqual([name, true]);
      if (flags["filter"]) expect([name, FILTERS[name] !== undefined]).toEqual([name, true]);
    }
  });
});

test.each(["bash", "fish", "zsh"])("%s finds nothing wrong with its script", async (shell) => {
  for (const flags of [[], ["--no-descriptions"]]) {
    const script = await box.ok("completion", shell, ...flags);
    expect(script.includes("__completeNoDesc ")).toBe(flags.length > 0);
    const check = Bun.spawnSync([shell, "-n"], { stdin: new TextEncoder().encode(script), env });
    expect([check.exitCode, check.stderr.toString()]).toEqual([0, ""]);
  }
});

/** Typed with its Tabs, then made the words of an echo: the line that came of it. */
const TYPED: readonly [typed: string, line: string][] = [
  ["sampan resta\tloo\t", "sampan restart looping"],
  ["sampan run --restart unl\t", "sampan run --restart unless-stopped"],
  ["sampan run --restart=unl\t", "sampan run --restart=unless-stopped"],
  ["sampan run localhost:5000/te\t", "sampan run localhost:5000/team/app:v2"],
  ["sampan run --network contai\tloo\t", "sampan run --network container:looping"],
  ["sampan run --env-file vari\t", "sampan run --env-file variables.env"],
  ["sampan run --env-file=vari\t", "sampan run --env-file=variables.env"],
  ["sampan run -v fol\t:/x", "sampan run -v folder/:/x"],
  ["sampan stop lyi\t", "sampan stop lyi"],
];

/** Types it, puts an `echo` at the begin of the line, and gives what that prints. */
async function completed(shell: Pty, typed: string): Promise<string> {
  shell.type(`${typed}\x01echo \n`);
  const seen = await shell.expect(/\n(A=1 )?sampan .*?\r?\n/);
  return seen.trimEnd().split("\n").at(-1) ?? "";
}

test("bash completes what is typed", async () => {
  const shell = new Pty(["bash", "--norc", "--noprofile", "-i"], {
    env: { ...env, PS1: "ready> ", TERM: "dumb" },
    cwd: `${box.root}/home`,
    columns: 200,
  });
  await shell.expect("ready> ");
  shell.type("source <(sampan completion bash); echo so''urced\n");
  await shell.expect("sourced");
  for (const [typed, line] of [
    ...TYPED,
    ['sampan ps --format "{{.Runn\t', "sampan ps --format {{.RunningFor}}"] as const,
    ["A=1 sampan resta\t", "A=1 sampan restart"] as const,
  ]) {
    await shell.expect("ready> ");
    expect(await completed(shell, typed)).toBe(line);
  }
  shell.close();
});

test("zsh completes what is typed", async () => {
  const shell = new Pty(["zsh", "-f", "-i"], {
    env: { ...env, PS1: "ready> ", TERM: "dumb" },
    cwd: `${box.root}/home`,
    columns: 200,
  });
  await shell.expect("ready> ");
  shell.type("unsetopt zle_bracketed_paste auto_list; bindkey -e; autoload -U compinit; compinit -u -D\n");
  shell.type("source <(sampan completion zsh); echo so''urced\n");
  await shell.expect("sourced");
  for (const [typed, line] of TYPED) {
    await shell.expect("ready> ");
    expect(await completed(shell, typed)).toBe(line);
  }
  shell.close();
});

test("fish knows what may follow", async () => {
  const ask = (line: string): string[] => {
    const script = "sampan completion fish | source; complete -C $argv[1]";
    const { stdout, stderr } = Bun.spawnSync(["fish", "--no-config", "-c", script, line], {
      env,
      cwd: `${box.root}/home`,
    });
    expect(stderr.toString()).toBe("");
    return stdout
      .toString()
      .trimEnd()
      .split("\n")
      .map((each) => each.replace(/\t.*/, ""));
  };
  expect(ask("sampan resta")).toEqual(["restart"]);
  expect(ask("sampan stop ")).toEqual(["looping"]);
  expect(ask("sampan run --restart=unl")).toEqual(["--restart=unless-stopped"]);
  expect(ask("sampan run localhost:5000/te")).toEqual(["localhost:5000/team/app:v2"]);
  expect(ask("sampan run --env-file vari")).toEqual(["variables.env"]);
  expect(ask("sampan run --env-file=vari")).toEqual(["--env-file=variables.env"]);
  expect(ask("sampan run --rootfs f")).toEqual(["folder/"]);
});
