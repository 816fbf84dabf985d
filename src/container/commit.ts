/** An image of what a container has written, upon the one that it was made from. */
import { SampanError } from "../common/error.ts";
import { exposedPortsOf } from "../common/ports.ts";
import { hostImage, type ImageRecord, type MutableConfig } from "../image/index.ts";
import { packPlainly, upperOf } from "./changed.ts";
import { claim } from "./claim.ts";
import type { Healthcheck } from "./config.ts";
import { type Context, note, places } from "./context.ts";
import { pause, unpause } from "./pause.ts";
import { isAlive } from "./reconcile.ts";
import type { ContainerRecord } from "./record.ts";

export interface CommitOptions {
  /** `REPOSITORY[:TAG]`; none: the image has only its id. */
  readonly reference?: string;
  readonly author?: string;
  readonly message?: string;
  /** Dockerfile instructions such as `CMD ["sh"]`. */
  readonly changes?: readonly string[];
  /** Whether its processes stand still meanwhile; default: where the machine can do that. */
  readonly pause?: boolean;
}

/** Gives the image's id. */
export async function commit(
  context: Context,
  container: ContainerRecord,
  options: CommitOptions,
): Promise<string> {
  const parent = parentOf(context, container);
  const upper = upperOf(context, container);
  const release = isAlive(container.state)
    ? undefined
    : await claim(places(context.paths, container.id).folder);
  const resume = await stopMoving(context, container, options.pause);
  try {
    const layer = (async function* () {
      yield* packPlainly({ do: "layer", upper });
      // All has been read; the rest is the image's own business.
      resume();
    })();
    const { reference, author, message, changes } = options;
    const id = await context.images.commit(
      {
        parent,
        config: configOf(container, parent),
        createdBy: commandOf(container, parent).join(" "),
        ...(reference && { reference }),
        ...(author && { author }),
        ...(message && { message }),
        ...(changes && { changes }),
      },
      layer,
    );
    note(context, container, "commit", { comment: message ?? "", imageID: id, imageRef: reference ?? "" });
    return id;
  } finally {
    resume();
    release?.();
  }
}

function parentOf(context: Context, container: ContainerRecord): ImageRecord {
  const parent = container.imageId === "" ? undefined : context.images.ofContainer(container.imageId);
  if (parent && parent.id !== hostImage().id) return parent;
  throw new SampanError(
    "invalid",
    parent
      ? "host is this machine itself: there are no layers that a commit could build on"
      : `container ${container.name} was made from a folder (--rootfs): there are no layers that a commit could build on`,
    {
      hint: `An image of the whole tree: sampan export ${container.name} | sampan import - NAME`,
    },
  );
}

/** Freezes it unless it stands still already; gives what lets it go on, once. */
async function stopMoving(
  context: Context,
  container: ContainerRecord,
  wish: boolean | undefined,
): Promise<() => void> {
  if (wish === false || container.state.status !== "running") return () => {};
  try {
    await pause(context, container);
  } catch (error) {
    if (wish === true) throw error;
    // As a user there may be no cgroup to freeze.
    return () => {};
  }
  let paused = true;
  return () => {
    if (paused) unpause(context, { ...container, state: { ...container.state, status: "paused" } });
    paused = false;
  };
}

/** Its command without the entrypoint, as Docker writes it into the history. */
function commandOf(
  { config }: ContainerRecord,
  { config: { config: image } }: ImageRecord,
): readonly string[] {
  if (config.entrypoint !== undefined) return config.command ?? [];
  return config.command && config.command.length > 0 ? config.command : (image?.Cmd ?? []);
}

const NANO = 1e6;

function healthOf(health: Healthcheck): NonNullable<MutableConfig["Healthcheck"]> {
  const nano = (milliseconds: number | undefined): number => Math.round((milliseconds ?? 0) * NANO);
  const all = {
    Test: health.test ?? [],
    Interval: nano(health.interval),
    Timeout: nano(health.timeout),
    StartPeriod: nano(health.startPeriod),
    StartInterval: nano(health.startInterval),
    Retries: health.retries ?? 0,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== 0));
}

/** What a container of the new image would do: what this one does. */
function configOf(container: ContainerRecord, parent: ImageRecord): MutableConfig {
  const { config, env, user, workdir, labels } = container;
  const exposedPorts = exposedPortsOf(container);
  const image = parent.config.config ?? {};
  const entrypoint = config.entrypoint ?? image.Entrypoint ?? [];
  const command = commandOf(container, parent);
  const own = entrypoint.filter((word, index) => word !== "" || index > 0);
  const stopSignal = config.stopSignal ?? image.StopSignal;
  return {
    ...(user && { User: user }),
    ...(exposedPorts.length > 0 && {
      ExposedPorts: Object.fromEntries(exposedPorts.map((port) => [port, {}])),
    }),
    ...(env.length > 0 && { Env: env }),
    ...(own.length > 0 && { Entrypoint: own }),
    ...(command.length > 0 && { Cmd: command }),
    ...(image.Volumes && { Volumes: image.Volumes }),
    ...(workdir && { WorkingDir: workdir }),
    ...(Object.keys(labels).length > 0 && { Labels: labels }),
    ...(stopSignal && { StopSignal: stopSignal }),
    ...(config.healthcheck && { Healthcheck: healthOf(config.healthcheck) }),
  };
}
