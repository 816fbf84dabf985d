/**
 * One more process in a container that runs: a plan that joins instead of making. All namespaces are entered in one
 * setns through a pidfd whose start time is checked, so that a pid that was used again cannot be meant.
 */
import { parseCgroup, procFile } from "../kernel/proc.ts";
import { CLONE, type NamespaceName, type Step } from "../launch/index.ts";
import { type CgroupHost, enterStep, unifiedFolder } from "./cgroups/index.ts";
import type { Peer } from "./namespaces.ts";
import { pdeathsigStep, processSteps, settingSteps } from "./process.ts";
import type { Filter } from "./seccomp/index.ts";
import type { SpecProcess } from "./spec.ts";

export interface CompileExec {
  readonly id: string;
  /** The container's own process. In a health plan pid 0 stands for whichever runs then. */
  readonly peer: Peer;
  /** Those in which it is not where the host is. */
  readonly namespaces: readonly NamespaceName[];
  readonly process: SpecProcess;
  readonly cgroupHost: CgroupHost;
  readonly cgroupPath?: string;
  readonly seccomp?: Filter;
  readonly denySetgroups?: boolean;
}

/**
 * The v2 folder for the new process: the container's, or the one beneath it where the container's own process is by
 * now. A container that divides its cgroup (systemd and Docker inside do) leaves no process in the folders above.
 */
function bornIn(host: CgroupHost, path: string, pid: number): string | undefined {
  const folder = unifiedFolder(host, path);
  if (host.kind !== "v2" || pid === 0) return folder;
  for (const { hierarchy, path: own } of parseCgroup(procFile(pid, "cgroup") ?? ""))
    if (hierarchy === 0 && folder !== undefined && `${host.unified}${own}`.startsWith(`${folder}/`))
      return host.unified + own;
  return folder;
}

export function compileExec(input: CompileExec): Step[] {
  const { peer, namespaces, process, cgroupHost: host, cgroupPath: path } = input;
  let flags = 0;
  for (const name of namespaces) flags |= CLONE[name];
  const birth = path === undefined ? undefined : bornIn(host, path, peer.pid);
  // In the container's cgroup before anything of its own is touched: what it costs is the container's cost.
  const enter: Step[] = [];
  if (path !== undefined) for (const { mount } of host.hierarchies) enter.push(enterStep(mount + path));
  const { height = 0, width = 0 } = process.consoleSize ?? {};
  const context = {
    id: input.id,
    ...(input.seccomp ? { seccomp: input.seccomp } : {}),
    ...(input.denySetgroups ? { denySetgroups: true } : {}),
  };
  return [
    {
      call: "clone",
      column: "outside",
      why: "exec",
      flags: 0,
      ...(birth === undefined ? {} : { cgroup: birth }),
    },
    ...enter,
    ...(flags === 0
      ? []
      : [
          {
            call: "join",
            column: "inside",
            why: "exec",
            pid: peer.pid,
            start: peer.start,
            flags: flags >>> 0,
          } as const,
        ]),
    // A pid namespace is entered by children only; the sibling is born in the cgroup that its maker is in.
    ...(namespaces.includes("pid")
      ? [{ call: "clone", column: "inside", why: "exec", flags: 0 } as const]
      : []),
    pdeathsigStep(),
    ...(process.terminal
      ? [{ call: "console", column: "inside", why: "--tty", rows: height, columns: width } as const]
      : []),
    ...settingSteps(process, context),
    ...processSteps(process, context),
  ];
}
