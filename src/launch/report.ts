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
  readonly #view: DataView;
  readonly #count: number;
  #steps: readonly StepReport[] | undefined;

  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = view;
    this.ok = view.getUint32(0, true) === 1;
    this.keeper = view.getUint32(4, true);
    this.pid = view.getUint32(8, true);
    const failed = view.getUint32(20, true);
    const errno = view.getUint32(24, true);
    this.#count = view.getUint32(28, true);
    const end = STEPS + STEP * this.#count;
    if (failed !== NOTHING) this.failed = failed;
    if (errno !== 0) this.errno = errno;
    if (end < bytes.length) this.detail = new TextDecoder().decode(bytes.subarray(end));
  }

  get startedAt(): number {
    return Number(this.#view.getBigUint64(12, true) / 1_000_000n);
  }

  get startedNs(): string {
    return this.#view.getBigUint64(12, true).toString();
  }

  get steps(): readonly StepReport[] {
    if (this.#steps) return this.#steps;
    const steps: StepReport[] = [];
    for (let index = 0; index < this.#count; index++) steps.push(this.#step(STEPS + STEP * index));
    this.#steps = steps;
    return steps;
  }

  #step(at: number): StepReport {
    const us = this.#view.getUint32(at, true);
    const errno = this.#view.getUint32(at + 8, true);
    return {
      ...(us === NOTHING ? {} : { us, at: this.#view.getUint32(at + 4, true) }),
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
