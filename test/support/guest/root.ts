/**
 * The guest's first root: the built executable and launcher with the C library, busybox for everything else, an image to
 * load, and the checks. Nothing more, so that nothing else can make a check pass.
 */
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { busyboxApplets, busyboxMembers, dockerArchive, layerTar } from "../image.ts";
import { REPO } from "../sandbox.ts";
import { type Architecture, HERE } from "./architecture.ts";
import { built } from "./build.ts";
import { type Check, checkNumber, PRELUDE } from "./check.ts";
import { Initramfs } from "./cpio.ts";
import type { Kernel } from "./kernel.ts";
import { run, unpacked } from "./packages.ts";

/** The root of containers is an overlay; null_blk is a disk to limit that is not there. */
const MODULES = ["overlay", "null_blk"];
/** Of the C library: what Bun's program is linked with. */
const LIBRARIES = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"];
/** More than fit by their paths into the 4,096 bytes that mount(2) takes. */
const LAYERS = 120;
const EMPTY_FOLDERS = ["dev", "new", "proc", "root", "run", "sys", "tmp", "var/lib"];

export interface GuestFiles {
  readonly checks: readonly Check[];
  /** Modules of the kernel beside the usual ones. */
  readonly modules?: readonly string[];
  /** Adds what these checks alone need. */
  readonly add?: (root: Initramfs) => void;
}

export function guest(
  architecture: Architecture,
  kernel: Kernel,
  { checks, modules = [], add }: GuestFiles,
): Uint8Array {
  const root = new Initramfs();
  for (const folder of EMPTY_FOLDERS) root.folder(folder);
  root.file("init", readFileSync(`${import.meta.dir}/init.sh`), 0o755);
  root.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp/home:/bin/sh\n");
  root.file("etc/group", "root:x:0:\nuser:x:1000:\n");
  addPrograms(root, architecture);
  const loaded = kernel.modules(...MODULES, ...modules);
  for (const file of loaded) root.file(`modules/${basename(file)}`, readFileSync(file));
  root.file("modules/order", loaded.map((file) => `${basename(file)}\n`).join(""));
  root.file("sampan-default", compiledProfile());
  root.file("busybox.tar", busyboxImage(architecture)).file("layers.tar", manyLayers(architecture));
  add?.(root);
  for (const [index, check] of checks.entries())
    root.file(`checks/${checkNumber(index)}`, `${PRELUDE}\n${check.script}\n`);
  return root.bytes();
}

const busyboxOf = (architecture: Architecture): string =>
  `${unpacked("busybox-static", architecture)}/bin/busybox`;

function addPrograms(root: Initramfs, architecture: Architecture): void {
  root.file("bin/busybox", readFileSync(busyboxOf(architecture)), 0o755);
  for (const applet of busyboxApplets()) root.link(`bin/${applet}`, "busybox");
  const script = `${unpacked("bsdutils", architecture)}/usr/bin/script`;
  root.file("bin/script", readFileSync(script), 0o755);
  const { executable, launcher } = built(architecture);
  root.file("bin/sampan", readFileSync(executable), 0o755);
  root.file("bin/sampan-launcher", readFileSync(launcher), 0o755);
  const libraries = `lib/${architecture.triplet}`;
  const from = unpacked("libc6", architecture);
  for (const library of LIBRARIES)
    root.file(`${libraries}/${library}`, readFileSync(`${from}/${libraries}/${library}`), 0o755);
  const interpreter = realpathSync(`${from}/${libraries}/${basename(architecture.interpreter)}`);
  root.file(architecture.interpreter, readFileSync(interpreter), 0o755);
}

/** The binary that the kernel loads, as Debian's apparmor_parser makes it for the features of Debian's kernel. */
function compiledProfile(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "sampan-guest-"));
  try {
    const from = unpacked("apparmor", HERE);
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

function busyboxImage(architecture: Architecture): Uint8Array {
  return dockerArchive([
    {
      tags: ["busybox:latest"],
      layers: [layerTar(busyboxMembers(busyboxOf(architecture)))],
      config: { Cmd: ["sh"], Env: ["PATH=/bin"] },
      image: { architecture: architecture.name },
    },
  ]);
}

/** Each layer has a file of its own beside busybox. */
function manyLayers(architecture: Architecture): Uint8Array {
  const names = ["first", ...Array.from({ length: LAYERS - 2 }, (_, index) => `layer-${index}`), "last"];
  const file = (name: string) => layerTar([{ name, type: "file", mode: 0o644, content: `${name}\n` }]);
  const layers = [layerTar(busyboxMembers(busyboxOf(architecture))), ...names.map(file)];
  return dockerArchive([{ tags: ["layers:latest"], layers, image: { architecture: architecture.name } }]);
}
