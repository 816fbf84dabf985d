/**
 * Durations as Go writes them, `1h30m`, `1.5s`, `300ms`, in milliseconds. The texts of the errors are those of
 * Go's time.ParseDuration, which Docker's clients print.
 */

const UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** `1h30m` → milliseconds. Throws an Error whose text says what is wrong with it. */
export function parseDuration(text: string): number {
  const quoted = JSON.stringify(text);
  const sign = text[0] === "-" ? -1 : 1;
  let rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === "0") return 0;
  if (rest === "") throw new Error(`time: invalid duration ${quoted}`);
  let total = 0;
  while (rest !== "") {
    const part = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest);
    if (!part) throw new Error(`time: invalid duration ${quoted}`);
    const [whole, number = "", name = ""] = part;
    if (name === "") throw new Error(`time: missing unit in duration ${quoted}`);
    const unit = UNITS[name];
    if (unit === undefined)
      throw new Error(`time: unknown unit ${JSON.stringify(name)} in duration ${quoted}`);
    total += Number(number) * unit;
    rest = rest.slice(whole.length);
  }
  return sign * total;
}

/** Milliseconds → Go's text of the duration: `1h0m0s`, `1.5s`, `300ms`, `0s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return "0s";
  const sign = milliseconds < 0 ? "-" : "";
  const ms = Math.abs(milliseconds);
  if (ms < 1e-3) return `${sign}${Math.round(ms * 1e6)}ns`;
  if (ms < 1) return `${sign}${Number((ms * 1e3).toFixed(3))}µs`;
  if (ms < 1000) return `${sign}${Number(ms.toFixed(6))}ms`;
  const hours = Math.floor(ms / UNITS["h"]!);
  const minutes = Math.floor((ms % UNITS["h"]!) / UNITS["m"]!);
  const seconds = Number(((ms % UNITS["m"]!) / 1000).toFixed(9));
  return `${sign}${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}s`;
}
