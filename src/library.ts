/**
 * The engine as programs have it. What it says of a container is data, as everywhere; here each of these records can also explain
 * itself. What explains is loaded at the first question.
 */
import {
  type ContainerConfig,
  type ContainerRecord,
  Containers,
  type Context,
  type CreateOptions,
  type Running,
  type StartOptions,
} from "./container/index.ts";
import { Engine as Core, type EngineOptions } from "./engine.ts";
import type { Comparison } from "./explain/compare.ts";
import type { Explanation } from "./explain/types.ts";

type Explaining = typeof import("./explain/index.ts");

/** A container by name or id, or any process by its pid, as what it is to the kernel. */
export const explain: Explaining["explain"] = async (...given) =>
  (await import("./explain/index.ts")).explain(...given);

/** A container that has ended, those that were removed too. */
export const explainEnd: Explaining["explainEnd"] = async (...given) =>
  (await import("./explain/index.ts")).explainEnd(...given);

/** What `run` would do with this configuration, and what this machine would refuse of it. Nothing is made. */
export const explainAhead: Explaining["explainAhead"] = async (...given) =>
  (await import("./explain/index.ts")).explainAhead(...given);

/** Where one path of a container comes from. */
export const explainPath: Explaining["explainPath"] = async (...given) =>
  (await import("./explain/index.ts")).explainPath(...given);

/** The plan of a container's last start, with the time of each step. */
export const explainPlan: Explaining["explainPlan"] = async (...given) =>
  (await import("./explain/index.ts")).explainPlan(...given);

/** Two explanations side by side: only what differs. */
export const compare = async (a: Explanation, b: Explanation): Promise<Comparison> =>
  (await import("./explain/index.ts")).compare(a, b);

/** A check-up of this machine: every primitive that containers are made of, tried once. */
export const doctor: Explaining["doctor"] = async (...given) =>
  (await import("./explain/index.ts")).doctor(...given);

/** A container: the record of it, and a question to the kernel. */
export interface Container extends ContainerRecord {
  /**
   * What the kernel says of its process now: namespaces, cgroups, root filesystem, rights, network. Rejects with a
   * SampanError of code `conflict` if it does not run, `not-found` if it is gone.
   *
   * ```ts
   * const container = engine.containers.get("web");
   * const { process } = await container.explain();
   * expect(process.capabilities.bounding).not.toContain("CAP_SYS_ADMIN");
   * ```
   */
  explain(): Promise<Explanation>;
}

/** What `run` answers with: the container as an object of the library. */
export interface RunningContainer extends Running {
  readonly container: Container;
}

class LibraryContainers extends Containers {
  readonly #engine: Core;

  constructor(context: Context, engine: Core) {
    super(context);
    this.#engine = engine;
  }

  /** A record is as it was, to whoever prints, compares or copies it: the method is not enumerated. */
  #object(record: ContainerRecord): Container {
    const value = (): Promise<Explanation> => explain(this.#engine, record.id);
    return Object.defineProperty({ ...record }, "explain", { value }) as Container;
  }

  override get(reference: string): Container {
    return this.#object(super.get(reference));
  }

  override list(options: { readonly all?: boolean } = {}): Container[] {
    return super.list(options).map((record) => this.#object(record));
  }

  override async run(
    config: ContainerConfig,
    options: CreateOptions & StartOptions = {},
  ): Promise<RunningContainer> {
    const { container, connection } = await super.run(config, options);
    return { container: this.#object(container), connection };
  }
}

export type { LibraryContainers as Containers };

/** One state folder and everything in it. See engine.ts; its containers explain themselves. */
export class Engine extends Core {
  declare readonly containers: LibraryContainers;

  /** Opens the state folder, which is made if need be. Nothing is started and nothing has to be closed. */
  static override open(options: EngineOptions = {}): Engine {
    return super.open(options) as Engine;
  }

  protected override containersOf(context: Context): LibraryContainers {
    return new LibraryContainers(context, this);
  }
}
