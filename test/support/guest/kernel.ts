/**
 * Debian's cloud kernel, unpacked into a cache folder: a kernel to boot in an emulator, and its modules.
 * Nothing of it is installed on this machine.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";

/** Always the newest: it depends on the package that has a version in its name and the kernel in it. */
const META_PACKAGE = "linux-image-cloud-amd64";
const CACHE = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "sampan-test");

export interface Kernel {
  readonly release: string;
  readonly image: string;
  /** Files of these modules and of all that they depend on, in the order in which insmod takes them. */
  modules(...names: string[]): string[];
}

/** The kernel of the cache; the first call downloads it (27 MB). */
export function kernel(): Kernel {
  const folder = join(CACHE, "kernel");
  if (!existsSync(join(folder, "boot"))) fetch(folder);
  const image = readdirSync(join(folder, "boot")).find((name) => name.startsWith("vmlinuz-"));
  if (!image) throw new Error(`${folder}/boot has no vmlinuz-*: remove ${folder} and try again`);
  const release = image.slice("vmlinuz-".length);
  const library = join(folder, "lib/modules", release);
  return { release, image: join(folder, "boot", image), modules: (...names) => insmodOrder(library, names) };
}

function fetch(folder: string): void {
  mkdirSync(CACHE, { recursive: true });
  const temporary = mkdtempSync(join(CACHE, "fetch-"));
  try {
    run(temporary, "apt-get", "download", versionedPackage());
    const archive = readdirSync(temporary).find((name) => name.endsWith(".deb"));
    if (!archive) throw new Error("apt-get download left no .deb");
    run(temporary, "dpkg-deb", "-x", archive, "unpacked");
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(temporary, "unpacked"), folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function versionedPackage(): string {
  const find = (): string | undefined =>
    /Depends: (linux-image-\S+)/.exec(
      Bun.spawnSync(["apt-cache", "depends", META_PACKAGE], { stderr: "ignore" }).stdout.toString(),
    )?.[1];
  const known = find();
  if (known) return known;
  run("/", "apt-get", "update", "-qq");
  const found = find();
  if (!found) throw new Error(`apt-cache knows no ${META_PACKAGE}: this test needs Debian's packages`);
  return found;
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

function run(folder: string, ...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: folder, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit ${exitCode}\n${stderr.toString()}`);
}
