/** The few programs of the host that a plan may name: those that are root where the caller is not, or carry its packets. */
import { accessSync, constants } from "./fs.ts";

/** The path of an installed program. */
export function findProgram(name: string): string | undefined {
  for (const folder of ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"])
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return `${folder}/${name}`;
    } catch {
      // Not there.
    }
  return undefined;
}
