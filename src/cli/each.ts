/** A command over several containers: at once, printed in the order of the words; one that fails stops no other. */
import { print } from "./output.ts";
import { report } from "./report.ts";

/** What `work` gives for one of which nothing is said. */
export const SILENT = Symbol("silent");

/** 0, or 1 if any failed. */
export async function each(
  references: readonly string[],
  work: (reference: string) => unknown,
): Promise<number> {
  const running = references.map(async (reference) => work(reference));
  // Each failure is looked at below, in its turn.
  for (const each of running) each.catch(() => {});
  let code = 0;
  const errors: unknown[] = [];
  for (const [i, reference] of references.entries()) {
    try {
      if ((await running[i]) !== SILENT) print(reference);
    } catch (error) {
      errors.push(error);
      code = 1;
    }
  }
  for (const error of errors) report(error);
  return code;
}
