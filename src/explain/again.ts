/** A container in another form, out of which it can be made once more: for a shell, another engine, a runtime, a program. */
import { SampanError } from "../common/error.ts";
import { type ContainerRecord, cgroupOf } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import { asCompose } from "./as-compose.ts";
import { ociText, rootfsText } from "./as-oci.ts";
import { asRun, runText } from "./as-run.ts";
import { asSh } from "./as-sh.ts";
import { asTs } from "./as-ts.ts";
import type { Form } from "./forms.ts";

export type { Form };

export interface Again {
  /** The script, file or line. */
  readonly text: string;
  /** What is to be done beside it, as commands. */
  readonly aside?: string;
}

/** `columns`: lines are no longer than this where they can be broken. */
export async function again(engine: Engine, reference: string, form: Form, columns: number): Promise<Again> {
  const container = engine.containers.get(reference);
  const { config, name } = container;
  switch (form) {
    case "docker-run":
      return { text: runText(asRun(config, name), columns) };
    case "compose":
      return { text: asCompose(config, name) };
    case "ts":
      return { text: asTs(config, name) };
    case "oci": {
      const bundle = await engine.containers.bundle(container.id);
      const aside = rootfsText(bundle);
      return { text: ociText(bundle), ...(aside === "" ? {} : { aside }) };
    }
    case "sh":
      return { text: await script(engine, container) };
  }
}

async function script(engine: Engine, container: ContainerRecord): Promise<string> {
  const { name } = container;
  const kept = await engine.containers.plan(container.id);
  if (!kept)
    throw new SampanError("not-found", `container ${name} has no plan: it has not been started`, {
      hint: `Start it first: sampan start ${name}`,
    });
  if (kept.steps.some(({ call }) => call === "spawn") || process.getuid?.() !== 0)
    throw new SampanError(
      "unavailable",
      `--as sh: container ${name} has a user namespace, whose ids are mapped from outside; a script cannot do that by itself`,
      { hint: "The other forms can: --as oci, --as docker-run, --as compose, --as ts." },
    );
  return asSh({ name, steps: kept.steps, cgroupPath: cgroupOf(container), run: engine.paths.run });
}
