/** One member of a tar archive, as the reader gives it and the writer takes it, whatever dialect it is written in. */

export type EntryType = "file" | "dir" | "symlink" | "link" | "char" | "block" | "fifo";

export interface Entry {
  /** As it stands in the archive: `./a`, `/a` and `a/` are all seen. Never empty. */
  readonly name: string;
  readonly type: EntryType;
  /** Bytes of content; of a sparse file with its holes. 0 for everything but files. */
  readonly size: number;
  /** Permission bits with setuid, setgid and sticky: 07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970, negative before. */
  readonly mtime: bigint;
  /** Target of a symlink, or the member that a hard link is another name of; otherwise empty. */
  readonly link: string;
  /** Of devices. */
  readonly major: number;
  readonly minor: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** Where the content of a sparse file lies, in order; what lies between is zero. */
  readonly sparse?: readonly Extent[];
}

export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** What an archive's sender got wrong, or what this reader refuses. The caller says which archive it was. */
export class TarError extends Error {
  override readonly name = "TarError";
}

export const BLOCK = 512;
/** Bytes that fill `size` up to whole blocks. */
export const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;
