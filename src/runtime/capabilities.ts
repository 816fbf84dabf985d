/** Capabilities: names ⇄ bits of linux/capability.h, and the fourteen that a container has unless told otherwise. */

import { SampanError } from "../common/error.ts";
import { readFileSync } from "../kernel/fs.ts";

/** Without CAP_, in the order of their bits. */
export const CAPABILITIES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
] as const;

/** Docker's default set, in the order that Docker prints it. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

/** `net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are the same one; undefined: there is none of that name. */
export function capabilityName(name: string): string | undefined {
  const upper = name.toUpperCase();
  const bare = upper.startsWith("CAP_") ? upper.slice(4) : upper;
  return (CAPABILITIES as readonly string[]).includes(bare) ? `CAP_${bare}` : undefined;
}

/** The names as Docker keeps them: CAP_ in front, in capitals, in order, each once; `ALL` stands for itself. */
export function canonicalCapabilities(names: readonly string[], field: "CapAdd" | "CapDrop"): string[] {
  const found = names.map((name) => {
    const upper = name.toUpperCase();
    if (upper === "ALL") return upper;
    const known = capabilityName(name);
    if (known !== undefined) return known;
    const shown = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    throw new SampanError("invalid", `invalid ${field}: unknown capability: "${shown}"`, {
      hint: "Names are those of capabilities(7), with or without CAP_, or ALL.",
    });
  });
  return [...new Set(found)].sort();
}

/** The mask of these names. Throws on a name that no kernel has. */
export function capabilityMask(names: readonly string[] | undefined): bigint {
  if (names === undefined) return 0n;
  // The same list is asked for as bounding, permitted and effective set.
  if (names !== asked?.names) asked = { names, mask: maskOf(names) };
  return asked.mask;
}

let asked: { readonly names: readonly string[]; readonly mask: bigint } | undefined;

function maskOf(names: readonly string[]): bigint {
  // Two halves of 32 bits, since a bigint shift for each name is what would cost most here.
  let low = 0;
  let high = 0;
  for (const name of names) {
    const bit = (CAPABILITIES as readonly string[]).indexOf(name.startsWith("CAP_") ? name.slice(4) : name);
    if (bit < 0) throw new SampanError("invalid", `invalid capability: "${name}"`);
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** The names in a mask, with CAP_, in the order of their bits. Bits that have no name here are left out. */
export const capabilityNames = (mask: bigint): string[] =>
  CAPABILITIES.filter((_, bit) => (mask >> BigInt(bit)) & 1n).map((name) => `CAP_${name}`);

/**
 * All that can be given: the kernel's (CAP_LAST_CAP and below), and as root no more than the engine has itself. A
 * caller without root has all of them in its own user namespace.
 */
export function allCapabilities(): string[] {
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "latin1"));
  const known = CAPABILITIES.slice(0, last + 1).map((name) => `CAP_${name}`);
  if (process.getuid?.() !== 0) return known;
  const status = readFileSync("/proc/self/status", "latin1");
  const mask = (key: string): bigint =>
    BigInt(`0x${status.slice(status.indexOf(key)).split(/\s+/)[1] ?? "0"}`);
  const own = mask("CapPrm:") & mask("CapBnd:");
  return known.filter((_, bit) => ((own >> BigInt(bit)) & 1n) === 1n);
}

/**
 * `--cap-add` and `--cap-drop` applied to the default set, as Docker does it: `ALL` in add starts from all, `ALL` in
 * drop from none; what is dropped by name goes even from ALL, what is added by name stays even with `--cap-drop ALL`.
 */
export function chooseCapabilities(
  add: readonly string[],
  drop: readonly string[],
  privileged = false,
  all: () => readonly string[] = allCapabilities,
): readonly string[] {
  if (privileged) return all();
  if (add.length === 0 && drop.length === 0) return DEFAULT_CAPABILITIES;
  const added = canonicalCapabilities(add, "CapAdd");
  const dropped = canonicalCapabilities(drop, "CapDrop");
  const base = added.includes("ALL") ? all() : dropped.includes("ALL") ? [] : DEFAULT_CAPABILITIES;
  const kept = base.filter((name) => !dropped.includes(name));
  for (const name of added) if (name !== "ALL" && !kept.includes(name)) kept.push(name);
  return kept;
}
