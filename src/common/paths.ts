/**
 * Where everything lives. `root` holds what must outlast a reboot, `run` what must not.
 * As root: /var/lib/sampan and /run/sampan; as a user: the XDG folders. `--root` moves both.
 */

export interface Paths {
  /** The state folder: database, blobs, layers, containers. */
  readonly root: string;
  /** The run folder: one folder a live container, with its lock and attach socket. */
  readonly run: string;
}

/**
 * The folders of this caller. A `root` of the caller's own takes its run folder from inside it,
 * so that two engines on one machine never meet.
 */
export function paths(root?: string): Paths {
  const own = root ?? process.env["SAMPAN_ROOT"];
  if (own) return { root: own, run: process.env["SAMPAN_RUN"] ?? `${own}/run` };
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return { root: "/var/lib/sampan", run: "/run/sampan" };
  const data = process.env["XDG_DATA_HOME"] || `${process.env["HOME"] ?? "/tmp"}/.local/share`;
  const run = process.env["XDG_RUNTIME_DIR"] || `/tmp/sampan-run-${uid}`;
  return { root: `${data}/sampan`, run: `${run}/sampan` };
}

/** An absolute path without empty names, `.` and `..`, as Go's path.Clean has it. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

export const containerDir = (p: Paths, id: string): string => `${p.root}/containers/${id}`;
/** Unix socket paths are limited to 107 bytes, so the folder's name is the short id. */
export const runDir = (p: Paths, id: string): string => `${p.run}/${id.slice(0, 12)}`;
export const layerDir = (p: Paths, chainHex: string): string => `${p.root}/layers/${chainHex}`;
export const attachSocket = (p: Paths, id: string): string => `${runDir(p, id)}/attach.sock`;
