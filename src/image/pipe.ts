/**
 * A pipe into a child of ours. It holds a megabyte, so that both sides work at once; and whoever writes to it never stands
 * still: while it is full this program can do something else.
 */
import { writeSync } from "node:fs";
import * as sys from "./sys.ts";

const CAPACITY = 1 << 20;
/** Milliseconds between two looks at a pipe that is full. */
const PAUSE = 1;

export class ChildPipe {
  /** The child's end, until it was started. */
  readonly input: number;
  readonly #output: number;
  #open = true;

  constructor() {
    const { read, write } = sys.pipe();
    sys.widenPipe(write, CAPACITY);
    this.input = read;
    this.#output = write;
  }

  /** The child has its end: with ours gone too, what is written is seen to go nowhere when the child ends. */
  started(): void {
    sys.close(this.input);
  }

  /** Resolves when the pipe has it all. A child that has gone is an error with the code EPIPE. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0 && this.#open; ) {
      try {
        rest = rest.subarray(writeSync(this.#output, rest));
      } catch (error) {
        if ((error as { code?: string }).code !== "EAGAIN") throw error;
        await Bun.sleep(PAUSE);
      }
    }
  }

  /** The child finds the end of its input. */
  end(): void {
    if (this.#open) sys.close(this.#output);
    this.#open = false;
  }
}
