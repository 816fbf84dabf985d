/** Trees of this machine, packed and put by the caller itself: what `cp` has on its other side. */
import { SampanError } from "../../common/error.ts";
import { launcherPath } from "../../launch/index.ts";
import * as sys from "../sys.ts";
import { SysError } from "../sys.ts";
import { TarError } from "../tar/entry.ts";
import { busy } from "../unpack/start.ts";
import { isDir, openPath, Plain } from "./folder.ts";
import { Making } from "./making.ts";
import { packed } from "./pack.ts";
import { REASONS } from "./reasons.ts";
import { type Owner, Records } from "./records.ts";

/**
 * What is at a path as records, under this name. The links on the way are followed, one at its end is packed as what it is. A
 * piece is its taker's only until that takes the next one; `onBytes` hears how large the same archive would be by then.
 */
export function* packPath(
  path: string,
  name: string,
  onBytes?: (total: number) => void,
): Generator<Uint8Array> {
  busy();
  const form = new Records();
  const slash = path.lastIndexOf("/");
  try {
    const parent = openPath(path.slice(0, slash) || "/");
    try {
      const base = path.slice(slash + 1) || ".";
      const status = sys.lstatat(parent, base);
      if (!status) throw new SysError("lstat", "ENOENT", path);
      const pieces = packed({ form }, (packer) =>
        isDir(status)
          ? packer.folder(new Plain(sys.openat(parent, base, sys.O.rdonly | sys.O.directory)), name)
          : packer.file({ dir: parent, status }, base, name),
      );
      for (const piece of pieces) {
        yield piece;
        onBytes?.(form.archived);
      }
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
  readonly owner: Owner;
}

/** Makes what records say in a folder of this machine. Nothing of it leads out of there, whoever wrote them. */
export async function putInto({ folder, owner }: PutInto, records: AsyncIterable<Uint8Array>): Promise<void> {
  const root = openPath(folder);
  const launcher = launcherPath();
  const making = new Making({ launcher, root, at: "", shown: folder, links: "refused", owner });
  sys.close(root);
  try {
    for await (const piece of records) making.write(piece);
    await making.finish();
  } catch (error) {
    throw inWords(await making.reason(error));
  }
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
