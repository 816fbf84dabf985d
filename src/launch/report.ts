/**
 * The report and the exit frame, decoded. A report is numbers of 32 bits, least byte first: ok, keeper's pid, process's pid,
 * start in nanoseconds since 1970 (64 bits), failed step, errno, count of steps; then microseconds, microseconds since the
 * launcher's start, and errno of each step; what is left is the detail, a text. 0xffffffff stands for nothing.
 * An exit frame's payload is the exit record's JSON.
 */
import type { Exit, Report, StepReport } from "./plan.ts";

const NOTHING = 0xffff_ffff;

export function decodeReport(bytes: Uint8Array): Report {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (at: number): number => view.getUint32(at, true);
  const started = view.getBigUint64(12, true);
  const failed = number(20);
  const errno = number(24);
  const count = number(28);
  const steps: StepReport[] = [];
  let at = 32;
  for (let index = 0; index < count; index++, at += 12) {
    const us = number(at);
    const error = number(at + 8);
    steps.push({
      ...(us === NOTHING ? {} : { us, at: number(at + 4) }),
      ...(error === 0 ? {} : { errno: error }),
    });
  }
  const detail = new TextDecoder().decode(bytes.subarray(at));
  return {
    ok: number(0) === 1,
    keeper: number(4),
    pid: number(8),
    startedAt: Number(started / 1_000_000n),
    startedNs: started.toString(),
    steps,
    ...(failed === NOTHING ? {} : { failed }),
    ...(errno === 0 ? {} : { errno }),
    ...(detail === "" ? {} : { detail }),
  };
}

export const decodeExit = (bytes: Uint8Array): Exit => JSON.parse(new TextDecoder().decode(bytes)) as Exit;
