/**
 * The assembled filters against libseccomp's: the same profile is built with both, and both are asked about every
 * number of every architecture and about arguments at the edges of each rule.
 */
import { dlopen, ptr } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync, unlinkSync } from "node:fs";
import { capabilityMask, DEFAULT_CAPABILITIES } from "../../src/runtime/index.ts";
import { assemble, syscallNumbers } from "../../src/runtime/seccomp/assemble.ts";
import { PROGRAMS } from "../../src/runtime/seccomp/builtin.ts";
import { RELEVANT, seccompFilter } from "../../src/runtime/seccomp/index.ts";
import { parseProfile } from "../../src/runtime/seccomp/json.ts";
import { profileFor, SECCOMP_CAPABILITIES, type SeccompArch } from "../../src/runtime/seccomp/profile.ts";
import type { SeccompArg, SpecSeccomp } from "../../src/runtime/spec.ts";
import { decide } from "./bpf.ts";

const X86_64 = 0xc000003e;
const X86 = 0x40000003;
const AARCH64 = 0xc00000b7;
const ARM = 0x40000028;
const X32 = 0x40000000;
const ALLOW = 0x7fff0000;
const errno = (n: number): number => 0x00050000 | n;
const EPERM = errno(1);
const ENOSYS = errno(38);

const { symbols: library } = dlopen("libseccomp.so.2", {
  seccomp_init: { args: ["u32"], returns: "ptr" },
  seccomp_release: { args: ["ptr"], returns: "void" },
  seccomp_arch_add: { args: ["ptr", "u32"], returns: "int" },
  seccomp_arch_remove: { args: ["ptr", "u32"], returns: "int" },
  seccomp_arch_native: { args: [], returns: "u32" },
  seccomp_rule_add_array: { args: ["ptr", "u32", "int", "u32", "ptr"], returns: "int" },
  seccomp_syscall_resolve_name: { args: ["ptr"], returns: "int" },
  seccomp_export_bpf: { args: ["ptr", "int"], returns: "int" },
});

/** enum scmp_arch tokens: those of linux/audit.h, but x32 has one of its own. */
const TOKENS: Record<string, number> = {
  SCMP_ARCH_X86_64: X86_64,
  SCMP_ARCH_X86: X86,
  SCMP_ARCH_X32: 0x4000003e,
  SCMP_ARCH_AARCH64: AARCH64,
  SCMP_ARCH_ARM: ARM,
};
const OPERATORS = ["", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const ACTIONS: Record<string, number> = {
  SCMP_ACT_ALLOW: ALLOW,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_LOG: 0x7ffc0000,
};
const action = (name: string, value = 1): number => ACTIONS[name] ?? errno(value);

/** The filter that libseccomp makes of the profile. */
function oracle(profile: SpecSeccomp): Uint8Array {
  const context = library.seccomp_init(action(profile.defaultAction, profile.defaultErrnoRet));
  if (!context) throw new Error("seccomp_init");
  const architectures = (profile.architectures ?? []).map((name) => TOKENS[name] as number);
  for (const token of architectures) library.seccomp_arch_add(context, token);
  if (!architectures.includes(library.seccomp_arch_native()))
    library.seccomp_arch_remove(context, library.seccomp_arch_native());
  const add = (number: number, value: number, args: readonly SeccompArg[]): void => {
    const array = new DataView(new ArrayBuffer(Math.max(1, args.length) * 24));
    args.forEach((arg, index) => {
      array.setUint32(index * 24, arg.index, true);
      array.setUint32(index * 24 + 4, OPERATORS.indexOf(arg.op.slice("SCMP_CMP_".length)), true);
      array.setBigUint64(index * 24 + 8, BigInt(arg.value), true);
      array.setBigUint64(index * 24 + 16, BigInt(arg.valueTwo ?? 0), true);
    });
    library.seccomp_rule_add_array(context, value, number, args.length, ptr(array.buffer));
  };
  for (const rule of profile.syscalls ?? []) {
    // A rule that says what is said anyway is refused by libseccomp.
    if (action(rule.action, rule.errnoRet) === action(profile.defaultAction, profile.defaultErrnoRet))
      continue;
    for (const name of rule.names) {
      const number = library.seccomp_syscall_resolve_name(ptr(Buffer.from(`${name}\0`)));
      if (number !== -1) add(number, action(rule.action, rule.errnoRet), rule.args ?? []);
    }
  }
  const path = `/tmp/sampan-seccomp-${process.pid}`;
  const fd = openSync(path, "w");
  const result = library.seccomp_export_bpf(context, fd);
  closeSync(fd);
  library.seccomp_release(context);
  const program = readFileSync(path);
  unlinkSync(path);
  if (result !== 0) throw new Error(`seccomp_export_bpf: ${result}`);
  return program;
}

/** The oracle knows calls up to this one. */
const LAST_KNOWN = 450;

/** Not known to it though its number is small. */
const NEWER = new Set(["uretprobe"]);

/** Values at and around every number in a rule. */
function edges(profile: SpecSeccomp): bigint[] {
  const values = new Set<bigint>([0n, 1n, 0xffffffffn]);
  for (const rule of profile.syscalls ?? [])
    for (const { value, valueTwo = 0 } of rule.args ?? [])
      for (const each of [value, valueTwo])
        for (const offset of [-1n, 0n, 1n])
          if (BigInt(each) + offset >= 0n) values.add(BigInt(each) + offset);
  return [...values];
}

function compareAll(
  profile: SpecSeccomp,
  arch: number,
  base: number,
  wide: boolean,
  table: Parameters<typeof syscallNumbers>[0],
): void {
  const mine = assemble(profile);
  const theirs = oracle(profile);
  const conditional = new Set(
    (profile.syscalls ?? []).flatMap((rule) => (rule.args?.length ? rule.names : [])),
  );
  const numbers = syscallNumbers(table);
  const byNumber = new Map([...numbers].map(([name, number]) => [number, name]));
  // On a narrow architecture libseccomp does not look at the upper half (nor does a kernel that passes 32 bits).
  const values = edges(profile).filter((value) => wide || value <= 0xffffffffn);
  const differences: string[] = [];
  // Beyond the last call that the profile names, the engine says ENOSYS where libseccomp has the default.
  const last = Math.max(
    ...(profile.syscalls ?? []).flatMap((rule) => rule.names.map((name) => numbers.get(name) ?? 0)),
  );
  const newest = Math.max(...[...numbers.values()].filter((n) => n < 1000));
  for (let nr = 0; nr <= Math.min(newest, LAST_KNOWN) + 1; nr++) {
    const name = byNumber.get(nr) ?? "";
    if (NEWER.has(name)) continue;
    const args =
      conditional.has(name) || name === "socketcall" || name === "ipc"
        ? values.flatMap((v) => [[v, 0n], [0n, v], ...(wide ? [[v | (1n << 40n), 0n]] : [])])
        : [[0n, 0n]];
    for (const [first = 0n, second = 0n] of args) {
      const call = { arch, nr: base + nr, args: [first, second, 0n, 0n, 0n, 0n] };
      const [a, b] = [decide(mine, call), decide(theirs, call)];
      if (a !== b && !(a === ENOSYS && b === EPERM && nr > last))
        differences.push(
          `${name || nr}(${first}, ${second}): ${a.toString(16)}, libseccomp ${b.toString(16)}`,
        );
    }
  }
  expect(differences).toEqual([]);
}

const SETS: readonly (readonly [string, readonly string[]])[] = [
  ["the default capabilities", DEFAULT_CAPABILITIES],
  ["no capabilities", []],
  ["CAP_SYS_ADMIN", ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]],
  [
    "the rest",
    [
      "CAP_SYS_TIME",
      "CAP_SYS_NICE",
      "CAP_BPF",
      "CAP_PERFMON",
      "CAP_SYSLOG",
      "CAP_DAC_READ_SEARCH",
      "CAP_SYS_BOOT",
      "CAP_SYS_MODULE",
      "CAP_SYS_RAWIO",
    ],
  ],
];

describe("the default profile decides as libseccomp would", () => {
  for (const [name, capabilities] of SETS) {
    test(`with ${name}`, () => {
      const profile = profileFor(capabilities, "x86_64");
      compareAll(profile, X86_64, 0, true, "x86_64");
      compareAll(profile, X86, 0, false, "x86");
      compareAll(profile, X86_64, X32, false, "x32");
      const arm = profileFor(capabilities, "aarch64");
      compareAll(arm, AARCH64, 0, true, "aarch64");
      compareAll(arm, ARM, 0, false, "arm");
    });
  }
});

describe("any profile", () => {
  const native = ["SCMP_ARCH_X86_64"];
  const arg = (op: string, value: number, valueTwo = 0, index = 0): SeccompArg =>
    ({ index, op: `SCMP_CMP_${op}`, value, valueTwo }) as SeccompArg;
  const cases: readonly (readonly [string, SpecSeccomp])[] = [
    ...["NE", "LT", "LE", "EQ", "GE", "GT"].flatMap((op) =>
      [5, 0xffffffff, 0x1_0000_0000, 0x2_0000_0005].map(
        (value) =>
          [
            `compares ${op} ${value}`,
            {
              defaultAction: "SCMP_ACT_ERRNO",
              architectures: native,
              syscalls: [{ names: ["getpid"], action: "SCMP_ACT_ALLOW", args: [arg(op, value)] }],
            },
          ] as const,
      ),
    ),
    [
      "masks",
      {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: native,
        syscalls: [
          {
            names: ["clone"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 5,
            args: [arg("MASKED_EQ", 0x1_0000_ff00, 0x1_0000_1200)],
          },
        ],
      },
    ],
    [
      "wants all of several conditions",
      {
        defaultAction: "SCMP_ACT_ERRNO",
        architectures: native,
        syscalls: [
          { names: ["openat"], action: "SCMP_ACT_ALLOW", args: [arg("EQ", 3), arg("GT", 7, 0, 1)] },
          { names: ["openat"], action: "SCMP_ACT_ALLOW", args: [arg("GE", 100)] },
        ],
      },
    ],
    [
      "kills by default",
      {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        syscalls: [
          { names: ["mkdir", "socket", "semop"], action: "SCMP_ACT_KILL_PROCESS" },
          { names: ["chmod"], action: "SCMP_ACT_LOG" },
        ],
      },
    ],
  ];
  for (const [name, profile] of cases)
    test(name, () => {
      compareAll(profile, X86_64, 0, true, "x86_64");
      if (profile.architectures?.includes("SCMP_ARCH_X86")) compareAll(profile, X86, 0, false, "x86");
    });
});

describe("the default filter", () => {
  const program = assemble(profileFor(DEFAULT_CAPABILITIES, "x86_64"));
  const ask = (name: string, ...args: number[]): number =>
    decide(program, {
      arch: X86_64,
      nr: syscallNumbers("x86_64").get(name) ?? -1,
      args: args.map(BigInt),
    });

  test("allows what programs do and refuses what reaches out", () => {
    for (const name of ["read", "openat", "execve", "futex", "statx", "prctl", "chroot", "ptrace"])
      expect(ask(name)).toBe(ALLOW);
    for (const name of [
      "mount",
      "umount2",
      "unshare",
      "setns",
      "bpf",
      "keyctl",
      "kexec_load",
      "init_module",
      "open_by_handle_at",
    ])
      expect(ask(name)).toBe(EPERM);
  });

  test("clone makes threads but no namespaces, and clone3 is not there", () => {
    expect(ask("clone", 0x3d0f00)).toBe(ALLOW);
    expect(ask("clone", 0x10000000)).toBe(EPERM);
    expect(ask("clone3")).toBe(ENOSYS);
  });

  test("opens sockets of the usual families only", () => {
    for (const family of [1, 2, 10, 16, 17]) expect(ask("socket", family)).toBe(ALLOW);
    for (const family of [12, 38, 40]) expect(ask("socket", family)).toBe(EPERM);
  });

  test("takes the harmless personalities", () => {
    for (const value of [0, 8, 0x20000, 0x20008, 0xffffffff]) expect(ask("personality", value)).toBe(ALLOW);
    expect(ask("personality", 0x40000)).toBe(EPERM);
  });

  test("does not know calls that are newer than itself", () => {
    expect(decide(program, { arch: X86_64, nr: 600, args: [] })).toBe(ENOSYS);
    expect(decide(program, { arch: X86, nr: 600, args: [] })).toBe(ENOSYS);
  });

  test("kills what calls by another architecture", () => {
    expect(decide(program, { arch: AARCH64, nr: 0, args: [] })).toBe(0);
    const native = assemble({ defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"] });
    expect(decide(native, { arch: X86, nr: 3, args: [] })).toBe(0);
    expect(decide(native, { arch: X86_64, nr: X32 + 1, args: [] })).toBe(0);
    expect(decide(native, { arch: X86_64, nr: 1, args: [] })).toBe(ALLOW);
  });
});

describe("ready-made filters", () => {
  test("are what the assembler makes of the profile", () => {
    for (const arch of ["x86_64", "aarch64"] as SeccompArch[])
      for (const capabilities of [DEFAULT_CAPABILITIES, []]) {
        const key = `${arch} ${capabilityMask(capabilities) & SECCOMP_CAPABILITIES}`;
        expect(PROGRAMS[key]).toBe(Buffer.from(assemble(profileFor(capabilities, arch))).toString("base64"));
      }
  });

  test("are chosen by the capabilities that matter", async () => {
    expect(RELEVANT).toBe(SECCOMP_CAPABILITIES);
    const usual = await seccompFilter("builtin", DEFAULT_CAPABILITIES);
    const more = await seccompFilter("builtin", [...DEFAULT_CAPABILITIES, "CAP_NET_ADMIN"]);
    const admin = await seccompFilter("builtin", [...DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"]);
    expect(more?.program).toEqual(usual?.program as Uint8Array);
    expect(admin?.program).not.toEqual(usual?.program as Uint8Array);
    expect(await seccompFilter("unconfined", [])).toBeUndefined();
  });
});

describe("profiles from files", () => {
  const docker = JSON.stringify({
    defaultAction: "SCMP_ACT_ERRNO",
    archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
    syscalls: [
      { names: ["read"], action: "SCMP_ACT_ALLOW", args: null },
      { names: ["mount"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["clone"], action: "SCMP_ACT_ALLOW", excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } },
      { names: ["write"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "99.0" } },
      { name: "getpid", action: "SCMP_ACT_ALLOW" },
      { names: ["s390_runtime_instr"], action: "SCMP_ACT_ALLOW", includes: { arches: ["s390x"] } },
    ],
  });
  const names = (capabilities: string[]): string[] =>
    (parseProfile(docker, capabilities).syscalls ?? []).flatMap((rule) => [...rule.names]);

  test("in Docker's form lose their conditions", () => {
    expect(names([])).toEqual(["read", "clone", "ptrace", "getpid"]);
    expect(names(["CAP_SYS_ADMIN"])).toEqual(["read", "mount", "ptrace", "getpid"]);
    if (process.arch === "x64")
      expect(parseProfile(docker, []).architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
  });

  test("are refused when they are none", () => {
    expect(() => parseProfile("{", [])).toThrow("Decoding seccomp profile failed");
    expect(() => parseProfile("{}", [])).toThrow("it needs a defaultAction");
    expect(() => assemble({ defaultAction: "SCMP_ACT_NOTIFY" })).toThrow("needs a listener");
  });
});
