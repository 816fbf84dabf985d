/** A comparison as text: two columns under the two names. */
import { plain } from "../common/plain.ts";
import type { Comparison } from "./compare.ts";
import { fit, grey, prose, type Style } from "./layout.ts";

export function comparisonText({ a, b, differences, same }: Comparison, style: Style): string {
  const names = [a, b].map(({ name, pid }) => (name === String(pid) ? `process ${pid}` : name));
  if (differences.length === 0)
    return prose(`${names[0]} and ${names[1]} are alike in all ${same} things that were compared.`, style);
  let text = prose(
    `${names[0]} and ${names[1]} are alike in ${same} things and differ in ${differences.length}.`,
    style,
  );
  const label = Math.max(...differences.map(({ what }) => Math.min(28, what.length)));
  const column = Math.floor((style.columns - label - 6) / 2);
  const row = (what: string, left: string, right: string): string =>
    `  ${pad(fit(plain(what), 28), label)}  ${pad(fit(plain(left), column), column)}  ${fit(plain(right), column)}`.trimEnd() +
    "\n";
  let section = "";
  text += `\n${grey(style, row("", names[0] ?? "", names[1] ?? "").trimEnd())}\n`;
  for (const { section: of, what, a: left, b: right } of differences) {
    if (of !== section) text += `${grey(style, of)}\n`;
    section = of;
    text += row(what, left || "–", right || "–");
  }
  return text;
}

const pad = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
