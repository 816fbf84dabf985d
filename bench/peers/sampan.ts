/** sampan: the executable that the build made, which is told of its folders by the environment (see isolate.ts). */
import { readdirSync, readlinkSync } from "node:fs";
import { sh, words } from "../command.ts";
import { CGROUP_PARENT, SAMPAN_RUN } from "../isolate.ts";
import { connection, type Peer, type Setup } from "./peer.ts";

export const SAMPAN = new URL("../../dist/sampan", import.meta.url).pathname;

export async function sampan(program: string, { archive }: Setup): Promise<Peer> {
  const base = [program];
  sh(...base, "load", "--input", archive);
  const options = ["--network", "none", "--cgroup-parent", CGROUP_PARENT];
  return {
    name: "sampan",
    version: sh(program, "--version").replace(/^.*version /, ""),
    program,
    run: () => [...base, "run", "--rm", ...options, "busybox", "true"],
    images: {
      pull: (reference) => [...base, "pull", "--quiet", reference],
      load: (file) => [...base, "load", "--quiet", "--input", file],
      save: (image, file) => [...base, "save", "--output", file, image],
      clear: (names) => [...base, "rmi", "--force", ...names],
      fill: (name, command) => [...base, "run", "--name", name, ...options, "busybox", ...command],
      commit: (container, image) => [...base, "commit", container, image],
      copy: (from, to) => [...base, "cp", from, to],
      list: [...base, "images"],
      daemons: [],
    },
    background: {
      start: (name, command) => {
        // The default keeps 30 MB; the others keep everything.
        const log = ["--log-opt", "max-size=2g"];
        return [...base, "run", "--detach", "--name", name, ...options, ...log, "busybox", ...command];
      },
      exec: (name) => [...base, "exec", name, "true"],
      remove: (names) => [...base, "rm", "--force", ...names],
    },
    networks: {
      create: (name) => [...base, "network", "create", name],
      delete: (name) => [...base, "network", "rm", name],
      run: (to) => [
        ...base,
        "run",
        "--rm",
        "--cgroup-parent",
        CGROUP_PARENT,
        ...connection(to),
        "busybox",
        "true",
      ],
      start: (name, command, to) => [
        ...base,
        ...words`run --detach --name ${name}`,
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
      keepers: () => keepers(SAMPAN_RUN),
    },
  };
}

/** Each live container has a folder in the run folder, whose link `pid` begins with its keeper's. */
function keepers(run: string): number[] {
  return readdirSync(run)
    .filter((id) => /^[0-9a-f]{12}$/.test(id))
    .map((id) => Number.parseInt(readlinkSync(`${run}/${id}/pid`), 10));
}
