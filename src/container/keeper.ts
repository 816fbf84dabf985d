/** What the keeper is told: where to log, whom to ask, when to start the container again, whom to call at the end. */
import { SampanError } from "../common/error.ts";
import type { Paths } from "../common/paths.ts";
import { enginePath, type KeeperPlan, type LogPlan, type Step } from "../launch/index.ts";
import { cgroupPath, killFolders, readCgroupHost } from "../runtime/index.ts";
import type { ContainerConfig, Healthcheck } from "./config.ts";
import { attributesOf, type Context, places } from "./context.ts";
import { eventsFile } from "./events.ts";
import type { StoredContainer } from "./rows.ts";
import { isRootless } from "./spec.ts";

/** Below this cgroup every container has its own; `--cgroup-parent` and SAMPAN_CGROUP_PARENT name another. */
export const cgroupParent = (config: Pick<ContainerConfig, "cgroupParent"> = {}): string =>
  config.cgroupParent ?? process.env["SAMPAN_CGROUP_PARENT"] ?? "/sampan";

export const cgroupOf = (container: Pick<StoredContainer, "id" | "config">): string =>
  cgroupPath(container.id, cgroupParent(container.config));

/** Docker's sizes of logs are of 1,000 each. */
const LOG_UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

function logSize(text: string): number {
  const match = /^(-?\d+(?:\.\d+)?)\s*([kmgt]?)b?$/i.exec(text);
  if (!match)
    throw new SampanError("invalid", `invalid size: '${text}'`, {
      hint: "--log-opt max-size takes 10m or 500k.",
    });
  const size = Math.floor(Number(match[1]) * (LOG_UNITS[(match[2] ?? "").toLowerCase()] ?? 1));
  return size < 0 ? 0 : size;
}

function logFiles(text: string): number {
  if (!/^-?\d+$/.test(text))
    throw new SampanError("invalid", `invalid max-file '${text}': it takes a number`);
  if (Number(text) < 1) throw new SampanError("invalid", "max-file cannot be less than 1");
  return Number(text);
}

/** Rotation is on unless somebody turns it off: a log must not fill the disk. */
export function logPlan(log: ContainerConfig["log"], path: string): LogPlan {
  const driver = log.driver as LogPlan["driver"];
  if (driver === "none") return { driver, path: "", maxSize: 0, maxFiles: 1 };
  const {
    "max-size": size = driver === "local" ? "20m" : "10m",
    "max-file": files = driver === "local" ? "5" : "3",
  } = log.options;
  return { driver, path, maxSize: logSize(size), maxFiles: logFiles(files) };
}

/** Docker's defaults, in milliseconds. */
const HEALTH = { interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5_000, retries: 3 };

export const hasHealthcheck = (health: Healthcheck | undefined): health is Healthcheck =>
  health?.test !== undefined && health.test.length > 0 && health.test[0] !== "NONE";

/** The words of a health check's command. */
export function healthWords(test: readonly string[]): readonly string[] {
  if (test[0] === "CMD") return test.slice(1);
  return ["/bin/sh", "-c", test.slice(1).join(" ")];
}

function healthPlan(
  health: Healthcheck,
  steps: readonly Step[],
  path: string,
): NonNullable<KeeperPlan["health"]> {
  return {
    interval: health.interval || HEALTH.interval,
    timeout: health.timeout || HEALTH.timeout,
    startPeriod: health.startPeriod || HEALTH.startPeriod,
    startInterval: health.startInterval || HEALTH.startInterval,
    retries: health.retries || HEALTH.retries,
    steps,
    path,
    says: JSON.stringify(healthWords(health.test ?? []).join(" ")).slice(1, -1),
  };
}

/** The command that records an end. It is executed with an empty environment, so it is told where everything lies. */
const reapCommand = ({ root, run }: Paths, id: string): string[] => [enginePath(), "reap", id, root, run];

export interface KeeperWishes {
  readonly foreground: boolean;
  /** How often keepers have started it again by themselves. */
  readonly restarts?: number;
  /** Of the health check's process; absent: there is none. */
  readonly healthSteps?: readonly Step[];
}

export function keeperPlan(context: Context, container: StoredContainer, wishes: KeeperWishes): KeeperPlan {
  const at = places(context.paths, container.id);
  const { config } = container;
  const { healthcheck } = config;
  const stopAfter = Number(process.env["SAMPAN_STOP_AFTER"] ?? 0);
  // Without root some of it may belong to ids that the keeper is not.
  const remove = config.autoRemove && !isRootless() ? [at.run, at.folder] : [];
  const members = JSON.stringify({ id: container.id, attributes: attributesOf(container) });
  return {
    lock: at.lock,
    pidFile: at.pid,
    socket: at.socket,
    exitFile: at.exit,
    exitSpare: at.exitSpare,
    log: logPlan(config.log, at.log),
    tty: config.tty,
    openStdin: config.openStdin,
    // A terminal has no end of input: who detaches from it leaves it as it is.
    stdinOnce: config.stdinOnce && !config.tty,
    foreground: wishes.foreground,
    restart: { policy: config.restart.name, maximum: config.restart.maximumRetryCount },
    ...(wishes.restarts === undefined ? {} : { restarts: wishes.restarts }),
    timeout: config.timeout ?? 0,
    cgroups: killFolders(readCgroupHost(), cgroupOf(container)),
    reap: reapCommand(context.paths, container.id),
    remove,
    events: eventsFile(context.paths),
    eventMembers: members.slice(1, -1),
    ...(wishes.healthSteps && hasHealthcheck(healthcheck)
      ? { health: healthPlan(healthcheck, wishes.healthSteps, at.health) }
      : {}),
    ...(stopAfter > 0 ? { stopAfter } : {}),
  };
}
