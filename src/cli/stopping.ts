/** What `stop` and `restart` take: the signal that asks a container to end, and for how long. */
import type { StopOptions } from "../container/index.ts";
import type { Flags, Values } from "./flags.ts";

export const STOP_FLAGS = {
  signal: { type: "string", short: "s", help: "Signal to send to the container" },
  time: { type: "int", help: "Seconds to wait before killing the container", hidden: true },
  timeout: { type: "int", short: "t", help: "Seconds to wait before killing the container" },
} as const satisfies Flags;

export function stopOptions(flags: Values<typeof STOP_FLAGS>): StopOptions {
  const seconds = flags.timeout ?? flags.time;
  return {
    ...(seconds === undefined ? {} : { timeout: seconds < 0 ? -1 : seconds * 1000 }),
    ...(flags.signal ? { signal: flags.signal } : {}),
  };
}
