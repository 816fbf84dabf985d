/** Taking samples: side by side, in turns, so that what else the machine does hits everybody alike. */
import { type Command, silently } from "./command.ts";
import type { PeerName } from "./peers/peer.ts";

export interface Contender {
  readonly name: PeerName;
  /** At most so many samples of it: for one that takes half a second. */
  readonly most?: number;
  once(): void | Promise<void>;
}

export interface Sampling {
  /** Samples of each contender. */
  readonly samples: number;
  /** Milliseconds before each sample: an idle moment, after which the kernel's locks and the caches are cold. */
  readonly pause?: number;
  readonly signal: AbortSignal;
}

export type Medians = Partial<Record<PeerName, number>>;

/** A turn is some runs in a row; its first is not counted, since it pays for what the one before left behind. */
const TURN = 5;
/** Milliseconds between turns, in which docker's shims and the kernel clean up after the one before. */
const SETTLE = 200;

export const contender = (name: PeerName, command: Command, most?: number): Contender => ({
  name,
  ...(most === undefined ? {} : { most }),
  once: () => silently(command),
});

/** The median time of each contender in milliseconds. */
export async function compare(contenders: readonly Contender[], sampling: Sampling): Promise<Medians> {
  const times = new Map<PeerName, number[]>(contenders.map(({ name }) => [name, []]));
  for (let taken = 0; taken < sampling.samples; taken += TURN) {
    for (const { name, most = sampling.samples, once } of contenders) {
      const turn = Math.min(TURN, sampling.samples - taken, most - taken);
      if (turn <= 0) continue;
      await Bun.sleep(SETTLE);
      for (let run = 0; run <= turn; run++) {
        // Also where nothing pauses: it is here that Ctrl-C is heard.
        await Bun.sleep(sampling.pause ?? 0);
        sampling.signal.throwIfAborted();
        const time = await milliseconds(once);
        if (run > 0) times.get(name)?.push(time);
      }
    }
  }
  return Object.fromEntries([...times].map(([name, values]) => [name, median(values)]));
}

/** How long something takes, once. */
export async function milliseconds(action: () => void | Promise<void>): Promise<number> {
  const start = Bun.nanoseconds();
  await action();
  return (Bun.nanoseconds() - start) / 1e6;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
