/**
 * The report and the exit frame, decoded. A report is numbers of 32 bits, least byte first: ok, keeper's pid, process's pid,
 * start in nanoseconds since 1970 (64 bits), failed step, errno, count of steps; then microseconds, microseconds since the
 * launcher's start, and errno of each step; what is left is the detail, a text. 0xffffffff stands for nothing.
 * An exit frame's payload is the exit record's JSON.
 */
import type { Exit, Report, StepReport } from "./plan.ts";

const NOTHING = 0xffff_ffff;
/** Where the steps begin, and how long each is. */
const STEPS = 32;
const STEP = 12;

/**
 * Decoded as far as a start needs it at once. What became of each step, and when it began, only `explain` asks: a hundred
 * small objects are half a millisecond.
 */
class DecodedReport implements Report {
  readonly ok: boolean;
  readonly keeper: number;
  readonly pid: number;
  readonly failed?: number;
  readonly errno?: number;
  readonly detail?: string;
  readonly #bytes: Uint8Array;
  readonly #count: number;
  #steps: readonly StepReport[] | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.ok = this.#number(0) === 1;
    this.keeper = this.#number(4);
    this.pid = this.#number(8);
    const failed = this.#number(20);
    const errno = this.#number(24);
    this.#count = this.#number(28);
    const end = STEPS + STEP * this.#count;
    if (failed !== NOTHING) this.failed = failed;
    if (errno !== 0) this.errno = errno;
    if (end < bytes.length) this.detail = new TextDecoder().decode(bytes.subarray(end));
  }

  #number(at: number): number {
    const bytes = this.#bytes;
    const high = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    return ((high << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at] ?? 0)) >>> 0;
  }

  get #started(): bigint {
    return (BigInt(this.#number(16)) << 32n) | BigInt(this.#number(12));
  }

  get startedAt(): number {
    return Number(this.#started / 1_000_000n);
  }

  get startedNs(): string {
    return this.#started.toString();
  }

  get steps(): readonly StepReport[] {
    if (this.#steps) return this.#steps;
    const steps: StepReport[] = [];
    for (let index = 0; index < this.#count; index++) steps.push(this.#step(STEPS + STEP * index));
    this.#steps = steps;
    return steps;
  }

  #step(at: number): StepReport {
    const us = this.#number(at);
    const errno = this.#number(at + 8);
    return {
      ...(us === NOTHING ? {} : { us, at: this.#number(at + 4) }),
      ...(errno === 0 ? {} : { errno }),
    };
  }

  toJSON(): Report {
    return { ...this, startedAt: this.startedAt, startedNs: this.startedNs, steps: this.steps };
  }
}

/** The bytes are the caller's again afterwards. */
export const decodeReport = (bytes: Uint8Array): Report => new DecodedReport(bytes.slice());

export const decodeExit = (bytes: Uint8Array): Exit => JSON.parse(new TextDecoder().decode(bytes)) as Exit;
