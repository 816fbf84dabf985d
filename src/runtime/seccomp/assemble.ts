/**
 * OCI seccomp → classic BPF, with libseccomp's meaning. For each architecture the system calls are laid out in number
 * order, neighbours with the same answer become one range, and a balanced search finds the range: some seven
 * comparisons for any call. The kernel runs this for every call of the container, so its length is what counts.
 *
 * Where an allow-list does not know a call because it is newer than the list, the answer is ENOSYS, not EPERM: a libc
 * that tries a new call then falls back to the old one (as runc does it).
 */
import { SampanError } from "../../common/error.ts";
import type { SeccompAction, SeccompArg, SeccompRule, SpecSeccomp } from "../spec.ts";
import { SYSCALLS } from "./syscalls.ts";

/** struct sock_filter: code, jt, jf, k. */
type Instruction = readonly [number, number, number, number];

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP = 0x05; // BPF_JMP | BPF_JA
const EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const GREATER = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

/** struct seccomp_data: nr, arch, instruction_pointer, args[6]. */
const NR = 0;
const ARCH = 4;
const ARGS = 16;

const EPERM = 1;
const ENOSYS = 38;
const KILL_THREAD = 0;
const X32_BIT = 0x40000000;

const ACTIONS: Readonly<Record<SeccompAction, number>> = {
  SCMP_ACT_KILL: KILL_THREAD,
  SCMP_ACT_KILL_THREAD: KILL_THREAD,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

interface Arch {
  readonly audit: number;
  readonly table: keyof typeof SYSCALLS;
  /** Registers are 32 bits wide: the upper half of an argument is not looked at. */
  readonly narrow?: boolean;
}

const ARCHES: Readonly<Record<string, Arch>> = {
  SCMP_ARCH_X86_64: { audit: 0xc000003e, table: "x86_64" },
  SCMP_ARCH_X32: { audit: 0xc000003e, table: "x32" },
  SCMP_ARCH_X86: { audit: 0x40000003, table: "x86", narrow: true },
  SCMP_ARCH_AARCH64: { audit: 0xc00000b7, table: "aarch64" },
  SCMP_ARCH_ARM: { audit: 0x40000028, table: "arm", narrow: true },
};

const NATIVE = process.arch === "arm64" ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64";

/** i386 reaches the socket and System V calls through one call each, with the real one's number as first argument. */
const SOCKETCALL =
  "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg".split(
    " ",
  );
const IPC: Readonly<Record<string, number>> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};

const numbers = new Map<string, Map<string, number>>();

/** Name → number of one architecture. */
export function syscallNumbers(table: keyof typeof SYSCALLS): ReadonlyMap<string, number> {
  let found = numbers.get(table);
  if (found === undefined) {
    found = new Map();
    let next = 0;
    for (const word of SYSCALLS[table].split(" ")) {
      const first = word.charCodeAt(0);
      if (first >= 48 && first <= 57) next = Number(word);
      else found.set(word, next++);
    }
    numbers.set(table, found);
  }
  return found;
}

function answer(action: SeccompAction, errno: number | undefined): number {
  const value = ACTIONS[action];
  if (value === undefined) throw new SampanError("invalid", `seccomp: unknown action "${action}"`);
  if (action === "SCMP_ACT_NOTIFY")
    throw new SampanError("refused", "seccomp: SCMP_ACT_NOTIFY needs a listener, and there is none here");
  if (action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE") return value | ((errno ?? EPERM) & 0xffff);
  return value;
}

/** What is answered for one call: always the same, or the first of these rules whose arguments fit. */
interface Leaf {
  answer: number;
  rules: { readonly args: readonly SeccompArg[]; readonly answer: number }[];
}

/** Everything that the profile says of one architecture's calls, by number. */
function leaves(profile: SpecSeccomp, arch: Arch, otherwise: number): Map<number, Leaf> {
  const known = syscallNumbers(arch.table);
  const found = new Map<number, Leaf>();
  const add = (number: number, args: readonly SeccompArg[], value: number): void => {
    const leaf = found.get(number);
    // A rule without conditions is the broadest: it stands alone, and the first of them counts.
    if (args.length === 0) {
      if (leaf === undefined || leaf.rules.length > 0) found.set(number, { answer: value, rules: [] });
    } else if (leaf === undefined) found.set(number, { answer: otherwise, rules: [{ args, answer: value }] });
    else if (leaf.rules.length > 0) leaf.rules.push({ args, answer: value });
  };
  for (const rule of profile.syscalls ?? []) {
    const value = answer(rule.action, rule.errnoRet);
    for (const args of alternatives(rule))
      for (const name of rule.names) {
        const number = known.get(name);
        if (number !== undefined) add(number, args, value);
        if (arch.table === "x86") multiplexed(name, args.length > 0, value, known, add);
      }
  }
  return found;
}

/** Conditions on several arguments must all hold; several on the same one are alternatives (as runc reads them). */
function alternatives(rule: SeccompRule): (readonly SeccompArg[])[] {
  const args = rule.args ?? [];
  if (args.length < 2) return [args];
  const repeated = new Set(args.map(({ index }) => index)).size < args.length;
  return repeated ? args.map((arg) => [arg]) : [args];
}

function multiplexed(
  name: string,
  conditional: boolean,
  value: number,
  known: ReadonlyMap<string, number>,
  add: (number: number, args: readonly SeccompArg[], value: number) => void,
): void {
  const socket = SOCKETCALL.indexOf(name) + 1;
  const which = socket > 0 ? socket : IPC[name];
  const through = known.get(socket > 0 ? "socketcall" : "ipc");
  // The real arguments lie in memory, where no filter can look: a conditional refusal cannot be told from a permission.
  if (which === undefined || through === undefined || (conditional && value !== ACTIONS.SCMP_ACT_ALLOW))
    return;
  add(through, [{ index: 0, value: which, op: "SCMP_CMP_EQ" }], value);
}

const wide = (value: number): readonly [number, number] => {
  const n = BigInt.asUintN(64, value >= 2 ** 64 ? 2n ** 64n - 1n : BigInt(value));
  return [Number(n >> 32n), Number(n & 0xffffffffn)];
};

/** Falls through if the argument fits, otherwise jumps over `rest` further instructions. */
function compare(arg: SeccompArg, narrow: boolean, rest: number): Instruction[] {
  const low = ARGS + arg.index * 8;
  const [high, value] = wide(arg.value);
  const loadHigh: Instruction[] = narrow ? [] : [[LOAD, 0, 0, low + 4]];
  const loadLow: Instruction = [LOAD, 0, 0, low];
  switch (arg.op) {
    case "SCMP_CMP_EQ":
      return [
        ...loadHigh,
        ...(narrow ? [] : [[EQUAL, 0, rest + 2, high] as Instruction]),
        loadLow,
        [EQUAL, 0, rest, value],
      ];
    case "SCMP_CMP_NE":
      return [
        ...loadHigh,
        ...(narrow ? [] : [[EQUAL, 0, 2, high] as Instruction]),
        loadLow,
        [EQUAL, rest, 0, value],
      ];
    case "SCMP_CMP_GT":
    case "SCMP_CMP_GE": {
      const last = arg.op === "SCMP_CMP_GT" ? GREATER : AT_LEAST;
      const upper: Instruction[] = narrow
        ? []
        : [
            [GREATER, 3, 0, high],
            [EQUAL, 0, rest + 2, high],
          ];
      return [...loadHigh, ...upper, loadLow, [last, 0, rest, value]];
    }
    case "SCMP_CMP_LT":
    case "SCMP_CMP_LE": {
      const last = arg.op === "SCMP_CMP_LE" ? GREATER : AT_LEAST;
      const upper: Instruction[] = narrow
        ? []
        : [
            [GREATER, rest + 3, 0, high],
            [EQUAL, 0, 2, high],
          ];
      return [...loadHigh, ...upper, loadLow, [last, rest, 0, value]];
    }
    case "SCMP_CMP_MASKED_EQ": {
      const [wantHigh, want] = wide(arg.valueTwo ?? 0);
      const upper: Instruction[] = narrow
        ? []
        : [
            [AND, 0, 0, high],
            [EQUAL, 0, rest + 3, wantHigh],
          ];
      return [...loadHigh, ...upper, loadLow, [AND, 0, 0, value], [EQUAL, 0, rest, want]];
    }
    default:
      throw new SampanError("invalid", `seccomp: unknown operator "${String(arg.op)}"`);
  }
}

/** The rules of a leaf one after the other; what none of them takes falls through. */
function ruleCode(leaf: Leaf, narrow: boolean): Instruction[] {
  const code: Instruction[] = [];
  for (const rule of leaf.rules) {
    // From the last argument to the first, so that each knows how far it is to the rule's end.
    let block: Instruction[] = [[RETURN, 0, 0, rule.answer]];
    for (const arg of rule.args.toReversed()) block = [...compare(arg, narrow, block.length), ...block];
    code.push(...block);
  }
  return code;
}

interface Range {
  readonly from: number;
  readonly leaf: Leaf;
}

/** The calls as ranges: each goes up to where the next begins. */
function ranges(found: ReadonlyMap<number, Leaf>, otherwise: Leaf, beyond: Leaf): Range[] {
  const list: Range[] = [{ from: 0, leaf: otherwise }];
  const push = (from: number, leaf: Leaf): void => {
    const last = list.at(-1) as Range;
    if (last.leaf.rules.length === 0 && leaf.rules.length === 0 && last.leaf.answer === leaf.answer) return;
    if (last.from === from) list.pop();
    const before = list.at(-1);
    if (before && before.leaf.rules.length + leaf.rules.length === 0 && before.leaf.answer === leaf.answer)
      return;
    list.push({ from, leaf });
  };
  const sorted = [...found].sort(([a], [b]) => a - b);
  for (const [number, leaf] of sorted) {
    push(number, leaf);
    if (!found.has(number + 1)) push(number + 1, number === sorted.at(-1)?.[0] ? beyond : otherwise);
  }
  return list;
}

/** How far a comparison can jump. */
const REACH = 255;

/**
 * A program that is written from its end to its beginning, since jumps only go forward: a place is how many
 * instructions follow it, and is known before anything that jumps there.
 */
class Backward {
  readonly #reversed: Instruction[] = [];
  readonly #answers = new Map<number, number>();

  /** The place of the instruction that was written last. */
  get here(): number {
    return this.#reversed.length - 1;
  }

  #write(instruction: Instruction): number {
    this.#reversed.push(instruction);
    return this.here;
  }

  /** A stretch that runs from its first to its last instruction and then goes on to what was written before. */
  block(code: readonly Instruction[]): number {
    for (let index = code.length - 1; index >= 0; index--) this.#write(code[index] as Instruction);
    return this.here;
  }

  /** An instruction that goes on at `place`. */
  before(place: number, instruction: Instruction): number {
    if (place !== this.here) this.#write([JUMP, 0, 0, this.#reversed.length - place - 1]);
    return this.#write(instruction);
  }

  /** One return for each answer serves all that are near enough. */
  answer(value: number): number {
    const known = this.#answers.get(value);
    if (known !== undefined && this.#reversed.length - known < REACH / 2) return known;
    const place = this.#write([RETURN, 0, 0, value]);
    this.#answers.set(value, place);
    return place;
  }

  /** If the accumulator compares, on at `yes`, else at `no`. */
  branch(comparison: number, value: number, yes: number, no: number): number {
    const near = (place: number): number =>
      this.#reversed.length + 1 - place - 1 <= REACH
        ? place
        : this.#write([JUMP, 0, 0, this.#reversed.length - place - 1]);
    const [first, second] = [near(yes), near(no)];
    const at = this.#reversed.length;
    return this.#write([comparison, at - first - 1, at - second - 1, value]);
  }

  program(): Instruction[] {
    return this.#reversed.toReversed();
  }
}

/** A balanced search over the ranges. The number is in the accumulator, and stays there up to the leaf. */
function search(to: Backward, list: readonly Range[], first: number, last: number, narrow: boolean): number {
  if (first === last) {
    const { leaf } = list[first] as Range;
    if (leaf.rules.length === 0) return to.answer(leaf.answer);
    // Falls through to the answer when no rule fits: that has to be written right behind it.
    to.block([[RETURN, 0, 0, leaf.answer]]);
    return to.block(ruleCode(leaf, narrow));
  }
  const middle = (first + last + 1) >> 1;
  const right = search(to, list, middle, last, narrow);
  const left = search(to, list, first, middle - 1, narrow);
  return to.branch(AT_LEAST, (list[middle] as Range).from, right, left);
}

/** The whole filter, as an array of struct sock_filter. */
export function assemble(profile: SpecSeccomp): Uint8Array {
  const otherwise = answer(profile.defaultAction, profile.defaultErrnoRet);
  const permissive = profile.defaultAction === "SCMP_ACT_ALLOW" || profile.defaultAction === "SCMP_ACT_LOG";
  const unknown = permissive ? otherwise : ACTIONS.SCMP_ACT_ERRNO | ENOSYS;
  const wanted = new Set([...(profile.architectures ?? []), NATIVE]);
  const to = new Backward();
  /** The search of one architecture; undefined: the profile does not have it, and what is not listed is killed. */
  const write = (name: string): number | undefined => {
    const arch = ARCHES[name];
    if (arch === undefined || !wanted.has(name)) return undefined;
    const list = ranges(
      leaves(profile, arch, otherwise),
      { answer: otherwise, rules: [] },
      { answer: unknown, rules: [] },
    );
    return search(to, list, 0, list.length - 1, arch.narrow ?? false);
  };
  let next = to.answer(KILL_THREAD);
  for (const name of ["SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"]) {
    const x32 = name === "SCMP_ARCH_X86_64" ? write("SCMP_ARCH_X32") : undefined;
    const strip = x32 === undefined ? undefined : to.before(x32, [AND, 0, 0, X32_BIT - 1]);
    let entry = write(name);
    if (entry === undefined) continue;
    // x32 has x86_64's architecture and one bit in the number.
    if (name === "SCMP_ARCH_X86_64")
      entry = to.branch(AT_LEAST, X32_BIT, strip ?? to.answer(KILL_THREAD), entry);
    const load = to.before(entry, [LOAD, 0, 0, NR]);
    next = to.branch(EQUAL, (ARCHES[name] as Arch).audit, load, next);
  }
  to.before(next, [LOAD, 0, 0, ARCH]);
  return encode(to.program());
}

function encode(program: readonly Instruction[]): Uint8Array {
  if (program.length > 4096)
    throw new SampanError("invalid", "seccomp: the filter is longer than 4096 instructions");
  const view = new DataView(new ArrayBuffer(program.length * 8));
  program.forEach(([code, jt, jf, k], index) => {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, jt);
    view.setUint8(index * 8 + 3, jf);
    view.setUint32(index * 8 + 4, k >>> 0, true);
  });
  return new Uint8Array(view.buffer);
}
