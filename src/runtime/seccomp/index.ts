/**
 * Which system calls a process may make: the default profile, one from a file, or the specification's own. The
 * default's filter is ready for the usual capabilities; everything else is assembled, by code that is loaded then.
 */
import { capabilityMask } from "../capabilities.ts";
import type { SpecSeccomp } from "../spec.ts";
import { PROGRAMS } from "./builtin.ts";
import type { Verdict } from "./judge.ts";

export type { Verdict };

/** A seccomp filter as a plan carries it. */
export interface Filter {
  /** An array of struct sock_filter. */
  readonly program: Uint8Array;
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags: number;
}

export type SeccompChoice = "builtin" | "unconfined" | SpecSeccomp;

/** SECCOMP_FILTER_FLAG_SPEC_ALLOW: no slow-down against speculation where nobody asked for it; the kernel's own default. */
const SPEC_ALLOW = 4;
const FLAGS: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: SPEC_ALLOW,
};

/** Bits of profile.ts's SECCOMP_CAPABILITIES, which is not loaded for this; a test compares the two. */
export const RELEVANT = 0xc4_06ff_0004n;

/** The filter for a process with these capabilities in its bounding set; undefined: none. */
export async function seccompFilter(
  choice: SeccompChoice,
  capabilities: readonly string[],
): Promise<Filter | undefined> {
  if (choice === "unconfined") return undefined;
  if (choice !== "builtin") {
    const { assemble } = await import("./assemble.ts");
    const flags = choice.flags?.reduce((all, name) => all | (FLAGS[name] ?? 0), 0) ?? SPEC_ALLOW;
    return { program: assemble(choice), flags };
  }
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  const ready = PROGRAMS[`${arch} ${capabilityMask(capabilities) & RELEVANT}`];
  if (ready !== undefined) return { program: Uint8Array.fromBase64(ready), flags: SPEC_ALLOW };
  const [{ assemble }, { profileFor }] = await Promise.all([import("./assemble.ts"), import("./profile.ts")]);
  return { program: assemble(profileFor(capabilities, arch)), flags: SPEC_ALLOW };
}

/** The default profile as the specification writes it: for `explain` and for whoever passes the container on. */
export async function builtinProfile(capabilities: readonly string[]): Promise<SpecSeccomp> {
  const { profileFor } = await import("./profile.ts");
  return profileFor(capabilities, process.arch === "arm64" ? "aarch64" : "x86_64");
}

/** A profile's JSON text, in Docker's form (with includes and excludes) or OCI's. */
export async function parseSeccomp(text: string, capabilities: readonly string[]): Promise<SpecSeccomp> {
  const { parseProfile } = await import("./json.ts");
  return parseProfile(text, capabilities);
}

/** What a filter answers to each system call of this machine (see judge.ts). */
export async function judgeSeccomp(program: Uint8Array): Promise<ReadonlyMap<string, Verdict> | undefined> {
  const { judge } = await import("./judge.ts");
  return judge(program);
}
