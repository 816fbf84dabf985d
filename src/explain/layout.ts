/** Laying out text for a terminal: aligned columns, wrapped words, sizes and times for people. */
import { plain } from "../common/plain.ts";

export interface Style {
  /** Of the terminal. */
  readonly columns: number;
  /** Headings and the like may be set in bold and grey. */
  readonly colour: boolean;
}

const escape =
  (on: string) =>
  (style: Style, text: string): string =>
    style.colour ? `\u001b[${on}m${text}\u001b[0m` : text;
export const bold = escape("1");
export const grey = escape("2");

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `64 MiB`, `1.5 GiB`: three digits at most. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(value >= 1000 ? 4 : 3))} ${UNITS[unit]}`;
}

/** `4 seconds`, `3 minutes`, `2 days`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  const say = (n: number, unit: string): string => `${n} ${unit}${n === 1 ? "" : "s"}`;
  if (seconds < 1) return "less than a second";
  if (seconds < 120) return say(Math.floor(seconds), "second");
  if (seconds < 7200) return say(Math.floor(seconds / 60), "minute");
  if (seconds < 172_800) return say(Math.floor(seconds / 3600), "hour");
  return say(Math.floor(seconds / 86_400), "day");
}

/** `850 µs`, `4.1 ms`, `2.30 s`. */
export function microseconds(us: number): string {
  if (us < 1000) return `${us} µs`;
  return us < 1_000_000 ? `${(us / 1000).toFixed(1)} ms` : `${(us / 1e6).toFixed(2)} s`;
}

/** Cut to `width` columns; the end of a path says more than its beginning. */
export function fit(text: string, width: number, keep: "start" | "end" = "start"): string {
  if (Bun.stringWidth(text) <= width) return text;
  if (width < 2) return "…";
  return keep === "start" ? `${text.slice(0, width - 1)}…` : `…${text.slice(text.length - width + 1)}`;
}

export interface Table {
  readonly head?: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Indices of columns that are numbers. */
  readonly right?: readonly number[];
  /** Indices of columns whose end is what matters: paths. */
  readonly paths?: readonly number[];
}

/** Columns two blanks apart, indented by two; the last column is cut at the terminal's edge. */
export function table({ head, rows, right = [], paths = [] }: Table, style: Style): string {
  const all = (head ? [head, ...rows] : rows).map((row) => row.map(plain));
  const count = Math.max(0, ...all.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, i) =>
    Math.max(...all.map((row) => Bun.stringWidth(row[i] ?? ""))),
  );
  let text = "";
  for (const [index, row] of all.entries()) {
    let line = "";
    for (let i = 0; i < count; i++) {
      const room = style.columns - 2 - line.length - (i > 0 ? 2 : 0);
      const last = i === count - 1;
      const cell = last
        ? fit(row[i] ?? "", Math.max(room, 8), paths.includes(i) ? "end" : "start")
        : (row[i] ?? "");
      const pad = " ".repeat(Math.max(0, (widths[i] ?? 0) - Bun.stringWidth(cell)));
      line += (i > 0 ? "  " : "") + (right.includes(i) ? pad + cell : last ? cell : cell + pad);
    }
    const whole = `  ${line}`.trimEnd();
    text += `${head && index === 0 ? grey(style, whole) : whole}\n`;
  }
  return text;
}

/** Words in lines, every line indented; `label` stands before the first one. */
export function words(
  label: string,
  width: number,
  parts: readonly string[],
  style: Style,
  between = " ",
): string {
  const indent = 2 + width + 2;
  const lines: string[] = [];
  let line = "";
  for (const [index, part] of parts.entries()) {
    const piece = plain(part) + (index < parts.length - 1 ? between.trimEnd() : "");
    if (line !== "" && indent + line.length + 1 + piece.length > style.columns) {
      lines.push(line);
      line = piece;
    } else line = line === "" ? piece : `${line} ${piece}`;
  }
  lines.push(line);
  return lines
    .map((each, index) => `  ${(index === 0 ? label : "").padEnd(width)}  ${each}`.trimEnd() + "\n")
    .join("");
}

/** A sentence or several, wrapped. */
export const prose = (text: string, style: Style): string =>
  words("", 0, text.split(" "), { ...style, columns: style.columns + 4 })
    .split("\n")
    .map((line) => line.slice(4))
    .join("\n");

export const heading = (title: string, aside: string, style: Style): string =>
  `\n${bold(style, title)}${aside === "" ? "" : `  ${grey(style, aside)}`}\n`;
