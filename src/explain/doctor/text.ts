/** A check-up as text: first the verdict, then each area, and beneath what does not work how to help it. */
import { plain } from "../../common/plain.ts";
import { bold, fit, grey, heading, prose, type Style, words } from "../layout.ts";
import type { Area, Diagnosis, Finding } from "./types.ts";

const AREAS: readonly (readonly [Area, string])[] = [
  ["namespaces", "what a process sees"],
  ["cgroups", "what it may use"],
  ["root filesystem", "where it lives"],
  ["process", "what it may do"],
  ["network", "for bridges and published ports"],
  ["without root", "for containers of ordinary users"],
  ["machine", "rules that hold for all"],
];

export function diagnosisText(found: Diagnosis, style: Style): string {
  const { findings, works, rootless, kernel } = found;
  const good = findings.filter(({ state }) => state === "works").length;
  const blocking = findings.filter(({ needed, state }) => needed && state === "no");
  const verdict = works
    ? `This machine can run containers${rootless ? " for this user" : ""}: ${good} of ${findings.length} things work`
    : `This machine cannot run containers${rootless ? " for this user" : ""} yet: ${blocking.map(({ name }) => name).join(", ")} ${blocking.length > 1 ? "are" : "is"} missing; ${good} of ${findings.length} things work`;
  let text = prose(`${verdict} (Linux ${kernel}).`, style);
  for (const [area, aside] of AREAS) {
    const lines = together(findings.filter((each) => each.area === area));
    if (lines.length === 0) continue;
    text += heading(area[0]?.toUpperCase() + area.slice(1), aside, style);
    const width = Math.max(...lines.map(({ name }) => name.length));
    // Plain successes need no line each.
    const quiet = lines.filter(({ state, detail }) => state === "works" && detail === "");
    if (quiet.length > 0)
      text += words(
        "works  ",
        7,
        quiet.map(({ name }) => name),
        style,
        ",",
      );
    for (const line of lines) if (!quiet.includes(line)) text += one(line, width, style);
  }
  return text;
}

/** What fails for one reason is one line. */
function together(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, Finding[]>();
  for (const each of findings) {
    const alike = each.state === "works" ? each.name : `${each.detail}\n${each.fix ?? ""}`;
    groups.set(alike, [...(groups.get(alike) ?? []), each]);
  }
  return [...groups.values()].flatMap((group): Finding[] => {
    const [first] = group;
    if (first === undefined) return [];
    const costs = [...new Set(group.flatMap((each) => each.costs ?? []))].join("; ");
    return [{ ...first, name: group.map(({ name }) => name).join(", "), ...(costs === "" ? {} : { costs }) }];
  });
}

function one({ name, state, detail, fix, costs }: Finding, width: number, style: Style): string {
  const mark = state === "works" ? "works  " : bold(style, state.padEnd(7));
  const room = style.columns - width - 13;
  let text = `  ${mark}  ${name.padEnd(width)}  ${fit(plain(detail), room)}`.trimEnd() + "\n";
  if (fix !== undefined) text += extra("fix", fix, style);
  if (costs !== undefined) text += extra("costs", costs, style);
  return text;
}

const extra = (label: string, text: string, style: Style): string =>
  words(`         ${label}`, 14, text.split(" "), style)
    .split("\n")
    .map((line, index) => (index === 0 ? line.replace(label, grey(style, label)) : line))
    .join("\n");
