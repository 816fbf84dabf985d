/** What the engine knows of one container: what was asked for, and what is. */
import type { ContainerConfig, Mount } from "./config.ts";

export type Status = "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";

export interface HealthProbe {
  /** Milliseconds since 1970. */
  readonly start: number;
  readonly end: number;
  readonly exitCode: number;
  readonly output: string;
}

export interface Health {
  readonly status: "starting" | "healthy" | "unhealthy";
  readonly failingStreak: number;
  readonly log: readonly HealthProbe[];
}

/** Times are RFC 3339 with nanoseconds, as Docker prints them; never: 0001-01-01T00:00:00Z. */
export interface ContainerState {
  readonly status: Status;
  /** As the host sees it; 0 when it does not run. */
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly restartCount: number;
  readonly oomKilled: boolean;
  readonly timedOut: boolean;
  readonly health?: Health;
}

/** SELinux labels, user:role:type:level: of every process of a container, and of its own files. */
export interface Labels {
  readonly process: string;
  readonly files: string;
}

export interface ContainerRecord {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly config: ContainerConfig;
  /** The image's id (sha256:…); empty with `--rootfs`. */
  readonly imageId: string;
  /** What will be executed: entrypoint and command, the image's defaults filled in. */
  readonly args: readonly string[];
  /** The container's environment, working folder, user, labels and stop signal with the image's filled in. */
  readonly env: readonly string[];
  readonly workdir: string;
  readonly user: string;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal: string;
  readonly exposedPorts: readonly string[];
  /**
   * Where it is more than what was asked for: every mount, with the volumes' names, those that the image wants and those of
   * `--volumes-from`.
   */
  readonly mounts?: readonly Mount[];
  /** Its SELinux labels, where it has any. */
  readonly selinux?: Labels;
  readonly state: ContainerState;
}
