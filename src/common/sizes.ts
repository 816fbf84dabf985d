/**
 * Sizes as Docker's flags take them: a number, then b, k, m, g, t or p, of 1,024 each, with `b` or `ib` after it if
 * one likes. The rules and the texts are those of docker/go-units, since scripts compare them.
 */

const UNITS: Record<string, number> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50 };

/** `64m`, `1.5GiB`, `100` → bytes. Throws an Error whose text says what is wrong with it. */
export function parseSize(text: string): number {
  const last = text.search(/[0-9. ][^0-9. ]*$/);
  if (last < 0) throw new Error(`invalid size: '${text}'`);
  const number = text.slice(0, text[last] === " " ? last : last + 1);
  const suffix = text.slice(last + 1).toLowerCase();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(number))
    throw new Error(`strconv.ParseFloat: parsing "${number}": invalid syntax`);
  const size = Number(number);
  if (size < 0) throw new Error(`invalid size: '${text}'`);
  if (suffix === "" || suffix === "b") return Math.trunc(size);
  const unit = UNITS[suffix[0] ?? ""];
  if (unit === undefined || !/^.(b|ib)?$/.test(suffix)) throw new Error(`invalid suffix: '${suffix}'`);
  return Math.trunc(size * unit);
}

/** As `parseSize`, and -1 for unlimited. */
export const parseSizeOrUnlimited = (text: string): number => (text === "-1" ? -1 : parseSize(text));
