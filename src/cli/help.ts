/** How `--help` looks: Docker's layout, wrapped as pflag wraps it, so that one reads as the other. */
import type { Command, Entry } from "./command.ts";
import { COMMANDS, GROUPS } from "./commands.ts";
import type { Flag, Flags } from "./flags.ts";
import { GLOBAL_FLAGS } from "./global.ts";
import { windowSize } from "./terminal.ts";

/** `sampan run --help`. `called` is what it was called as, without `sampan`. */
export function commandHelp(entry: Entry, command: Command, called: string): string {
  const parts = [`Usage:  sampan ${called} ${command.usage}`, entry.summary];
  if (entry.names.length > 1)
    parts.push(`Aliases:\n  ${entry.names.map((name) => `sampan ${name}`).join(", ")}`);
  const options = flagHelp(command.flags, (windowSize(0)?.columns || 80) - 1);
  if (options !== "") parts.push(`Options:\n${options}`);
  return `${parts.join("\n\n").trimEnd()}\n`;
}

/** `sampan container --help`. */
export function groupHelp(group: string): string {
  const members = COMMANDS.flatMap((entry) => {
    const name = entry.names.find((each) => each.startsWith(`${group} `));
    return name ? [{ name: name.slice(group.length + 1), summary: entry.summary }] : [];
  });
  return `Usage:  sampan ${group} COMMAND

${GROUPS[group] ?? ""}

Commands:
${list(members)}

Run 'sampan ${group} COMMAND --help' for more information on a command.
`;
}

/** `sampan --help`. */
export function mainHelp(): string {
  const top = COMMANDS.flatMap((entry) => {
    const name = entry.names.at(-1) ?? "";
    return name.includes(" ") ? [] : [{ name, summary: entry.summary, common: entry.common === true }];
  });
  const groups = Object.entries(GROUPS).map(([name, summary]) => ({ name, summary }));
  return `Usage:  sampan [OPTIONS] COMMAND

A container is a process standing on three planks

Common Commands:
${list(
  top.filter((each) => each.common),
  false,
)}

Management Commands:
${list(groups, false)}

Commands:
${list(top.filter((each) => !each.common))}

Global Options:
${flagHelp(GLOBAL_FLAGS, (windowSize(0)?.columns || 80) - 1)}

Run 'sampan COMMAND --help' for more information on a command.
`;
}

function list(members: readonly { readonly name: string; readonly summary: string }[], sort = true): string {
  const rows = sort ? [...members].sort((a, b) => (a.name < b.name ? -1 : 1)) : members;
  const width = Math.max(...rows.map(({ name }) => name.length)) + 2;
  return rows.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`).join("\n");
}

function flagHelp(flags: Flags, columns: number): string {
  const rows = Object.entries(flags)
    .filter(([, flag]) => !flag.hidden)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]) => [head(name, flag), flag.help] as const);
  const indent = Math.max(...rows.map(([left]) => left.length)) + 3;
  return rows.map(([left, help]) => left.padEnd(indent) + wrap(indent, columns, help)).join("\n");
}

function head(name: string, flag: Flag): string {
  const takes = flag.takes ?? (flag.type === "bool" ? "" : flag.type);
  return `${flag.short ? `  -${flag.short}, ` : "      "}--${name}${takes === "" ? "" : ` ${takes}`}`;
}

/** pflag's wrapping: lines break at the last blank, an own line break counts, five columns of slop spare orphans. */
function wrap(indent: number, columns: number, text: string): string {
  const pad = `\n${" ".repeat(indent)}`;
  const slop = 5;
  const width = columns - indent - slop;
  if (width + slop < 24) return text.replaceAll("\n", pad);
  const lines: string[] = [];
  for (let rest = text; ; ) {
    const line = firstLine(width, slop, rest);
    lines.push(line.replaceAll("\n", pad));
    if (line.length >= rest.length) return lines.join(pad);
    rest = rest.slice(line.length + 1);
    if (rest === "") return lines.join(pad);
  }
}

function firstLine(width: number, slop: number, text: string): string {
  if (width + slop > text.length) return text;
  const start = text.slice(0, width);
  const blank = Math.max(start.lastIndexOf(" "), start.lastIndexOf("\t"), start.lastIndexOf("\n"));
  if (blank <= 0) return text;
  const line = start.lastIndexOf("\n");
  return text.slice(0, line > 0 && line < blank ? line : blank);
}
