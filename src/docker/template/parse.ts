/** Go's text/template, second step: pieces → a tree of text, pipelines, if, range and with, and the trees that have names. */
import { lineOf, pieces, type SpacedWord, TemplateError } from "./lex.ts";

export type Term =
  | { readonly kind: "dot" | "nil"; readonly at: number }
  | {
      readonly kind: "literal";
      readonly value: string | number | boolean;
      readonly text: string;
      readonly at: number;
    }
  | { readonly kind: "function"; readonly name: string; readonly at: number }
  /** `.A.B`, `$x.A` or `(…).A`: fields of the dot, of a variable or of a pipeline. */
  | {
      readonly kind: "chain";
      readonly of: "dot" | { readonly variable: string } | Pipeline;
      readonly fields: readonly string[];
      readonly text: string;
      readonly at: number;
    };

export interface Command {
  readonly terms: readonly [Term, ...Term[]];
  readonly text: string;
}
export interface Pipeline {
  readonly variables: readonly string[];
  /** `=` and not `:=`: the variable exists. */
  readonly assign: boolean;
  readonly commands: readonly Command[];
}
export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipeline: Pipeline }
  | { readonly kind: "break" | "continue" }
  /** What has this name, applied to the pipeline's value; `at` and `text` are where an error is. */
  | {
      readonly kind: "template";
      readonly name: string;
      readonly pipeline: Pipeline | undefined;
      readonly at: number;
      readonly text: string;
    }
  | {
      readonly kind: "if" | "range" | "with";
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

type End = "end" | "else" | "eof";

/** A template, and those that it defines under names. */
export interface Trees {
  readonly nodes: readonly Node[];
  readonly named: ReadonlyMap<string, readonly Node[]>;
}

export function parse(source: string, functions: ReadonlySet<string>): Trees {
  const parser = new Parser(source, functions);
  const { nodes, end } = parser.list(0);
  if (end !== "eof") parser.fail(`unexpected {{${end}}}`);
  return { nodes, named: parser.named };
}

const KEYWORDS = "define block template if else end range with break continue nil".split(" ");

/** A word as Go's errors show it: the language's own in angles, others in quotes and not more than ten letters of them. */
function shown(word: SpacedWord | undefined): string {
  const text = word?.text ?? "}}";
  if (text === "." || (word?.kind === "name" && KEYWORDS.includes(text))) return `<${text}>`;
  return text.length > 10 ? `${JSON.stringify(text.slice(0, 10))}...` : JSON.stringify(text);
}

/** A tree that prints nothing but blanks gives way to another of its name. */
const isEmpty = (nodes: readonly Node[]): boolean =>
  nodes.every((node) => node.kind === "text" && node.text.trim() === "");

class Parser {
  readonly named = new Map<string, readonly Node[]>();
  readonly #source: string;
  readonly #functions: ReadonlySet<string>;
  readonly #pieces: ReturnType<typeof pieces>;
  #variables: string[] = ["$"];
  #next = 0;
  #words: readonly SpacedWord[] = [];
  #word = 0;
  #line = 1;
  #loops = 0;

  constructor(source: string, functions: ReadonlySet<string>) {
    this.#source = source;
    this.#functions = functions;
    this.#pieces = pieces(source);
  }

  fail(message: string): never {
    throw new TemplateError(`template: :${this.#line}: ${message}`);
  }

  /** Nodes up to an `end` or `else`; after `else` the words that follow it are still to be read. */
  list(depth: number): { nodes: Node[]; end: End } {
    const nodes: Node[] = [];
    for (;;) {
      const piece = this.#pieces[this.#next++];
      if (!piece) {
        if (depth > 0) this.fail("unexpected EOF");
        return { nodes, end: "eof" };
      }
      if (piece.kind === "text") {
        nodes.push(piece);
        continue;
      }
      this.#line = lineOf(this.#source, piece.at);
      this.#words = piece.words;
      this.#word = 0;
      const first = piece.words[0];
      const keyword = first?.kind === "name" ? first.text : "";
      switch (keyword) {
        case "end":
          this.#word++;
          this.#finish("end");
          return { nodes, end: "end" };
        case "else":
          this.#word++;
          return { nodes, end: "else" };
        case "if":
        case "range":
        case "with":
          this.#word++;
          nodes.push(this.#control(keyword, depth));
          break;
        case "break":
        case "continue":
          if (this.#loops === 0) this.fail(`{{${keyword}}} outside {{range}}`);
          this.#word++;
          this.#finish(`{{${keyword}}}`);
          nodes.push({ kind: keyword });
          break;
        case "define":
          // Elsewhere than at the top it is a word that no command begins with.
          if (depth > 0) this.fail("unexpected <define> in command");
          this.#word++;
          this.#define(this.#name("define clause"));
          break;
        case "template":
        case "block":
          this.#word++;
          nodes.push(this.#template(keyword));
          break;
        default:
          nodes.push({ kind: "print", pipeline: this.#pipeline("command", false) });
      }
    }
  }

  #control(kind: "if" | "range" | "with", depth: number): Node {
    const known = this.#variables.length;
    const pipeline = this.#pipeline(kind, true);
    if (kind === "range") this.#loops++;
    const first = this.list(depth + 1);
    if (kind === "range") this.#loops--;
    let otherwise: readonly Node[] = [];
    if (first.end === "else") {
      const word = this.#words[this.#word];
      if (word?.kind === "name" && word.text === kind && kind !== "range") {
        this.#word++;
        otherwise = [this.#control(kind, depth)];
      } else {
        this.#finish("else");
        const rest = this.list(depth + 1);
        if (rest.end === "else") this.fail("expected end; found {{else}}");
        otherwise = rest.nodes;
      }
    }
    this.#variables.length = known;
    return { kind, pipeline, body: first.nodes, otherwise };
  }

  /** The name behind `define`, `template` and `block`. */
  #name(context: "define clause" | "template clause" | "block clause"): string {
    const word = this.#words[this.#word++];
    if (word?.kind === "string") return word.value;
    return this.fail(`unexpected ${shown(word)} in ${context}`);
  }

  /** Reads the tree up to its end, and keeps it: it has variables and loops of its own. */
  #define(name: string, context = "define clause"): void {
    if (context === "define clause") this.#finish(context);
    const [variables, loops] = [this.#variables, this.#loops];
    this.#variables = ["$"];
    this.#loops = 0;
    const { nodes, end } = this.list(1);
    this.#variables = variables;
    this.#loops = loops;
    if (end !== "end") this.fail(`unexpected {{${end}}} in ${context}`);
    const known = this.named.get(name);
    if (known && !isEmpty(known)) {
      if (isEmpty(nodes)) return;
      this.fail(`template: multiple definition of template ${JSON.stringify(name)}`);
    }
    this.named.set(name, nodes);
  }

  /** `{{template "x" .}}`; a block is that and the definition in one. */
  #template(kind: "template" | "block"): Node {
    const context = `${kind} clause` as const;
    const at = this.#words[this.#word]?.at ?? 0;
    const name = this.#name(context);
    const rest = this.#words[this.#word];
    const pipeline = rest || kind === "block" ? this.#pipeline(context, true) : undefined;
    const last = this.#words.at(-1);
    const argument = rest && last ? ` ${this.#source.slice(rest.at, last.at + last.text.length)}` : "";
    if (kind === "block") this.#define(name, context);
    return {
      kind: "template",
      name,
      pipeline,
      at,
      text: `{{template ${JSON.stringify(name)}${argument}}}`,
    };
  }

  #finish(context: string): void {
    const word = this.#words[this.#word];
    if (word) this.fail(`unexpected ${shown(word)} in ${context}`);
  }

  #pipeline(context: string, control: boolean): Pipeline {
    const { variables, assign } = this.#declaration(context === "range");
    const commands = this.#commands(context, false);
    const word = this.#words[this.#word];
    if (word) this.fail(`unexpected ${shown(word)} in ${control ? context : "command"}`);
    if (!assign) this.#variables.push(...variables);
    return { variables, assign, commands };
  }

  /** `$x :=`, `$k, $v :=`, `$x =`. */
  #declaration(range: boolean): { variables: string[]; assign: boolean } {
    const at = (offset: number): SpacedWord | undefined => this.#words[this.#word + offset];
    const none = { variables: [], assign: false };
    if (at(0)?.kind !== "variable") return none;
    const two = range && at(1)?.text === "," && at(2)?.kind === "variable";
    const sign = at(two ? 3 : 1)?.text;
    if (sign !== ":=" && sign !== "=") return none;
    const variables = [at(0)?.text ?? "", ...(two ? [at(2)?.text ?? ""] : [])];
    this.#word += two ? 4 : 2;
    return { variables, assign: sign === "=" };
  }

  #commands(context: string, nested: boolean): Command[] {
    const commands: Command[] = [];
    for (;;) {
      const start = this.#words[this.#word];
      const terms: Term[] = [];
      for (;;) {
        const word = this.#words[this.#word];
        if (!word || word.text === "|" || (word.kind === "operator" && word.text === ")")) break;
        terms.push(this.#operand(word));
      }
      const [first, ...rest] = terms;
      if (!first) {
        if (commands.length === 0) this.fail(`missing value for ${context}`);
        break;
      }
      const last = this.#words[this.#word - 1];
      const text = this.#source.slice(start?.at ?? 0, (last?.at ?? 0) + (last?.text.length ?? 0));
      commands.push({ terms: [first, ...rest], text });
      if (this.#words[this.#word]?.text !== "|") break;
      this.#word++;
    }
    if (nested && this.#words[this.#word]?.text !== ")") this.fail("unclosed left paren");
    return commands;
  }

  #operand(word: SpacedWord): Term {
    this.#word++;
    const fields: string[] = [];
    let text = word.text;
    let at = word.at;
    let of: Extract<Term, { kind: "chain" }>["of"] = "dot";
    switch (word.kind) {
      case "string":
      case "number":
        return { kind: "literal", value: word.value, text: word.text, at: word.at };
      case "name":
        if (word.text === "true" || word.text === "false")
          return { kind: "literal", value: word.text === "true", text: word.text, at: word.at };
        if (word.text === "nil") return { kind: "nil", at: word.at };
        if (!this.#functions.has(word.text)) this.fail(`function ${JSON.stringify(word.text)} not defined`);
        return { kind: "function", name: word.text, at: word.at };
      case "field":
        fields.push(word.text.slice(1));
        break;
      case "variable":
        if (!this.#variables.includes(word.text))
          this.fail(`undefined variable ${JSON.stringify(word.text)}`);
        of = { variable: word.text };
        break;
      case "operator":
        if (word.text === ".") return { kind: "dot", at: word.at };
        if (word.text === "(") {
          of = { variables: [], assign: false, commands: this.#commands("parenthesized pipeline", true) };
          this.#word++;
          text = "";
        } else this.fail(`unexpected ${shown(word)} in operand`);
    }
    for (;;) {
      const next = this.#words[this.#word];
      if (next?.kind !== "field" || next.spaced) break;
      // The place of a chain is that of its second link, in Go's errors.
      if (fields.length === 1 && of === "dot") at = next.at;
      fields.push(next.text.slice(1));
      text += next.text;
      this.#word++;
    }
    const next = this.#words[this.#word];
    if (next?.text === "." && next.kind === "operator" && !next.spaced)
      this.fail(`unexpected ${shown(next)} in operand`);
    return { kind: "chain", of, fields, text, at };
  }
}
