/**
 * Which processes of the machine are in other namespaces than these. The launcher asks them (launcher/elsewhere.c says why),
 * beside whoever wants to know it: who asks early has the answer when it is needed.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { SampanError } from "../common/error.ts";
import { closeSync, readSync } from "../kernel/fs.ts";
import { launcherPath } from "./launch.ts";

const O_CLOEXEC = 0o2000000;

/** A pipe's two ends. */
function pipe(): readonly [reads: number, writes: number] {
  const { symbols, close } = dlopen("libc.so.6", {
    pipe2: { args: [FFIType.pointer, FFIType.i32], returns: FFIType.i32 },
  });
  const ends = new Int32Array(new ArrayBuffer(8));
  const made = symbols.pipe2(ptr(ends), O_CLOEXEC) === 0;
  close();
  const [reads, writes] = ends;
  if (!made || reads === undefined || writes === undefined)
    throw new SampanError("system", "no pipe can be made: too many files are open");
  return [reads, writes];
}

/** A question that is being answered. */
export class Elsewhere implements Disposable {
  #fd: number | undefined;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** `links`: where one is, as /proc/PID/ns has it: `mnt:[4026531841]`. */
  static ask(links: readonly string[]): Elsewhere {
    const [reads, writes] = pipe();
    try {
      const stdio = ["ignore", writes, "ignore"] as const;
      Bun.spawn({ cmd: [launcherPath(), "elsewhere", ...links], stdio: [...stdio], env: {} }).unref();
    } catch {
      // It says so by an answer without an end.
    } finally {
      closeSync(writes);
    }
    return new Elsewhere(reads);
  }

  /** The pids of those who are not where the links say, in one of them at least. Waits for the answer. */
  pids(): number[] {
    const pids: number[] = [];
    if (this.#fd === undefined) return pids;
    const bytes = new Uint8Array(new ArrayBuffer(4096));
    const words = new Int32Array(bytes.buffer);
    let rest = 0;
    for (;;) {
      const count = readSync(this.#fd, bytes, rest, bytes.length - rest);
      if (count === 0) break;
      const whole = (rest + count) >> 2;
      for (let at = 0; at < whole; at++) pids.push(words[at] as number);
      rest = (rest + count) & 3;
      bytes.copyWithin(0, whole << 2, (whole << 2) + rest);
    }
    this[Symbol.dispose]();
    // Half an answer would be taken for nobody's sharing anything.
    if (pids.pop() !== 0)
      throw new SampanError("system", "the launcher did not ask every process which namespaces it is in", {
        hint: `It is ${launcherPath()}: built by \`npm run build\`, it lies beside the executable.`,
      });
    return pids;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
