/**
 * Which kernel settings a container may have: only those that a namespace of its own holds, by an allow-list.
 * Anything else would be the host's (CVE-2022-0811: a value that smuggled in kernel.core_pattern). One key, one write.
 */
import { SampanError } from "../common/error.ts";
import type { NamespaceName, Step } from "../launch/index.ts";

const IPC = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** The namespace that holds a setting; undefined: none does. `key` is dotted. */
export function sysctlNamespace(key: string): NamespaceName | undefined {
  if (key.startsWith("net.")) return "net";
  if (key.startsWith("fs.mqueue.") || IPC.has(key)) return "ipc";
  if (key === "kernel.domainname") return "uts";
  return undefined;
}

/** Letters, digits, `_`, `-`, `.` and `/`, no empty part and no part of dots only: nothing that leaves /proc/sys. */
function wellFormed(key: string): boolean {
  if (!/^[A-Za-z0-9_.:/-]+$/.test(key)) return false;
  return key.split("/").every((part) => part !== "" && part !== "." && part !== "..") && !key.includes("..");
}

export function sysctlSteps(
  settings: Readonly<Record<string, string>> | undefined,
  own: (name: NamespaceName) => boolean,
): Step[] {
  const steps: Step[] = [];
  for (const given in settings) {
    const data = settings[given] ?? "";
    if (!wellFormed(given) || data.includes("\0") || data.includes("\n"))
      throw new SampanError("invalid", `invalid sysctl '${given}=${data}'`);
    // As sysctl(8): where the first separator is a slash, dots belong to the names (net/ipv4/conf/eth0.1/…).
    const slashed =
      given.indexOf("/") >= 0 && (given.indexOf(".") < 0 || given.indexOf("/") < given.indexOf("."));
    const path = slashed ? given : given.replaceAll("/", "\0").replaceAll(".", "/").replaceAll("\0", ".");
    const key = path.replaceAll("/", ".");
    const namespace = sysctlNamespace(key);
    if (namespace === undefined)
      throw new SampanError("invalid", `sysctl '${given}=${data}' is not allowed: no namespace holds it`, {
        hint: "A container may set net.*, fs.mqueue.*, kernel.domainname and the kernel.msg*, sem and shm* of IPC.",
      });
    if (!own(namespace))
      throw new SampanError(
        "invalid",
        `sysctl '${given}=${data}' is not allowed: the container has no ${namespace} namespace of its own`,
      );
    steps.push({ call: "proc", column: "inside", why: `--sysctl ${given}`, path: `sys/${path}`, data });
  }
  return steps;
}
