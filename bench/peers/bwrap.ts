/** bubblewrap: namespaces and mounts, no cgroup, no overlay, no record. Nobody who does more can be faster. */
import { sh } from "../command.ts";
import type { Peer, Setup } from "./peer.ts";

export async function bwrap(program: string, { rootfs }: Setup): Promise<Peer> {
  return {
    name: "bwrap",
    version: sh(program, "--version").replace("bubblewrap ", ""),
    program,
    run: () => [program, "--unshare-all", "--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "true"],
  };
}
