/**
 * What a seccomp filter answers to each system call of this machine, found by running its program as the kernel does, with
 * different arguments: the filter itself is the truth, whatever profile it was made from.
 */
import { syscallNumbers } from "./assemble.ts";

export type Verdict =
  /** Whatever the arguments. */
  | "allowed"
  | "refused"
  /** Ends the process. */
  | "kills"
  /** By its arguments. */
  | "depends";

const ARCHES = { x86_64: 0xc000003e, aarch64: 0xc00000b7 } as const;
/** This machine's. */
const ARCH = process.arch === "arm64" ? "aarch64" : "x86_64";

/** struct seccomp_data: number, architecture, instruction pointer, six arguments. */
const DATA = 64;
const ARGUMENTS = 16;

const ALLOW = 0x7fff;
const LOG = 0x7ffc;
const TRACE = 0x7ff0;
const ERRNO = 0x0005;

/** Set when a program has looked at the arguments: otherwise they make no difference. */
let looked = false;

/** Of linux/bpf_common.h: the instructions that the kernel lets a filter have, short of scratch memory and division. */
function run(code: Uint32Array, data: Uint32Array): number | undefined {
  let a = 0;
  let x = 0;
  for (let pc = 0; pc < code.length / 2; pc++) {
    const head = code[pc * 2] as number;
    const k = code[pc * 2 + 1] as number;
    let yes: boolean;
    switch (head & 0xffff) {
      case 0x20:
        a = data[k >>> 2] as number;
        looked ||= k >= ARGUMENTS;
        continue;
      case 0x00:
        a = k;
        continue;
      case 0x01:
        x = k;
        continue;
      case 0x07:
        x = a;
        continue;
      case 0x87:
        a = x;
        continue;
      case 0x54:
        a = (a & k) >>> 0;
        continue;
      case 0x44:
        a = (a | k) >>> 0;
        continue;
      case 0x74:
        a >>>= k;
        continue;
      case 0x05:
        pc += k;
        continue;
      case 0x15:
        yes = a === k;
        break;
      case 0x25:
        yes = a > k;
        break;
      case 0x35:
        yes = a >= k;
        break;
      case 0x45:
        yes = (a & k) !== 0;
        break;
      case 0x06:
        return k;
      default:
        return undefined;
    }
    pc += (yes ? head >>> 16 : head >>> 24) & 0xff;
  }
  return undefined;
}

function verdict(answer: number): Verdict {
  const action = answer >>> 16;
  if (action === ALLOW || action === LOG || action === TRACE) return "allowed";
  return action === ERRNO ? "refused" : "kills";
}

/** Arguments that tell most rules apart: nothing, everything, and one small number. */
const TRIES: readonly number[] = [0, 0xffffffff, 12];

/** Undefined: the program has an instruction that is not read here. */
export function judge(
  program: Uint8Array,
  arch: keyof typeof ARCHES = ARCH,
): ReadonlyMap<string, Verdict> | undefined {
  // A copy lies where 32-bit words may lie; both of this machine's kinds have the least byte first.
  const code = new Uint32Array(program.slice().buffer);
  const data = new Uint32Array(DATA / 4);
  data[1] = ARCHES[arch];
  const found = new Map<string, Verdict>();
  for (const [name, number] of syscallNumbers(arch)) {
    data[0] = number;
    let said: Verdict | undefined;
    for (const value of TRIES) {
      data.fill(value, ARGUMENTS / 4);
      looked = false;
      const answer = run(code, data);
      if (answer === undefined) return undefined;
      const one = verdict(answer);
      said = said === undefined || said === one ? one : "depends";
      if (!looked) break;
    }
    found.set(name, said ?? "allowed");
  }
  return found;
}
