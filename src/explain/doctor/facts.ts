/** Small files of the kernel, read without ado: what is not there is undefined. */
import { accessSync, constants, readFileSync } from "node:fs";

export function fact(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** A sysctl by its name, `user.max_net_namespaces`. */
export const sysctl = (name: string): string | undefined => fact(`/proc/sys/${name.replaceAll(".", "/")}`);

/** Where a program is that the engine would call. */
export function program(name: string): string | undefined {
  for (const folder of [...(process.env["PATH"] ?? "").split(":"), "/usr/bin", "/bin", "/usr/sbin", "/sbin"])
    try {
      if (!folder.startsWith("/")) continue;
      accessSync(`${folder}/${name}`, constants.X_OK);
      return `${folder}/${name}`;
    } catch {
      // Not in this folder.
    }
  return undefined;
}
