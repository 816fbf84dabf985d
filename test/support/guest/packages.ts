/**
 * Debian packages that a guest is made of, unpacked into a cache folder: a kernel to boot in an emulator, busybox, the C
 * library, compilers of AppArmor profiles and of SELinux policies, servers to speak with. Nothing of them is installed on this machine, and of another architecture
 * its package manager never hears: apt gets lists and a cache of their own. Only `prepare` downloads; the tests
 * themselves have no network.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Architecture, HERE } from "./architecture.ts";

const CACHE = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "sampan-test");

/** `linux`: the kernel, whose package has its version in its name. `bsdutils` has script(1). */
export type Part =
  | "linux"
  | "busybox-static"
  | "libc6"
  | "bsdutils"
  | "apparmor"
  | "checkpolicy"
  | (typeof KSMBD)[number];

/** The half of the kernel's SMB server that is a program, and its libraries. */
export const KSMBD = [
  "ksmbd-tools",
  "libglib2.0-0",
  "libnl-3-200",
  "libnl-genl-3-200",
  "libpcre2-8-0",
] as const;

const GUEST: readonly Part[] = ["linux", "busybox-static", "libc6", "bsdutils"];

/** The folder of everything for that architecture. */
const folderOf = ({ name }: Architecture): string => join(CACHE, name);

/** The folder with that package's files. */
export function unpacked(part: Part, architecture: Architecture): string {
  const folder = join(folderOf(architecture), part);
  if (!existsSync(folder))
    throw new Error(`${folder} is missing: \`npm run test:v2\` and its like download it`);
  return folder;
}

/** Gets what is not here yet: 40 MB for an architecture, the emulator, and what these tests alone need. */
export function prepare(architecture: Architecture, parts: readonly Part[] = []): void {
  install(architecture);
  get(architecture, [...GUEST, ...parts]);
  // It runs here, whatever the guest is.
  get(HERE, ["apparmor"]);
}

function get(architecture: Architecture, parts: readonly Part[]): void {
  const folder = folderOf(architecture);
  const missing = parts.filter((part) => !existsSync(join(folder, part)));
  if (missing.length === 0) return;
  const apt = new Apt(architecture);
  for (const part of missing) {
    const temporary = mkdtempSync(join(folder, "fetch-"));
    try {
      apt.download(temporary, part === "linux" ? apt.kernel() : part);
      const archive = readdirSync(temporary).find((file) => file.endsWith(".deb"));
      if (!archive) throw new Error(`apt-get download of ${part} left no .deb`);
      run(temporary, "dpkg-deb", "-x", archive, "unpacked");
      renameSync(join(temporary, "unpacked"), join(folder, part));
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }
}

/** apt with the sources of this machine, but as on one of that architecture on which nothing is installed. */
class Apt {
  readonly #options: readonly string[];
  readonly #name: string;

  constructor(architecture: Architecture) {
    const folder = join(folderOf(architecture), "apt");
    mkdirSync(join(folder, "lists/partial"), { recursive: true });
    mkdirSync(join(folder, "cache/archives/partial"), { recursive: true });
    this.#name = architecture.name;
    this.#options = [
      `APT::Architecture=${architecture.name}`,
      `APT::Architectures::=${architecture.name}`,
      `Dir::State=${folder}`,
      "Dir::State::status=/dev/null",
      `Dir::Cache=${folder}/cache`,
      // As root it would download as a user who may not write here.
      "APT::Sandbox::User=",
    ].flatMap((option) => ["-o", option]);
    run("/", "apt-get", ...this.#options, "update", "-qq");
  }

  download(folder: string, name: string): void {
    run(folder, "apt-get", ...this.#options, "download", name);
  }

  /** Always the newest: the package without a version depends on the one that has it in its name and the kernel in it. */
  kernel(): string {
    const meta = `linux-image-cloud-${this.#name}`;
    const text = Bun.spawnSync(["apt-cache", ...this.#options, "depends", meta], { stderr: "ignore" });
    const found = /Depends: (linux-image-\S+)/.exec(text.stdout.toString())?.[1];
    if (!found) throw new Error(`apt-cache knows no ${meta}: this test needs Debian's packages`);
    return found;
  }
}

function install({ needs }: Architecture): void {
  const missing = Object.entries(needs)
    .filter(([file]) => !existsSync(file))
    .map(([, name]) => name);
  if (missing.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing];
  if (!Bun.spawnSync(words, { env, stdio: ["ignore", "ignore", "inherit"] }).success)
    throw new Error(`this test needs ${missing.join(" ")}: as root, ${words.join(" ")}`);
}

export function run(folder: string, ...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: folder, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit ${exitCode}\n${stderr.toString()}`);
}
