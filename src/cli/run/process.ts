/** The process: streams, ulimits, restart policy, health, times; texts as the docker CLI's. */
import { parseDuration } from "../../common/durations.ts";
import type { Healthcheck, RestartPolicy, Ulimit } from "../../container/config.ts";
import { readInt, UsageError } from "../flags.ts";

type Stream = "stdin" | "stdout" | "stderr";

export function readStream(text: string): Stream {
  const name = text.toLowerCase();
  if (name === "stdin" || name === "stdout" || name === "stderr") return name;
  throw new Error("valid streams are STDIN, STDOUT and STDERR");
}

const ULIMITS =
  "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  );

/** `nofile=1024:2048`; one number is both; -1 is unlimited. */
export function readUlimit(text: string): Ulimit {
  const equals = text.indexOf("=");
  const name = text.slice(0, Math.max(equals, 0));
  const value = text.slice(equals + 1);
  if (name === "" || value === "") throw new Error(`invalid ulimit argument: ${text}`);
  if (!ULIMITS.includes(name)) throw new Error(`invalid ulimit type: ${name}`);
  const parts = value.split(":");
  if (parts.length > 2)
    throw new Error(`too many limit value arguments - ${value}, can only have up to two, \`soft[:hard]\``);
  const soft = readInt(parts[0] ?? "");
  const hard = parts[1] === undefined ? soft : readInt(parts[1]);
  if (hard !== -1 && (soft === -1 || soft > hard))
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { name, soft, hard };
}

/** `on-failure:3`; whether there is such a policy is the engine's to say. */
export function readRestart(text: string | undefined): RestartPolicy {
  if (!text) return { name: "no", maximumRetryCount: 0 };
  const [name = "", count, more] = text.split(":");
  if (name === "") throw new UsageError("invalid restart policy format: no policy provided before colon");
  if (more !== undefined) throw new UsageError("invalid restart policy format: too many colons");
  if (count !== undefined && !/^-?\d+$/.test(count))
    throw new UsageError("invalid restart policy format: maximum retry count must be an integer");
  return { name: name as RestartPolicy["name"], maximumRetryCount: Number(count ?? 0) };
}

/** Milliseconds; a plain number is seconds. */
export function readTimeout(text: string): number {
  const time = /^\d+$/.test(text) ? Number(text) * 1000 : parseDuration(text);
  if (time <= 0) throw new Error("it takes a time above zero, such as 30s");
  return time;
}

interface HealthFlags {
  readonly "no-healthcheck": boolean | undefined;
  readonly "health-cmd": string | undefined;
  readonly "health-interval": number | undefined;
  readonly "health-timeout": number | undefined;
  readonly "health-start-period": number | undefined;
  readonly "health-start-interval": number | undefined;
  readonly "health-retries": number | undefined;
}

/** What `--health-*` say; undefined: nothing, the image's stands. */
export function readHealth(flags: HealthFlags): Healthcheck | undefined {
  const times = {
    interval: flags["health-interval"],
    timeout: flags["health-timeout"],
    startPeriod: flags["health-start-period"],
    startInterval: flags["health-start-interval"],
    retries: flags["health-retries"],
  };
  let given = flags["health-cmd"] !== undefined;
  for (const name in times) given ||= times[name as keyof typeof times] !== undefined;
  if (flags["no-healthcheck"]) {
    if (given) throw new UsageError("--no-healthcheck conflicts with --health-* options");
    return { test: ["NONE"] };
  }
  if (!given) return undefined;
  for (const name of [
    "health-interval",
    "health-timeout",
    "health-start-period",
    "health-start-interval",
    "health-retries",
  ] as const)
    if ((flags[name] ?? 0) < 0) throw new UsageError(`--${name} cannot be negative`);
  const set = Object.fromEntries(Object.entries(times).filter(([, value]) => value));
  return { ...(flags["health-cmd"] ? { test: ["CMD-SHELL", flags["health-cmd"]] } : {}), ...set };
}
