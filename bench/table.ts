/** The rows as one Markdown table, which reads as well on a terminal as on a page. */
import type { Budget, Row } from "./measures/measure.ts";
import { PEER_NAMES } from "./peers/peer.ts";
import type { Medians } from "./sample.ts";

const BEGIN = "<!-- bench: begin -->";
const END = "<!-- bench: end -->";

export function table(rows: readonly Row[]): string {
  const peers = PEER_NAMES.filter((name) => rows.some((row) => row.values[name] !== undefined));
  const head = ["", "", ...peers, "n", "to reach"];
  const measured = rows.filter((row) => Object.keys(row.values).length > 0);
  const lines = measured.map((row) => [
    row.title,
    row.unit,
    ...peers.map((name) => figure(row.values[name])),
    String(row.samples),
    row.budgets.map((budget) => mark(budget, row.values)).join("; "),
  ]);
  const numbers = (column: number): boolean => column >= 2 && column <= peers.length + 2;
  return layout([head, ...lines], numbers);
}

/** Puts the text between the page's markers. */
export async function writeBetweenMarkers(page: string, text: string): Promise<void> {
  const old = await Bun.file(page).text();
  const begin = old.indexOf(BEGIN);
  const end = old.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${page} needs a line ${BEGIN} and below it a line ${END}`);
  await Bun.write(page, `${old.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${old.slice(end)}`);
}

function mark(budget: Budget, values: Medians): string {
  const kept = budget.kept(values);
  if (kept === undefined) return `${budget.text}: not measured`;
  const standing = budget.standing(values);
  return `${budget.text} ${kept ? "ok" : "**over**"}${standing && ` (${standing})`}`;
}

/** Three digits that mean something. */
function figure(value: number | undefined): string {
  if (value === undefined) return "–";
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function layout(lines: readonly (readonly string[])[], numbers: (column: number) => boolean): string {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(3, ...lines.map((line) => (line[column] ?? "").length)),
  );
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (numbers(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, column) => (numbers(column) ? `${"-".repeat(width + 1)}:` : "-".repeat(width + 2))).join("|")}|`;
  const [head = [], ...rest] = lines;
  return [row(head), rule, ...rest.map(row)].join("\n");
}
