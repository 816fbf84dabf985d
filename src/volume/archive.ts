/** A volume as a tar archive, and a volume from one. Both are done by the process that reaches into trees. */
import { SampanError } from "../common/error.ts";
import { trees } from "../image/index.ts";
import { assertOwnContent } from "./clone.ts";
import { isEmpty, makeNew } from "./folders.ts";
import type { Whole } from "./lifecycle.ts";
import { validateName } from "./name.ts";
import type { VolumeRecord } from "./record.ts";
import { adopt, fillEmpty, find, noSuchVolume, taken, users } from "./rows.ts";

export async function* exportVolume(place: Whole, name: string): AsyncGenerator<Uint8Array> {
  const volume = find(place, name);
  if (!volume) throw noSuchVolume(name);
  assertOwnContent(volume, "export");
  const { Answers, archiveOf } = await trees();
  const root = { path: volume.mountpoint };
  const streams = await place.hooks.startTree({ do: "pack", root, path: "/", as: "." });
  const answers = new Answers(streams);
  await answers.next();
  yield* archiveOf(streams, answers);
}

/** Into a volume that is made for it, or one that is there, empty and unused: never half of it, and over nothing. */
export async function importVolume(
  place: Whole,
  name: string,
  source: AsyncIterable<Uint8Array>,
): Promise<VolumeRecord> {
  validateName(name);
  const there = find(place, name);
  if (there) assertUnused(place, there);
  const made = makeNew(place.store, place.paths);
  try {
    await unpack(place, `${made.folder}/_data`, something(name, source));
    if (!there && !adopt(place, made.folder, name, {})) throw taken("import", name, name);
    if (there && !fillEmpty(place, made.folder, name)) throw notEmpty(name);
  } catch (error) {
    await place.hooks.removeTrees([made.folder]);
    throw error;
  } finally {
    made.release();
  }
  if (there) await place.hooks.removeTrees([made.folder]);
  else place.hooks.tell({ action: "create", id: name, attributes: { driver: "local" } });
  const volume = find(place, name);
  if (!volume) throw noSuchVolume(name);
  return volume;
}

function assertUnused(place: Whole, volume: VolumeRecord): void {
  const { name } = volume;
  assertOwnContent(volume, "import");
  const ids = users(place.store, name);
  if (ids.length > 0)
    throw new SampanError("conflict", `import ${name}: volume is in use - [${ids.join(", ")}]`, {
      hint: "Import into a new volume, or remove these containers first.",
    });
  if (!isEmpty(volume.mountpoint)) throw notEmpty(name);
}

const notEmpty = (name: string): SampanError =>
  new SampanError("conflict", `import ${name}: the volume is not empty`, {
    hint: "An archive goes into a new volume or an empty one: choose another name.",
  });

/** The archive of an empty volume has its end at least: nothing at all is a pipe whose other side has failed. */
async function* something(name: string, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let any = false;
  for await (const piece of source) {
    any ||= piece.length > 0;
    yield piece;
  }
  if (!any)
    throw new SampanError("invalid", `import ${name}: the archive is empty: not even its end is there`, {
      hint: `It takes a tar archive from a file or standard input: sampan volume export FROM | sampan volume import ${name}`,
    });
}

async function unpack(place: Whole, folder: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  const { Answers, feed } = await trees();
  const root = { path: folder };
  const streams = await place.hooks.startTree({ do: "put", root, path: "/", owner: "archive", whole: true });
  const answers = new Answers(streams);
  await answers.next();
  await feed(streams, answers, source);
}
