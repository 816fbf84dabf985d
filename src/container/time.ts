/** Moments as Docker prints them: RFC 3339 in UTC with nanoseconds, trailing zeros left out. */
import { nanosecondsNow } from "../kernel/clock.ts";

/** What Docker says for "never". */
export const NEVER = "0001-01-01T00:00:00Z";

/** From nanoseconds since 1970, as the keeper writes them in decimal. */
export function fromNanoseconds(decimal: string): string {
  if (decimal === "" || decimal === "0") return NEVER;
  const seconds = decimal.slice(0, -9);
  const date = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  let end = decimal.length;
  while (end > decimal.length - 9 && decimal.charCodeAt(end - 1) === 48) end--;
  const fraction = decimal.slice(-9, end === decimal.length ? undefined : end - decimal.length);
  return fraction === "" ? `${date}Z` : `${date}.${fraction}Z`;
}

export const now = (): string => fromNanoseconds(nanosecondsNow());
