/**
 * What a launcher executes when a bridge or a rule that a container builds on is missing, and what a reader executes for a
 * container whose keeper was killed, or whose network namespace others keep: ROOT RUN, and then that container's ID. With `idle` instead it is what takes all of
 * it away when nobody needs it any more.
 */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { repair as repairNetwork, tidyWhenIdle } from "../../network/index.ts";
import { complain } from "../output.ts";

export async function repair([root, run, container]: readonly string[]): Promise<number> {
  const engine = Engine.open({ ...(root ? { root } : {}), ...(run ? { run } : {}) });
  try {
    if (container === "idle") await tidyWhenIdle(engine);
    else {
      await repairNetwork(engine, container);
      if (container !== undefined) await engine.containers.sever(container);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof SampanError)) throw error;
    complain(`${error.message}${error.hint ? `\n${error.hint}` : ""}`);
    return 1;
  }
}
