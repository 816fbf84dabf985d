/** Moments as `--since`, `--until` and the `until` filter take them: a time ago, RFC 3339 with parts left out, Unix. */
import { parseDuration } from "../common/durations.ts";

/** → nanoseconds since 1970, decimal. Throws Docker's reason. */
export function parseTimestamp(text: string, now = Date.now()): string {
  const ago = duration(text);
  if (ago !== undefined) return nanoseconds(now - ago);
  const date =
    /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?)?(Z|z|[+-]\d{2}:\d{2})?$/.exec(
      text,
    );
  if (date) {
    const [, day, hour = "00", minute = "00", second = "00", fraction = "", zone = ""] = date;
    const time = Date.parse(`${day}T${hour}:${minute}:${second}${zone.toUpperCase()}`);
    if (!Number.isNaN(time)) return `${time / 1000}${fraction.padEnd(9, "0")}`;
  }
  const unix = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (unix) return `${unix[1]}${(unix[2] ?? "").padEnd(9, "0")}`.replace(/^0+(?=\d)/, "");
  throw new Error(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
}

const nanoseconds = (milliseconds: number): string => `${Math.round(milliseconds)}000000`;

function duration(text: string): number | undefined {
  if (text === "0") return undefined;
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}
