/**
 * The library: what the command line does, as typed calls in process. Runs on Bun, and needs the launcher that the
 * package's build puts into dist/.
 *
 * ```ts
 * import { ATTACH, DEFAULTS, Engine } from "sampan";
 *
 * const { containers } = Engine.open();
 * const { container, connection } = await containers.run(
 *   { ...DEFAULTS, image: "host", command: ["echo", "hello"], autoRemove: true },
 *   { attach: true },
 * );
 * connection.onOutput = (stream, data) => void process.stdout.write(data);
 * connection.attach(ATTACH.stdout | ATTACH.stderr);
 * const exit = await containers.finish(container.id, connection);
 * ```
 */
export { type ErrorCode, type Kernel, SampanError } from "./common/error.ts";
export {
  type Changes,
  type ContainerConfig,
  type ContainerRecord,
  type ContainerState,
  Containers,
  type CreateOptions,
  DEFAULTS,
  type Device,
  type DeviceRate,
  type Event,
  type EventQuery,
  Events,
  type ExecConfig,
  type Health,
  type Healthcheck,
  type HealthProbe,
  type Info,
  type LogChunk,
  type LogQuery,
  type Made,
  type Mount,
  type NamespaceMode,
  type ProcessTable,
  type Pruned,
  type PruneFilters,
  type Reading,
  type Resources,
  type RestartPolicy,
  type Running,
  type Sample,
  type SecurityOptions,
  type Size,
  type StartOptions,
  type StatsOptions,
  type Status,
  type StopOptions,
  type Ulimit,
  type Version,
  type WaitCondition,
} from "./container/index.ts";
export { Engine, type EngineOptions } from "./engine.ts";
export { type ImageConfig, type ImageRecord, Images } from "./image/index.ts";
export { ATTACH, Connection, type Exit, type Report } from "./launch/index.ts";
