/** What was asked for, with the image's defaults filled in: the rules by which Docker merges the two. */
import { SampanError } from "../common/error.ts";
import type { ImageConfig } from "../image/record.ts";
import type { ContainerConfig, Healthcheck } from "./config.ts";
import { shortId } from "./ids.ts";
import type { ContainerRecord } from "./record.ts";

type Resolved = Pick<
  ContainerRecord,
  "config" | "args" | "env" | "workdir" | "user" | "hostname" | "labels" | "stopSignal" | "exposedPorts"
>;

type ImageDefaults = NonNullable<ImageConfig["config"]>;

/** Entrypoint and command: an entrypoint of one's own discards the image's command, a command alone keeps its entrypoint. */
function words(config: ContainerConfig, image: ImageDefaults): string[] {
  const own = config.entrypoint;
  if (own !== undefined) {
    const entrypoint = own.length === 1 && own[0] === "" ? [] : own;
    return [...entrypoint, ...(config.command ?? [])];
  }
  const command = config.command && config.command.length > 0 ? config.command : (image.Cmd ?? []);
  return [...(image.Entrypoint ?? []), ...command];
}

const keyOf = (entry: string): string => {
  const equals = entry.indexOf("=");
  return equals < 0 ? entry : entry.slice(0, equals);
};

/**
 * The image's environment with one's own laid over it. A later entry of the same name wins and keeps the earlier place;
 * a name without `=` removes the image's.
 */
export function mergeEnv(base: readonly string[], own: readonly string[]): string[] {
  const merged: Record<string, string> = Object.create(null);
  for (const entry of base) merged[`${keyOf(entry)}=`] = entry;
  for (const entry of own)
    if (entry.includes("=")) merged[`${keyOf(entry)}=`] = entry;
    else delete merged[`${entry}=`];
  const env: string[] = [];
  // The "=" keeps a name of digits from being an index, which would be told first.
  for (const key in merged) env.push(merged[key] as string);
  return env;
}

const NANO = 1e6;

/** The image's health check beneath one's own, member by member; undefined: none at all. */
function healthcheck(
  own: Healthcheck | undefined,
  image: ImageDefaults["Healthcheck"],
): Healthcheck | undefined {
  if (own?.test?.[0] === "NONE") return own;
  if (!image?.Test?.length) return own?.test?.length ? own : undefined;
  const pick = (mine: number | undefined, theirs: number | undefined): number =>
    mine || Math.ceil((theirs ?? 0) / NANO);
  return {
    test: own?.test?.length ? own.test : image.Test,
    interval: pick(own?.interval, image.Interval),
    timeout: pick(own?.timeout, image.Timeout),
    startPeriod: pick(own?.startPeriod, image.StartPeriod),
    startInterval: pick(own?.startInterval, image.StartInterval),
    retries: own?.retries || (image.Retries ?? 0),
  };
}

function exposed(own: readonly string[], image: ImageDefaults["ExposedPorts"]): readonly string[] {
  if (!image) return own;
  return own.length === 0 ? Object.keys(image) : [...new Set([...Object.keys(image), ...own])];
}

/** What will run. `hostname` is asked only where the host's own is wanted, or that of the container whose network it is. */
export function resolve(
  id: string,
  config: ContainerConfig,
  imageConfig: ImageConfig | undefined,
  hostname: (container?: string) => string,
): Resolved {
  const image = imageConfig?.config ?? {};
  const args = words(config, image);
  if (args.length === 0)
    throw new SampanError("invalid", "no command specified", {
      hint: "The image names none: give one after the image.",
    });
  const health = healthcheck(config.healthcheck, image.Healthcheck);
  const { healthcheck: _, ...rest } = config;
  const hostnameIsHosts =
    config.namespaces.uts?.mode === "host" ||
    config.namespaces.net?.mode === "host" ||
    (config.exactly !== undefined && !config.exactly.includes("uts"));
  const { net } = config.namespaces;
  const others = net?.mode === "container" ? net.container : undefined;
  return {
    config: health ? { ...rest, healthcheck: health } : rest,
    args,
    env: mergeEnv(image.Env ?? [], config.env),
    workdir: config.workdir ?? image.WorkingDir ?? "",
    user: config.user ?? image.User ?? "",
    hostname:
      config.hostname ??
      (hostnameIsHosts || others !== undefined
        ? hostname(hostnameIsHosts ? undefined : others)
        : shortId(id)),
    labels: image.Labels ? { ...image.Labels, ...config.labels } : config.labels,
    stopSignal: config.stopSignal ?? image.StopSignal ?? "SIGTERM",
    exposedPorts: exposed(config.expose, image.ExposedPorts),
  };
}
