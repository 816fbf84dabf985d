/**
 * What a keeper executes when its container has ended and nobody stayed: records the end, and removes with --rm. A keeper
 * gives it no environment, so the folders are told in its words: ID ROOT RUN.
 */
import { Engine } from "../../engine.ts";

export async function reap([id = "", root, run]: readonly string[]): Promise<number> {
  // How often it will have been started again then. What is started here would hand it on to its own keeper.
  const again = process.env["SAMPAN_AGAIN"];
  delete process.env["SAMPAN_AGAIN"];
  const engine = Engine.open({ ...(root ? { root } : {}), ...(run ? { run } : {}) });
  await engine.containers.reap(id);
  // Its networks, ports or limits were changed while it ran, and its restart policy wants it back. The keeper has waited already.
  if (again) await engine.containers.start(id, { restarts: Number(again) }).catch(() => {});
  return 0;
}
