/**
 * Boots a kernel with an initramfs in an emulator (no hardware support needed) and listens to its serial console.
 * The guest has no network and no disk; it ends by powering itself off.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Architecture } from "./architecture.ts";
import type { Kernel } from "./kernel.ts";

const SIZE = ["-accel", "tcg,thread=multi", "-smp", "2", "-m", "1536"];
const BARE = ["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"];
/** The loglevel lets only panics onto the console; panic=-1 with -no-reboot ends the emulator on one. */
const KERNEL_OPTIONS = "loglevel=1 panic=-1";

export interface BootOptions {
  /** Further words of the kernel's command line. */
  readonly kernelOptions?: string;
  /** Milliseconds after which a guest that has not ended is ended. */
  readonly timeout: number;
  /** Called with every line of the console as it comes. */
  readonly onLine?: (line: string) => void;
}

/** The console's text, once the guest has powered off. */
export async function boot(
  { emulator, machine: model, console }: Architecture,
  kernel: Kernel,
  initramfs: Uint8Array,
  options: BootOptions,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "sampan-guest-"));
  try {
    const image = join(folder, "initramfs");
    await Bun.write(image, initramfs);
    const start = [
      "-kernel",
      kernel.image,
      "-initrd",
      image,
      "-append",
      `console=${console} ${KERNEL_OPTIONS} ${options.kernelOptions ?? ""}`,
    ];
    const machine = Bun.spawn([emulator, ...model, ...SIZE, ...BARE, ...start], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: options.timeout,
    });
    const errors = new Response(machine.stderr).text();
    const text = await listen(machine.stdout, options.onLine);
    const code = await machine.exited;
    if (code !== 0) throw new Error(`${emulator} ended with ${code}\n${await errors}\n${text}`);
    return text;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function listen(stream: ReadableStream<Uint8Array>, onLine?: (line: string) => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let from = 0;
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true }).replaceAll("\r", "");
    for (let end = text.indexOf("\n", from); end >= 0; end = text.indexOf("\n", from)) {
      onLine?.(text.slice(from, end));
      from = end + 1;
    }
  }
  return text;
}
