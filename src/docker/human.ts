/** Times and sizes as Docker's columns show them: docker/go-units, with Go's %g. */

/** `About a minute`, `35 hours`: how long that is, roughly. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  const minutes = Math.trunc(milliseconds / 60_000);
  const hours = Math.trunc(milliseconds / 3_600_000 + 0.5);
  const whole = (n: number): number => Math.trunc(n);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${whole(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${whole(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${whole(hours / 24 / 30)} months`;
  return `${whole(milliseconds / 3_600_000 / 24 / 365)} years`;
}

/** Go's `%.Ng`: N significant digits, no zeros at the end, an exponent where the number has more digits before the dot. */
export function general(value: number, precision: number): string {
  if (value === 0) return "0";
  const exponent = Number(value.toExponential(precision - 1).split("e")[1]);
  if (exponent >= -4 && exponent < precision) return String(Number(value.toPrecision(precision)));
  const [digits = "", power = "0"] = value.toExponential(precision - 1).split("e");
  const sign = power.startsWith("-") ? "-" : "+";
  return `${Number(digits)}e${sign}${power.slice(1).padStart(2, "0")}`;
}

const DECIMAL = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

function scaled(size: number, base: number, units: readonly string[], precision: number): string {
  let value = size;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${general(value, precision)}${units[unit]}`;
}

/** `1.24MB`: powers of 1,000, three digits. */
export const humanSize = (bytes: number): string => scaled(bytes, 1000, DECIMAL, 3);

/** `1.982MB`: powers of 1,000, four digits. */
export const humanSize4 = (bytes: number): string => scaled(bytes, 1000, DECIMAL, 4);

/** `23.54GiB`: powers of 1,024. */
export const bytesSize = (bytes: number): string => scaled(bytes, 1024, BINARY, 4);

/** At most `length` columns; the last one is `…` if something was cut. Wide characters count as two. */
export function ellipsis(text: string, length: number): string {
  if (text.length * 2 <= length) return text;
  if (Bun.stringWidth(text) <= length) return text;
  let width = 0;
  let end = 0;
  for (const character of text) {
    width += Bun.stringWidth(character);
    if (width > length - 1) break;
    end += character.length;
  }
  return `${text.slice(0, end)}…`;
}

/** The first 12 digits of an id, without `sha256:`. */
export const shortId = (id: string): string => (id.startsWith("sha256:") ? id.slice(7, 19) : id.slice(0, 12));

/** Go's `time.Time.String()`, to the second: `2026-11-24 02:26:58 +0000 UTC`. */
export function goTime(milliseconds: number): string {
  const offset = -new Date(milliseconds).getTimezoneOffset();
  const local = new Date(milliseconds + offset * 60_000).toISOString();
  const sign = offset < 0 ? "-" : "+";
  const zone = `${sign}${two(Math.trunc(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  return `${local.slice(0, 10)} ${local.slice(11, 19)} ${zone} ${offset === 0 ? "UTC" : zone.replace(/00$/, "")}`;
}

/** RFC 3339 with nanoseconds, in local time, `Z` for UTC: as `docker events` and `logs -t` print it. */
export function rfc3339Nano(nanoseconds: bigint): string {
  const fraction = String(nanoseconds % 1_000_000_000n).padStart(9, "0");
  return rfc3339(Number(nanoseconds / 1_000_000n), `.${fraction}`);
}

/** The same to the second. */
export function rfc3339(milliseconds: number, fraction = ""): string {
  const offset = -new Date(milliseconds).getTimezoneOffset();
  const local = new Date(milliseconds + offset * 60_000).toISOString();
  const sign = offset < 0 ? "-" : "+";
  const zone =
    offset === 0 ? "Z" : `${sign}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${local.slice(0, 19)}${fraction}${zone}`;
}

const two = (n: number): string => String(n).padStart(2, "0");
