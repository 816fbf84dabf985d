/**
 * What `inspect` shows beside Docker's for the same words: names of members, types, null or an empty list, and values where they
 * come from what was asked for. Not part of the suite, since a dockerd is large: `npm run test:peers` runs it where one is installed.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { Docker, NO_DOCKER } from "../support/docker.ts";
import { busyboxMembers, layerTar } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

setDefaultTimeout(60_000);

/** Members that each engine fills by itself: times, ids, places. Their types must be the same. */
const OWN = new Set(
  "Id Created StartedAt FinishedAt LastTagTime CreatedAt Pid Image ResolvConfPath HostnamePath HostsPath LogPath Hostname SandboxID SandboxKey NetworkID EndpointID LowerDir MergedDir UpperDir WorkDir Mountpoint Start End Size DockerVersion Runtime MaskedPaths ReadonlyPaths Aliases".split(
    " ",
  ),
);

/** Of a daemon older than 28, or on cgroup v1: not what Docker 28 answers on cgroup v2. */
const OTHER = new Set(
  "KernelMemory KernelMemoryTCP GwPriority DNSNames OomKillDisable CgroupnsMode NetworkMode ContainerConfig Container VirtualSize Gateway EnableIPv4 AppArmorProfile".split(
    " ",
  ),
);

/** An image is layers here, and no folder of its own to be mounted. */
const IMAGE = new Set(["MergedDir", "WorkDir"]);

const kind = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : typeof value;

/** Lists that are in no order. */
const UNORDERED = new Set(["Mounts", "Binds"]);
const ordered = (list: readonly unknown[]): readonly unknown[] =>
  list.toSorted((a, b) => target(a).localeCompare(target(b)));
const target = (of: unknown): string =>
  typeof of === "string" ? of : String((of as Record<string, unknown>)["Destination"]);

/** Every place in which they differ, with Docker's value first. */
function differences(theirs: unknown, ours: unknown, place = "", name = ""): string[] {
  if (OTHER.has(name)) return [];
  const shown = (value: unknown): string => JSON.stringify(value) ?? "absent";
  if (kind(theirs) !== kind(ours))
    return IMAGE.has(name) && ours === undefined
      ? []
      : [`${place}: ${shown(theirs)}, and here ${shown(ours)}`];
  if (OWN.has(name)) return [];
  if (Array.isArray(theirs) && Array.isArray(ours)) {
    if (theirs.length !== ours.length) return [`${place}: ${shown(theirs)}, and here ${shown(ours)}`];
    const [a, b] = UNORDERED.has(name) ? [ordered(theirs), ordered(ours)] : [theirs, ours];
    return a.flatMap((item, i) => differences(item, b[i], `${place}[${i}]`, ""));
  }
  if (kind(theirs) === "object") {
    const [a, b] = [theirs as Record<string, unknown>, ours as Record<string, unknown>];
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
      differences(a[key], b[key], `${place}.${key}`, key),
    );
  }
  return theirs === ours ? [] : [`${place}: ${shown(theirs)}, and here ${shown(ours)}`];
}

describe.skipIf(NO_DOCKER !== undefined)(
  `inspect and Docker${NO_DOCKER ? ` (skipped: ${NO_DOCKER})` : ""}`,
  () => {
    let docker: Docker;
    let box: Sandbox;
    let files: string;
    beforeAll(async () => {
      docker = new Docker();
      box = new Sandbox();
      await docker.up();
      const layer = `${box.root}/layer.tar`;
      writeFileSync(layer, layerTar(busyboxMembers()));
      files = mkdtempSync(`${tmpdir()}/sampan-peers-`);
      writeFileSync(`${files}/file`, "");
      for (const engine of [docker, box]) {
        await engine.ok("import", layer, "busybox");
        await engine.ok("volume", "create", "--label", "a=b", "vol");
      }
    });
    afterAll(async () => {
      await box?.[Symbol.asyncDispose]();
      await docker?.[Symbol.asyncDispose]();
      rmSync(files, { recursive: true, force: true });
    });

    /** What an engine prints, with its own folder and ids made everybody's. */
    const parsed = (text: string, folder: string): unknown =>
      JSON.parse(text.replaceAll(folder, "FOLDER").replaceAll(/[0-9a-f]{64}/g, "ID"));

    const rich =
      "-it -p 127.0.0.1:8282:80 --expose 90 -v vol:/v -v ROOT/file:/b:ro -v /anon --tmpfs /t --mount type=bind,src=ROOT/file,dst=/p -e A=B -l x=y --restart on-failure:2 -m 64m --cpus 0.5 --cap-add NET_ADMIN --cap-drop MKNOD --ulimit nofile=100:200 --health-cmd true --health-interval 1h --dns 1.1.1.1 --dns-search d --add-host h:1.2.3.4 --init --stop-signal TERM --stop-timeout 3 -u 1:1 -w /wd --entrypoint sh --log-opt max-size=1m --device /dev/null:/dev/other --security-opt no-new-privileges --shm-size 32m --hostname named --pids-limit 50 busybox";

    test.each([
      ["plain", "run -d", "busybox sleep 1000"],
      ["rich", "run -d", rich],
      ["created", "create --rm", "busybox true"],
      ["ended", "run", "busybox true"],
      ["attached", "create -i -a stdout", "busybox true"],
    ])("a container: %s", async (name, begin, rest) => {
      const words = `${begin} --name ${name} --network none ${rest}`.replaceAll("ROOT", files).split(" ");
      for (const engine of [docker, box]) await engine.ok(...words);
      const theirs = parsed(docker.ok("inspect", name), `${docker.folder}/data`);
      const ours = parsed(await box.ok("inspect", name), box.root);
      for (const engine of [docker, box]) await engine.ok("rm", "-f", "-v", name);
      expect(differences(theirs, ours)).toEqual([]);
    });

    test.each([
      ["image", "busybox"],
      ["volume", "vol"],
      ["network", "none"],
      ["network", "host"],
    ])("%s %s", async (type, name) => {
      const theirs = parsed(docker.ok(type, "inspect", name), `${docker.folder}/data`);
      const ours = parsed(await box.ok(type, "inspect", name), box.root);
      expect(differences(theirs, ours)).toEqual([]);
    });
  },
);
