/** Waiting for a container: for its end, its next end, or until it is gone. */
import { connect, type Exit } from "../launch/index.ts";
import type { Containers } from "./containers.ts";
import { type Context, places } from "./context.ts";
import { readExit } from "./finish.ts";
import { isAlive, recordEnd } from "./reconcile.ts";
import type { ContainerRecord } from "./record.ts";

export type WaitCondition = "not-running" | "next-exit" | "removed";

export async function wait(
  context: Context,
  containers: Containers,
  container: ContainerRecord,
  condition: WaitCondition,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (condition === "not-running" && !isAlive(container.state)) return container.state.exitCode;
  if (condition === "not-running") return untilEnd(context, containers, container, signal);
  let code = container.state.exitCode;
  const query = {
    follow: true,
    after: context.events.mark(),
    filters: { container: [container.id], type: ["container"] },
    ...(signal ? { signal } : {}),
  };
  for await (const event of context.events.read(query)) {
    if (event.action === "die") {
      code = Number(event.attributes["exitCode"] ?? 0);
      if (condition === "next-exit") return code;
    }
    if (event.action === "destroy") return code;
  }
  return code;
}

async function untilEnd(
  context: Context,
  containers: Containers,
  container: ContainerRecord,
  signal: AbortSignal | undefined,
): Promise<number> {
  const at = places(context.paths, container.id);
  const keeper = await connect(at.socket).catch(() => undefined);
  const close = (): void => keeper?.close();
  signal?.addEventListener("abort", close, { once: true });
  keeper?.wait();
  // One that will be started again has stopped all the same.
  const restart = Promise.withResolvers<{ readonly restarting: Exit }>();
  if (keeper) keeper.onRestart = (exit) => restart.resolve({ restarting: exit });
  const exit = await (keeper && Promise.race([keeper.exit, restart.promise]));
  signal?.removeEventListener("abort", close);
  if (exit && "restarting" in exit) {
    keeper?.close();
    return exit.restarting.code;
  }
  if (keeper && exit) {
    // Whoever waited finds it recorded, and the keeper need not have it done.
    await recordEnd(context, container.id, exit);
    keeper.taken();
    keeper.close();
    return exit.code;
  }
  keeper?.close();
  if (signal?.aborted) return 0;
  const after = readExit(at);
  if (after) return after.code;
  try {
    return containers.get(container.id).state.exitCode;
  } catch {
    return 137;
  }
}
