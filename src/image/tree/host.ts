/** Trees of this machine, packed and put by the caller itself: what `cp` has on its other side. */
import { SampanError } from "../../common/error.ts";
import { launcherPath } from "../../launch/index.ts";
import * as sys from "../sys.ts";
import { SysError } from "../sys.ts";
import { type Entry, TarError } from "../tar/entry.ts";
import { TarReader, type TarSink } from "../tar/reader.ts";
import { busy } from "../unpack/start.ts";
import { isDir, openPath, Plain } from "./folder.ts";
import { packed } from "./pack.ts";
import { TreeFolder } from "./put.ts";
import { REASONS } from "./reasons.ts";

/** What is at a path, under this name. The links on the way are followed, one at its end is packed as what it is. */
export function* packPath(path: string, name: string): Generator<Uint8Array> {
  busy();
  const slash = path.lastIndexOf("/");
  try {
    const parent = openPath(path.slice(0, slash) || "/");
    try {
      const base = path.slice(slash + 1) || ".";
      const status = sys.lstatat(parent, base);
      if (!status) throw new SysError("lstat", "ENOENT", path);
      yield* packed({}, (packer) =>
        isDir(status)
          ? packer.folder(new Plain(sys.openat(parent, base, sys.O.rdonly | sys.O.directory)), name)
          : packer.file({ dir: parent, status }, base, name),
      );
    } finally {
      sys.close(parent);
    }
  } catch (error) {
    throw inWords(error);
  }
}

export interface PutInto {
  /** A folder that is there. */
  readonly folder: string;
  /** The archive's first name, and the one that it gets. */
  readonly from: string;
  readonly name: string;
  readonly owner: "archive" | { readonly uid: number; readonly gid: number };
}

/** Puts an archive into a folder of this machine. Nothing of it leads out of there, whoever made it. */
export async function putInto(
  { folder, from, name, owner }: PutInto,
  archive: AsyncIterable<Uint8Array>,
): Promise<void> {
  busy();
  const root = openPath(folder);
  const launcher = launcherPath();
  const tree = new TreeFolder({ launcher, root, at: "", shown: folder, links: "refused", owner });
  sys.close(root);
  try {
    const reader = new TarReader(from === name ? tree : renaming(tree, from, name));
    for await (const piece of archive) reader.push(piece);
    reader.finish();
    await tree.finish();
  } catch (error) {
    throw inWords(await tree.reason(error));
  }
}

/** The first name of all members is another one from here on. */
function renaming(sink: TarSink, from: string, to: string): TarSink {
  const first = from === "/" ? "" : from;
  const rename = (name: string): string => (name.startsWith(first) ? to + name.slice(first.length) : name);
  return {
    entry(entry: Entry) {
      const link = entry.type === "link" ? { link: rename(entry.link) } : {};
      sink.entry({ ...entry, name: rename(entry.name), ...link });
    },
    data: (bytes, position) => sink.data(bytes, position),
    end: () => sink.end(),
  };
}

function inWords(error: unknown): unknown {
  if (error instanceof TarError) return new SampanError("invalid", error.message, { cause: error });
  if (!(error instanceof SysError)) return error;
  const { syscall, errno, path } = error;
  const full = errno === "ENOSPC" || errno === "EDQUOT";
  return new SampanError(full ? "unavailable" : "invalid", `${syscall} ${path}: ${REASONS[errno] ?? errno}`, {
    kernel: { syscall, errno, path },
    cause: error,
  });
}
