/** Signals: names and numbers, as signal(7) has them for x86 and ARM. */
import { SampanError } from "../common/error.ts";

/** In the order of their numbers, 1 to 31. */
const NAMES: readonly string[] =
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(
    " ",
  );
const ALIASES: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29, UNUSED: 31 };

/** Name without SIG → number. */
export const SIGNALS: Readonly<Record<string, number>> = (() => {
  const numbers: Record<string, number> = { ...ALIASES };
  let number = 1;
  for (const name of NAMES) numbers[name] = number++;
  return numbers;
})();

/** The first and the last that the C library leaves to programs. */
const RTMIN = 34;
const RTMAX = 64;

/** `SIGTERM`, `TERM`, `term`, `15`, `RTMIN+3` → the number; undefined: none of these. */
export function signalNumber(signal: string): number | undefined {
  if (/^[0-9]+$/.test(signal)) {
    const number = Number(signal);
    return number >= 1 && number <= RTMAX ? number : undefined;
  }
  const upper = signal.toUpperCase();
  const bare = upper.startsWith("SIG") ? upper.slice(3) : upper;
  if (SIGNALS[bare] !== undefined) return SIGNALS[bare];
  const real = /^RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?$/.exec(bare);
  if (real === null) return undefined;
  const [, base, sign, offset = "0"] = real;
  const number = (base === "MIN" ? RTMIN : RTMAX) + (sign === "-" ? -1 : 1) * Number(offset);
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}

/** Like signalNumber; Docker's words for what is none. */
export function parseSignal(signal: string): number {
  const number = signalNumber(signal);
  if (number === undefined) throw new SampanError("invalid", `invalid signal: ${signal}`);
  return number;
}

/** `SIGTERM` of 15. */
export function signalName(number: number): string {
  const name = NAMES[number - 1];
  if (name !== undefined) return `SIG${name}`;
  if (number === RTMIN) return "SIGRTMIN";
  return number > RTMIN && number <= RTMAX ? `SIGRTMIN+${number - RTMIN}` : String(number);
}
