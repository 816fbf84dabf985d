/** `--cidfile`: the file is made before the container is, so that one that cannot be written refuses the command in time. */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { fileReason, SampanError } from "../../common/error.ts";

/** Makes a container, and the file that holds its id; without a container there is no file either. */
export async function withIdFile<T>(
  path: string,
  make: () => Promise<T>,
  idOf: (made: T) => string,
): Promise<T> {
  let fd: number;
  try {
    fd = openSync(path, "wx", 0o644);
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST")
      throw new SampanError(
        "conflict",
        `container ID file found, make sure the other container isn't running or delete ${path}`,
      );
    throw new SampanError(
      "invalid",
      `failed to create the container ID file: open ${path}: ${fileReason(error)}`,
    );
  }
  try {
    const made = await make();
    writeSync(fd, idOf(made));
    return made;
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
