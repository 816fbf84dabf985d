/** A check-up of this machine: every primitive that containers are made of, tried once. */
import { type Paths, paths } from "../../common/paths.ts";
import { release } from "../../kernel/version.ts";
import { isRootless } from "./attempt.ts";
import { cgroupFindings } from "./cgroups.ts";
import { fileFindings } from "./files.ts";
import { gateFindings, namespaceFindings } from "./namespaces.ts";
import { machineFindings, networkFindings, processFindings, rootlessFindings } from "./rest.ts";
import type { Diagnosis } from "./types.ts";

/** `root`: the state folder that is asked about; default: the caller's own. No engine is opened for it. */
export async function doctor({ root }: { readonly root?: string } = {}): Promise<Diagnosis> {
  const at: Paths = paths(root);
  const found = await Promise.all([
    namespaceFindings(),
    cgroupFindings(),
    fileFindings(at),
    processFindings(),
    networkFindings(),
    [...rootlessFindings(), ...gateFindings()],
    machineFindings(),
  ]);
  const findings = found.flat();
  return {
    works: findings.every(({ needed, state }) => !needed || state !== "no"),
    rootless: isRootless(),
    kernel: release(),
    findings,
  };
}

export { diagnosisText } from "./text.ts";
export type { Area, Diagnosis, Finding } from "./types.ts";
