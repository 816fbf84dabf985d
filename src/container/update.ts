/** Changing what a container was asked for: its name, its limits, its restart policy. */
import { writeFileSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { isAlive as isProcessAlive } from "../kernel/proc.ts";
import { type Connection, connect } from "../launch/index.ts";
import type { PortBinding } from "../network/index.ts";
import { limitUpdates, readCgroupHost } from "../runtime/index.ts";
import type { Resources, RestartPolicy } from "./config.ts";
import { attributesOf, type Context, note, places } from "./context.ts";
import { cgroupOf } from "./keeper.ts";
import { readPidFile } from "./live.ts";
import type { Unpublish } from "./publish.ts";
import { isAlive } from "./reconcile.ts";
import type { ContainerRecord } from "./record.ts";
import { specResources } from "./resources.ts";
import type { StoredContainer } from "./rows.ts";
import { validateName, validateResources, validateRestart } from "./validate.ts";

export type Changes = Resources & {
  readonly restart?: RestartPolicy;
  /** Ports to publish, and ports to publish no longer. */
  readonly publish?: readonly PortBinding[];
  readonly unpublish?: readonly Unpublish[];
};

export async function rename(context: Context, container: StoredContainer, given: string): Promise<void> {
  const name = given.startsWith("/") ? given.slice(1) : given;
  if (name === "") throw new SampanError("invalid", "Neither old nor new names may be empty");
  validateName(name);
  if (name === container.name)
    throw new SampanError("invalid", "Renaming a container with the same name as its current name");
  context.rows.rename(container.id, name);
  await tellKeeper(context, container.id, (keeper) => keeper.rename(name));
  context.events.append({
    type: "container",
    action: "rename",
    id: container.id,
    attributes: { ...attributesOf({ ...container, name }), oldName: `/${container.name}` },
  });
}

export async function update(
  context: Context,
  container: ContainerRecord,
  changes: Changes,
): Promise<string[]> {
  const { restart, publish = [], unpublish = [], ...given } = changes;
  const old = container.config.resources;
  const resources: Resources = { ...old, ...given };
  const { memory = 0, memorySwap = 0 } = resources;
  if (given.memory !== undefined && given.memorySwap === undefined && memorySwap > 0 && memory > memorySwap)
    throw new SampanError(
      "invalid",
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    );
  validateResources(resources, true);
  if (restart) validateRestart(restart, container.config.autoRemove);
  const alive = container.state.status === "running" || container.state.status === "paused";
  if (alive && Object.keys(given).length > 0)
    try {
      writeLimits(container, given, resources);
    } catch (error) {
      // It may have ended meanwhile, and its cgroups with it: then what is written down is for its next start.
      const live = readPidFile(places(context.paths, container.id).pid);
      if (live && isProcessAlive(live.pid, live.start)) throw error;
    }
  if (restart && isAlive(container.state))
    await tellKeeper(context, container.id, (keeper) =>
      keeper.policy({ policy: restart.name, maximum: restart.maximumRetryCount }),
    );
  const ports =
    publish.length + unpublish.length > 0
      ? await (await import("./publish.ts")).changePorts(context, container, publish, unpublish)
      : undefined;
  const stored = context.rows.byId(container.id);
  if (!stored) throw new SampanError("not-found", `No such container: ${container.id}`);
  context.rows.setConfig({
    ...stored,
    config: { ...stored.config, resources, ...(restart ? { restart } : {}), ...(ports ? { ports } : {}) },
  });
  // When it starts again by its policy, its keeper must not go by the limits of before.
  if (Object.keys(given).length > 0 && isAlive(container.state))
    await (await import("./publish.ts")).renewKeeper(context, container.id);
  note(context, container, "update");
  return [];
}

function writeLimits(container: ContainerRecord, given: Resources, all: Resources): void {
  // Swap is said together with memory, since the kernel's v1 files mean both.
  const swap = given.memory !== undefined || given.memorySwap !== undefined;
  const wanted = specResources({
    ...given,
    ...(swap ? { memory: all.memory ?? 0, memorySwap: all.memorySwap ?? 0 } : {}),
  });
  for (const { path, data } of limitUpdates(readCgroupHost(), cgroupOf(container), wanted))
    try {
      writeFileSync(path, data);
    } catch (cause) {
      const errno = (cause as { code?: string }).code ?? "EIO";
      throw new SampanError(
        "refused",
        `Cannot update container ${container.id}: the kernel refused "${data}" for ${path}: ${errno}`,
        {
          kernel: { syscall: "write", errno, path },
          hint: errno === "EBUSY" ? "The container uses more than that at the moment." : "",
          cause,
        },
      );
    }
}

/** One that does not run has none. */
async function tellKeeper(context: Context, id: string, tell: (keeper: Connection) => void): Promise<void> {
  const keeper = await connect(places(context.paths, id).socket).catch(() => undefined);
  if (keeper) tell(keeper);
  keeper?.close();
}
