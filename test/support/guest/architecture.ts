/** The processors that a guest may have: what of Debian, of qemu, of gcc and of Bun goes by another name on each. */

export interface Architecture {
  /** As Debian and images call it. */
  readonly name: "amd64" | "arm64";
  readonly emulator: string;
  /** Options of the emulator, and the console that its machine has. */
  readonly machine: readonly string[];
  readonly console: string;
  /** Debian's folder of its libraries, and what the kernel starts a dynamic program with. */
  readonly triplet: string;
  readonly interpreter: string;
  /** Bun's name of it: `--target`. */
  readonly target: string;
  readonly compiler: string;
  /** What this machine needs for it: packages, by a file of each. */
  readonly needs: Readonly<Record<string, string>>;
}

export const AMD64: Architecture = {
  name: "amd64",
  emulator: "qemu-system-x86_64",
  machine: ["-cpu", "max"],
  console: "ttyS0",
  triplet: "x86_64-linux-gnu",
  interpreter: "lib64/ld-linux-x86-64.so.2",
  target: "bun-linux-x64",
  compiler: "x86_64-linux-gnu-gcc",
  needs: { "/usr/bin/qemu-system-x86_64": "qemu-system-x86" },
};

export const ARM64: Architecture = {
  name: "arm64",
  emulator: "qemu-system-aarch64",
  // An emulated processor that signs pointers by the architecture's own cipher takes twice as long for everything.
  machine: ["-M", "virt", "-cpu", "max,pauth-impdef=on"],
  console: "ttyAMA0",
  triplet: "aarch64-linux-gnu",
  interpreter: "lib/ld-linux-aarch64.so.1",
  target: "bun-linux-arm64",
  compiler: "aarch64-linux-gnu-gcc",
  needs: {
    "/usr/bin/qemu-system-aarch64": "qemu-system-arm",
    "/usr/bin/aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "/usr/aarch64-linux-gnu/lib/libc.a": "libc6-dev-arm64-cross",
  },
};

/** This machine's. */
export const HERE: Architecture = process.arch === "arm64" ? ARM64 : AMD64;
