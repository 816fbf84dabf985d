/** Go's text/template, first step: text and actions, and the words inside an action. */

/** What is wrong with a template, in Go's words: `template: :1: unclosed action`. */
export class TemplateError extends Error {
  /** Whether it was the template's text, or what it was applied to. */
  readonly when: "parse" | "execute";
  constructor(message: string, when: "parse" | "execute" = "parse") {
    super(message);
    this.when = when;
  }
}

export type Word =
  | { readonly kind: "field" | "variable" | "name" | "operator"; readonly text: string; readonly at: number }
  | { readonly kind: "string"; readonly text: string; readonly value: string; readonly at: number }
  | { readonly kind: "number"; readonly text: string; readonly value: number; readonly at: number };

export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly words: readonly SpacedWord[]; readonly at: number };

/** Whether a blank stood before a word matters: `.A.B` is a chain, `.A .B` are two operands. */
export type SpacedWord = Word & { readonly spaced: boolean };

/** The line of a place in the text, from 1, as the errors count it. */
export const lineOf = (text: string, at: number): number => text.slice(0, at).split("\n").length;

export function pieces(source: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  let trim = false;
  const text = (end: number, cut: boolean): void => {
    let plain = source.slice(at, end);
    if (trim) plain = plain.replace(/^[ \t\r\n]+/, "");
    if (cut) plain = plain.replace(/[ \t\r\n]+$/, "");
    if (plain !== "") found.push({ kind: "text", text: plain });
  };
  for (;;) {
    const open = source.indexOf("{{", at);
    if (open < 0) {
      text(source.length, false);
      return found;
    }
    const cut = /^\{\{-[ \t\r\n]/.test(source.slice(open, open + 4));
    text(open, cut);
    const start = open + (cut ? 3 : 2);
    const comment = /^\s*\/\*/.exec(source.slice(start));
    if (comment) {
      const close = source.indexOf("*/", start);
      if (close < 0) throw new TemplateError(`template: :${lineOf(source, start)}: unclosed comment`);
      const end = /^\s*(-?)\}\}/.exec(source.slice(close + 2));
      if (!end)
        throw new TemplateError(`template: :${lineOf(source, start)}: comment ends before closing delimiter`);
      trim = end[1] === "-";
      at = close + 2 + end[0].length;
      continue;
    }
    const { words, end, trimmed } = action(source, start);
    found.push({ kind: "action", words, at: start });
    trim = trimmed;
    at = end;
  }
}

const WORD = new RegExp(
  [
    /(?<field>\.[\p{L}_][\p{L}\p{N}_]*)/u,
    /(?<variable>\$[\p{L}\p{N}_]*)/u,
    /(?<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+))/,
    /(?<name>[\p{L}_][\p{L}\p{N}_]*)/u,
    /(?<operator>:=|=|\||\(|\)|,|\.)/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "uy",
);

function action(source: string, start: number): { words: SpacedWord[]; end: number; trimmed: boolean } {
  const words: SpacedWord[] = [];
  const fail = (message: string, at: number): never => {
    throw new TemplateError(`template: :${lineOf(source, at)}: ${message}`);
  };
  let at = start;
  for (;;) {
    const blank = /^[ \t\r\n]*/.exec(source.slice(at))?.[0].length ?? 0;
    at += blank;
    const spaced = blank > 0;
    if (source.startsWith("}}", at)) return { words, end: at + 2, trimmed: false };
    if (spaced && source.startsWith("-}}", at)) return { words, end: at + 3, trimmed: true };
    const character = source[at];
    if (character === undefined) return fail("unclosed action", start);
    if (character === '"' || character === "`") {
      const { value, end } = quoted(source, at, fail);
      words.push({ kind: "string", text: source.slice(at, end), value, at, spaced });
      at = end;
      continue;
    }
    WORD.lastIndex = at;
    const groups = WORD.exec(source)?.groups;
    if (!groups) return fail(`unexpected ${JSON.stringify(character)} in command`, at);
    const [kind = "", text = ""] = Object.entries(groups).find(([, value]) => value !== undefined) ?? [];
    if (kind === "number") words.push({ kind, text, value: Number(text), at, spaced });
    else words.push({ kind: kind as "field" | "variable" | "name" | "operator", text, at, spaced });
    at += text.length;
  }
}

function quoted(
  source: string,
  at: number,
  fail: (message: string, at: number) => never,
): { value: string; end: number } {
  if (source[at] === "`") {
    const close = source.indexOf("`", at + 1);
    if (close < 0) return fail("unterminated raw quoted string", at);
    return { value: source.slice(at + 1, close), end: close + 1 };
  }
  const match = /^"(?:[^"\\\n]|\\.)*"/.exec(source.slice(at));
  if (!match) return fail("unterminated quoted string", at);
  return { value: unquote(match[0].slice(1, -1)), end: at + match[0].length };
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
};

/** Go's escapes in a string: those of C, \xHH, \uHHHH and octal ones. */
const unquote = (text: string): string =>
  text.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)/g, (_, code: string) => {
    if (code.length > 1)
      return String.fromCodePoint(Number.parseInt(code.replace(/^[xu]/, ""), /^\d/.test(code) ? 8 : 16));
    return ESCAPES[code] ?? code;
  });
