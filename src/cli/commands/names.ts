/** The responder for names, started by whoever starts a container on a network: `sampan names ROOT RUN`, until nobody needs it. */
import { closeSync, writeSync } from "node:fs";
import { serveNames } from "../../network/index.ts";
import { Store } from "../../store/index.ts";

export async function names([root = "", run = ""]: readonly string[]): Promise<number> {
  const ready = (): void => {
    try {
      writeSync(1, "ready\n");
    } catch {
      // Nobody waits for it.
    }
    closeSync(1);
  };
  const paths = { root, run };
  const processOf = async (id: string) => (await import("../../container/index.ts")).processOf(paths, id);
  return (await serveNames({ paths, store: Store.open(paths) }, processOf, ready)) ? 0 : 1;
}
