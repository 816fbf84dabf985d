/** Containers and images for the tests of this room. */
import { type ContainerConfig, DEFAULTS } from "../../src/container/config.ts";
import type { ContainerRecord, ContainerState } from "../../src/container/record.ts";
import type { ImageRecord } from "../../src/image/record.ts";

/** 2026-11-24T02:27:00Z */
export const NOW = Date.UTC(2026, 10, 24, 2, 27, 0);

export const at = (secondsAgo: number): string => new Date(NOW - secondsAgo * 1000).toISOString();

export const NEVER = "0001-01-01T00:00:00Z";

export interface Wishes {
  readonly config?: Partial<ContainerConfig>;
  readonly state?: Partial<ContainerState>;
}

export function container(
  wishes: Wishes & Partial<Omit<ContainerRecord, "config" | "state">> = {},
): ContainerRecord {
  const { config, state, ...rest } = wishes;
  return {
    id: "4fd8c6c1aa6e108b86580fe7bce2cb1b69cb1b509498341b33409d1aea8c31de",
    name: "one",
    created: NOW - 2000,
    imageId: `sha256:${"3c".repeat(32)}`,
    args: ["sleep", "1000"],
    env: ["PATH=/bin"],
    workdir: "",
    user: "",
    hostname: "4fd8c6c1aa6e",
    labels: {},
    stopSignal: "SIGTERM",
    exposedPorts: [],
    ...rest,
    config: { ...DEFAULTS, image: "busybox", ...config },
    state: {
      status: "running",
      pid: 11377,
      exitCode: 0,
      error: "",
      startedAt: at(1),
      finishedAt: NEVER,
      restartCount: 0,
      oomKilled: false,
      timedOut: false,
      ...state,
    },
  };
}

export const image = (wishes: Partial<ImageRecord> = {}): ImageRecord => ({
  id: `sha256:${"3c".repeat(32)}`,
  tags: ["docker.io/library/busybox:latest"],
  digests: [],
  created: NOW - 2000,
  size: 1_982_366,
  config: {
    architecture: "amd64",
    os: "linux",
    created: "2026-11-24T02:26:57.5724952Z",
    config: { Env: ["PATH=/bin"], Cmd: ["sh"], Labels: { a: "b" } },
    rootfs: { type: "layers", diff_ids: ["sha256:583685baed"] },
  },
  ...wishes,
});
