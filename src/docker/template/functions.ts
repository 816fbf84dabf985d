/** The functions that a template may call: Go's own and those that Docker adds. */
import { format, isMap, show, typeName } from "./print.ts";

export type TemplateFunction = (...values: readonly unknown[]) => unknown;

/** Empty is false: 0, "", nil, an empty list or map. */
export function truth(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isMap(value)) return Object.getPrototypeOf(value) !== Object.prototype || Object.keys(value).length > 0;
  return Boolean(value);
}

const string = (value: unknown): string => {
  if (typeof value !== "string")
    throw new Error(`wrong type for value; expected string; got ${typeName(value)}`);
  return value;
};
const number = (value: unknown): number => {
  if (typeof value !== "number")
    throw new Error(`wrong type for value; expected int; got ${typeName(value)}`);
  return value;
};

/** Compares two values of one kind; -1, 0 or 1. */
function compare(a: unknown, b: unknown): number {
  if ((typeof a === "number" && typeof b === "number") || (typeof a === "string" && typeof b === "string"))
    return a < b ? -1 : a > b ? 1 : 0;
  throw new Error("incompatible types for comparison");
}

function equal(a: unknown, b: unknown): boolean {
  const nil = (value: unknown): boolean => value === null || value === undefined;
  if (nil(a) || nil(b)) return nil(a) && nil(b);
  if (typeof a !== typeof b) throw new Error("incompatible types for comparison");
  if (typeof a === "object") throw new Error("non-comparable type");
  return a === b;
}

function index(value: unknown, ...keys: readonly unknown[]): unknown {
  return keys.reduce((item: unknown, key) => {
    if (item === null || item === undefined) throw new Error("index of untyped nil");
    if (Array.isArray(item) || typeof item === "string") {
      const at = number(key);
      if (at < 0 || at >= item.length) throw new Error(`index out of range: ${at}`);
      return typeof item === "string" ? item.charCodeAt(at) : item[at];
    }
    if (!isMap(item)) throw new Error(`can't index item of type ${typeName(item)}`);
    if (typeof key !== "string") throw new Error(`value has type ${typeName(key)}; should be string`);
    return Object.hasOwn(item, key) ? item[key] : "";
  }, value);
}

function length(value: unknown): number {
  if (typeof value === "string") return new TextEncoder().encode(value).length;
  if (Array.isArray(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  if (value === null) return 0;
  throw new Error(`len of type ${typeName(value)}`);
}

/** Blanks stand between operands where neither is a string, as Go's Sprint has it. */
const sprint = (values: readonly unknown[]): string =>
  values
    .map(
      (value, i) =>
        (i > 0 && typeof value !== "string" && typeof values[i - 1] !== "string" ? " " : "") + show(value),
    )
    .join("");

const HTML: Readonly<Record<string, string>> = {
  "<": "&lt;",
  ">": "&gt;",
  "&": "&amp;",
  '"': "&#34;",
  "'": "&#39;",
};

export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  // Docker's
  json: (value) => JSON.stringify(value ?? null),
  split: (text, separator) => string(text).split(string(separator)),
  join: (list, separator) => {
    if (list === null) return "";
    if (!Array.isArray(list))
      throw new Error(`wrong type for value; expected []string; got ${typeName(list)}`);
    return list.join(string(separator));
  },
  title: (text) =>
    string(text).replace(
      /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    ),
  lower: (text) => string(text).toLowerCase(),
  upper: (text) => string(text).toUpperCase(),
  pad: (text, before, after) =>
    text === "" ? "" : " ".repeat(number(before)) + string(text) + " ".repeat(number(after)),
  truncate: (text, size) => string(text).slice(0, number(size)),
  // Go's
  len: length,
  index,
  slice: (value, from = 0, to = undefined) => {
    if (typeof value !== "string" && !Array.isArray(value))
      throw new Error(`can't slice item of type ${typeName(value)}`);
    const end = to === undefined ? value.length : number(to);
    for (const at of [number(from), end])
      if (at < 0 || at > value.length) throw new Error(`index out of range: ${at}`);
    return value.slice(number(from), end);
  },
  not: (value) => !truth(value),
  eq: (a, ...rest) => {
    if (rest.length === 0) throw new Error("missing argument for comparison");
    return rest.some((b) => equal(a, b));
  },
  ne: (a, b) => !equal(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  print: (...values) => sprint(values),
  println: (...values) => `${values.map(show).join(" ")}\n`,
  printf: (pattern, ...values) => format(string(pattern), values),
  html: (...values) => sprint(values).replace(/[<>&"']/g, (character) => HTML[character] ?? ""),
  js: (...values) => JSON.stringify(sprint(values)).slice(1, -1),
  urlquery: (...values) => encodeURIComponent(sprint(values)).replaceAll("%20", "+"),
};
