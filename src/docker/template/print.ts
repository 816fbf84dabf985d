/** How Go prints a value: fmt's %v and the verbs of Printf that templates use. */

/** A plain object: a map or the JSON of a struct. */
export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const sortedKeys = (map: Readonly<Record<string, unknown>>): string[] => Object.keys(map).sort();

/** `%v`: lists in brackets, maps as `map[k:v]` in the order of their keys. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (isMap(value))
    return `map[${sortedKeys(value)
      .map((key) => `${key}:${show(value[key])}`)
      .join(" ")}]`;
  return String(value);
}

/** Go's name of a value's type. */
export function typeName(value: unknown): string {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  if (Array.isArray(value)) return "[]interface {}";
  return value === null || value === undefined ? "<nil>" : "map[string]interface {}";
}

const quote = (text: string): string => JSON.stringify(text).replaceAll("\u007f", "\\x7f");

/** Go's Sprintf: flags, width, precision and the verbs v s q d x X o b c t f e g T %. */
export function format(pattern: string, values: readonly unknown[]): string {
  let next = 0;
  const text = pattern.replace(
    /%([-+# 0]*)(\d*)(?:\.(\d*))?([a-zA-Z%])/g,
    (_, flags: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const value = values[next++];
      const body = one(verb, value, flags, precision);
      const size = Number(width || 0);
      if (flags.includes("-")) return body.padEnd(size);
      if (flags.includes("0") && typeof value === "number")
        return body.startsWith("-") ? `-${body.slice(1).padStart(size - 1, "0")}` : body.padStart(size, "0");
      return body.padStart(size);
    },
  );
  const extra = values.slice(next);
  if (extra.length === 0) return text;
  return `${text}%!(EXTRA ${extra.map((value) => `${typeName(value)}=${show(value)}`).join(", ")})`;
}

function one(verb: string, value: unknown, flags: string, precision: string | undefined): string {
  const places = precision === undefined ? undefined : Number(precision || 0);
  const wrong = (): string => `%!${verb}(${typeName(value)}=${show(value)})`;
  const sign = (n: number, text: string): string => (flags.includes("+") && n >= 0 ? `+${text}` : text);
  switch (verb) {
    case "v":
      return show(value);
    case "T":
      return typeName(value);
    case "t":
      return typeof value === "boolean" ? String(value) : wrong();
    case "s":
    case "q": {
      if (Array.isArray(value))
        return `[${value.map((each) => one(verb, each, flags, precision)).join(" ")}]`;
      if (typeof value !== "string") return wrong();
      const cut = places === undefined ? value : [...value].slice(0, places).join("");
      return verb === "q" ? quote(cut) : cut;
    }
    case "x":
    case "X": {
      const hex =
        typeof value === "string"
          ? [...new TextEncoder().encode(value)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
          : typeof value === "number"
            ? value.toString(16)
            : wrong();
      return verb === "X" ? hex.toUpperCase() : hex;
    }
  }
  if (typeof value !== "number") return wrong();
  switch (verb) {
    case "d":
      return Number.isInteger(value) ? sign(value, String(value)) : wrong();
    case "o":
      return value.toString(8);
    case "b":
      return value.toString(2);
    case "c":
      return String.fromCodePoint(value);
    case "f":
      return sign(value, value.toFixed(places ?? 6));
    case "e":
      return sign(value, value.toExponential(places ?? 6).replace(/e([+-])(\d)$/, "e$10$2"));
    case "g":
      return sign(value, String(places === undefined ? value : Number(value.toPrecision(places || 1))));
    default:
      return wrong();
  }
}
