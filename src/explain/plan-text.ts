/** A plan as text: by plank, or as bars on one line of time. */
import { plain } from "../common/plain.ts";
import { errnoName } from "../kernel/errno.ts";
import { fit, grey, heading, microseconds, prose, type Style, table } from "./layout.ts";
import type { PlanExplanation, PlanLine } from "./plan.ts";

/** Steps of one kind that follow one another and were asked for by the same: one line for all. */
interface Group {
  readonly lines: readonly PlanLine[];
  readonly words: string;
}

const LEAST = 2;

function groups(lines: readonly PlanLine[]): Group[] {
  const found: { lines: PlanLine[] }[] = [];
  for (const line of lines) {
    const last = found.at(-1)?.lines[0];
    const same = last && last.call === line.call && last.why === line.why && last.column === line.column;
    // A number that a flag has set is worth a line.
    if (same && !(line.call === "write" && line.why.startsWith("--"))) found.at(-1)?.lines.push(line);
    else found.push({ lines: [line] });
  }
  return found.flatMap(({ lines: run }): Group[] => {
    if (run.length < LEAST) return run.map((line) => ({ lines: [line], words: line.words }));
    const [verb = ""] = run[0]?.words.split(" ") ?? [];
    const objects = run.map(({ words }) => words.slice(words.indexOf(" ") + 1));
    return [{ lines: run, words: `${verb} × ${run.length}: ${objects.join(", ")}` }];
  });
}

const sum = (lines: readonly PlanLine[]): number => lines.reduce((all, { us = 0 }) => all + us, 0);

/** Who waits for the other column does nothing: that is the other's time. */
const isWork = ({ call }: PlanLine): boolean => call !== "barrier";

const ASKED = "ASKED FOR BY";

const PLANKS = [
  ["cgroups", "what it may use"],
  ["namespaces", "what it sees"],
  ["root filesystem", "where it lives"],
  ["process", "who it is and what it may do"],
] as const;

function introduction(plan: PlanExplanation, style: Style): string {
  const after = plan.lines.length - plan.steps;
  return prose(
    `${plain(plan.name)} was started in ${plan.steps} steps; its program was there ${microseconds(plan.took)} after the launcher. ` +
      `Outside steps run in its keeper, on the machine; inside steps in the process itself, before its program; ` +
      `the ${after} after steps wait for its end.`,
    style,
  );
}

export const planText = (plan: PlanExplanation, style: Style): string =>
  introduction(plan, style) + planksText(plan.lines, style);

/** The steps by plank; those that have not been done have no time. */
export function planksText(all: readonly PlanLine[], style: Style): string {
  let text = "";
  const timed = all.some(({ us }) => us !== undefined);
  for (const [plank, aside] of PLANKS) {
    const lines = all.filter((line) => line.plank === plank);
    if (lines.length === 0) continue;
    const why = Math.min(24, Math.max(ASKED.length, ...lines.map((line) => line.why.length)));
    const room = style.columns - why - (timed ? 24 : 14);
    const rows = groups(lines).map(({ lines: run, words }) => {
      const [first] = run;
      const failed = run.find(({ errno }) => errno !== undefined);
      const said = fit(
        plain(words) + (failed?.errno ? ` (${errnoName(failed.errno)}, passed over)` : ""),
        room,
      );
      const time = first?.us === undefined ? "" : microseconds(sum(run));
      return [first?.column ?? "", ...(timed ? [time] : []), said, first?.why ?? ""];
    });
    const took = timed ? ` · ${microseconds(sum(lines.filter(isWork)))}` : "";
    text += heading(plank[0]?.toUpperCase() + plank.slice(1), `${aside}${took}`, style);
    const head = ["COLUMN", ...(timed ? ["TIME"] : []), "STEP", ASKED];
    text += table({ head, rows, right: timed ? [1] : [] }, style);
  }
  return text;
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of these many eighths of a column, at least one. */
const bar = (eighths: number): string =>
  "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "") || "▏";

export function timelineText(plan: PlanExplanation, style: Style): string {
  const label = Math.floor(style.columns * 0.4);
  const width = style.columns - label - 14;
  const scale = width / Math.max(1, plan.took);
  let text = `${introduction(plan, style)}\n`;
  text +=
    grey(style, `  ${"".padEnd(label)}${"0".padEnd(width - 7)}${microseconds(plan.took).padStart(7)}`) + "\n";
  for (const { lines, words } of groups(plan.lines.filter(({ column }) => column !== "after"))) {
    const done = lines.filter(({ at }) => at !== undefined);
    const first = done[0];
    if (first?.at === undefined) continue;
    const start = first.at - (first.us ?? 0);
    const time = sum(done);
    const side = first.column === "outside" ? "" : "  ";
    const left = Math.min(width - 1, Math.max(0, Math.floor(start * scale)));
    const eighths = Math.min(Math.round(time * scale * 8), (width - left) * 8);
    const name = fit(side + plain(words), label - 2).padEnd(label);
    const drawn = (" ".repeat(left) + bar(Math.max(1, eighths))).padEnd(width + 1);
    text += `  ${name}${drawn}${microseconds(time).padStart(9)}\n`;
  }
  return text;
}
