/** The first plank: each kind of namespace, made once. */
import type { NamespaceName } from "../../launch/index.ts";
import { KINDS } from "../namespaces.ts";
import { attempt, born, isRootless, type Refusal } from "./attempt.ts";
import { sysctl } from "./facts.ts";
import type { Finding } from "./types.ts";

const COSTS: Readonly<Record<NamespaceName, string>> = {
  mnt: "all of run",
  pid: "run without --pid host",
  net: "run without --network host",
  uts: "run without --uts host",
  ipc: "run without --ipc host",
  cgroup: "run without --cgroupns host",
  user: "--userns private, and all of run without root",
  time: "--namespaces with time",
};
const CONFIG: Readonly<Partial<Record<NamespaceName, string>>> = {
  mnt: "",
  user: "CONFIG_USER_NS",
  time: "CONFIG_TIME_NS",
};

/** Rules that keep a caller without root from making a user namespace, and how they are lifted. */
const GATES = [
  ["kernel.unprivileged_userns_clone", "0", "1"],
  ["kernel.apparmor_restrict_unprivileged_userns", "1", "0"],
] as const;

function reason(name: NamespaceName, { errno, message }: Refusal): Pick<Finding, "detail" | "fix"> {
  const limit = `user.max_${name}_namespaces`;
  if (errno === "ENOSPC" || sysctl(limit) === "0")
    return {
      detail: `the limit ${limit} of ${sysctl(limit) ?? "?"} is reached`,
      fix: `sysctl -w ${limit}=15000`,
    };
  if (errno === "EINVAL")
    return {
      detail: "this kernel was built without it",
      fix: `a kernel with ${CONFIG[name] || `CONFIG_${name.toUpperCase()}_NS`}`,
    };
  if (isRootless())
    for (const [gate, shut, open] of GATES)
      if (sysctl(gate) === shut) return { detail: `${gate} is ${shut}`, fix: `sysctl -w ${gate}=${open}` };
  if (errno === "EPERM")
    return {
      detail: isRootless() ? "not permitted to this user" : "not permitted: this root has no CAP_SYS_ADMIN",
      fix: isRootless()
        ? "look for a security module's rule: dmesg | tail"
        : "in a container of another engine: --privileged, or --cap-add SYS_ADMIN with seccomp unconfined",
    };
  return { detail: message };
}

export async function namespaceFindings(): Promise<Finding[]> {
  return Promise.all(
    KINDS.map(async (name): Promise<Finding> => {
      const refusal = await attempt(born(name));
      const needed = (name === "user" && isRootless()) || (name !== "user" && name !== "time");
      const common = { area: "namespaces", name, needed } as const;
      return refusal
        ? { ...common, state: "no", ...reason(name, refusal), costs: COSTS[name] }
        : { ...common, state: "works", detail: "" };
    }),
  );
}

/** Rules that are in nobody's way now but in a user's. */
export function gateFindings(): Finding[] {
  return GATES.flatMap(([gate, shut, open]): Finding[] =>
    sysctl(gate) === shut
      ? [
          {
            area: "without root",
            name: gate,
            state: isRootless() ? "no" : "limited",
            detail: `it is ${shut}: only root makes user namespaces`,
            fix: `sysctl -w ${gate}=${open}`,
            costs: "run without root",
            needed: false,
          },
        ]
      : [],
  );
}
