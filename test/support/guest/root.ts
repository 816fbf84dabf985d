/**
 * The guest's first root: the built executable and launcher with the libraries that they need, busybox for everything
 * else, an image to load, and the checks. Nothing more, so that nothing else can make a check pass.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Initramfs } from "../support/guest/cpio.ts";
import type { Kernel } from "../support/guest/kernel.ts";
import { run, unpacked } from "../support/guest/packages.ts";
import { busyboxArchive, busyboxMembers, dockerArchive, layerTar } from "../support/image.ts";
import { REPO, SAMPAN } from "../support/sandbox.ts";
import { type Check, PRELUDE } from "./checks.ts";

const BUSYBOX = "/bin/busybox";
/** The root of containers is an overlay; null_blk is a disk to limit that is not there. */
const MODULES = ["overlay", "null_blk"];
/** More than fit by their paths into the 4,096 bytes that mount(2) takes. */
const LAYERS = 120;
const EMPTY_FOLDERS = ["dev", "new", "proc", "root", "run", "sys", "tmp", "var/lib"];

export function guest(kernel: Kernel, checks: readonly Check[]): Uint8Array {
  const root = new Initramfs();
  for (const folder of EMPTY_FOLDERS) root.folder(folder);
  root.file("init", readFileSync(`${import.meta.dir}/init.sh`), 0o755);
  root.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp/home:/bin/sh\n");
  root.file("etc/group", "root:x:0:\nuser:x:1000:\n");
  addPrograms(root);
  const modules = kernel.modules(...MODULES);
  for (const file of modules) root.file(`modules/${basename(file)}`, readFileSync(file));
  root.file("modules/order", modules.map((file) => `${basename(file)}\n`).join(""));
  root.file("sampan-default", compiledProfile());
  root.file("busybox.tar", image()).file("layers.tar", manyLayers());
  for (const [index, check] of checks.entries())
    root.file(`checks/${checkNumber(index)}`, `${PRELUDE}\n${check.script}\n`);
  return root.bytes();
}

/** Three digits, so that the shell's order is the list's. */
export const checkNumber = (index: number): string => String(index).padStart(3, "0");

function addPrograms(root: Initramfs): void {
  root.file("bin/busybox", readFileSync(BUSYBOX), 0o755);
  const applets = Bun.spawnSync([BUSYBOX, "--list"]).stdout.toString().trim().split("\n");
  for (const applet of applets) if (applet !== "busybox") root.link(`bin/${applet}`, "busybox");
  root.file("bin/sampan", readFileSync(SAMPAN), 0o755);
  root.file("bin/sampan-launcher", readFileSync(`${SAMPAN}-launcher`), 0o755);
  for (const library of libraries(SAMPAN)) root.file(library.slice(1), readFileSync(library), 0o755);
}

/** The binary that the kernel loads, as Debian's apparmor_parser makes it for the features of Debian's kernel. */
function compiledProfile(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "sampan-guest-"));
  try {
    const from = unpacked("apparmor");
    const features = ["--features-file", `${from}/usr/share/apparmor-features/features`];
    const apart = ["--config-file", "/dev/null", "--base", `${from}/etc/apparmor.d`];
    const only = ["--skip-kernel-load", "--skip-cache", "-o", `${folder}/compiled`];
    const profile = `${REPO}/apparmor/sampan-default`;
    run(folder, `${from}/sbin/apparmor_parser`, ...features, ...apart, ...only, profile);
    return readFileSync(`${folder}/compiled`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The dynamic loader and the shared libraries of a program, by their paths. */
function libraries(program: string): string[] {
  const text = Bun.spawnSync(["ldd", program]).stdout.toString();
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] ?? "");
}

/** Each layer has a file of its own beside busybox. */
function manyLayers(): Uint8Array {
  const names = ["first", ...Array.from({ length: LAYERS - 2 }, (_, index) => `layer-${index}`), "last"];
  const file = (name: string) => layerTar([{ name, type: "file", mode: 0o644, content: `${name}\n` }]);
  return dockerArchive([
    { tags: ["layers:latest"], layers: [layerTar(busyboxMembers()), ...names.map(file)] },
  ]);
}

function image(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "sampan-guest-"));
  try {
    return readFileSync(busyboxArchive(folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
