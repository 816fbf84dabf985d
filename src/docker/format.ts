/**
 * `--format` of a list: `json`, a template, or `table` with a template, whose header row is the template applied to the
 * names of the columns.
 */
import { SampanError } from "../common/error.ts";
import { tabbed } from "./table.ts";
import type { Template, TemplateOptions } from "./template/index.ts";

/** What can be shown of a row. */
export interface Columns {
  /** The fields of `json`, in Docker's order. */
  readonly fields: readonly string[];
  /** The header of each field. */
  readonly headers: Readonly<Record<string, string>>;
  /** Go's name of the row's type, for errors. */
  readonly type: string;
  /** Fields that hold maps with any key. */
  readonly maps?: ReadonlySet<string>;
}

/** As Go's encoding/json writes it: `<`, `>` and `&` escaped. */
export const goJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** As `docker inspect` prints objects: four blanks a level, nothing escaped. */
export const goIndent = (value: unknown): string => JSON.stringify(value, null, 4);

/** Prints rows one by one: a stream (events, stats) and a list are formatted alike. */
export interface Formatter {
  /** The table's first line; empty where there is none. */
  readonly header: string;
  readonly row: (row: object) => string;
  /** The cells are separated by tabs and want laying out. */
  readonly table: boolean;
}

export async function formatter(format: string, columns: Columns): Promise<Formatter> {
  const trimmed = format.trim();
  if (trimmed === "json")
    return { header: "", row: (row) => goJson(pick(row, columns.fields)), table: false };
  const { Template } = await import("./template/index.ts");
  const isTable = trimmed.startsWith("table");
  const source = (isTable ? trimmed.slice("table".length) : trimmed)
    .trim()
    .replaceAll("\\t", "\t")
    .replaceAll("\\n", "\n");
  const read = (functions?: TemplateOptions["functions"]): Template => {
    try {
      return new Template(source, {
        type: columns.type,
        ...(columns.maps ? { maps: columns.maps } : {}),
        ...(functions ? { functions } : {}),
      });
    } catch (error) {
      throw new SampanError("invalid", `failed to parse template: ${(error as Error).message}`);
    }
  };
  const template = read({ json: (value) => jsonOf(value, columns) });
  const row = (data: object): string => {
    try {
      return template.execute(data);
    } catch (error) {
      const fields = `The fields are ${Object.keys(columns.headers).join(", ")}.`;
      throw new SampanError("invalid", `failed to execute template: ${(error as Error).message}`, {
        hint: fields,
      });
    }
  };
  if (!isTable) return { header: "", row, table: false };
  const header = read(HEADER_FUNCTIONS).execute({
    ...columns.headers,
    Label: (name: string) => labelHeader(name),
  });
  return { header, row, table: true };
}

/** A whole list, laid out. */
export async function formatRows(format: string, rows: readonly object[], columns: Columns): Promise<string> {
  const { header, row, table } = await formatter(format, columns);
  const lines = rows.map((each) => `${row(each)}\n`).join("");
  return table ? tabbed(`${header}\n${lines}`) : lines;
}

const first = (...values: readonly unknown[]): unknown => values[0];
/** What a function does to a column's name: nothing. */
const HEADER_FUNCTIONS = {
  json: first,
  split: first,
  join: first,
  title: first,
  lower: first,
  upper: first,
  pad: first,
  truncate: first,
};

/** `com.example.my-stack` heads its column as `my stack`. */
const labelHeader = (name: string): string => name.slice(name.lastIndexOf(".") + 1).replace(/[-_]/g, " ");

/** What JSON has of a row; some say it in other words than a table. */
const pick = (row: object, fields: readonly string[]): unknown =>
  "toJSON" in row && typeof row.toJSON === "function"
    ? row.toJSON()
    : Object.fromEntries(fields.map((field) => [field, (row as Record<string, unknown>)[field]]));

const jsonOf = (value: unknown, columns: Columns): string => {
  const row =
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) !== Object.prototype;
  return row && !Array.isArray(value) ? goJson(pick(value, columns.fields)) : JSON.stringify(value ?? null);
};
