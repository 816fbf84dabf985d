/** A container in another form, out of which it can be made once more: for a shell, another engine, a runtime, a program. */
import { SampanError } from "../common/error.ts";
import { cgroupOf } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import { asRun, runText } from "./as-run.ts";
import { asSh } from "./as-sh.ts";

export const FORMS = ["sh", "docker-run"] as const;
export type Form = (typeof FORMS)[number];

export const isForm = (word: string): word is Form => (FORMS as readonly string[]).includes(word);

/** `columns`: lines are no longer than this where they can be broken. */
export async function again(engine: Engine, reference: string, form: Form, columns: number): Promise<string> {
  const container = engine.containers.get(reference);
  const { config, name } = container;
  switch (form) {
    case "docker-run":
      return runText(asRun(config, name), columns);
    case "sh": {
      const kept = await engine.containers.plan(container.id);
      if (!kept)
        throw new SampanError("not-found", `container ${name} has no plan: it has not been started`, {
          hint: `Start it first: sampan start ${name}`,
        });
      return asSh({ name, steps: kept.steps, cgroupPath: cgroupOf(container), run: engine.paths.run });
    }
  }
}
