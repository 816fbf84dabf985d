/**
 * The library: the engine in process, with no daemon and no command line between. Needs Bun, and dist/sampan-launcher.
 *
 * ```ts
 * import { ATTACH, DEFAULTS, Engine } from "sampan";
 *
 * const engine = Engine.open();
 * const { container, connection } = await engine.containers.run(
 *   { ...DEFAULTS, image: "host", command: ["echo", "hello"], autoRemove: true },
 *   { attach: true },
 * );
 * connection.onOutput = (_, bytes) => void Bun.stdout.write(bytes);
 * connection.attach(ATTACH.stdout | ATTACH.stderr);
 * const exit = await engine.containers.finish(container.id, connection);
 * ```
 */
export { SampanError } from "./common/error.ts";
export {
  type CommitOptions,
  type ContainerConfig,
  type ContainerRecord,
  type ContainerState,
  type CopyOptions,
  type CreateOptions,
  DEFAULTS,
  type Event,
  type ExecConfig,
  type Info,
  type LogChunk,
  type LogQuery,
  type Mount,
  type Packed,
  type PutOptions,
  type Resources,
  type Running,
  type StartOptions,
  type StopOptions,
  type Version,
} from "./container/index.ts";
export type { EngineOptions } from "./engine.ts";
export type {
  Ahead,
  Comparison,
  Diagnosis,
  Ending,
  Explanation,
  PathExplanation,
  PlanExplanation,
} from "./explain/index.ts";
export type { Change, ImageConfig, ImageRecord, Images, PathStat } from "./image/index.ts";
export { ATTACH, type Connection, type Exit, type Report, type Step } from "./launch/index.ts";
export {
  type Container,
  type Containers,
  compare,
  doctor,
  Engine,
  explain,
  explainAhead,
  explainEnd,
  explainPath,
  explainPlan,
  type RunningContainer,
} from "./library.ts";
export type { PrunedVolumes, VolumeRecord, Volumes, VolumeWish } from "./volume/index.ts";
