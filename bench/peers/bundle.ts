/** OCI bundles for bare runtimes: what their own `spec` command writes, with what a bench needs changed. */
import { mkdirSync, writeFileSync } from "node:fs";
import { type Command, sh } from "../command.ts";
import { CGROUP_PARENT } from "../isolate.ts";
import type { Peer, PeerName, Setup } from "./peer.ts";

/** The parts of config.json that change. */
interface Config {
  process: { args: string[]; terminal: boolean; rlimits?: unknown };
  root: { path: string; readonly: boolean };
  linux: { cgroupsPath?: string };
}

/** A peer that is a bare runtime with runc's command line. */
export async function runtime(
  name: PeerName & ("runc" | "crun"),
  program: string,
  setup: Setup,
): Promise<Peer> {
  const { folder, rootfs } = setup;
  const version = /version (\S+)/.exec(sh(program, "--version"))?.[1] ?? "";
  // Its state is in /run, where it is by default.
  const base: Command = [program];
  sh("sh", "-c", 'cd "$1" && exec "$2" spec', "sh", folder, program);
  const template = await Bun.file(`${folder}/config.json`).text();

  const bundle = (id: string, args: Command): string => {
    const config: Config = JSON.parse(template);
    config.process.args = [...args];
    config.process.terminal = false;
    // Limits may not be raised on a machine without CAP_SYS_RESOURCE, and no peer sets any.
    delete config.process.rlimits;
    config.root = { path: rootfs, readonly: false };
    config.linux.cgroupsPath = `${CGROUP_PARENT}/${name}-${id}`;
    mkdirSync(`${folder}/${id}`, { recursive: true });
    writeFileSync(`${folder}/${id}/config.json`, JSON.stringify(config));
    return `${folder}/${id}`;
  };

  const once = bundle("once", ["true"]);
  return {
    name,
    version,
    program,
    run: () => [...base, "run", "--bundle", once, `${name}-once`],
    background: {
      start: (id, command) => [...base, "run", "--detach", "--bundle", bundle(id, command), id],
      exec: (id) => [...base, "exec", id, "true"],
      // One at a time: neither takes several.
      remove: (ids) => ["sh", "-c", `for id; do ${base.join(" ")} delete --force "$id"; done`, "sh", ...ids],
    },
  };
}
