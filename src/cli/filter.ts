/** The value of one `--filter`. */
export function readFilter(text: string): readonly [name: string, value: string] {
  const equals = text.indexOf("=");
  if (equals < 0) throw new Error("bad format of filter (expected name=value)");
  return [text.slice(0, equals).trim().toLowerCase(), text.slice(equals + 1).trim()];
}
