/**
 * docker: a dockerd with folders and a socket of its own. What is compared is containers and not networks: every figure is
 * with `--network none`, but those of the part that is about networks.
 */
import { existsSync } from "node:fs";
import { forgiving, sh, words } from "../command.ts";
import { CGROUP_PARENT } from "../isolate.ts";
import { connection, type Peer, type Setup } from "./peer.ts";
import { processesNamed } from "./processes.ts";

const START_TIMEOUT = 30_000;

export async function docker(program: string, { folder, layer }: Setup): Promise<Peer> {
  const socket = `unix://${folder}/docker.sock`;
  const base = words`${program} --host ${socket} --config ${folder}/client`;
  const stop = await startDaemon(folder, socket);
  sh(...base, "import", layer, "busybox");
  const options = ["--network", "none"];
  return {
    name: "docker",
    version: sh(...base, "version", "--format", "{{.Server.Version}}"),
    program,
    run: () => [...base, "run", "--rm", ...options, "busybox", "true"],
    images: {
      pull: (reference) => [...base, "pull", "--quiet", reference],
      load: (file) => [...base, "load", "--quiet", "--input", file],
      save: (image, file) => [...base, "save", "--output", file, image],
      clear: (names) => forgiving([...base, "rmi", "--force", ...names]),
      fill: (name, command) => [...base, "run", "--name", name, ...options, "busybox", ...command],
      commit: (container, image) => [...base, "commit", container, image],
      copy: (from, to) => [...base, "cp", from, to],
      list: [...base, "images"],
      daemons: ["dockerd", "containerd"],
    },
    background: {
      start: (name, command) => [
        ...base,
        "run",
        "--detach",
        "--name",
        name,
        ...options,
        "busybox",
        ...command,
      ],
      exec: (name) => [...base, "exec", name, "true"],
      remove: (names) => [...base, "rm", "--force", ...names],
    },
    networks: {
      create: (name) => [...base, "network", "create", name],
      delete: (name) => [...base, "network", "rm", name],
      run: (to) => [...base, "run", "--rm", ...connection(to), "busybox", "true"],
      start: (name, command, to) => [
        ...base,
        ...words`run --detach --name ${name}`,
        ...connection(to),
        "busybox",
        ...command,
      ],
      pid: (name) => [...base, "inspect", "--format", "{{.State.Pid}}", name],
    },
    books: {
      wait: (name) => [...base, "wait", name],
      logs: (name) => [...base, "logs", name],
      list: () => [...base, "ps"],
      keepers: () => processesNamed("containerd-shim"),
    },
    stop,
  };
}

/** Returns what stops it again. */
async function startDaemon(folder: string, socket: string): Promise<() => Promise<void>> {
  const log = Bun.file(`${folder}/dockerd.log`);
  const daemon = Bun.spawn(
    [
      ...words`dockerd --data-root ${folder}/data --exec-root /run/docker --host ${socket}`,
      ...words`--pidfile ${folder}/pid --cgroup-parent ${CGROUP_PARENT}`,
    ],
    // A session of its own: an interrupt is for the bench, which then stops it in order.
    { stdio: ["ignore", log, log], detached: true },
  );
  const stop = async (): Promise<void> => {
    daemon.kill("SIGTERM");
    await daemon.exited;
  };
  const deadline = Date.now() + START_TIMEOUT;
  const answers = () =>
    Bun.spawnSync(["docker", "--host", socket, "version"], { stdio: ["ignore", "ignore", "ignore"] }).success;
  while (!existsSync(`${folder}/docker.sock`) || !answers()) {
    if (daemon.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`dockerd did not start:\n${(await log.text()).split("\n").slice(-10).join("\n")}`);
    }
    await Bun.sleep(100);
  }
  return stop;
}
