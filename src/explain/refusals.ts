/**
 * Which system calls a container's seccomp filter refuses, by what they are for. What the default profile's filters refuse was found out
 * when they were made; any other filter is run.
 */
import type { KeptPlan } from "../container/index.ts";
import { judgeSeccomp, type Verdict } from "../runtime/index.ts";
import { READY } from "./refusals-ready.ts";
import type { Refusals } from "./types.ts";

/** The first pattern that fits names the family. */
const FAMILIES: readonly (readonly [family: string, names: RegExp])[] = [
  ["namespaces", /^(?:unshare|setns|clone3?)$/],
  ["mounting", /mount|^(?:fs(?:open|config|pick)|open_tree|pivot_root|swapon|swapoff|quotactl)/],
  [
    "the kernel itself",
    /_module$|^(?:kexec_|reboot|bpf|perf_event|lookup_dcookie|syslog|acct|uselib|.*_kernel_syms)/,
  ],
  ["clocks", /settime|adjtime|^stime$/],
  ["keys", /key/],
  ["other processes", /ptrace|process_|kcmp|pidfd_getfd|move_pages|migrate_pages|mempolicy|^mbind$/],
  ["hardware", /^(?:iopl|ioperm|pciconfig_|vm86|vhangup)/],
  ["names of the machine", /^set(?:host|domain)name$/],
  ["asynchronous i/o", /^io_uring_/],
  ["file handles", /handle_at|^fanotify_init$|^userfaultfd$/],
];

/** By its bytes. */
export const filterKey = (program: Uint8Array): string => Bun.hash(program).toString(16);

/** Undefined: there is no filter that this engine made, or it cannot be read. */
export async function refusalsOf(kept: KeptPlan | undefined): Promise<Refusals | undefined> {
  const step = kept?.steps.find(({ call }) => call === "seccomp");
  if (step?.call !== "seccomp") return undefined;
  const ready = READY[filterKey(step.program)];
  if (ready) return ready;
  const verdicts = await judgeSeccomp(step.program);
  return verdicts && sorted(verdicts);
}

/** What a filter's answers come to. */
export function sorted(verdicts: ReadonlyMap<string, Verdict>): Refusals {
  const families: Record<string, string[]> = {};
  const depends: string[] = [];
  let refused = 0;
  for (const [name, verdict] of verdicts) {
    if (verdict === "allowed") continue;
    if (verdict === "depends") {
      depends.push(name);
      continue;
    }
    refused++;
    const family = FAMILIES.find(([, names]) => names.test(name))?.[0] ?? "old and rare ones";
    (families[family] ??= []).push(name);
  }
  return { refused, of: verdicts.size, families, depends };
}
