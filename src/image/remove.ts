/** `rmi` and `image prune`, by the rules of Docker's image store; and the collection of what no row names any more. */
import { readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { bytesIn } from "../common/tree.ts";
import { type Place, writeIndex } from "./adopt.ts";
import { collecting } from "./gate.ts";
import { MAX_MANIFEST, parseManifest } from "./manifest.ts";
import type { ImageRecord } from "./record.ts";
import { familiarName, isIdPrefix, parseReference, referenceText, withTag } from "./reference.ts";

/** What `rmi` prints, line by line. */
export type Removed = { readonly untagged: string } | { readonly deleted: string };

export interface Pruned {
  readonly removed: readonly Removed[];
  /** Bytes. */
  readonly reclaimed: number;
}

interface User {
  readonly id: string;
  readonly running: boolean;
}

const short = (id: string): string => id.replace(/^sha256:/, "").slice(0, 12);
const repositoryOf = (reference: string): string =>
  reference.includes("@")
    ? reference.slice(0, reference.indexOf("@"))
    : reference.slice(0, reference.lastIndexOf(":"));

/** `text` is how the user named it: taking a name away and removing an image by its id are two things. */
export function removeImage(place: Place, image: ImageRecord, text: string, force: boolean): Removed[] {
  const { store } = place;
  const removed: Removed[] = [];
  let deleted = false;
  store.transaction(() => {
    removed.length = 0;
    const users = containersOf(place, image.id);
    const references = [...image.tags, ...image.digests];
    const single = isSingle(references);
    const byId = isIdPrefix(image.id, text);
    let taken: string[] = [];
    if (byId) {
      if (!single && !force)
        throw inTheWay(image, "must be forced", "image is referenced in multiple repositories");
      checkUsers(image, users, force);
      taken = references;
    } else {
      const reference = referenceOf(image, text);
      const user = users[0];
      if (!force && single && user)
        throw new SampanError(
          "conflict",
          `conflict: unable to remove repository reference "${text}" (must force) - container ${short(user.id)} is using its referenced image ${short(image.id)}`,
        );
      taken = [reference];
      // The digests of a repository go with its last tag.
      const repository = repositoryOf(reference);
      const rest = references.filter((other) => other !== reference);
      if (
        !reference.includes("@") &&
        !rest.some((other) => !other.includes("@") && repositoryOf(other) === repository)
      )
        taken.push(...rest.filter((other) => other.includes("@") && repositoryOf(other) === repository));
    }
    const untag = store.db.query("DELETE FROM tags WHERE reference = ?");
    for (const reference of taken) {
      untag.run(reference);
      removed.push({ untagged: familiarName(reference) });
    }
    const free = users.length === 0 || (force && !users.some(({ running }) => running));
    if (taken.length === references.length && free) {
      removed.push(...(users.length === 0 ? deleteRows(place, image) : [hide(place, image)]));
      deleted = true;
    }
    writeIndex(place);
  }, true);
  if (deleted) collectGarbage(place);
  return removed;
}

/** Removes those of `candidates` that no container uses and, unless `all`, that have no name. */
export function pruneImages(place: Place, candidates: readonly ImageRecord[], all: boolean): Pruned {
  const removed: Removed[] = [];
  place.store.transaction(() => {
    removed.length = 0;
    for (const image of candidates) {
      if ((image.tags.length > 0 && !all) || containersOf(place, image.id).length > 0) continue;
      for (const reference of [...image.tags, ...image.digests])
        removed.push({ untagged: familiarName(reference) });
      removed.push(...deleteRows(place, image));
    }
    // Also if there is nothing to remove: one who was killed between the index and the rows has left it ahead of them.
    writeIndex(place);
  }, true);
  return { removed, reclaimed: collectGarbage(place, true) };
}

/** Removes an image's row, and with it its names and its share of layers. Inside a transaction. */
export function deleteImage({ store }: Place, id: string): void {
  store.db.query("DELETE FROM images WHERE id = ?").run(id);
}

/** The same; gives what Docker lists as deleted. */
function deleteRows(place: Place, image: ImageRecord): Removed[] {
  const own = place.store.db
    .query<{ chain: string }, [string]>(
      `SELECT chain FROM image_layers a WHERE image = ?1 AND NOT EXISTS
         (SELECT 1 FROM image_layers b WHERE b.chain = a.chain AND b.image <> ?1) ORDER BY position DESC`,
    )
    .all(image.id);
  deleteImage(place, image.id);
  return [{ deleted: image.id }, ...own.map(({ chain }) => ({ deleted: `sha256:${chain}` }))];
}

/** Of an image whose containers do not run: these can still be started, so its row stays for them and nobody else. */
function hide({ store }: Place, { id }: ImageRecord): Removed {
  store.db.query("UPDATE images SET removed = 1 WHERE id = ?").run(id);
  return { deleted: id };
}

/** As rows have it: a start that was begun stands there until somebody has seen its end. */
const ENDED: ReadonlySet<string> = new Set(["created", "exited", "dead", "removing"]);

function containersOf({ store }: Place, id: string): User[] {
  return store.db
    .query<{ id: string; state: string }, [string]>(
      `SELECT id, state FROM containers WHERE image = ?1
         OR id IN (SELECT container FROM container_images WHERE image = ?1) ORDER BY created`,
    )
    .all(id)
    .map(({ id, state }) => {
      const status = (JSON.parse(state) as { status?: string }).status;
      // What is as it was made has nothing written down.
      return { id, running: status !== undefined && !ENDED.has(status) };
    });
}

function checkUsers(image: ImageRecord, users: readonly User[], force: boolean): void {
  const running = users.find((user) => user.running);
  if (running)
    throw inTheWay(
      image,
      "cannot be forced",
      `image is being used by running container ${short(running.id)}`,
    );
  const stopped = users[0];
  if (stopped && !force)
    throw inTheWay(image, "must be forced", `image is being used by stopped container ${short(stopped.id)}`);
}

const inTheWay = (image: ImageRecord, force: string, why: string): SampanError =>
  new SampanError("conflict", `conflict: unable to delete ${short(image.id)} (${force}) - ${why}`);

/** One tag at most, or none but digests, all in one repository. */
function isSingle(references: readonly string[]): boolean {
  const repositories = new Set(references.map(repositoryOf));
  const tags = references.filter((reference) => !reference.includes("@"));
  return repositories.size <= 1 && tags.length <= 1;
}

/** Which of the image's references the user wrote. */
function referenceOf(image: ImageRecord, text: string): string {
  const reference = withTag(parseReference(text));
  const { tag: _, ...untagged } = reference;
  const full = referenceText(reference.digest === undefined ? reference : untagged);
  if ([...image.tags, ...image.digests].includes(full)) return full;
  // By the manifest's digest: the tag of that repository.
  return image.tags.find((tag) => repositoryOf(tag) === repositoryOf(full)) ?? full;
}

/**
 * Removes blobs, layers and temporary files that no row names; gives the bytes. Does nothing while somebody adds images,
 * since what they have made so far has no row either. `partial`: also what interrupted pulls left, which the next one would use.
 */
export function collectGarbage(place: Place, partial = false): number {
  const { store, paths, blobs } = place;
  return (
    collecting(paths, () => {
      let bytes = 0;
      const temporary = `${paths.root}/tmp`;
      const layers = store.transaction(() => {
        store.db.run("DELETE FROM layers WHERE chain NOT IN (SELECT chain FROM image_layers)");
        // Of those who were killed while they wrote it: whoever writes it now does so in a transaction.
        for (const name of entries(paths.root))
          if (/^(index\.json|oci-layout)\.\d+$/.test(name)) rmSync(`${paths.root}/${name}`, { force: true });
        return new Set(
          store.db
            .query<{ chain: string }, []>("SELECT chain FROM layers")
            .all()
            .map(({ chain }) => chain),
        );
      }, true);
      for (const name of entries(`${paths.root}/layers`)) {
        if (layers.has(name) || name === "empty") continue;
        bytes += bytesIn(`${paths.root}/layers/${name}`);
        // Out of sight at once: removing takes its time.
        const gone = `${temporary}/${name}.gone`;
        rmSync(gone, { recursive: true, force: true });
        try {
          renameSync(`${paths.root}/layers/${name}`, gone);
          rmSync(gone, { recursive: true, force: true });
        } catch {
          rmSync(`${paths.root}/layers/${name}`, { recursive: true, force: true });
        }
      }
      const named = new Set<string>();
      for (const { id, manifest } of store.db
        .query<{ id: string; manifest: string }, []>("SELECT id, manifest FROM images")
        .all()) {
        named.add(id).add(manifest);
        if (!blobs.has(manifest)) continue;
        const parsed = parseManifest(blobs.read(manifest, MAX_MANIFEST), manifest);
        if ("layers" in parsed) for (const { digest } of [parsed.config, ...parsed.layers]) named.add(digest);
      }
      // What goes out compressed goes with the layer that it was made of.
      store.transaction(() => {
        for (const { blob, digest } of store.db
          .query<{ blob: string; digest: string }, []>("SELECT blob, digest FROM sent")
          .all())
          if (named.has(blob)) named.add(digest);
          else store.db.query("DELETE FROM sent WHERE blob = ?").run(blob);
      });
      const folder = `${paths.root}/blobs/sha256`;
      for (const name of entries(folder)) {
        if (named.has(`sha256:${name}`)) continue;
        bytes += statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.size ?? 0;
        rmSync(`${folder}/${name}`, { recursive: true, force: true });
      }
      for (const name of partial ? entries(`${paths.root}/partial`) : []) {
        bytes += statSync(`${paths.root}/partial/${name}`).size;
        rmSync(`${paths.root}/partial/${name}`);
      }
      for (const name of entries(temporary)) rmSync(`${temporary}/${name}`, { recursive: true, force: true });
      return bytes;
    }) ?? 0
  );
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
