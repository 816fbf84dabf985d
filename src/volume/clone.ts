/**
 * One volume's content into a new one. A plan of the launcher does it, like everything that touches files of any owner:
 * what both can share they share, and without root it happens in a user namespace with the caller's ids.
 */
import { SampanError } from "../common/error.ts";
import { Launcher, NO_KEEPER, type Step } from "../launch/index.ts";
import { fileSteps } from "../runtime/index.ts";
import { makeNew } from "./folders.ts";
import type { Whole } from "./lifecycle.ts";
import { validateName } from "./name.ts";
import type { VolumeRecord } from "./record.ts";
import { ANONYMOUS, adopt, exists, find, noSuchVolume, taken } from "./rows.ts";

export async function clone(place: Whole, from: string, to: string): Promise<VolumeRecord> {
  validateName(to);
  const source = find(place, from);
  if (!source) throw noSuchVolume(from);
  assertOwnContent(source, "clone");
  if (exists(place.store, to)) throw taken("clone", from, to);
  const { [ANONYMOUS]: _, ...labels } = source.labels;
  const made = makeNew(place.store, place.paths);
  try {
    await copy(source.mountpoint, `${made.folder}/_data`, from);
    if (!adopt(place, made.folder, to, { labels })) throw taken("clone", from, to);
  } catch (error) {
    await place.hooks.removeTrees([made.folder]);
    throw error;
  } finally {
    made.release();
  }
  place.hooks.tell({ action: "create", id: to, attributes: { driver: "local" } });
  const volume = find(place, to);
  if (!volume) throw noSuchVolume(to);
  return volume;
}

/** What a driver's options lead to is somewhere else, and only a container has it mounted. */
export function assertOwnContent({ name, options }: VolumeRecord, what: string): void {
  if (Object.keys(options).length > 0)
    throw new SampanError(
      "invalid",
      `${what} ${name}: its content is where its options say (${options["device"]}), not in its folder`,
      { hint: `Use a container: sampan run --rm -v ${name}:/from …` },
    );
}

async function copy(from: string, to: string, name: string): Promise<void> {
  const why = `volume ${name}`;
  const step: Step = { call: "copy", column: "inside", why, base: from, path: "/", target: to };
  (await Launcher.start().launch({ steps: fileSteps(why, [step]), keeper: NO_KEEPER })).close();
}
