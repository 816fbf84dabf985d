/**
 * Debian packages that a guest is made of, unpacked into a cache folder: a kernel to boot in an emulator, and a compiler
 * of AppArmor profiles. Nothing of them is installed on this machine. Only `prepare` downloads; the tests themselves have
 * no network.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Always the newest: it depends on the package that has a version in its name and the kernel in it. */
const META_PACKAGE = "linux-image-cloud-amd64";
const CACHE = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "sampan-test");

export const QEMU = "qemu-system-x86_64";

export type Part = "kernel" | "apparmor";

/** The folder with that package's files. */
export function unpacked(part: Part): string {
  const folder = join(CACHE, part);
  if (!existsSync(folder)) throw new Error(`${folder} is missing: \`npm run test:v2\` downloads it`);
  return folder;
}

/** Gets what is not here yet (30 MB in all, and the emulator). */
export function prepare(): void {
  installEmulator();
  if (!existsSync(join(CACHE, "kernel"))) fetch("kernel", versionedPackage());
  if (!existsSync(join(CACHE, "apparmor"))) fetch("apparmor", "apparmor");
}

function fetch(part: Part, name: string): void {
  mkdirSync(CACHE, { recursive: true });
  const temporary = mkdtempSync(join(CACHE, "fetch-"));
  try {
    run(temporary, "apt-get", "download", name);
    const archive = readdirSync(temporary).find((file) => file.endsWith(".deb"));
    if (!archive) throw new Error(`apt-get download ${name} left no .deb`);
    run(temporary, "dpkg-deb", "-x", archive, "unpacked");
    renameSync(join(temporary, "unpacked"), join(CACHE, part));
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

function installEmulator(): void {
  if (Bun.which(QEMU)) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "qemu-system-x86"];
  if (!Bun.spawnSync(install, { env, stdio: ["ignore", "ignore", "inherit"] }).success)
    throw new Error(`this test needs ${QEMU}: as root, ${install.join(" ")}`);
}

export function run(folder: string, ...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: folder, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit ${exitCode}\n${stderr.toString()}`);
}
