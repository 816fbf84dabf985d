/**
 * Containers of Docker and Podman, explained. Not part of the suite, since both are large: `npm run test:peers` runs it where they
 * are installed. Each has state folders of its own, in a mount and a network namespace of its own, and leaves nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Explanation } from "../../src/explain/index.ts";
import { BUSYBOX } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = new Sandbox();
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

/** An engine in namespaces of its own: what `start` prints last is the container's id; `stop` ends it all. */
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
  while (!/^[0-9a-f]{64}$/m.test(said)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(await Bun.file(`${folder}/errors`).text());
    said += new TextDecoder().decode(value);
  }
  return {
    id: /^[0-9a-f]{64}$/m.exec(said)?.[0] ?? "",
    async [Symbol.asyncDispose]() {
      rmSync(`${folder}/hold`);
      await child.exited;
      Bun.spawnSync(["rm", "-rf", folder]);
    },
  };
}

const PEERS = [
  [
    "docker",
    "/usr/sbin/dockerd",
    `dockerd --data-root $D/data --exec-root $D/exec -H unix://$D/s --pidfile $D/pid --bridge none --iptables=false >/dev/null &
export DOCKER_HOST=unix://$D/s; for i in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
rootfs | docker import - busybox >/dev/null; id=$(docker run -d --network none --memory 64m --name peer busybox sleep 1000); echo $id`,
    "docker rm -f peer >/dev/null; kill $(cat $D/pid); wait",
  ],
  [
    "podman",
    "/usr/bin/podman",
    `P="podman --root $D/root --runroot $D/run --tmpdir $D/tmp --storage-driver vfs --cgroup-manager cgroupfs --runtime /usr/sbin/runc"
rootfs | $P import -q - busybox >/dev/null
$P run -d --network none --ulimit nofile=20000:20000 --ulimit nproc=1000:1000 --name peer busybox sleep 1000`,
    "$P rm -f -t 0 peer >/dev/null",
  ],
] as const;

describe.each(PEERS)("a container of %s", (maker, program, start, stop) => {
  test.skipIf(!existsSync(program))("is shown, with a word on what only its engine knows", async () => {
    await using made = await peer(start, stop);
    for (const reference of [made.id, made.id.slice(0, 12)]) {
      const found = JSON.parse(await sandbox.ok("explain", "--json", reference)) as Explanation;
      expect(found.target).toMatchObject({ maker, id: made.id, comm: "sleep" });
      expect(found.summary).toContain(`a container of ${maker === "docker" ? "Docker" : "Podman"}`);
      expect(found.namespaces.filter(({ own }) => own).map(({ name }) => name)).toEqual(
        expect.arrayContaining(["mnt", "pid", "net", "uts", "ipc"]),
      );
      expect(found.process.capabilities.dropped).toContain("CAP_SYS_ADMIN");
      expect(found.process.seccomp.mode).toBe("filter");
      expect(found.network?.interfaces.map(({ name }) => name)).toEqual(["lo"]);
      expect(found.rootfs?.masked).toContain("/proc/keys");
      expect(found.notes.join()).toContain("are known only to");
      if (maker === "docker")
        expect(found.cgroups.limits.find(({ what }) => what === "memory")?.limit).toBe(64 * 2 ** 20);
    }
    const pid = (JSON.parse(await sandbox.ok("explain", "--json", made.id)) as Explanation).target.pid;
    const shell = await sandbox.ok("explain", String(pid), "/bin/sh");
    expect(shell).toContain(maker === "docker" ? "/bin/busybox is a file of" : "lies in the root filesystem");
    const plan = await sandbox.cli("explain", "--plan", made.id);
    expect([plan.code, plan.stderr]).toEqual([1, expect.stringContaining("is not known")]);
  });
});
