/**
 * What `run` and its like end with when there is no container, case by case: the codes are those that docker's own client gave for
 * the same words, and each text names the cause.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { busyboxArchive, NO_BUSYBOX } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = new Sandbox();
  if (NO_BUSYBOX) return;
  await box.ok("load", "-i", busyboxArchive(box.root));
  writeFileSync(`${box.root}/file`, "");
  mkdirSync(`${box.root}/folder`);
  await box.ok("run", "-d", "--name", "runs", "--network", "none", "busybox", "sleep", "1000");
});
afterAll(() => box[Symbol.asyncDispose]());

/** ROOT is the sandbox's folder. */
const said = (words: string): string => words.replaceAll("ROOT", box.root);
const split = (words: string): string[] => said(words).split(" ");

describe.skipIf(NO_BUSYBOX !== undefined)("a container that does not come to be", () => {
  test.each([
    // What is not there: 127, whatever it is.
    ["busybox nope", 127, 'exec: "nope": executable file not found in $PATH'],
    ["busybox /nope", 127, 'exec: "/nope": stat /nope: no such file or directory'],
    ["--entrypoint ./nope busybox", 127, 'exec: "./nope": stat ./nope: no such file or directory'],
    ["--device ROOT/nope busybox true", 127, 'custom device "ROOT/nope": no such file or directory'],
    ["--cidfile ROOT/no/such busybox true", 127, "ID file: open ROOT/no/such: no such file or directory"],
    ["-v /proc/1/nope:/a busybox true", 127, "'/proc/1/nope': mkdir /proc/1/nope: no such file or directory"],
    // What may not be executed: 126.
    ["busybox /etc/passwd", 126, 'exec: "/etc/passwd": permission denied'],
    ["busybox /tmp", 126, 'exec: "/tmp": is a directory'],
    // All the rest: 125.
    ["--device ROOT/file busybox true", 125, 'custom device "ROOT/file": not a device node'],
    ["--device /dev/null:/x:q busybox true", 125, "bad mode specified: q"],
    ["--device /dev/null:/etc/passwd/x busybox true", 125, "device /etc/passwd/x: not a directory"],
    ["-v relative/path:/a busybox true", 125, "includes invalid characters for a local volume name"],
    ["-v ROOT:relative busybox true", 125, "mount path must be absolute"],
    ["-v ROOT:/a:what busybox true", 125, "invalid mode: what"],
    ["-v ROOT/file/x:/a busybox true", 125, "stat ROOT/file/x: not a directory"],
    ["-v ROOT/file:/tmp busybox true", 125, "binding ROOT/file on /tmp"],
    ["-v ROOT/folder:/etc/passwd busybox true", 125, "binding ROOT/folder on /etc/passwd"],
    [
      "--mount type=bind,src=ROOT/nope,dst=/a busybox true",
      125,
      "bind source path does not exist: ROOT/nope",
    ],
    ["--volumes-from nope busybox true", 125, "No such container: nope"],
    ["-w /etc/passwd busybox true", 125, "working directory /etc/passwd: not a directory"],
    ["-w relative busybox true", 125, "'relative' is invalid, it needs to be an absolute path"],
    ["-u nobody-here busybox true", 125, "unable to find user nobody-here"],
    ["-u root:no-group busybox true", 125, "unable to find group no-group"],
    ["--group-add no-group busybox true", 125, "nable to find group no-group"],
    ["--network nope busybox true", 125, "network nope not found"],
    ["--network container:nope busybox true", 125, "No such container: nope"],
    ["--ipc container:nope busybox true", 125, "No such container: nope"],
    ["--name runs busybox true", 125, 'The container name "/runs" is already in use'],
    ["--cap-add NOPE busybox true", 125, 'unknown capability: "CAP_NOPE"'],
    ["--env-file ROOT/nope busybox true", 125, "open ROOT/nope: no such file or directory"],
    ["--security-opt seccomp=ROOT/nope busybox true", 125, "open ROOT/nope: no such file or directory"],
    ["--cidfile ROOT/file busybox true", 125, "container ID file found"],
    ["-m 1 busybox true", 125, "Minimum memory limit allowed is 6MB"],
    ["BAD true", 125, "must be lowercase"],
    ["--nope busybox true", 125, "unknown flag: --nope"],
  ])("run %s: %d", async (words, code, cause) => {
    const network = words.includes("--network") ? [] : ["--network", "none"];
    const found = await box.cli("run", "--rm", ...network, ...split(words));
    expect(found.stderr).toContain(said(cause));
    expect(found.code).toBe(code);
    expect(await box.ok("ps", "-aq")).toHaveLength(12);
  });

  test.each([
    ["create --cidfile ROOT/no/such busybox", 1, "open ROOT/no/such: no such file or directory"],
    ["create --cidfile ROOT/file busybox", 1, "container ID file found"],
    ["create -u nobody-here --network nope busybox", 1, "network nope not found"],
    ["start nope", 1, "No such container: nope"],
    ["exec nope true", 1, "No such container: nope"],
    ["exec runs nope", 127, 'exec: "nope": executable file not found in $PATH'],
    ["exec runs /etc/passwd", 126, 'exec: "/etc/passwd": permission denied'],
    // Nobody waits for the end: what keeps it from starting is an error like others.
    ["exec -d runs nope", 1, 'exec: "nope": executable file not found in $PATH'],
    ["exec -d runs /etc/passwd", 1, 'exec: "/etc/passwd": permission denied'],
    ["exec -d -w /nope runs true", 1, "working directory /nope: no such file or directory"],
    ["exec -u nobody-here runs true", 126, "unable to find user nobody-here"],
    ["exec -w /nope runs true", 126, "working directory /nope: no such file or directory"],
  ])("%s: %d", async (words, code, cause) => {
    const found = await box.cli(...split(words));
    expect(found.stderr).toContain(said(cause));
    expect(found.code).toBe(code);
  });

  test("one that was made and cannot start says so, and its state has Docker's code", async () => {
    for (const [name, words, code] of [
      ["absent", ["busybox", "/nope"], 127],
      ["refused", ["busybox", "/etc/passwd"], 126],
      ["deviceless", ["--device", `${box.root}/nope`, "busybox", "true"], 128],
    ] as const) {
      await box.ok("create", "--name", name, "--network", "none", ...words);
      expect((await box.cli("start", name)).code).toBe(1);
      expect((await box.cli("start", "--attach", name)).code).toBe(1);
      expect(await box.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name)).toBe(
        `created ${code}`,
      );
      await box.ok("rm", name);
    }
  });
});
