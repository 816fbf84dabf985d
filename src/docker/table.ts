/** Columns as Go's tabwriter lays them out: each as wide as its longest cell plus padding, the last one unpadded. */

/** Rows of cells → lines. Docker's lists have a least width of 10, `top` has none; both pad with 3 blanks. */
export function table(rows: readonly (readonly string[])[], least = 10): string {
  const widths: number[] = [];
  const each: number[] = [];
  for (const row of rows)
    for (let i = 0; i < row.length - 1; i++) {
      const cell = row[i] ?? "";
      const width = isPlain(cell) ? cell.length : Bun.stringWidth(cell);
      each.push(width);
      if (width + 3 > (widths[i] ?? 0)) widths[i] = Math.max(width + 3, least);
    }
  let text = "";
  let cells = 0;
  for (const row of rows) {
    for (let i = 0; i < row.length - 1; i++)
      text += (row[i] ?? "").padEnd((row[i] ?? "").length + (widths[i] ?? 0) - (each[cells++] ?? 0));
    text += `${row[row.length - 1] ?? ""}\n`;
  }
  return text;
}

/** Lines of tab-separated cells, as templates with `table` make them. */
export const tabbed = (lines: string): string =>
  table(
    lines
      .replace(/\n$/, "")
      .split("\n")
      .map((line) => line.split("\t")),
  );

// biome-ignore lint: only what has one column a character
const isPlain = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);
