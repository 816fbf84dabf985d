/**
 * How a pull or push is shown. On a terminal each layer has one line that changes, with a bar while bytes come; elsewhere
 * each change is a line, and bars are left out. The form is that of Docker's command line.
 */
import { humanSize } from "../docker/human.ts";
import type { Progress } from "../image/index.ts";
import { write } from "./output.ts";
import { isTerminal, windowSize } from "./terminal.ts";

const CLEAR = "\x1b[2K\r";

/** Writes what is told to it to `fd`. */
export function progressTo(fd: 1 | 2): (progress: Progress) => void {
  if (!isTerminal(fd))
    return ({ id, status, current }) => {
      if (current === undefined) write(fd, `${id === undefined ? "" : `${id}: `}${status}\n`);
    };
  const columns = windowSize(fd)?.columns || 80;
  const rows = new Map<string, number>();
  let next = 0;
  return (progress) => {
    const { id } = progress;
    if (id === undefined) {
      write(fd, `${progress.status}\n`);
      rows.clear();
      next = 0;
      return;
    }
    const line = lineOf(progress, columns);
    const row = rows.get(id);
    if (row === undefined) {
      rows.set(id, next++);
      write(fd, `${line}\n`);
      return;
    }
    const up = next - row;
    write(fd, `\x1b[${up}A${CLEAR}${line}\r\x1b[${up}B`);
  };
}

/** One line, no wider than the terminal: a longer one would break and shift all the others. */
export function lineOf({ id, status, current, total }: Progress, columns: number): string {
  const text = `${id}: ${status}`;
  if (current === undefined) return text.slice(0, columns);
  const size = (bytes: number): string => humanSize(bytes).padStart(8);
  const numbers = total ? `${size(current)}/${humanSize(total)}` : size(current);
  const room = Math.min(columns - text.length - numbers.length - 5, 50);
  const bar = total && room > 10 ? ` [${barOf(Math.min(current / total, 1), room)}]` : "";
  return `${text}${bar} ${numbers}`.slice(0, columns);
}

function barOf(part: number, width: number): string {
  const done = Math.round(part * width);
  return `${"=".repeat(done)}${done < width ? ">" : ""}`.padEnd(width).slice(0, width);
}
