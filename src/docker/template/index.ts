/**
 * Go's text/template as far as Docker's documentation uses it: fields, pipelines, functions, variables, if, range,
 * with, and templates that have names. It is loaded only when `--format` asks for it. The errors are Go's, places included.
 */
import { FUNCTIONS, type TemplateFunction, truth } from "./functions.ts";
import { lineOf, TemplateError } from "./lex.ts";
import { type Command, type Node, type Pipeline, parse, type Term, type Trees } from "./parse.ts";
import { isMap, show, sortedKeys, typeName } from "./print.ts";

export { TemplateError } from "./lex.ts";

export interface TemplateOptions {
  /** Replaces functions of the same name. */
  readonly functions?: Readonly<Record<string, TemplateFunction>>;
  /** What an absent value of this field is printed as; Go tells by its type, JSON cannot. */
  readonly nil?: (field: string) => string;
  /**
   * Fields that hold a map with any key: an unknown one has no value, which is no error. `Parent.Field` is one only in that
   * parent. Where they are told, all other objects are structs, and are printed as such.
   */
  readonly maps?: ReadonlySet<string>;
  /** All members of a struct, in Go's order, where JSON leaves empty ones out. */
  readonly members?: (struct: Readonly<Record<string, unknown>>) => readonly string[];
  /** Go's name of the type that a field was not found in, for the error. */
  readonly type?: string;
}

/** A template that was read; `execute` applies it to one value. */
export class Template {
  readonly #source: string;
  readonly #trees: Trees;
  readonly #options: TemplateOptions;

  constructor(source: string, options: TemplateOptions = {}) {
    this.#source = source;
    this.#options = options;
    this.#trees = parse(source, new Set([...Object.keys(FUNCTIONS), "and", "or", "call"]));
  }

  execute(data: unknown): string {
    const run = new Execution(this.#source, this.#trees.named, this.#options, data);
    run.list(this.#trees.nodes, data);
    return run.output;
  }
}

/** How deep templates may use each other. Go's limit is what its stack holds, so is this one. */
const DEPTH = 1000;

type Signal = "break" | "continue" | undefined;

class Execution {
  output = "";
  readonly #source: string;
  readonly #options: TemplateOptions;
  readonly #named: Trees["named"];
  #variables: { name: string; value: unknown }[];
  /** The name of the template that is applied, and how many wait for it. */
  #name = "";
  #depth = 0;
  /** The field that the last value came from, and the one before it, which tell how nothing is printed. */
  #field = "";
  #parent = "";

  constructor(source: string, named: Trees["named"], options: TemplateOptions, data: unknown) {
    this.#source = source;
    this.#named = named;
    this.#options = options;
    this.#variables = [{ name: "$", value: data }];
  }

  #fail(at: number, text: string, message: string): never {
    const start = this.#source.lastIndexOf("\n", at - 1) + 1;
    const place = `:${lineOf(this.#source, at)}:${at - start}`;
    throw new TemplateError(
      `template: ${place}: executing ${JSON.stringify(this.#name)} at <${text}>: ${message}`,
      "execute",
    );
  }

  list(nodes: readonly Node[], dot: unknown): Signal {
    const known = this.#variables.length;
    for (const node of nodes) {
      const signal = this.#node(node, dot);
      if (signal) {
        this.#variables.length = known;
        return signal;
      }
    }
    return undefined;
  }

  #node(node: Node, dot: unknown): Signal {
    switch (node.kind) {
      case "text":
        this.output += node.text;
        return undefined;
      case "break":
      case "continue":
        return node.kind;
      case "print": {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.variables.length > 0) return undefined;
        if (value === undefined) this.output += "<no value>";
        else if (value === null) this.output += this.#options.nil?.(this.#field) ?? "<no value>";
        else this.output += this.#shown(value, this.#field, this.#parent);
        return undefined;
      }
      case "range":
        return this.#range(node, dot);
      case "template":
        this.#template(node, dot);
        return undefined;
      default: {
        const known = this.#variables.length;
        const value = this.#pipeline(node.pipeline, dot);
        const inner = node.kind === "with" ? value : dot;
        const signal = truth(value) ? this.list(node.body, inner) : this.list(node.otherwise, dot);
        this.#variables.length = known;
        return signal;
      }
    }
  }

  /** `%v` of what lies in this field: a struct's members without their names, a map's with its keys. */
  #shown(value: unknown, field: string, parent = ""): string {
    const { maps, nil, members = Object.keys } = this.#options;
    if (!maps) return show(value);
    if (value === null) return nil?.(field) ?? "<nil>";
    if (Array.isArray(value)) return `[${value.map((each) => this.#shown(each, "")).join(" ")}]`;
    if (!isMap(value)) return show(value);
    if (!this.#holdsMap(field, parent))
      return `{${members(value)
        .map((name) => this.#shown(value[name] ?? (name in value ? null : ""), name, field))
        .join(" ")}}`;
    return `map[${sortedKeys(value)
      .map((key) => `${key}:${this.#shown(value[key], "")}`)
      .join(" ")}]`;
  }

  /** Another template sees what it is given and nothing else. */
  #template(node: Extract<Node, { kind: "template" }>, dot: unknown): void {
    const nodes = this.#named.get(node.name);
    if (!nodes) this.#fail(node.at, node.text, `template ${JSON.stringify(node.name)} not defined`);
    if (this.#depth === DEPTH) this.#fail(node.at, node.text, `exceeded maximum template depth (${DEPTH})`);
    const value = node.pipeline && this.#pipeline(node.pipeline, dot);
    const [variables, name] = [this.#variables, this.#name];
    this.#variables = [{ name: "$", value }];
    this.#name = node.name;
    this.#depth++;
    this.list(nodes, value);
    this.#depth--;
    this.#variables = variables;
    this.#name = name;
  }

  #range(node: Extract<Node, { kind: "if" | "range" | "with" }>, dot: unknown): Signal {
    const { variables, assign, commands } = node.pipeline;
    const known = this.#variables.length;
    const value = this.#pipeline({ variables: [], assign: false, commands }, dot);
    for (const [key, item] of this.#items(value, commands[0])) {
      this.#variables.length = known;
      const bound = variables.length === 2 ? [key, item] : [item];
      variables.forEach((name, i) => this.#bind(name, bound[i], assign));
      if (this.list(node.body, item) === "break") break;
    }
    this.#variables.length = known;
    if (!truth(value)) return this.list(node.otherwise, dot);
    return undefined;
  }

  #items(value: unknown, command: Command | undefined): [unknown, unknown][] {
    if (Array.isArray(value)) return value.map((item, i) => [i, item]);
    if (value === null || value === undefined) return [];
    if (typeof value === "number") return Array.from({ length: Math.max(value, 0) }, (_, i) => [i, i]);
    if (isMap(value)) return sortedKeys(value).map((key) => [key, value[key]]);
    const at = command?.terms[0].at ?? 0;
    return this.#fail(at, command?.text ?? "", `range can't iterate over ${show(value)}`);
  }

  #bind(name: string, value: unknown, assign: boolean): void {
    const known = assign ? this.#variables.findLast((each) => each.name === name) : undefined;
    if (known) known.value = value;
    else this.#variables.push({ name, value });
  }

  #pipeline({ variables, assign, commands }: Pipeline, dot: unknown): unknown {
    let value: unknown;
    commands.forEach((command, i) => {
      value = this.#command(command, dot, i > 0 ? [value] : []);
    });
    for (const name of variables) this.#bind(name, value, assign);
    return value;
  }

  #command({ terms: [first, ...rest], text }: Command, dot: unknown, piped: readonly unknown[]): unknown {
    if (first.kind === "function") return this.#call(first, rest, text, dot, piped);
    if (first.kind === "chain")
      return this.#chain(first, dot, rest.length + piped.length > 0 ? { rest, piped } : undefined);
    if (rest.length > 0 || piped.length > 0) {
      const shown = first.kind === "literal" ? first.text : first.kind === "dot" ? "." : "nil";
      this.#fail(first.at, shown, `can't give argument to non-function ${shown}`);
    }
    if (first.kind === "nil") this.#fail(first.at, "nil", "nil is not a command");
    return this.#value(first, dot);
  }

  #call(
    term: Extract<Term, { kind: "function" }>,
    rest: readonly Term[],
    text: string,
    dot: unknown,
    piped: readonly unknown[],
  ): unknown {
    const { name, at } = term;
    if (name === "and" || name === "or") {
      // Each operand is looked at only while it can still matter.
      let value: unknown;
      for (const operand of rest) {
        value = this.#value(operand, dot);
        if (truth(value) === (name === "or")) return value;
      }
      return piped.length > 0 ? piped[0] : value;
    }
    const values = [...rest.map((operand) => this.#value(operand, dot)), ...piped];
    // Go's nil map is an empty one.
    const [of] = rest;
    if (
      name === "index" &&
      values[0] === null &&
      of?.kind === "chain" &&
      this.#holdsMap(of.fields.at(-1), of.fields.at(-2))
    )
      values[0] = {};
    const apply = this.#options.functions?.[name] ?? FUNCTIONS[name];
    if (!apply) return this.#fail(at, text, `function ${JSON.stringify(name)} cannot be called here`);
    const wants = apply.length;
    if (values.length < wants)
      this.#fail(at, name, `wrong number of args for ${name}: want ${wants} got ${values.length}`);
    try {
      this.#field = "";
      return apply(...values);
    } catch (error) {
      return this.#fail(at, text, `error calling ${name}: ${error instanceof Error ? error.message : error}`);
    }
  }

  #value(term: Term, dot: unknown): unknown {
    switch (term.kind) {
      case "dot":
        this.#field = "";
        return dot;
      case "nil":
        return null;
      case "literal":
        return term.value;
      case "function":
        return this.#call(term, [], term.name, dot, []);
      case "chain":
        return this.#chain(term, dot, undefined);
    }
  }

  #chain(
    term: Extract<Term, { kind: "chain" }>,
    dot: unknown,
    call: { readonly rest: readonly Term[]; readonly piped: readonly unknown[] } | undefined,
  ): unknown {
    let value: unknown = dot;
    if (term.of !== "dot") {
      const { of } = term;
      if ("variable" in of) value = this.#variables.findLast(({ name }) => name === of.variable)?.value;
      else value = this.#pipeline(of, dot);
    }
    let owner: unknown;
    term.fields.forEach((field, i) => {
      if (i > 0 && typeof value === "function") value = Reflect.apply(value, owner, []);
      owner = value;
      value = this.#get(value, field, this.#holdsMap(term.fields[i - 1], term.fields[i - 2]), term);
      this.#field = field;
      this.#parent = term.fields[i - 1] ?? "";
    });
    if (typeof value === "function") {
      const values = call ? [...call.rest.map((operand) => this.#value(operand, dot)), ...call.piped] : [];
      if (values.length !== value.length)
        this.#fail(
          term.at,
          term.text,
          `wrong number of args for ${term.fields.at(-1)}: want ${value.length} got ${values.length}`,
        );
      return Reflect.apply(value, owner, values);
    }
    if (call && call.rest.length > 0)
      this.#fail(
        term.at,
        term.text,
        `${term.fields.at(-1) ?? term.text} has arguments but cannot be invoked as function`,
      );
    return value;
  }

  /** Whether what this field holds is a map with any key. */
  #holdsMap(field = "", parent = ""): boolean {
    const { maps } = this.#options;
    return maps !== undefined && (maps.has(field) || maps.has(`${parent}.${field}`));
  }

  #get(value: unknown, field: string, map: boolean, term: Extract<Term, { kind: "chain" }>): unknown {
    // What a map does not have has no fields either, and a nil map has nothing: no value, which is no error.
    if (value === undefined || (value === null && map)) return undefined;
    if (!isMap(value)) {
      const reason =
        value === null
          ? `nil pointer evaluating interface {}.${field}`
          : `can't evaluate field ${field} in type ${typeName(value)}`;
      return this.#fail(term.at, term.text, reason);
    }
    const plain = Object.getPrototypeOf(value) === Object.prototype;
    if (plain ? Object.hasOwn(value, field) : /^[A-Z]/.test(field) && field in value) return value[field];
    if (map) return undefined;
    if (!plain)
      return this.#fail(
        term.at,
        term.text,
        `can't evaluate field ${field} in type ${this.#options.type ?? "struct"}`,
      );
    // Go's name of a field may differ from JSON's in its case: ID and Id.
    const other = Object.keys(value).find((key) => key.toLowerCase() === field.toLowerCase());
    if (other !== undefined) return value[other];
    return this.#fail(term.at, term.text, `map has no entry for key ${JSON.stringify(field)}`);
  }
}
