/**
 * What `--as docker-run` and `--as compose` print, given to Docker and to Docker's own Compose: both make the same container there. Not part of
 * the suite, since they are large; `npm run test:peers` installs them where it may. The daemon has folders of its own, in a mount
 * and a network namespace of its own, and leaves nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { BUSYBOX, busyboxArchive } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";
import { CASES } from "./cases.ts";

const PROGRAMS = { "/usr/sbin/dockerd": "docker.io", "/usr/bin/docker-compose": "docker-compose" };
const missing = (): string[] =>
  Object.entries(PROGRAMS).flatMap(([program, name]) => (existsSync(program) ? [] : [name]));
if (missing().length > 0 && process.getuid?.() === 0)
  Bun.spawnSync(["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing()], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "inherit"],
  });
if (missing().length > 0)
  console.error(`NOT TRIED, for want of ${missing().join(" and ")}: Docker's Compose`);

/** What Debian's Docker (20.10) and Compose (1.29) do not know yet: flags with their values, and a part of one. */
const NEWER: readonly (readonly [flag: string, value: string])[] = [
  ["--timeout", "60s"],
  ["--annotation", "n=o"],
  ["--cgroupns", "host"],
  ["--uts", "host"],
  ["--mac-address", "02:"],
  ["--network", "name=other"],
  // Compose says it when it starts the container, and this one is only made.
  ["--link", "donor:d"],
];
const PART = ",tmpfs-mode=700";

/** The case's flags, for the image that Docker has. */
function flagsOf(name: string): string[] {
  const all = [...(CASES[name] ?? [])];
  all[all.lastIndexOf("host")] = "busybox";
  const newer = (flag = "", value = ""): boolean =>
    NEWER.some(([known, begin]) => flag === known && value.startsWith(begin));
  return all.flatMap((word, at) =>
    newer(word, all[at + 1]) || newer(all[at - 1], word) ? [] : [word.replace(PART, "")],
  );
}

/** Each its own: of the container, of the moment, and whom a command line attaches. */
const OWN = [
  ..."Id Created HostnamePath HostsPath LogPath ResolvConfPath GraphDriver State Hostname".split(" "),
  ..."AttachStdin AttachStdout AttachStderr StdinOnce".split(" "),
];
const NOTHING = ['""', "null", "false", "0", "[]", "{}"];

/** Without what is nothing, in whichever spelling; lists have an order of the client's. */
function essence(value: unknown, key = ""): unknown {
  if (Array.isArray(value))
    return (
      value
        // A service is called by its name on its networks.
        .filter((each) => key !== "Aliases" || !(String(each) in CASES))
        .map((each) => essence(each))
        .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    );
  if (typeof value === "object" && value !== null) {
    const kept = Object.entries(value)
      .filter(([name]) => !OWN.includes(name) && !name.startsWith("com.docker.compose"))
      .map(([name, each]) => [name, essence(each, name)] as const)
      .filter(([, each]) => !NOTHING.includes(JSON.stringify(each)));
    return Object.fromEntries(kept);
  }
  if (key === "NetworkMode" && value === "default") return "bridge";
  if (key === "Name" && value === "no") return "";
  return typeof value === "string" ? value.replace(/^CAP_/, "") : value;
}

describe.skipIf(missing().length > 0)("Docker makes the same of the line and of the service", () => {
  let sandbox: Sandbox;
  let folder: string;
  let daemon: Bun.Subprocess<"ignore", "pipe", "inherit">;

  /** In the daemon's namespaces, with its socket. */
  async function docker(script: string): Promise<string> {
    const child = Bun.spawn(["sh", "-ec", script], {
      cwd: folder,
      env: { ...process.env, DOCKER_HOST: `unix://${folder}/s` },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(`${script}\n${out}${errors}`);
    return out.trim();
  }

  const inspect = async (name: string): Promise<unknown> => {
    const [found] = JSON.parse(await docker(`docker inspect ${name}`)) as unknown[];
    await docker(`docker rm ${name}`);
    return essence(found);
  };

  beforeAll(async () => {
    sandbox = new Sandbox();
    folder = mkdtempSync("/tmp/peer-");
    mkdirSync(`${folder}/rootfs/bin`, { recursive: true });
    for (const name of ["sh", "true", "cat"]) symlinkSync("busybox", `${folder}/rootfs/bin/${name}`);
    await sandbox.ok("load", "-i", busyboxArchive(sandbox.root));
    const networks = [
      "network create --ipv6 --subnet 10.78.0.0/24 --subnet fd78::/64 mine",
      "create --name donor busybox true",
    ];
    for (const words of networks) await sandbox.ok(...words.split(" "));
    const script = `D=${folder}; cp ${BUSYBOX} $D/rootfs/bin/busybox; ip link set lo up
dockerd --data-root $D/data --exec-root $D/exec -H unix://$D/s --pidfile $D/pid --iptables=false >$D/log 2>&1 &
export DOCKER_HOST=unix://$D/s; until docker version >/dev/null 2>&1; do kill -0 $!; sleep 0.1; done
tar -C $D/rootfs -c . | docker import - busybox >/dev/null
${networks.map((words) => `docker ${words} >/dev/null`).join("\n")}
echo ready; wait`;
    daemon = Bun.spawn(["unshare", "--mount", "--net", "sh", "-ec", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const { done } = await daemon.stdout.getReader().read();
    if (done) throw new Error(await Bun.file(`${folder}/log`).text());
  });
  afterAll(async () => {
    await docker("docker rm -f $(docker ps -aq) >/dev/null; kill $(cat pid)");
    await daemon.exited;
    rmSync(folder, { recursive: true, force: true });
    await sandbox[Symbol.asyncDispose]();
  });

  test.each(Object.keys(CASES).filter((name) => name !== "lesson"))("%s", async (name) => {
    await sandbox.ok("create", "--name", name, ...flagsOf(name));
    const line = await sandbox.ok("explain", "--as", "docker-run", name);
    writeFileSync(`${folder}/line`, line.replace("docker run", "docker create"));
    writeFileSync(`${folder}/c.yaml`, await sandbox.ok("explain", "--as", "compose", name));
    await docker("docker-compose -f c.yaml config -q");
    await docker("sh -e line");
    const byLine = await inspect(name);
    await docker("docker-compose -p peer -f c.yaml up --no-start");
    expect(await inspect(name)).toEqual(byLine);
    // And it is what was asked for: nothing was lost on both ways.
    const created = flagsOf(name)
      .map((word) => Bun.$.escape(word))
      .join(" ");
    await docker(`docker create --name ${name} ${created}`);
    expect(await inspect(name)).toEqual(byLine);
  });
});
