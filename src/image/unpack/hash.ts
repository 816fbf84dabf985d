/**
 * SHA-256 on a thread of its own, beside the one that unpacks: either takes about as long as decompressing. The bytes go over in
 * a ring of shared memory; whoever is ahead waits.
 */
const SLOT = 1 << 20;
const SLOTS = 4;
/** In the ring's head: pieces put in and taken out, then the length of each slot's piece. */
const PUT = 0;
const TAKEN = 1;
const LENGTHS = 2;
const HEAD = (LENGTHS + SLOTS) * 4;
/** Instead of a length: nothing more comes. */
const END = -1;

/** The executable has the thread's file under this name; a checkout has it beside this one. */
const THREAD = import.meta.path.startsWith("/$bunfs/")
  ? "/$bunfs/root/image/unpack/hash-thread.js"
  : new URL("./hash-thread.ts", import.meta.url).href;

interface Ring {
  readonly numbers: Int32Array;
  readonly slot: (index: number) => Uint8Array;
}

const ringIn = (memory: SharedArrayBuffer): Ring => ({
  numbers: new Int32Array(memory, 0, LENGTHS + SLOTS),
  slot: (index) => new Uint8Array(memory, HEAD + (index % SLOTS) * SLOT, SLOT),
});

export class HashThread {
  readonly #worker: Worker;
  readonly #ring: Ring;
  readonly #digest: Promise<string>;

  private constructor(worker: Worker, memory: SharedArrayBuffer) {
    this.#worker = worker;
    this.#ring = ringIn(memory);
    this.#digest = messageOf(worker);
    this.#digest.catch(() => {});
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage(memory);
  }

  /** Resolves when the thread is up: what it needs of the filesystem it has. */
  static async start(): Promise<HashThread> {
    const worker = new Worker(THREAD);
    await messageOf(worker);
    return new HashThread(worker, new SharedArrayBuffer(HEAD + SLOTS * SLOT));
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SLOT) {
      const piece = bytes.subarray(at, at + SLOT);
      this.#put(piece.length, piece);
    }
  }

  async digest(): Promise<string> {
    this.#put(END);
    const digest = await this.#digest;
    this.#worker.terminate();
    return digest;
  }

  #put(length: number, piece?: Uint8Array): void {
    const { numbers, slot } = this.#ring;
    const put = Atomics.load(numbers, PUT);
    for (let taken = Atomics.load(numbers, TAKEN); put - taken >= SLOTS; taken = Atomics.load(numbers, TAKEN))
      Atomics.wait(numbers, TAKEN, taken);
    if (piece) slot(put).set(piece);
    numbers[LENGTHS + (put % SLOTS)] = length;
    Atomics.store(numbers, PUT, put + 1);
    Atomics.notify(numbers, PUT);
  }
}

/** The next thing that the thread says. */
const messageOf = (worker: Worker): Promise<string> =>
  new Promise((resolve, reject) => {
    worker.addEventListener("message", ({ data }: MessageEvent<string>) => resolve(data), { once: true });
    worker.addEventListener("error", ({ message }) =>
      reject(new Error(`the thread that hashes: ${message}`)),
    );
  });

/** The thread's side: hashes what comes until the end, and gives the digest, `sha256:…`. */
export function hashRing(memory: SharedArrayBuffer): string {
  const { numbers, slot } = ringIn(memory);
  const hash = new Bun.CryptoHasher("sha256");
  for (let taken = 0; ; taken++) {
    while (Atomics.load(numbers, PUT) === taken) Atomics.wait(numbers, PUT, taken);
    const length = numbers[LENGTHS + (taken % SLOTS)] ?? END;
    if (length === END) return `sha256:${hash.digest("hex")}`;
    hash.update(slot(taken).subarray(0, length));
    Atomics.store(numbers, TAKEN, taken + 1);
    Atomics.notify(numbers, TAKEN);
  }
}
