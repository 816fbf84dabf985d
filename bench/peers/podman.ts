/** podman: no daemon; a conmon stays with each container. Its storage, run folder and settings are the bench's own. */
import { forgiving, sh, words } from "../command.ts";
import { CGROUP_PARENT } from "../isolate.ts";
import { connection, type Peer, type Setup } from "./peer.ts";
import { processesNamed } from "./processes.ts";

/** podman raises limits by default, which a machine without CAP_SYS_RESOURCE refuses. */
const ULIMITS = words`--ulimit nofile=20000:20000 --ulimit nproc=1000:1000`;

export async function podman(program: string, { folder, layer }: Setup): Promise<Peer> {
  const base = [
    ...words`${program} --root ${folder}/root --runroot /run/containers --tmpdir /run/libpod`,
    ...words`--network-config-dir ${folder}/networks`,
    ...words`--cgroup-manager cgroupfs --events-backend file --log-level error`,
  ];
  const options = [...ULIMITS, "--network", "none", "--cgroup-parent", CGROUP_PARENT];
  sh(...base, "import", "--quiet", layer, "busybox");
  return {
    name: "podman",
    version: sh(program, "--version").replace("podman version ", ""),
    program,
    run: () => [...base, "run", "--rm", ...options, "busybox", "true"],
    images: {
      pull: (reference) => [...base, "pull", "--quiet", "--tls-verify=false", reference],
      load: (file) => [...base, "load", "--quiet", "--input", file],
      save: (image, file) => [...base, "save", "--quiet", "--output", file, image],
      clear: (names) => forgiving([...base, "rmi", "--force", ...names]),
      fill: (name, command) => [...base, "run", "--name", name, ...options, "busybox", ...command],
      commit: (container, image) => [...base, "commit", "--quiet", container, image],
      copy: (from, to) => [...base, "cp", from, to],
      list: [...base, "images"],
      daemons: [],
    },
    background: {
      start: (name, command) => {
        const log = ["--log-driver", "k8s-file", "--log-opt", "max-size=2g"];
        return [...base, "run", "--detach", "--name", name, ...options, ...log, "busybox", ...command];
      },
      exec: (name) => [...base, "exec", name, "true"],
      remove: (names) => [...base, "rm", "--force", "--time", "0", ...names],
    },
    networks: {
      create: (name) => [...base, "network", "create", name],
      delete: (name) => [...base, "network", "rm", name],
      run: (to) => [
        ...base,
        "run",
        "--rm",
        ...ULIMITS,
        "--cgroup-parent",
        CGROUP_PARENT,
        ...connection(to),
        "busybox",
        "true",
      ],
      start: (name, command, to) => [
        ...base,
        ...words`run --detach --name ${name}`,
        ...ULIMITS,
        "--cgroup-parent",
        CGROUP_PARENT,
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
      keepers: () => processesNamed("conmon"),
    },
  };
}
