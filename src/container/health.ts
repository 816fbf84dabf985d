/** The health check's process: one that joins the container as an exec does, started by the keeper again and again. */

import type { Step } from "../launch/index.ts";
import { type CompileExec, compileExec, type Spec } from "../runtime/index.ts";
import { healthWords } from "./keeper.ts";
import type { StoredContainer } from "./rows.ts";
import { foreignNamespaces } from "./spec.ts";

/** `spec` is the container's own: the check runs as its user, with its environment and its rights. */
export function healthSteps(
  container: StoredContainer,
  spec: Spec,
  place: Pick<CompileExec, "cgroupHost" | "cgroupPath" | "seccomp" | "denySetgroups">,
): Step[] | undefined {
  const test = container.config.healthcheck?.test;
  if (!test || !spec.process) return undefined;
  const { consoleSize: _, ...own } = spec.process;
  return compileExec({
    id: container.id,
    // The keeper knows which process runs when the check does.
    peer: { pid: 0, start: 0n },
    namespaces: foreignNamespaces(container.config),
    process: { ...own, terminal: false, args: healthWords(test) },
    ...place,
  });
}
