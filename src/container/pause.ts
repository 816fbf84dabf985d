/** The freezer: a container that stands still without knowing it. */
import { SampanError } from "../common/error.ts";
import { freeze, isFrozen, readCgroupHost, thaw } from "../runtime/index.ts";
import { type Context, note } from "./context.ts";
import { cgroupOf } from "./keeper.ts";
import type { ContainerRecord } from "./record.ts";

export async function pause(context: Context, container: ContainerRecord): Promise<void> {
  const { id, state } = container;
  if (state.status === "paused") throw new SampanError("conflict", `Container ${id} is already paused`);
  if (state.status === "restarting")
    throw new SampanError("conflict", `Container ${id} is restarting, wait until the container is running`);
  if (state.status !== "running") throw new SampanError("conflict", `container ${id} is not running`);
  // Written first: whoever reads `paused` asks the freezer, and a command that dies in between leaves no wrong word.
  context.rows.setPaused(id, true);
  let frozen = false;
  try {
    frozen = await freeze(readCgroupHost(), cgroupOf(container));
  } finally {
    if (!frozen) context.rows.setPaused(id, false);
  }
  if (!frozen) throw new SampanError("conflict", `container ${id} is not running`);
  note(context, container, "pause");
}

export function unpause(context: Context, container: ContainerRecord): void {
  const { id } = container;
  const host = readCgroupHost();
  if (container.state.status !== "paused" && !isFrozen(host, cgroupOf(container)))
    throw new SampanError("conflict", `Container ${id} is not paused`);
  thaw(host, cgroupOf(container));
  context.rows.setPaused(id, false);
  note(context, container, "unpause");
}
