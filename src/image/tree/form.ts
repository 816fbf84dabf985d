/** How members are written down while a tree is packed: as an archive for the world, or as records for the launcher (records.ts). */
import type { Status } from "../sys.ts";
import { BLOCK, type EntryType, padding } from "../tar/entry.ts";
import { MOST, PlainHeaders } from "../tar/plain.ts";
import { header } from "../tar/writer.ts";
import { Pieces } from "./pieces.ts";

/** What there is to say of a member beside its name. */
export type About = Pick<
  Status,
  "mode" | "uid" | "gid" | "size" | "seconds" | "nanos" | "mtime" | "major" | "minor"
>;
export type Xattrs = ReadonlyMap<string, Uint8Array>;

export interface Form {
  readonly out: Pieces;
  /** Begins a member; of a file, `size` bytes of content follow. `link`: where it leads, or the first of its names. */
  member(name: string, type: EntryType, about: About, link: string, xattrs: Xattrs | undefined): void;
  /** Whether this much content can be put into the present piece. */
  holds(size: number): boolean;
  /** Bytes of the present piece in front of content. */
  readonly front: number;
  /** How many bytes of content can stand behind that; never 0. */
  room(): number;
  /** So many do now. */
  content(count: number, position: number): void;
  /** Content that is nothing but zeros; gives of how many bytes it has taken note. */
  hole(count: number): number;
  /** All of a file's content has come. */
  endFile(size: number): void;
  /** All has come. */
  end(): void;
}

/** A tar archive: the same members give the same bytes. */
export class Archive implements Form {
  readonly out: Pieces;
  readonly front = 0;
  readonly #plain = new PlainHeaders();

  /** `reuse`: a piece is its taker's only until that takes the next one. */
  constructor({ reuse = false } = {}) {
    this.out = new Pieces(reuse);
  }

  member(name: string, type: EntryType, about: About, link: string, xattrs: Xattrs | undefined): void {
    if (type === "file" && !xattrs && this.#file(name, about)) return;
    const { mode, uid, gid, size, mtime, major, minor } = about;
    const device = type === "char" || type === "block";
    this.out.put(
      header({
        name,
        type,
        size: type === "file" ? size : 0,
        mode: mode & 0o7777,
        uid,
        gid,
        mtime,
        link,
        major: device ? major : 0,
        minor: device ? minor : 0,
        ...(xattrs && { xattrs }),
      }),
    );
  }

  /** The headers of a file without attributes, if they are plain. */
  #file(name: string, { mode, uid, gid, size, seconds, nanos }: About): boolean {
    return this.out.place(MOST, (into, at) =>
      this.#plain.write(into, at, name, mode & 0o7777, uid, gid, size, seconds, nanos),
    );
  }

  holds(size: number): boolean {
    return size < this.out.free;
  }

  room(): number {
    return this.out.free;
  }

  content(count: number): void {
    this.out.added(count);
  }

  hole(count: number): number {
    const part = Math.min(count, this.out.free);
    this.out.zeros(part);
    return part;
  }

  endFile(size: number): void {
    this.out.zeros(padding(size));
  }

  end(): void {
    this.out.zeros(2 * BLOCK);
    this.out.end();
  }
}
