/**
 * The tables `volumes` and `container_volumes`. A row is what makes a volume; its folder is made before the row is there
 * and removed after it is gone, both behind the store's gate. What a container uses is a row too, and the database itself
 * refuses to let go of a volume that has one.
 */
import { renameSync } from "node:fs";
import { fileReason, SampanError } from "../common/error.ts";
import type { Paths } from "../common/paths.ts";
import type { Store } from "../store/index.ts";
import { makeFolder, setAside, volumeFolder } from "./folders.ts";
import type { VolumeRecord, VolumeWish } from "./record.ts";

/** Docker's mark of a volume that nobody named. */
export const ANONYMOUS = "com.docker.volume.anonymous";

export interface Place {
  readonly store: Store;
  readonly paths: Paths;
}

interface Row {
  readonly name: string;
  readonly created: number;
  readonly record: string;
  readonly moving: string;
}

type Kept = Pick<VolumeWish, "labels" | "options">;

const COLUMNS = "name, created, record, moving";

export const noSuchVolume = (name: string): SampanError =>
  new SampanError("not-found", `get ${name}: no such volume`, {
    hint: "`sampan volume ls` lists those that exist.",
  });

export const taken = (what: string, from: string, to: string): SampanError =>
  new SampanError("conflict", `${what} ${from}: a volume named ${to} exists already`, {
    hint: "Remove that one first, or choose another name.",
  });

function toRecord(place: Place, row: Row): VolumeRecord {
  if (row.moving !== "") finishMove(place, row.name);
  return recordAt(place, row, row.name);
}

/** Of a volume whose folder has this name. */
function recordAt(place: Place, row: Row, folder: string): VolumeRecord {
  const { labels = {}, options = {} } = JSON.parse(row.record) as Kept;
  return {
    name: row.name,
    created: row.created,
    driver: "local",
    labels,
    options,
    mountpoint: `${volumeFolder(place.paths, folder)}/_data`,
    anonymous: labels[ANONYMOUS] !== undefined,
  };
}

export function find(place: Place, name: string): VolumeRecord | undefined {
  const row = place.store.db.query<Row, [string]>(`SELECT ${COLUMNS} FROM volumes WHERE name = ?`).get(name);
  return row ? toRecord(place, row) : undefined;
}

/** All of them, by name. One whose folder cannot be moved hides no other: it says so itself. */
export function all(place: Place): VolumeRecord[] {
  const rows = place.store.db.query<Row, []>(`SELECT ${COLUMNS} FROM volumes ORDER BY name`).all();
  return rows.map((row) => {
    try {
      return toRecord(place, row);
    } catch (problem) {
      if (!(problem instanceof SampanError)) throw problem;
      return { ...recordAt(place, row, row.moving), problem };
    }
  });
}

/** A new anonymous name. */
export const anonymousName = (): string => crypto.getRandomValues(new Uint8Array(32)).toHex();

const textOf = ({ labels = {}, options = {} }: Kept): string =>
  JSON.stringify({
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(Object.keys(options).length > 0 ? { options } : {}),
  });

/**
 * The volume of this name is there afterwards; whether it had to be made. The transaction is the caller's, so that a
 * container and its volumes come into being as one.
 */
export function ensure({ store, paths }: Place, name: string, wish: Kept): boolean {
  if (exists(store, name)) return false;
  finishMoveFrom({ store, paths }, name);
  makeFolder(paths, name);
  insert(store, name, wish);
  return true;
}

/**
 * What was made beside becomes the volume of this name, in a transaction of its own; false if there is one already. The
 * folder is moved before the row is there: of a command that is stopped in between only garbage is left.
 */
export function adopt(place: Place, folder: string, name: string, kept: Kept): boolean {
  const { store, paths } = place;
  return store.transaction(() => {
    if (exists(store, name)) return false;
    finishMoveFrom(place, name);
    setAside(paths, name);
    renameSync(folder, volumeFolder(paths, name));
    insert(store, name, kept);
    return true;
  });
}

/** What was made beside becomes the content of a volume that has none and that nobody uses; false where that is not so. */
export function fillEmpty({ store, paths }: Place, folder: string, name: string): boolean {
  return store.transaction(() => {
    if (!exists(store, name) || users(store, name).length > 0) return false;
    try {
      renameSync(`${folder}/_data`, `${volumeFolder(paths, name)}/_data`);
      return true;
    } catch (error) {
      const errno = (error as { code?: string }).code ?? "EIO";
      // The kernel lets a folder take the place of an empty one only.
      if (errno === "ENOTEMPTY" || errno === "EEXIST") return false;
      const path = `${volumeFolder(paths, name)}/_data`;
      throw new SampanError("system", `volume ${name}: rename to ${path}: ${fileReason(error)}`, {
        kernel: { syscall: "rename", errno, path },
        cause: error,
      });
    }
  });
}

/** A volume that was called so a moment ago may still have its folder there. */
function finishMoveFrom(place: Place, name: string): void {
  const moving = place.store.db
    .query<{ name: string }, [string]>("SELECT name FROM volumes WHERE moving = ?")
    .get(name);
  if (moving) move(place, moving.name, name);
}

export const exists = (store: Store, name: string): boolean =>
  store.db.query("SELECT 1 FROM volumes WHERE name = ?").get(name) !== null;

/** The row alone; its folder is there already. */
export function insert(store: Store, name: string, wish: Kept): void {
  store.db
    .query("INSERT INTO volumes (name, created, record) VALUES (?, ?, ?)")
    .run(name, Date.now(), textOf(wish));
}

/** A container uses it: until that is gone it stays. In the caller's transaction. */
export function use(store: Store, container: string, volume: string): void {
  store.db
    .query("INSERT OR IGNORE INTO container_volumes (container, volume) VALUES (?, ?)")
    .run(container, volume);
}

/** Ids of the containers that use it. */
export const users = (store: Store, name: string): string[] =>
  store.db
    .query<{ container: string }, [string]>(
      "SELECT container FROM container_volumes WHERE volume = ? ORDER BY container",
    )
    .all(name)
    .map(({ container }) => container);

/** How many containers use each volume that any uses. */
export function links(store: Store): ReadonlyMap<string, number> {
  const rows = store.db
    .query<{ volume: string; n: number }, []>(
      "SELECT volume, count(*) AS n FROM container_volumes GROUP BY volume",
    )
    .all();
  return new Map(rows.map(({ volume, n }) => [volume, n]));
}

/** Takes the row away; throws if a container uses it. False: there is none of that name. */
export function drop({ store }: Place, name: string): boolean {
  return store.transaction(() => {
    if (!exists(store, name)) return false;
    const ids = users(store, name);
    if (ids.length > 0)
      throw new SampanError("conflict", `remove ${name}: volume is in use - [${ids.join(", ")}]`, {
        hint: "Remove these containers first: a stopped one keeps its volumes too.",
      });
    store.db.query("DELETE FROM volumes WHERE name = ?").run(name);
    return true;
  }, true);
}

/** A new name; `containers` changes what containers say of it, in the same transaction. The folder follows. */
export function rename(place: Place, from: string, to: string, containers: (ids: string[]) => void): void {
  const { store, paths } = place;
  store.transaction(() => {
    if (exists(store, to)) throw taken("rename", from, to);
    const row = store.db.query<Row, [string]>(`SELECT ${COLUMNS} FROM volumes WHERE name = ?`).get(from);
    if (!row) throw noSuchVolume(from);
    // The new name's place is free from here on, so that what lies there later can only be the volume itself.
    finishMoveFrom(place, to);
    setAside(paths, to);
    if (row.moving !== "") move(place, from, row.moving);
    const ids = users(store, from);
    store.db.query("UPDATE volumes SET name = ?, moving = ? WHERE name = ?").run(to, from, from);
    containers(ids);
  });
  finishMove(place, to);
}

/** A rename is two steps, the name and then the folder; whoever comes by does the second if somebody was stopped. */
function finishMove(place: Place, name: string): void {
  place.store.transaction(() => {
    const row = place.store.db
      .query<{ moving: string }, [string]>("SELECT moving FROM volumes WHERE name = ?")
      .get(name);
    if (row && row.moving !== "") move(place, name, row.moving);
  });
}

function move({ store, paths }: Place, name: string, from: string): void {
  try {
    renameSync(volumeFolder(paths, from), volumeFolder(paths, name));
  } catch (error) {
    const { code = "", message } = error as { code?: string; message: string };
    // None there: it has been moved, and only the note of it is left. Else the note stays, and with it what it leads to.
    if (code !== "ENOENT")
      throw new SampanError("system", `volume ${name}: its folder cannot be moved: ${message}`, {
        hint: `Its content is still in ${volumeFolder(paths, from)}; whatever uses it next moves it.`,
        cause: error,
      });
  }
  store.db.query("UPDATE volumes SET moving = '' WHERE name = ?").run(name);
}
