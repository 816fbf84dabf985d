/** What the parts of the script that `--as sh` prints have in common: comments, here-documents, steps by their call. */
import type { Step } from "../launch/index.ts";

/** Lines are no longer than this where they can be broken. */
export const COLUMNS = 100;

/** Lines of a shell's comment. */
export function comment(text: string): string {
  let line = "#";
  let lines = "";
  for (const word of text.split(/\s+/)) {
    if (line.length + 1 + word.length > COLUMNS) {
      lines += `${line}\n`;
      line = "#";
    }
    line += ` ${word}`;
  }
  return `${lines}${line}\n`;
}

/** A word that ends a here-document of this text, since no line of it is that word. */
export function endOf(text: string, word: string): string {
  const lines = new Set(text.split("\n"));
  let end = word;
  while (lines.has(end)) end += "_";
  return end;
}

export const heading = (plank: string, aside: string): string => `# ---- ${plank}: ${aside}\n`;

/** A comment at the end of a line, and never beyond it: some of what is said there others have chosen. */
export const aside = (why: string): string => `  # ${why.replaceAll("\n", " ")}`;

export const of = <C extends Step["call"]>(steps: readonly Step[], call: C) =>
  steps.filter((step): step is Extract<Step, { call: C }> => step.call === call);

/** Words in lines, the further ones indented. */
export const wrap = (words: readonly string[], indent: number): string => {
  let line = "";
  let text = "";
  for (const word of words) {
    if (line.length + word.length > 90) {
      text += `${line}\\\n${" ".repeat(indent)}`;
      line = "";
    }
    line += `${word} `;
  }
  return (text + line).trimEnd();
};
