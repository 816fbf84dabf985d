/**
 * Where volumes lie. Only a row makes a volume: a folder that no row names is garbage, left by a command that was stopped
 * half way. It never becomes anybody's content: whoever makes a volume of its name moves it aside first.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync } from "node:fs";
import type { Paths } from "../common/paths.ts";
import { LOCK_EX, tryFlock } from "../kernel/flock.ts";
import type { Store } from "../store/index.ts";

export const volumesDir = (paths: Paths): string => `${paths.root}/volumes`;
export const volumeFolder = (paths: Paths, name: string): string => `${volumesDir(paths)}/${name}`;

/** Names that no volume can have: what is being made (`.new-`) and what is being removed (`.gone-`). */
const HIDDEN = /^\.(?:new|gone)-/;

const chance = (): string => crypto.getRandomValues(new Uint8Array(8)).toHex();

/** A folder for a volume that is not one yet; nobody collects it until it is released. */
export function makeNew(
  store: Store,
  paths: Paths,
): { readonly folder: string; readonly release: () => void } {
  const folder = `${volumesDir(paths)}/.new-${chance()}`;
  mkdirSync(volumesDir(paths), { recursive: true, mode: 0o700 });
  // Behind the gate, as whoever collects is: nobody ever finds one without its lock while somebody is at work in it.
  const fd = store.transaction(() => {
    mkdirSync(folder, { mode: 0o711 });
    const opened = openSync(folder, "r");
    tryFlock(opened, LOCK_EX);
    return opened;
  });
  mkdirSync(`${folder}/_data`, 0o755);
  if (process.umask() & 0o077) {
    chmodSync(folder, 0o711);
    chmodSync(`${folder}/_data`, 0o755);
  }
  return { folder, release: () => closeSync(fd) };
}

/** Whether nobody is at work in it any more. The store's gate is the caller's. */
function isAbandoned(folder: string): boolean {
  let fd: number;
  try {
    fd = openSync(folder, "r");
  } catch {
    return false;
  }
  try {
    return tryFlock(fd, LOCK_EX);
  } finally {
    closeSync(fd);
  }
}

/** An empty folder for a new volume. The store's gate is the caller's, and there is no row of this name yet. */
export function makeFolder(paths: Paths, name: string): void {
  const folder = volumeFolder(paths, name);
  try {
    mkdirSync(folder, { mode: 0o711 });
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT") mkdirSync(volumesDir(paths), { recursive: true, mode: 0o700 });
    else if (code === "EEXIST") setAside(paths, name);
    else throw error;
    mkdirSync(folder, { mode: 0o711 });
  }
  mkdirSync(`${folder}/_data`, 0o755);
  // Whatever the caller's umask is: a container of any user may look into it.
  if (process.umask() & 0o077) {
    chmodSync(folder, 0o711);
    chmodSync(`${folder}/_data`, 0o755);
  }
}

/** Takes a folder out of the way; gives where it is now, undefined if there was none. The store's gate is the caller's. */
export function setAside(paths: Paths, name: string): string | undefined {
  const gone = `${volumesDir(paths)}/.gone-${chance()}`;
  try {
    renameSync(volumeFolder(paths, name), gone);
    return gone;
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    return undefined;
  }
}

/** Folders of volumes that are no more, out of the way: the caller removes them. Without names, all that there are. */
export function collectGarbage(store: Store, paths: Paths, names?: readonly string[]): string[] {
  const found: string[] = [];
  const folder = volumesDir(paths);
  const listed = names ?? (existsSync(folder) ? readdirSync(folder) : []);
  const known = store.db.query<{ n: number }, [string]>(
    "SELECT count(*) AS n FROM volumes WHERE name = ?1 OR moving = ?1",
  );
  for (const name of listed) {
    if (HIDDEN.test(name)) {
      const path = `${folder}/${name}`;
      if (name.startsWith(".gone-") || store.transaction(() => isAbandoned(path))) found.push(path);
      continue;
    }
    try {
      const gone = store.transaction(() => (known.get(name)?.n === 0 ? setAside(paths, name) : undefined));
      if (gone) found.push(gone);
    } catch (error) {
      // Something is mounted there: it stays until that is gone.
      if ((error as { code?: string }).code !== "EBUSY") throw error;
    }
  }
  return found;
}

/** Whether a folder has nothing in it. */
export function isEmpty(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0;
  } catch {
    return true;
  }
}
