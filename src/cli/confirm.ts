/** A question before something cannot be undone. */
import { readSync } from "node:fs";
import { write } from "./output.ts";

/** Asks on stdout and reads one line: only `y` or `Y` is a yes. */
export function confirm(question: string): boolean {
  write(1, `${question}\nAre you sure you want to continue? [y/N] `);
  let answer = "";
  const byte = new Uint8Array(1);
  while (readSync(0, byte) === 1 && byte[0] !== 0x0a) answer += String.fromCharCode(byte[0] ?? 0);
  return answer.trim().toLowerCase() === "y";
}
