/** Containers that a measure needs: started on the way in, removed at the end of the scope that holds them. */
import { type Command, concurrently, silently } from "./command.ts";
import type { Background } from "./peers/peer.ts";

/** How many are started together: enough to be quick, few enough for every engine. */
const TOGETHER = 4;
const FOREVER: Command = ["sleep", "1000000"];

export class Containers implements Disposable {
  readonly #background: Background;
  readonly names: readonly string[];

  private constructor(background: Background, names: readonly string[]) {
    this.#background = background;
    this.names = names;
  }

  /** `count` containers that sleep. */
  static async idle(background: Background, count: number, signal: AbortSignal): Promise<Containers> {
    const containers = Containers.named(background, count);
    try {
      for (let from = 0; from < count; from += TOGETHER) {
        signal.throwIfAborted();
        const some = containers.names.slice(from, from + TOGETHER);
        await concurrently(some.map((name) => background.start(name, FOREVER)));
      }
    } catch (cause) {
      containers[Symbol.dispose]();
      throw cause;
    }
    return containers;
  }

  /** Names for `count` containers that the measure itself starts. */
  static named(background: Background, count: number): Containers {
    return new Containers(
      background,
      Array.from({ length: count }, (_, index) => `bench-${index}`),
    );
  }

  /** What starts each of them. */
  commands(command: Command = FOREVER): Command[] {
    return this.names.map((name) => this.#background.start(name, command));
  }

  [Symbol.dispose](): void {
    try {
      silently(this.#background.remove(this.names));
    } catch (cause) {
      console.error(cause instanceof Error ? cause.message : cause);
    }
  }
}
