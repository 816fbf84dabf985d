/** Quotes, backslashes and variables in the words of a Dockerfile's instruction, as Docker's builder reads them. */
import { SampanError } from "../common/error.ts";

/** `"a b"` → `a b`, `$X/bin` and `${X:-none}` → what `env` has; one that it does not have is empty. */
export function expand(text: string, env: ReadonlyMap<string, string>): string {
  let at = 0;
  const refuse = (why: string): SampanError =>
    new SampanError("invalid", `failed to process ${JSON.stringify(text)}: ${why}`);

  /** Up to `end` or, where that is empty, to the text's end. */
  function word(end: string): string {
    let result = "";
    for (let char = text[at]; char !== undefined && char !== end; char = text[at]) {
      at++;
      if (char === "'") result += single();
      else if (char === '"') result += double();
      else if (char === "$") result += variable();
      else result += char === "\\" ? (text[at++] ?? "") : char;
    }
    return result;
  }

  function single(): string {
    const end = text.indexOf("'", at);
    if (end < 0) throw refuse("unexpected end of statement while looking for matching single-quote");
    const inside = text.slice(at, end);
    at = end + 1;
    return inside;
  }

  function double(): string {
    let result = "";
    for (let char = text[at++]; char !== '"'; char = text[at++]) {
      if (char === undefined)
        throw refuse("unexpected end of statement while looking for matching double-quote");
      if (char === "$") result += variable();
      else result += char === "\\" && /["$\\]/.test(text[at] ?? "") ? text[at++] : char;
    }
    return result;
  }

  /** What stands behind a `$`. */
  function variable(): string {
    if (text[at] !== "{") {
      const name = nameHere();
      return name === "" ? "$" : (env.get(name) ?? "");
    }
    at++;
    const name = nameHere();
    if (name === "") throw refuse("syntax error: bad substitution");
    const value = env.get(name);
    const colon = text[at] === ":";
    if (colon) at++;
    const modifier = text[at++];
    if (modifier === "}" && !colon) return value ?? "";
    if (modifier === undefined) throw refuse("syntax error: missing '}' in substitution");
    if (!"-+?".includes(modifier)) throw refuse(`unsupported modifier (${modifier}) in substitution`);
    const other = word("}");
    if (text[at++] !== "}") throw refuse("syntax error: missing '}' in substitution");
    const given = value !== undefined && !(colon && value === "");
    if (modifier === "+") return given ? other : "";
    if (given) return value;
    if (modifier === "?") throw refuse(`${name}: ${other || "is not allowed to be unset"}`);
    return other;
  }

  /** A name, or one digit. */
  function nameHere(): string {
    const [name = ""] = /^(?:[A-Za-z_][A-Za-z0-9_]*|\d+)?/.exec(text.slice(at)) ?? [];
    at += name.length;
    return name;
  }

  return word("");
}
