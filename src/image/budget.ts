/**
 * The size budget: when images take more than the settings allow, those that nobody needs go, the one used longest ago first.
 * What has a tag or a container stays, also if it alone is more than the budget.
 */
import { type Place, writeIndex } from "./adopt.ts";
import { MAX_MANIFEST, parseManifest } from "./manifest.ts";
import { collectGarbage, deleteImage } from "./remove.ts";
import { sentAs } from "./sent.ts";

/** Milliseconds for which an image that has just arrived stays: somebody is about to name or run it. */
const GRACE = 10_000;

interface Row {
  readonly id: string;
  readonly manifest: string;
  /** 1: it may go. */
  readonly spare: number;
}

/** Removes images until the rest fits; gives the ids of those that are gone. Not while the caller itself adds images. */
export function keepBudget(place: Place): string[] {
  const { budget } = place;
  if (budget === undefined) return [];
  const gone = place.store.transaction(() => removeBeyond(place, budget), true);
  if (gone.length > 0) collectGarbage(place);
  return gone;
}

function removeBeyond(place: Place, budget: number): string[] {
  const rows = place.store.db
    .query<Row, [number]>(
      `SELECT id, manifest, NOT EXISTS (SELECT 1 FROM tags WHERE image = images.id AND reference NOT LIKE '%@%')
         AND NOT EXISTS (SELECT 1 FROM containers WHERE image = images.id)
         AND NOT EXISTS (SELECT 1 FROM container_images WHERE image = images.id) AND used < ? AS spare
       FROM images ORDER BY used, id`,
    )
    .all(Date.now() - GRACE);
  const parts = new Map(rows.map(({ id, manifest }) => [id, partsOf(place, id, manifest)]));
  /** How many images need each part. */
  const needed = new Map<string, number>();
  let total = 0;
  for (const own of parts.values())
    for (const [name, bytes] of own) {
      const count = needed.get(name) ?? 0;
      if (count === 0) total += bytes;
      needed.set(name, count + 1);
    }
  const gone: string[] = [];
  for (const { id, spare } of rows) {
    if (total <= budget) break;
    if (spare === 0) continue;
    for (const [name, bytes] of parts.get(id) ?? []) {
      const count = (needed.get(name) ?? 1) - 1;
      needed.set(name, count);
      if (count === 0) total -= bytes;
    }
    deleteImage(place, id);
    gone.push(id);
  }
  if (gone.length > 0) writeIndex(place);
  return gone;
}

/** The unpacked layers and the blobs of an image, with their bytes. */
function partsOf({ store, blobs }: Place, id: string, manifest: string): Map<string, number> {
  const parts = new Map(
    store.db
      .query<{ chain: string; size: number }, [string]>(
        "SELECT l.chain, l.size FROM image_layers il JOIN layers l ON l.chain = il.chain WHERE il.image = ?",
      )
      .all(id)
      .map(({ chain, size }) => [chain, size]),
  );
  if (!blobs.has(manifest)) return parts;
  const bytes = blobs.read(manifest, MAX_MANIFEST);
  parts.set(manifest, bytes.length);
  const parsed = parseManifest(bytes, manifest);
  if ("layers" in parsed)
    for (const { digest, size } of [parsed.config, ...parsed.layers]) {
      parts.set(digest, size);
      const sent = sentAs(store, digest);
      if (sent) parts.set(sent.digest, sent.size);
    }
  return parts;
}
