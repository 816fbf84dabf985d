/** What the figures were taken on: without it they say nothing. */
import { readFileSync } from "node:fs";
import { availableParallelism, release, totalmem } from "node:os";
import type { Peer } from "./peers/peer.ts";

export function machineFacts(peers: readonly Peer[]): string[] {
  const processor = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? process.arch;
  return [
    `${availableParallelism()} cores (${processor}), ${Math.round(totalmem() / 2 ** 30)} GB`,
    `Linux ${release()}, ${cgroupKind()}`,
    `${peers.map(({ name, version }) => `${name} ${version}`).join(", ")}, Bun ${Bun.version}`,
    new Date().toISOString().slice(0, 10),
  ];
}

function cgroupKind(): string {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const v2 = mounts.includes(" - cgroup2 ");
  return mounts.includes(" - cgroup ") ? (v2 ? "cgroup v1 and v2 (hybrid)" : "cgroup v1") : "cgroup v2";
}
