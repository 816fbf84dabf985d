/**
 * Pieces of bytes that go from one thread to several others: slots of shared memory that are filled and taken in a circle. Whoever is ahead
 * waits. The bytes stay where they were written, and a taker sees them there.
 */
const SLOT = 1 << 18;
const SLOTS = 16;
/** In the head: pieces put in, pieces taken by each taker, then the length of each slot's piece. */
const PUT = 0;
const TAKEN = 1;
/** Instead of a length: nothing more comes. */
const END = -1;

export class Ring {
  readonly memory: SharedArrayBuffer;
  readonly #takers: number;
  readonly #numbers: Int32Array;
  readonly #slots: readonly Uint8Array[];

  /** `memory`: of one that another thread has made. */
  constructor(takers: number, memory?: SharedArrayBuffer) {
    const numbers = TAKEN + takers + SLOTS;
    this.memory = memory ?? new SharedArrayBuffer(SLOTS * SLOT + numbers * 4);
    this.#takers = takers;
    this.#numbers = new Int32Array(this.memory, SLOTS * SLOT, numbers);
    this.#slots = Array.from({ length: SLOTS }, (_, slot) => new Uint8Array(this.memory, slot * SLOT, SLOT));
  }

  /** The slot that comes next, once all have taken what was in it. */
  room(): Uint8Array {
    const numbers = this.#numbers;
    const put = Atomics.load(numbers, PUT);
    for (let taker = TAKEN; taker < TAKEN + this.#takers; )
      if (put - this.#wait(taker, put - SLOTS) < SLOTS) taker++;
    return this.#slots[put % SLOTS] as Uint8Array;
  }

  /** So much of that slot is filled. */
  put(length: number): void {
    const numbers = this.#numbers;
    const put = Atomics.load(numbers, PUT);
    numbers[TAKEN + this.#takers + (put % SLOTS)] = length;
    Atomics.store(numbers, PUT, put + 1);
    Atomics.notify(numbers, PUT);
  }

  /** Nothing more comes. */
  end(): void {
    this.room();
    this.put(END);
  }

  /** What comes, each piece until the next one is asked for. Each taker has a number, from 0. */
  *pieces(taker: number): Generator<Uint8Array> {
    const numbers = this.#numbers;
    for (let taken = 0; ; taken++) {
      while (this.#wait(PUT, taken) === taken);
      const length = numbers[TAKEN + this.#takers + (taken % SLOTS)] ?? END;
      if (length === END) return;
      yield (this.#slots[taken % SLOTS] as Uint8Array).subarray(0, length);
      Atomics.store(numbers, TAKEN + taker, taken + 1);
      Atomics.notify(numbers, TAKEN + taker);
    }
  }

  /** The number at this place, once it is no longer `old` or something has happened. */
  #wait(place: number, old: number): number {
    if (Atomics.load(this.#numbers, place) === old) Atomics.wait(this.#numbers, place, old);
    return Atomics.load(this.#numbers, place);
  }
}
