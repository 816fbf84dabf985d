/** What every controller's file says: for limits as the OCI specification names them, what to write where. */
import { SampanError } from "../../common/error.ts";
import type { SpecResources } from "../spec.ts";

export interface Write {
  readonly path: string;
  readonly data: string;
  /** The flag that asked for it. */
  readonly why: string;
}

/** The container's folder in the hierarchy of a controller. */
export interface Place {
  readonly version: 1 | 2;
  readonly folder: string;
  /** Whether this kernel offers the file in such a folder. */
  has(file: string): boolean;
}

export interface Controller {
  readonly name: string;
  /** Which v1 hierarchy has it, if another name than its own; none: it exists only on v2. */
  readonly v1?: string;
  /** The name in cgroup.controllers; absent: v2 has no such controller, or needs none (cgroup.* files). */
  readonly v2?: string;
  /** What to write for these limits, in an order that the kernel accepts. */
  limits(place: Place, resources: SpecResources): Write[];
}

export const refused = (flag: string, controller: string, reason: string): SampanError =>
  new SampanError("refused", `${flag}: ${reason}`, {
    hint: `Leave ${flag} out, or give this machine what it needs of the ${controller} controller.`,
  });

/** The caller has no cgroup to set limits in. */
export const undelegated = (flag: string, note: string): SampanError =>
  new SampanError("refused", `${flag}: ${note}`, {
    hint: "Run as root, or on cgroup v2 in a session whose cgroup systemd delegates (systemd-run --user --scope).",
  });

/** One write, if the kernel has the file; otherwise the flag is refused by name. */
export function put(
  place: Place,
  controller: string,
  file: string,
  data: string | number,
  flag: string,
): Write {
  if (!place.has(file))
    throw refused(
      flag,
      controller,
      `the ${controller} controller of cgroup v${place.version} has no ${file} here`,
    );
  return { path: `${place.folder}/${file}`, data: String(data), why: flag };
}

export const notOnV2 = (flag: string, controller: string): SampanError =>
  refused(flag, controller, `cgroup v2 has no such limit in its ${controller} controller`);
