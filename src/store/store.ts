/**
 * What was asked for, in SQLite, shared by any number of short-lived processes. WAL with NORMAL sync: a commit is
 * 20 µs and survives a crash of the process. Writers queue at a flock gate before BEGIN IMMEDIATE, because SQLite's own
 * busy handler polls and lets one of many writers wait for half a second. Rooms write their own SQL through `db`.
 */
import { Database } from "bun:sqlite";
import { diskError, isDiskError, SampanError } from "../common/error.ts";
import type { Paths } from "../common/paths.ts";
import { flock, LOCK_EX } from "../kernel/flock.ts";
import { closeSync, mkdirSync, openSync, statSync, unlinkSync, writeFileSync } from "../kernel/fs.ts";
import { MIGRATIONS } from "./schema.ts";

/** Bytes of the write-ahead log. */
const LONG = 128 * 1024;
/** Bytes that are kept so that on a full disk something can still be removed, which takes a few rows. */
const RESERVE = 256 * 1024;
/** What changes is a row or two, and a changed page is written whole: with 1 KB the log grows a third as fast as with 4. */
const PAGE = 1024;

const SETTINGS = "PRAGMA busy_timeout = 10000; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON";

/** Where there is no database yet, or none that may be opened. */
function create(root: string, file: string): Database {
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    // The environment of containers is in it, and the folder may be one that others may look into: SQLite gives its log the same mode.
    closeSync(openSync(file, "a", 0o600));
    return new Database(file, { create: true, readwrite: true, strict: true });
  } catch (error) {
    if (isDiskError(error)) throw error;
    const { message, code } = error as { message: string; code?: string };
    throw new SampanError(
      code === "EACCES" || code === "EPERM" ? "refused" : "system",
      `the state folder ${root} cannot be used: ${message}`,
      { hint: 'The row "state folder" of `sampan doctor` says what is in the way.', cause: error },
    );
  }
}

export class Store {
  readonly db: Database;
  readonly #file: string;
  readonly #root: string;
  readonly #overgrown: () => void;
  #gate: number | undefined;

  private constructor(db: Database, root: string, overgrown: () => void) {
    this.db = db;
    this.#root = root;
    this.#file = `${root}/sampan.db`;
    this.#overgrown = overgrown;
  }

  /**
   * Opens the database of this state folder; makes it and brings its schema up to date first where needed. `overgrown` is
   * called by the one of all writers whose transaction makes the write-ahead log long (and once more where it is as much longer):
   * `tidy`, in a process that nobody waits for, is wanted.
   */
  static open(paths: Paths, overgrown: () => void = () => {}): Store {
    let db: Database;
    const file = `${paths.root}/sampan.db`;
    try {
      db = new Database(file, { create: false, readwrite: true, strict: true });
    } catch {
      db = create(paths.root, file);
    }
    db.run(SETTINGS);
    const store = new Store(db, paths.root, overgrown);
    if (store.#version() < MIGRATIONS.length) store.#migrate();
    return store;
  }

  /**
   * Runs `work` as one transaction that no other writer can interleave with; a throw rolls it back. What `frees` space may
   * use the reserve on a full disk: it is then run once more.
   */
  transaction<T>(work: () => T, frees = false): T {
    this.#gate ??= openSync(`${this.#root}/sampan.lock`, "a", 0o600);
    let grown = false;
    const result = flock(this.#gate, LOCK_EX, () => {
      const before = this.#logSize;
      try {
        return this.#attempt(work);
      } catch (error) {
        if (!frees || !isDiskError(error) || !this.#openReserve()) throw error;
        return this.#attempt(work);
      } finally {
        grown = Math.floor(this.#logSize / LONG) > Math.floor(before / LONG);
      }
    });
    if (grown) this.#overgrown();
    return result;
  }

  #attempt<T>(work: () => T): T {
    this.db.run("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.db.run("COMMIT");
      return result;
    } catch (error) {
      // Where the disk is full SQLite has rolled back already.
      if (this.db.inTransaction) this.db.run("ROLLBACK");
      throw diskError(error, this.#file);
    }
  }

  get #reserve(): string {
    return `${this.#root}/reserve`;
  }

  #openReserve(): boolean {
    try {
      unlinkSync(this.#reserve);
      return true;
    } catch {
      return false;
    }
  }

  #keepReserve(): void {
    if (statSync(this.#reserve, { throwIfNoEntry: false })?.size === RESERVE) return;
    try {
      writeFileSync(this.#reserve, new Uint8Array(RESERVE), { mode: 0o600 });
    } catch {
      // There is no room for it.
      this.#openReserve();
    }
  }

  /**
   * A long log is everybody's trouble: whoever opens the database alone reads all of it first, about 3 µs a kilobyte, and a
   * command mostly is alone. None can put it back by the way: that waits for the disk, and SQLite begins a log anew only for
   * who stays.
   */
  get #logSize(): number {
    return statSync(`${this.#file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * Puts the log back into the database, for those whom nobody waits for. First beside all others, which is where the disk
   * is waited for; then what came meanwhile, with writers at the gate. Who first writes into the empty log waits for the
   * disk too, so that is done here as well. What was never made, or is gone by now, is not made.
   */
  static tidy(paths: Paths): void {
    let db: Database;
    try {
      db = new Database(`${paths.root}/sampan.db`, { create: false, readwrite: true, strict: true });
    } catch {
      return;
    }
    const store = new Store(db, paths.root, () => {});
    db.run(`${SETTINGS}; PRAGMA wal_checkpoint(PASSIVE)`);
    db.run("PRAGMA busy_timeout = 200; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 10000");
    store.transaction(() => db.run(`PRAGMA user_version = ${store.#version()}`));
    store.#keepReserve();
  }

  #version(): number {
    return this.db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
  }

  /** For long-lived users only: a command leaves without closing, since the checkpoint at close costs 9 ms. */
  close(): void {
    if (this.#gate !== undefined) closeSync(this.#gate);
    this.db.close();
  }

  #migrate(): void {
    this.db.run(`PRAGMA page_size = ${PAGE}; PRAGMA journal_mode = WAL`);
    this.transaction(() => {
      for (const migration of MIGRATIONS.slice(this.#version())) this.db.run(migration);
      this.db.run(`PRAGMA user_version = ${MIGRATIONS.length}`);
    });
    this.#keepReserve();
  }
}
