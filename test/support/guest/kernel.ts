/** Debian's cloud kernel, unpacked: an image to boot in an emulator, and its modules. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Architecture } from "./architecture.ts";
import { unpacked } from "./packages.ts";

export interface Kernel {
  readonly release: string;
  readonly image: string;
  /** Files of these modules and of all that they depend on, in the order in which insmod takes them. */
  modules(...names: string[]): string[];
}

export function kernel(architecture: Architecture): Kernel {
  const folder = unpacked("linux", architecture);
  const image = readdirSync(join(folder, "boot")).find((name) => name.startsWith("vmlinuz-"));
  if (!image) throw new Error(`${folder}/boot has no vmlinuz-*: remove ${folder} and try again`);
  const release = image.slice("vmlinuz-".length);
  const library = join(folder, "lib/modules", release);
  return { release, image: join(folder, "boot", image), modules: (...names) => insmodOrder(library, names) };
}

/** depmod's index is made at installation; each module names its own dependencies in its .modinfo section. */
function insmodOrder(library: string, names: readonly string[]): string[] {
  const files = new Map<string, string>();
  for (const entry of readdirSync(join(library, "kernel"), { recursive: true, encoding: "utf8" }))
    if (entry.endsWith(".ko")) files.set(moduleName(entry), join(library, "kernel", entry));
  const order = new Set<string>();
  const add = (name: string): void => {
    const file = files.get(name);
    // Not a module of this kernel: built in, or not there at all, which the test that needs it will say.
    if (!file || order.has(file)) return;
    const depends = /(?:^|\0)depends=([^\0]*)\0/.exec(readFileSync(file).toString("latin1"))?.[1] ?? "";
    for (const needed of depends.split(",").filter(Boolean)) add(moduleName(needed));
    order.add(file);
  };
  for (const name of names) add(moduleName(name));
  return [...order];
}

const moduleName = (file: string): string => basename(file, ".ko").replaceAll("-", "_");
