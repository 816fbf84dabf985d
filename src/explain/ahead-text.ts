/** A plan that has not been carried out, as text: the verdict, what would be refused and how to help it, then the steps. */
import { plain } from "../common/plain.ts";
import type { Ahead } from "./ahead.ts";
import { heading, prose, type Style, table } from "./layout.ts";
import { planksText } from "./plan-text.ts";

export function aheadText({ summary, lines, obstacles }: Ahead, style: Style): string {
  let text = prose(plain(summary), style);
  if (obstacles.length > 0) {
    text += heading("In the way", "as sampan doctor finds it", style);
    const rows = obstacles.map(({ row, steps, passable }) => [
      passable ? "limited" : "refused",
      row.name,
      `${steps.length} step${steps.length === 1 ? "" : "s"}`,
      row.fix ? `${row.detail}; ${row.fix}` : row.detail,
    ]);
    text += table({ rows }, style);
  }
  return text + planksText(lines, style);
}
