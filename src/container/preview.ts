/**
 * The plan that a configuration would have, with nothing made: no row, no folder, no process. What a plan reads on its way
 * (the container's own three files, folders that -v would make) stands for a moment in a folder that is removed again, and
 * in the plan by the name that it would have.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Step } from "../launch/index.ts";
import type { Attached } from "../network/index.ts";
import type { ContainerConfig, Mount } from "./config.ts";
import { type Context, places } from "./context.ts";
import { draft, labelsOf } from "./create.ts";
import { enterNetwork, loadNetwork } from "./networking.ts";
import { CREATED, type StoredContainer } from "./rows.ts";
import { buildPlan } from "./start.ts";

export interface Preview {
  readonly steps: readonly Step[];
  readonly id: string;
  /** Folders of this machine and volumes that would be made. */
  readonly makes: readonly string[];
}

export async function preview(context: Context, given: ContainerConfig): Promise<Preview> {
  const { image: _, ...asked } = draft(context, given);
  const temporary = mkdtempSync(`${tmpdir()}/sampan-preview-`);
  try {
    const names = new Map([[`${temporary}/run`, context.paths.run]]);
    const makes: string[] = [];
    const stand = (mount: Mount, index: number): Mount => {
      const real =
        mount.type === "volume"
          ? `${context.paths.root}/volumes/${mount.source || "NEW"}/_data`
          : mount.type === "bind" && mount.createSource && !existsSync(mount.source)
            ? mount.source
            : undefined;
      if (real === undefined) return mount;
      const folder = `${temporary}/${index}.`;
      mkdirSync(folder);
      names.set(folder, real);
      if (!existsSync(real))
        makes.push(mount.type === "volume" ? `volume ${mount.source || "without a name"}` : real);
      return { ...mount, type: "bind", source: folder };
    };
    const config = { ...asked.config, mounts: asked.config.mounts.map(stand) };
    const elsewhere = { ...context, paths: { ...context.paths, run: `${temporary}/run` } };
    mkdirSync(places(elsewhere.paths, asked.id).run, { recursive: true });
    const selinux = await labelsOf(context, config);
    const container = { ...asked, ...(selinux ? { selinux } : {}), config, state: CREATED };
    const attached = await attachedAs(context, container);
    const options = { fresh: true, ...(attached ? { attached } : {}) };
    const { steps } = await buildPlan(elsewhere, { ...container, name: "new" }, options);
    const hidden = new Set<string>();
    const real = steps
      .map((step) => renamed(step, names))
      // The run folder is hidden by both of its names.
      .filter((step) => step.call !== "mask" || (!hidden.has(step.target) && hidden.add(step.target)));
    return { steps: real, id: asked.id, makes };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Thrown where everything is known: what was written down until then is rolled back. */
const ENOUGH = new Error("nothing is to be kept");

/** The addresses and ports that it would get. */
async function attachedAs(
  context: Context,
  container: Omit<StoredContainer, "name">,
): Promise<Attached | undefined> {
  const network = await loadNetwork(container.config);
  if (!network) return undefined;
  let attached: Attached | undefined;
  try {
    context.rows.insert(container, undefined, () => {
      attached = enterNetwork(network, context, container);
      throw ENOUGH;
    });
  } catch (error) {
    if (error !== ENOUGH) throw error;
  }
  return attached;
}

/** Every text in a step, with the names that things would have. */
function renamed(step: Step, names: ReadonlyMap<string, string>): Step {
  const text = (value: string): string => {
    let said = value;
    for (const [from, to] of names) said = said.replaceAll(from, to);
    return said;
  };
  return Object.fromEntries(
    Object.entries(step).map(([key, value]) => [
      key,
      typeof value === "string"
        ? text(value)
        : Array.isArray(value)
          ? value.map((each: unknown) => (typeof each === "string" ? text(each) : each))
          : value,
    ]),
  ) as unknown as Step;
}
