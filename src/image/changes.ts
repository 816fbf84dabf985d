/** `--change`: Dockerfile instructions that alter an image's config and nothing else. */
import { parseDuration } from "../common/durations.ts";
import { SampanError } from "../common/error.ts";
import { cleanPath } from "../common/paths.ts";
import { eachPort } from "../common/ports.ts";
import { parseSignal } from "../kernel/signals.ts";
import { expand } from "./expand.ts";
import type { ImageConfig } from "./record.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
/** The `config` member of an image's config, while it is being made. */
export type MutableConfig = Mutable<NonNullable<ImageConfig["config"]>>;

/**
 * Applies them in order, later ones over earlier ones. Variables are those of the config's Env as it is before each
 * instruction. An ENTRYPOINT takes away a CMD that was there before, which was made for another one.
 */
export function applyChanges(config: MutableConfig, changes: readonly string[]): void {
  const inherited = config.Cmd;
  for (const change of changes) {
    const match = /^\s*([A-Za-z]+)(?:\s+([\s\S]*?))?\s*$/.exec(change);
    const instruction = (match?.[1] ?? "").toUpperCase();
    const apply = INSTRUCTIONS[instruction];
    if (!apply)
      throw new SampanError("invalid", `${(match?.[1] ?? change) || '""'} is not a valid change command`, {
        hint: `It can be ${Object.keys(INSTRUCTIONS).join(", ")}.`,
      });
    const rest = match?.[2] ?? "";
    if (rest === "")
      throw new SampanError(
        "invalid",
        `${instruction} requires ${WANTED[instruction] ?? "at least one argument"}`,
      );
    apply(config, rest);
    if (instruction === "ENTRYPOINT" && config.Entrypoint?.length && config.Cmd === inherited)
      delete config.Cmd;
  }
}

const WANTED: Readonly<Record<string, string>> = {
  USER: "exactly one argument",
  WORKDIR: "exactly one argument",
  STOPSIGNAL: "exactly one argument",
};

const SHELL = ["/bin/sh", "-c"];

const INSTRUCTIONS: Readonly<Record<string, (config: MutableConfig, rest: string) => void>> = {
  CMD: (config, rest) => {
    config.Cmd = jsonWords(rest) ?? [...(config.Shell ?? SHELL), rest];
  },
  ENTRYPOINT: (config, rest) => {
    config.Entrypoint = jsonWords(rest) ?? [...(config.Shell ?? SHELL), rest];
  },
  ENV: (config, rest) => {
    const env = new Map((config.Env ?? []).map((pair) => [pair.slice(0, pair.indexOf("=")), pair]));
    for (const [key, value] of assignments("ENV", rest, variables(config))) env.set(key, `${key}=${value}`);
    config.Env = [...env.values()];
  },
  LABEL: (config, rest) => {
    config.Labels = {
      ...config.Labels,
      ...Object.fromEntries(assignments("LABEL", rest, variables(config))),
    };
  },
  EXPOSE: (config, rest) => {
    config.ExposedPorts = {
      ...config.ExposedPorts,
      ...Object.fromEntries(
        expand(rest, variables(config))
          .split(/\s+/)
          .flatMap(ports)
          .map((port) => [port, {}]),
      ),
    };
  },
  USER: (config, rest) => {
    config.User = expand(rest, variables(config));
  },
  VOLUME: (config, rest) => {
    const env = variables(config);
    const paths = (jsonWords(rest) ?? rest.split(/\s+/)).map((path) => expand(path, env));
    if (paths.length === 0) throw new SampanError("invalid", "VOLUME requires at least one argument");
    if (paths.some((path) => path === ""))
      throw new SampanError("invalid", "VOLUME specified can not be an empty string");
    config.Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
  },
  WORKDIR: (config, rest) => {
    const path = expand(rest, variables(config));
    if (path === "")
      throw new SampanError("invalid", "WORKDIR is empty", { hint: `${rest} stands for nothing.` });
    config.WorkingDir = cleanPath(path.startsWith("/") ? path : `${config.WorkingDir || "/"}/${path}`);
  },
  STOPSIGNAL: (config, rest) => {
    const signal = expand(rest, variables(config));
    parseSignal(signal);
    config.StopSignal = signal;
  },
  ONBUILD: (config, rest) => {
    const trigger = (/^[A-Za-z]+/.exec(rest)?.[0] ?? "").toUpperCase();
    if (trigger === "ONBUILD")
      throw new SampanError("invalid", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (trigger === "FROM" || trigger === "MAINTAINER")
      throw new SampanError("invalid", `${trigger} isn't allowed as an ONBUILD trigger`);
    config.OnBuild = [...(config.OnBuild ?? []), rest];
  },
  HEALTHCHECK: (config, rest) => {
    config.Healthcheck = healthcheck(rest, config.Shell ?? SHELL);
  },
};

function healthcheck(text: string, shell: readonly string[]): NonNullable<MutableConfig["Healthcheck"]> {
  const check: Mutable<NonNullable<MutableConfig["Healthcheck"]>> = {};
  let rest = text;
  for (let flag = FLAG.exec(rest); flag; flag = FLAG.exec(rest)) {
    const [whole, name = "", value = ""] = flag;
    rest = rest.slice(whole.length);
    if (name === "retries") {
      if (!/^-?\d+$/.test(value))
        throw new SampanError("invalid", `HEALTHCHECK --retries takes a number, not "${value}"`);
      if (Number(value) < 1) throw new SampanError("invalid", `--retries must be at least 1 (not ${value})`);
      check.Retries = Number(value);
      continue;
    }
    const key = DURATIONS[name];
    if (key === undefined) throw new SampanError("invalid", `HEALTHCHECK does not know --${name}`);
    try {
      check[key] = Math.round(parseDuration(value) * 1e6);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new SampanError("invalid", `HEALTHCHECK --${name}: ${why}`, { cause: error });
    }
    if ((check[key] ?? 0) < 1e6)
      throw new SampanError("invalid", `Interval "${name}" cannot be less than 1ms`);
  }
  const [, kind = "", command = ""] = /^(\S+)\s*([\s\S]*)$/.exec(rest) ?? [];
  if (kind.toUpperCase() === "NONE") {
    if (command !== "") throw new SampanError("invalid", "HEALTHCHECK NONE takes no arguments");
    return { Test: ["NONE"] };
  }
  if (kind.toUpperCase() !== "CMD")
    throw new SampanError("invalid", `Unknown type "${kind}" in HEALTHCHECK (try CMD)`);
  if (command === "") throw new SampanError("invalid", "Missing command after HEALTHCHECK CMD");
  const words = jsonWords(command);
  const plain = shell.join(" ") === SHELL.join(" ");
  check.Test = words ? ["CMD", ...words] : plain ? ["CMD-SHELL", command] : ["CMD", ...shell, command];
  return check;
}

const FLAG = /^--([a-z-]+)=(\S+)\s*/;
const DURATIONS: Readonly<Record<string, "Interval" | "Timeout" | "StartPeriod" | "StartInterval">> = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
};

/** The words of the JSON form; undefined if it is not that form. */
function jsonWords(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((word) => typeof word === "string")
      ? (value as string[])
      : undefined;
  } catch {
    return undefined;
  }
}

/** The config's environment, for what instructions say with `$`. */
const variables = (config: MutableConfig): ReadonlyMap<string, string> =>
  new Map(
    (config.Env ?? []).map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );

/** Words as a shell would cut them, with their quotes and backslashes. */
const words = (text: string): string[] =>
  text.match(/(?:[^\s"'\\]|\\(?:[\s\S]|$)|"(?:[^"\\]|\\[\s\S])*(?:"|$)|'[^']*(?:'|$))+/g) ?? [];

/** `a=1 b="2 3"`, or the old form `a the rest`. */
function assignments(
  instruction: string,
  text: string,
  env: ReadonlyMap<string, string>,
): [key: string, value: string][] {
  const parts = words(text);
  const [first = ""] = parts;
  if (!first.includes("=")) {
    const [, key = "", value] = /^(\S+)\s+([\s\S]+)$/.exec(text) ?? [];
    if (value === undefined) throw new SampanError("invalid", `${instruction} must have two arguments`);
    return [[expand(key, env), expand(value, env)]];
  }
  return parts.map((part) => {
    const equals = part.indexOf("=");
    if (equals < 0)
      throw new SampanError(
        "invalid",
        `Syntax error - can't find = in "${part}". Must be of the form: name=value`,
      );
    if (equals === 0) throw new SampanError("invalid", `${instruction} names can not be blank`);
    return [expand(part.slice(0, equals), env), expand(part.slice(equals + 1), env)];
  });
}

/** `80`, `80/udp`, `8000-8002/tcp`: each port by itself. */
function ports(text: string): string[] {
  const refuse = new SampanError("invalid", `Invalid containerPort: ${text}`);
  if (!/^[\d-]+(\/(tcp|udp|sctp))?$/i.test(text)) throw refuse;
  try {
    return eachPort(text.toLowerCase());
  } catch {
    throw refuse;
  }
}
