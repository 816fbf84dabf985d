/** The command line that `--as docker-run` prints, run: it makes a container of the same configuration. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { Engine } from "../../src/engine.ts";
import { quote } from "../../src/explain/as-run.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = new Sandbox();
  mkdirSync(`${sandbox.root}/bin`);
  symlinkSync(SAMPAN, `${sandbox.root}/bin/docker`);
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const CASES: Readonly<Record<string, readonly string[]>> = {
  nothing: ["host", "true"],
  limits: [
    "--memory",
    "64m",
    "--memory-swap",
    "-1",
    "--cpus",
    "0.75",
    "--pids-limit",
    "50",
    "--cpuset-cpus",
    "0",
    "--cpu-shares",
    "512",
    "host",
    "true",
  ],
  names: [
    "--hostname",
    "h",
    "--domainname",
    "d.example",
    "--add-host",
    "a:1.2.3.4",
    "--expose",
    "80/tcp",
    "--dns",
    "9.9.9.9",
    "--dns-search",
    "example.org",
    "--dns-option",
    "ndots:2",
    "host",
    "true",
  ],
  namespaces: [
    "--network",
    "host",
    "--pid",
    "host",
    "--ipc",
    "shareable",
    "--uts",
    "host",
    "--cgroupns",
    "host",
    "host",
    "true",
  ],
  files: [
    "--read-only",
    "--tmpfs",
    "/a:size=1m,noexec",
    "--tmpfs",
    "/b",
    "-v",
    "/tmp:/c:ro",
    "--mount",
    "type=bind,source=/tmp,target=/d,readonly,bind-propagation=rslave",
    "--mount",
    "type=tmpfs,target=/e,tmpfs-size=1m,tmpfs-mode=700",
    "--shm-size",
    "1m",
    "host",
    "true",
  ],
  rights: [
    "--cap-drop",
    "ALL",
    "--cap-add",
    "CHOWN",
    "--security-opt",
    "no-new-privileges",
    "--security-opt",
    "seccomp=unconfined",
    "--user",
    "1000:1000",
    "--group-add",
    "5",
    "--ulimit",
    "nofile=100:200",
    "--ulimit",
    "core=0",
    "--sysctl",
    "net.core.somaxconn=100",
    "--oom-score-adj",
    "100",
    "host",
    "true",
  ],
  devices: [
    "--device",
    "/dev/zero:/dev/nought:r",
    "--device",
    "/dev/full",
    "--device-cgroup-rule",
    "c 1:3 rwm",
    "host",
    "true",
  ],
  words: [
    "-e",
    'A=it\'s "quoted" $HOME',
    "-e",
    "B=two\nlines",
    "-l",
    "x=y z",
    "--annotation",
    "n=o",
    "-w",
    "/tmp",
    "--entrypoint",
    "sh",
    "host",
    "-c",
    "echo 'a b'; true",
  ],
  life: [
    "--init",
    "--restart",
    "on-failure:3",
    "--stop-signal",
    "SIGINT",
    "--stop-timeout",
    "3",
    "--health-cmd",
    "test -e /tmp",
    "--health-interval",
    "5s",
    "--health-retries",
    "2",
    "--log-driver",
    "local",
    "--log-opt",
    "max-size=1m",
    "--timeout",
    "60s",
    "host",
    "true",
  ],
  streams: ["-i", "-t", "host", "cat"],
  lesson: ["--namespaces", "mnt,uts", "--rootfs", "/", "true"],
};

describe("the printed line makes the same again", () => {
  test.each(Object.keys(CASES))("%s", async (name) => {
    await sandbox.ok("create", "--name", name, ...(CASES[name] ?? []));
    const line = await sandbox.ok("explain", "--as", "docker-run", name);
    for (const each of line.split("\n").filter((text) => !text.includes("B=two")))
      expect(each.length).toBeLessThanOrEqual(120);
    // The same words with another name and nothing started.
    const copy = line.replace("docker run", "docker create").replace(` --name ${name}`, ` --name ${name}-2`);
    const made = Bun.spawnSync(["sh", "-c", copy], {
      env: { ...sandbox.env, PATH: `${sandbox.root}/bin:${process.env["PATH"]}` },
    });
    expect(made.stderr.toString()).toBe("");
    const { containers } = Engine.open({ root: sandbox.root, run: `${sandbox.root}/run` });
    expect(containers.get(`${name}-2`).config).toEqual(containers.get(name).config);
  });
});

test("what only this engine knows is said in a comment", async () => {
  expect(await sandbox.ok("explain", "--as", "docker-run", "lesson")).toContain(
    "# Only sampan run knows: --namespaces, --rootfs.",
  );
});

test("an unknown form is refused by name", async () => {
  const { code, stderr } = await sandbox.cli("explain", "--as", "poem", "nothing");
  expect(code).not.toBe(0);
  expect(stderr).toContain('"poem" is not a valid value for --as');
});

test("words are quoted for a shell only where they must be", () => {
  expect(["a=b", "it's", "", "$x"].map(quote)).toEqual(["a=b", "'it'\\''s'", "''", "'$x'"]);
});
