/** What the guest has for these checks alone: the probe and what it should say, an image for amd64, the suite. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { CAPABILITIES, DEFAULT_CAPABILITIES } from "../../src/runtime/capabilities.ts";
import { syscallNumbers } from "../../src/runtime/seccomp/assemble.ts";
import { profileFor } from "../../src/runtime/seccomp/profile.ts";
import { AMD64, ARM64 } from "../support/guest/architecture.ts";
import { compiled } from "../support/guest/build.ts";
import type { Initramfs } from "../support/guest/cpio.ts";
import { unpacked } from "../support/guest/packages.ts";
import { dockerArchive, layerTar } from "../support/image.ts";
import { REPO } from "../support/sandbox.ts";
import { numbersOfHeaders } from "./compiler.ts";

/** Folders and files of the repository that its tests read. */
const REPOSITORY = ["src", "test", "package.json", "tsconfig.json"];
const PACKAGES = ["node_modules/fast-check"];

export function extra(root: Initramfs): void {
  root.file("probe", compiled(ARM64, `${import.meta.dir}/probe.c`), 0o755);
  root.file("foreign.tar", foreignImage());
  root.file("expected/default", expected(DEFAULT_CAPABILITIES));
  root.file("expected/all", expected(CAPABILITIES.map((name) => `CAP_${name}`)));
  root.file("expected/refused", refused());
  for (const file of [...REPOSITORY, ...PACKAGES].flatMap(filesOf))
    root.file(`repo/${file}`, readFileSync(`${REPO}/${file}`));
  root.link("repo/dist/sampan-launcher", "/bin/sampan-launcher");
}

/** Calls that a profile allows, if only with some arguments. */
const allowedBy = (capabilities: readonly string[]): Set<string> => {
  const { syscalls = [] } = profileFor(capabilities, "aarch64");
  return new Set(syscalls.filter((rule) => rule.action === "SCMP_ACT_ALLOW").flatMap((rule) => rule.names));
};

/** What the probe should print: by the profile's names, and by the numbers that the kernel's headers give them. */
function expected(capabilities: readonly string[]): string {
  const allowed = allowedBy(capabilities);
  // It answers ENOSYS, as if the kernel did not know it, and that is how the probe sees what is allowed.
  allowed.add("clone3");
  const names = new Map([...numbersOfHeaders()].map(([name, number]) => [number, name]));
  let text = "";
  for (let number = 0; number <= Math.max(...names.keys()); number++)
    text += `${number} ${allowed.has(names.get(number) ?? "") ? "allowed" : 1}\n`;
  return text;
}

/** As `explain` counts. */
function refused(): string {
  const allowed = allowedBy(DEFAULT_CAPABILITIES);
  const names = [...syscallNumbers("aarch64").keys()];
  return `${names.filter((name) => !allowed.has(name)).length} of ${names.length}`;
}

/** The machine is a number in a program's header; nothing else of it is looked at before it is refused. */
function foreignImage(): Uint8Array {
  const program = readFileSync(`${unpacked("busybox-static", ARM64)}/bin/busybox`);
  const EM_X86_64 = 62;
  program.writeUInt16LE(EM_X86_64, 18);
  const layer = layerTar([
    { name: "bin", type: "dir", mode: 0o755 },
    { name: "bin/true", type: "file", mode: 0o755, content: program },
  ]);
  const config = { Cmd: ["true"], Env: ["PATH=/bin"] };
  return dockerArchive([
    { tags: ["foreign:latest"], layers: [layer], config, image: { architecture: AMD64.name } },
  ]);
}

/** A file of the repository itself, or all that are beneath a folder. */
function filesOf(path: string): string[] {
  if (statSync(`${REPO}/${path}`).isFile()) return [path];
  return readdirSync(`${REPO}/${path}`, { withFileTypes: true }).flatMap((entry) =>
    filesOf(`${path}/${entry.name}`),
  );
}
