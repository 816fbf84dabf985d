/**
 * The table `containers`. Two JSON columns: what was asked for (members that have their default are left out, which
 * keeps a list of hundreds cheap to read) and what the engine last saw of it.
 */

import { SampanError } from "../common/error.ts";
import type { Store } from "../store/index.ts";
import { type ContainerConfig, DEFAULTS, type Mount } from "./config.ts";
import { isIdPrefix } from "./ids.ts";
import { generateName } from "./names.ts";
import type { ContainerRecord, ContainerState } from "./record.ts";
import { NEVER } from "./time.ts";

/** `starting` is never shown: it says that a start was begun, and whoever reads it must look at what came of it. */
export interface StoredState extends Omit<ContainerState, "status" | "health"> {
  readonly status: ContainerState["status"] | "starting";
}

export interface StoredContainer extends Omit<ContainerRecord, "state"> {
  readonly state: StoredState;
}

export const CREATED: StoredState = {
  status: "created",
  pid: 0,
  exitCode: 0,
  error: "",
  startedAt: NEVER,
  finishedAt: NEVER,
  restartCount: 0,
  oomKilled: false,
  timedOut: false,
};

interface Row {
  readonly id: string;
  readonly name: string;
  readonly created: number;
  readonly image: string;
  readonly record: string;
  readonly state: string;
}

/** What only the files of a container say, which go with it. */
export interface Remains {
  /** The keeper's exit record; empty: there is none. */
  readonly exit: string;
  /** The end of its log, in the log driver's format. */
  readonly log: Uint8Array;
}

export interface Removed {
  readonly container: StoredContainer;
  readonly remains: Remains;
}

/** So many of those that were removed last. */
const KEPT = 50;
const BURY =
  "INSERT INTO ended (id, name, created, image, record, state, exit, log) " +
  "SELECT id, name, created, image, record, ?, ?, ? FROM containers WHERE id = ?";

type Asked = Omit<ContainerRecord, "id" | "name" | "created" | "imageId" | "state">;

const COLUMNS = "id, name, created, image, record, state";
const by = (what: string): string => `SELECT ${COLUMNS} FROM containers WHERE ${what}`;
const BY_ID = by("id = ?");
const INSERT =
  "INSERT INTO containers (id, name, created, image, record, state) VALUES (?, ?, ?, ?, ?, ?) " +
  "ON CONFLICT (name) DO NOTHING";
const DELETE = "DELETE FROM containers WHERE id = ?";
const UNBURY = "DELETE FROM ended WHERE number <= ?";
const DELETE_UNUSED =
  "DELETE FROM volumes WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM container_volumes WHERE volume = ?1)";
const NOTHING = (): void => {};

function compact(config: ContainerConfig): Partial<ContainerConfig> {
  const kept: Record<string, unknown> = {};
  for (const key in config) {
    const value = config[key as keyof ContainerConfig];
    const standard = DEFAULTS[key as keyof ContainerConfig];
    if (value === standard || value === undefined) continue;
    if (Array.isArray(value) && value.length === 0 && Array.isArray(standard)) continue;
    kept[key] = value;
  }
  return kept as Partial<ContainerConfig>;
}

function parse(row: Row): StoredContainer {
  const asked = JSON.parse(row.record) as Asked;
  const state = row.state === "" ? CREATED : ({ ...CREATED, ...JSON.parse(row.state) } as StoredState);
  return {
    ...asked,
    config: { ...DEFAULTS, ...asked.config },
    id: row.id,
    name: row.name,
    created: row.created,
    imageId: row.image,
    state,
  };
}

const recordText = (asked: Asked): string => JSON.stringify({ ...asked, config: compact(asked.config) });

function stateText(state: StoredState): string {
  const kept: Record<string, unknown> = {};
  for (const key in state) {
    const value = state[key as keyof StoredState];
    if (value !== CREATED[key as keyof StoredState]) kept[key] = value;
  }
  return JSON.stringify(kept);
}

export class Rows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Adds a container. A name in use is Docker's conflict; without one a name is made up that is free.
   * `also` is done in the same transaction, after it. Returns the name.
   */
  insert(
    container: Omit<StoredContainer, "name">,
    wanted: string | undefined,
    also: () => void = NOTHING,
  ): string {
    const { id, created, imageId, state, ...asked } = container;
    const record = recordText(asked);
    return this.#store.transaction(() => {
      const adding = this.#store.db.query(INSERT);
      const text = stateText(state);
      let name = wanted ?? generateName();
      for (let attempt = 1; adding.run(id, name, created, imageId, record, text).changes === 0; attempt++) {
        if (wanted !== undefined) this.#assertFree(wanted);
        name = generateName(attempt);
      }
      also();
      return name;
    });
  }

  #idOf(name: string): string | undefined {
    return this.#store.db
      .query<{ id: string }, [string]>("SELECT id FROM containers WHERE name = ?")
      .get(name)?.id;
  }

  #assertFree(name: string): void {
    const id = this.#idOf(name);
    if (id === undefined) return;
    throw new SampanError(
      "conflict",
      `Conflict. The container name "/${name}" is already in use by container "${id}". ` +
        "You have to remove (or rename) that container to be able to reuse that name.",
    );
  }

  /** By id, name or the unambiguous beginning of an id, in Docker's order. */
  find(reference: string): StoredContainer {
    const name = reference.startsWith("/") ? reference.slice(1) : reference;
    const row =
      (name.length === 64 ? this.#row("id = ?", name) : undefined) ??
      this.#row("name = ?", name) ??
      this.#byPrefix(name);
    if (row) return parse(row);
    throw new SampanError("not-found", `No such container: ${reference}`, {
      hint: "`sampan ps --all` lists those that exist.",
    });
  }

  /** By its whole id; undefined when it is gone. */
  byId(id: string): StoredContainer | undefined {
    const row = this.#row("id = ?", id);
    return row && parse(row);
  }

  #row(where: string, value: string): Row | undefined {
    return this.#store.db.query<Row, [string]>(by(where)).get(value) ?? undefined;
  }

  #byPrefix(prefix: string): Row | undefined {
    if (!isIdPrefix(prefix)) return undefined;
    const sql = `SELECT ${COLUMNS} FROM containers WHERE id >= ? AND id < ? LIMIT 2`;
    const rows = this.#store.db.query<Row, [string, string]>(sql).all(prefix, `${prefix}g`);
    if (rows.length < 2) return rows[0];
    throw new SampanError("invalid", `multiple IDs found with provided prefix: ${prefix}`, {
      hint: "Give more digits of the id, or the container's name.",
    });
  }

  /** All of them, newest first. */
  all(): StoredContainer[] {
    const sql = `SELECT ${COLUMNS} FROM containers ORDER BY created DESC, id`;
    const found: StoredContainer[] = [];
    for (const row of this.#store.db.query<Row, []>(sql).all()) found.push(parse(row));
    return found;
  }

  ids(): Set<string> {
    const rows = this.#store.db.query<{ id: string }, []>("SELECT id FROM containers").all();
    return new Set(rows.map((row) => row.id));
  }

  count(): number {
    return this.#store.db.query<{ n: number }, []>("SELECT count(*) AS n FROM containers").get()?.n ?? 0;
  }

  /** Writes what was seen of it last; `also` is done in the same transaction. */
  setState<T>(id: string, state: StoredState, also?: () => T): T | undefined {
    return this.#store.transaction(() => {
      this.#store.db.query("UPDATE containers SET state = ? WHERE id = ?").run(stateText(state), id);
      return also?.();
    });
  }

  /** Of one that lives; one that has ended meanwhile stays so. */
  setPaused(id: string, paused: boolean): void {
    this.#store.transaction(() => {
      const state = this.byId(id)?.state;
      if (state?.status !== (paused ? "starting" : "paused")) return;
      const text = stateText({ ...state, status: paused ? "paused" : "starting" });
      this.#store.db.query("UPDATE containers SET state = ? WHERE id = ?").run(text, id);
    });
  }

  /** Replaces what was asked for, as `update` does. */
  setConfig(container: StoredContainer): void {
    this.#store.transaction(() => this.#replace(container));
  }

  #replace(container: StoredContainer): void {
    const { id, name: _, created: __, imageId: ___, state: ____, ...asked } = container;
    this.#store.db.query("UPDATE containers SET record = ? WHERE id = ?").run(recordText(asked), id);
  }

  /** These containers call a volume by its new name; in the caller's transaction. */
  renameVolume(ids: readonly string[], from: string, to: string): void {
    const renamed = (mount: Mount): Mount =>
      mount.type === "volume" && mount.source === from ? { ...mount, source: to } : mount;
    for (const id of ids) {
      const found = this.byId(id);
      if (!found) continue;
      const mounts = found.mounts?.map(renamed);
      const config = { ...found.config, mounts: found.config.mounts.map(renamed) };
      this.#replace({ ...found, config, ...(mounts ? { mounts } : {}) });
    }
  }

  rename(id: string, name: string): void {
    this.#store.transaction(() => {
      this.#assertFree(name);
      this.#store.db.query("UPDATE containers SET name = ? WHERE id = ?").run(name, id);
    });
  }

  /** Has the statements of an end ready, for whoever has nothing else to do until it comes. */
  expectEnd(): void {
    for (const sql of [BY_ID, BURY, UNBURY, DELETE]) this.#store.db.query(sql);
  }

  /**
   * Removes it, and those of these volumes that no other container uses: gives their names, and their folders are garbage
   * then. What is left of one that has run is kept among the last that were removed.
   */
  delete(id: string, state: StoredState, remains?: Remains, volumes: readonly string[] = []): string[] {
    const { db } = this.#store;
    return this.#store.transaction(() => {
      if (remains) {
        const { lastInsertRowid } = db.query(BURY).run(stateText(state), remains.exit, remains.log, id);
        db.query(UNBURY).run(Number(lastInsertRowid) - KEPT);
      }
      db.query(DELETE).run(id);
      const gone: string[] = [];
      for (const volume of volumes) if (db.query(DELETE_UNUSED).run(volume).changes > 0) gone.push(volume);
      return gone;
    }, true);
  }

  /** The one that was removed last of those with this name or, unless only names are meant, id. */
  removed(reference: string, onlyName = false): Removed | undefined {
    const sql = `SELECT ${COLUMNS}, exit, log FROM ended WHERE name = ? OR id LIKE ? ORDER BY number DESC LIMIT 1`;
    const begins = !onlyName && isIdPrefix(reference) ? `${reference}%` : "";
    const row = this.#store.db.query<Row & Remains, [string, string]>(sql).get(reference, begins);
    return row ? { container: parse(row), remains: { exit: row.exit, log: row.log } } : undefined;
  }
}
