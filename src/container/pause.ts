/** The freezer: a container that stands still without knowing it. */
import { SampanError } from "../common/error.ts";
import { freeze, isFrozen, readCgroupHost, thaw } from "../runtime/index.ts";
import type { Context } from "./context.ts";
import { cgroupOf } from "./keeper.ts";
import type { ContainerRecord } from "./record.ts";
import { note } from "./stop.ts";

export async function pause(context: Context, container: ContainerRecord): Promise<void> {
  const { id, state } = container;
  if (state.status === "paused") throw new SampanError("conflict", `Container ${id} is already paused`);
  if (state.status === "restarting")
    throw new SampanError("conflict", `Container ${id} is restarting, wait until the container is running`);
  if (state.status !== "running") throw new SampanError("conflict", `container ${id} is not running`);
  // Written first: whoever reads `paused` asks the freezer, and a command that dies in between leaves no wrong word.
  setPaused(context, id, true);
  try {
    await freeze(readCgroupHost(), cgroupOf(container));
  } catch (error) {
    setPaused(context, id, false);
    throw error;
  }
  note(context, container, "pause");
}

export function unpause(context: Context, container: ContainerRecord): void {
  const { id } = container;
  const host = readCgroupHost();
  if (container.state.status !== "paused" && !isFrozen(host, cgroupOf(container)))
    throw new SampanError("conflict", `Container ${id} is not paused`);
  thaw(host, cgroupOf(container));
  setPaused(context, id, false);
  note(context, container, "unpause");
}

function setPaused(context: Context, id: string, paused: boolean): void {
  const container = context.rows.byId(id);
  if (container) context.rows.setState(id, { ...container.state, status: paused ? "paused" : "starting" });
}
