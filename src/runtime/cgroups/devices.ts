/**
 * devices: which device nodes may be made, read and written. Rules apply in order and end as what the kernel's v1
 * controller keeps: a default and the exceptions from it. v1 is told them by writes; v2 has no such controller, there
 * a small eBPF program answers for each access (kernel: bpf_cgroup_dev_ctx in linux/bpf.h).
 */
import type { SpecDeviceRule } from "../spec.ts";
import type { Write } from "./controller.ts";

const ACCESS = { m: 1, r: 2, w: 4 } as const;
const ALL = 7;
const ANY = -1;

interface Exception {
  readonly type: "b" | "c";
  /** -1: any. */
  readonly major: number;
  readonly minor: number;
  access: number;
}

export interface DeviceState {
  readonly allow: boolean;
  readonly exceptions: readonly Exception[];
}

const accessOf = (text: string | undefined): number => {
  if (!text) return ALL;
  let mask = 0;
  for (const letter of text) mask |= ACCESS[letter as keyof typeof ACCESS] ?? 0;
  return mask;
};

const accessText = (mask: number): string =>
  `${mask & ACCESS.r ? "r" : ""}${mask & ACCESS.w ? "w" : ""}${mask & ACCESS.m ? "m" : ""}`;

/** The rules, applied one after the other (security/device_cgroup.c: devcgroup_update_access). */
export function deviceState(rules: readonly SpecDeviceRule[]): DeviceState {
  let allow = true;
  let exceptions: Exception[] = [];
  for (const rule of rules) {
    const type = rule.type ?? "a";
    if (type === "a") {
      allow = rule.allow;
      exceptions = [];
      continue;
    }
    const major = rule.major ?? ANY;
    const minor = rule.minor ?? ANY;
    const access = accessOf(rule.access);
    let same: Exception | undefined;
    for (const e of exceptions) if (e.type === type && e.major === major && e.minor === minor) same = e;
    if (rule.allow === allow) {
      if (same) {
        same.access &= ~access;
        exceptions = exceptions.filter((e) => e.access !== 0);
      }
    } else if (same) same.access |= access;
    else exceptions.push({ type: type === "b" ? "b" : "c", major, minor, access });
  }
  return { allow, exceptions };
}

const star = (n: number): string => (n === ANY ? "*" : String(n));

/** v1: `folder` is the container's in the devices hierarchy. Nothing at all when everything is allowed. */
export function deviceWrites(folder: string, state: DeviceState): Write[] {
  const writes: Write[] = [];
  if (!state.allow) writes.push({ path: `${folder}/devices.deny`, data: "a", why: "devices" });
  const file = `${folder}/${state.allow ? "devices.deny" : "devices.allow"}`;
  for (const { type, major, minor, access } of state.exceptions)
    writes.push({
      path: file,
      data: `${type} ${star(major)}:${star(minor)} ${accessText(access)}`,
      why: "devices",
    });
  return writes;
}

/** v2: the program's bytes, an array of struct bpf_insn. */
export function deviceProgram(state: DeviceState): Uint8Array {
  const code: number[] = [];
  let count = 0;
  const emit = (op: number, dst: number, src: number, offset: number, imm: number): void => {
    code.push(op, dst | (src << 4), offset & 0xff, (offset >> 8) & 0xff);
    code.push(imm & 0xff, (imm >> 8) & 0xff, (imm >> 16) & 0xff, (imm >> 24) & 0xff);
    count++;
  };
  const LOAD = 0x61;
  const AND = 0x54;
  const SHIFT_RIGHT = 0x74;
  const COPY = 0xbc;
  const SET = 0xb7;
  const JUMP_EQUAL = 0x15;
  const JUMP_UNEQUAL = 0x55;
  const JUMP_UNEQUAL_REGISTER = 0x5d;
  const EXIT = 0x95;
  // r2 type, r3 access, r4 major, r5 minor; r1 was the context and is free after this.
  emit(LOAD, 2, 1, 0, 0);
  emit(AND, 2, 0, 0, 0xffff);
  emit(LOAD, 3, 1, 0, 0);
  emit(SHIFT_RIGHT, 3, 0, 0, 16);
  emit(LOAD, 4, 1, 4, 0);
  emit(LOAD, 5, 1, 8, 0);
  for (const { type, major, minor, access } of state.exceptions) {
    // An allowed exception must cover all that is asked for; a denied one needs to meet only a part of it.
    const masked = access !== ALL;
    const length = 1 + (masked ? 3 : 0) + (major === ANY ? 0 : 1) + (minor === ANY ? 0 : 1) + 2;
    const end = count + length;
    const rest = (): number => end - count - 1;
    emit(JUMP_UNEQUAL, 2, 0, rest(), type === "b" ? 1 : 2);
    if (masked) {
      emit(COPY, 1, 3, 0, 0);
      emit(AND, 1, 0, 0, access);
      if (state.allow) emit(JUMP_EQUAL, 1, 0, rest(), 0);
      else emit(JUMP_UNEQUAL_REGISTER, 1, 3, rest(), 0);
    }
    if (major !== ANY) emit(JUMP_UNEQUAL, 4, 0, rest(), major);
    if (minor !== ANY) emit(JUMP_UNEQUAL, 5, 0, rest(), minor);
    emit(SET, 0, 0, 0, state.allow ? 0 : 1);
    emit(EXIT, 0, 0, 0, 0);
  }
  emit(SET, 0, 0, 0, state.allow ? 1 : 0);
  emit(EXIT, 0, 0, 0, 0);
  return Uint8Array.from(code);
}
