/** `--since` and `--until`. */
import { SampanError } from "../common/error.ts";

/** Nanoseconds since 1970, decimal. */
export async function moment(flag: "since" | "until", text: string): Promise<string> {
  const { parseTimestamp } = await import("../docker/timestamp.ts");
  try {
    return parseTimestamp(text);
  } catch (error) {
    throw new SampanError("invalid", `invalid value for "${flag}": ${(error as Error).message}`, {
      hint: "It takes a time ago such as 10m, a moment such as 2026-01-02T15:04:05Z, or seconds since 1970.",
    });
  }
}
