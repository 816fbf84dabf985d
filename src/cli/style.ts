/** How wide and how coloured text may be on the caller's terminal; without one, a page. */
import type { Style } from "../explain/index.ts";
import { isTerminal, windowSize } from "./terminal.ts";

export function textStyle(): Style {
  const terminal = isTerminal(1);
  const columns = terminal ? (windowSize(1)?.columns ?? 100) : 100;
  return {
    columns: Math.min(Math.max(columns, 80), 160),
    colour: terminal && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb",
  };
}
