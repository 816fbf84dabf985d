/**
 * What a keeper executes when its container has ended and nobody stayed: records the end, and removes with --rm. A keeper
 * gives it no environment, so the folders are told in its words: ID ROOT RUN.
 */
import { Engine } from "../../engine.ts";

export async function reap([id = "", root, run]: readonly string[]): Promise<number> {
  const engine = Engine.open({ ...(root ? { root } : {}), ...(run ? { run } : {}) });
  await engine.containers.reap(id);
  return 0;
}
