/**
 * What lists print of others: labels, paths, who made a layer, what a registry says. A terminal would act upon their control
 * characters, and an image could so drive the terminal of who looks at it: there they are shown, into pipes and files they go as they
 * are. Docker prints them raw.
 */
import { plainLines } from "../common/plain.ts";
import { isTerminal } from "./terminal.ts";

/** `format`: the caller's own. Whoever writes control characters into it wants the terminal to act. */
export function shown(text: string, format = ""): string {
  const safe = plainLines(text);
  return safe !== text && plainLines(format) === format && isTerminal(1) ? safe : text;
}
