/**
 * Containers of Docker, Podman, containerd and LXC, explained. Not part of the suite, since they are large: `npm run test:peers` runs
 * it where they are installed. Each has state folders of its own, in a mount and a network namespace of its own, and leaves
 * nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Explanation } from "../../src/explain/index.ts";
import { BUSYBOX, busyboxArchive } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = new Sandbox();
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const SAID = /^(?:([0-9a-f]{64})|its name is (\S+))$/m;

/** An engine in namespaces of its own: what `start` says last is the container's id or name; `stop` ends it all. */
async function peer(start: string, stop: string) {
  // Podman takes no more than fifty letters.
  const folder = mkdtempSync("/tmp/peer-");
  writeFileSync(`${folder}/hold`, "");
  const script = `set -eu; D=${folder}; exec 2>$D/errors
rootfs() { mkdir -p $D/rootfs/bin $D/rootfs/etc; cp ${BUSYBOX} $D/rootfs/bin/busybox; for a in sh sleep; do ln -s busybox $D/rootfs/bin/$a; done; tar -C $D/rootfs -c .; }
${start}
while [ -e $D/hold ]; do sleep 0.1; done
${stop}`;
  const child = Bun.spawn(["unshare", "--mount", "--net", "sh", "-c", script], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  let said = "";
  while (!SAID.test(said)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(await Bun.file(`${folder}/errors`).text());
    said += new TextDecoder().decode(value);
  }
  const [, id, name] = SAID.exec(said) ?? [];
  return {
    id: id ?? name ?? "",
    async [Symbol.asyncDispose]() {
      rmSync(`${folder}/hold`);
      await child.exited;
      Bun.spawnSync(["rm", "-rf", folder]);
    },
  };
}

interface Peer {
  readonly maker: string;
  readonly called: string;
  readonly program: string;
  readonly start: string;
  readonly stop: string;
  /** It limits the memory to 64 MiB. */
  readonly limited: boolean;
  /** It installs a seccomp filter, and takes these capabilities. */
  readonly mode: "filter" | "off";
  readonly dropped: string;
  readonly masked: readonly string[];
  readonly addresses: readonly string[];
  /** What is said of /bin/sh. */
  readonly file: string;
  /** What only the engine knows. */
  readonly note: string;
}

const USUAL = { dropped: "CAP_SYS_ADMIN", addresses: ["127.0.0.1/8", "::1/128"], masked: ["/proc/keys"] };
const IMAGE = "image, the instruction behind each layer and the flags behind the limits are known only to";

const PEERS: readonly Peer[] = [
  {
    ...USUAL,
    addresses: ["127.0.0.1/8"],
    maker: "docker",
    called: "Docker",
    program: "/usr/sbin/dockerd",
    start: `dockerd --data-root $D/data --exec-root $D/exec -H unix://$D/s --pidfile $D/pid --bridge none --iptables=false >/dev/null &
export DOCKER_HOST=unix://$D/s; for i in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
rootfs | docker import - busybox >/dev/null; id=$(docker run -d --network none --memory 64m --name peer busybox sleep 1000); echo $id`,
    stop: "docker rm -f peer >/dev/null; kill $(cat $D/pid); wait",
    limited: true,
    mode: "filter",
    file: "/bin/busybox is a file of",
    note: `Its name, ${IMAGE} Docker.`,
  },
  {
    ...USUAL,
    maker: "podman",
    called: "Podman",
    program: "/usr/bin/podman",
    start: `P="podman --root $D/root --runroot $D/run --tmpdir $D/tmp --storage-driver vfs --cgroup-manager cgroupfs --runtime /usr/sbin/runc"
rootfs | $P import -q - busybox >/dev/null
$P run -d --network none --ulimit nofile=20000:20000 --ulimit nproc=1000:1000 --name peer busybox sleep 1000`,
    stop: "$P rm -f -t 0 peer >/dev/null",
    limited: false,
    mode: "filter",
    file: "lies in the root filesystem",
    note: `Its name, ${IMAGE} Podman.`,
  },
  {
    ...USUAL,
    maker: "containerd",
    called: "containerd",
    program: "/usr/bin/ctr",
    start: `cat > $D/config.toml <<C
version = 2
root = "$D/root"
state = "$D/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$D/s"
[ttrpc]
  address = "$D/t"
C
containerd -c $D/config.toml >/dev/null & daemon=$!
C="ctr -a $D/s"; for i in $(seq 100); do $C version >/dev/null 2>&1 && break; sleep 0.1; done
$C images import ARCHIVE >/dev/null
name=$(basename $D); $C run -d --memory-limit 67108864 --seccomp docker.io/library/busybox:latest $name sleep 1000
echo its name is $name`,
    stop: `$C tasks rm -f $name >/dev/null; $C containers rm $name; kill $daemon; wait; rmdir /sys/fs/cgroup/*/default || :`,
    limited: true,
    mode: "filter",
    file: "/bin/sh is a file of",
    note: `Its ${IMAGE} containerd.`,
  },
  {
    maker: "lxc",
    called: "LXC",
    program: "/usr/bin/lxc-start",
    start: `rootfs >/dev/null; name=$(basename $D); mkdir $D/rootfs/proc $D/rootfs/sys $D/rootfs/dev $D/$name
cat > $D/$name/config <<C
lxc.rootfs.path = dir:$D/rootfs
lxc.net.0.type = empty
lxc.init.cmd = /bin/sleep 1000
lxc.apparmor.profile = unconfined
lxc.cap.drop = sys_module sys_time
lxc.mount.auto = proc:mixed sys:ro
lxc.cgroup.memory.limit_in_bytes = 64M
C
lxc-start -n $name -P $D; lxc-wait -n $name -P $D -s RUNNING
echo its name is $name`,
    stop: "lxc-stop -k -n $name -P $D; rmdir /sys/fs/cgroup/*/lxc.pivot || :",
    limited: true,
    mode: "off",
    dropped: "CAP_SYS_MODULE",
    masked: [],
    addresses: [],
    file: "lies in the root filesystem",
    note: "What its configuration asked for, and what of that set the limits, is known only to LXC.",
  },
];

describe.each(PEERS)("a container of $called", (engine) => {
  test.skipIf(!existsSync(engine.program))(
    "is shown, with a word on what only its engine knows",
    async () => {
      const { maker, called } = engine;
      await using made = await peer(
        engine.start.replace("ARCHIVE", busyboxArchive(sandbox.root)),
        engine.stop,
      );
      const explain = async (reference: string): Promise<Explanation> =>
        JSON.parse(await sandbox.ok("explain", "--json", reference)) as Explanation;
      const short = /^[0-9a-f]{64}$/.test(made.id) ? made.id.slice(0, 12) : made.id;
      const { pid } = (await explain(made.id)).target;
      for (const reference of new Set([made.id, short, String(pid)])) {
        const found = await explain(reference);
        expect(found.target).toMatchObject({ maker, id: made.id, name: short, comm: "sleep", pid });
        expect(found.summary).toStartWith(
          `${short} is process ${pid} (sleep), a container of ${called}, running`,
        );
        expect(found.namespaces.filter(({ own }) => own).map(({ name }) => name)).toEqual(
          expect.arrayContaining(["mnt", "pid", "net", "uts", "ipc"]),
        );
        expect(found.processes.map(({ role, pid: both }) => [role, both.inside])).toEqual([
          ["parent", undefined],
          ["target", 1],
        ]);
        expect(found.process.capabilities.dropped).toContain(engine.dropped);
        expect(found.process.seccomp.mode).toBe(engine.mode);
        expect(found.network?.interfaces.map(({ name, addresses }) => [name, addresses])).toEqual([
          ["lo", [...engine.addresses]],
        ]);
        expect(found.rootfs?.masked).toEqual(expect.arrayContaining([...engine.masked]));
        expect(found.rootfs?.mounts.map(({ target }) => target)).toEqual(
          expect.arrayContaining(["/proc", "/sys", "/dev"]),
        );
        expect(found.notes).toEqual([engine.note]);
        const memory = found.cgroups.limits.find(({ what }) => what === "memory");
        expect(memory).toMatchObject({ limit: engine.limited ? 64 * 2 ** 20 : null });
      }
      // What joins it is seen to share with it.
      const visitor = Bun.spawn(
        ["nsenter", "-t", String(pid), "--net", "sh", "-c", "echo in; exec sleep 1000"],
        {
          stdin: "ignore",
          stdout: "pipe",
        },
      );
      await visitor.stdout.getReader().read();
      const net = (await explain(made.id)).namespaces.find(({ name }) => name === "net");
      expect(net?.processes).toEqual([visitor.pid]);
      visitor.kill(9);
      await visitor.exited;
      expect(await sandbox.ok("explain", String(pid), "/bin/sh")).toContain(engine.file);
      const plan = await sandbox.cli("explain", "--plan", made.id);
      expect([plan.code, plan.stderr]).toEqual([1, expect.stringContaining("is not known")]);
      const text = await sandbox.ok("explain", made.id);
      for (const heading of ["Processes", "Namespaces", "Cgroups", "Root filesystem", "Process", "Network"])
        expect(text).toMatch(new RegExp(`^${heading}\\b`, "m"));
    },
  );
});
