/**
 * Frames: what a client and a keeper say to each other, on the socketpair that a plan went down and on the attach socket
 * alike. The header is Docker's of the attach stream, [type, 0, 0, 0, length as 32 bits, most significant byte
 * first], so that output can be passed on to Docker's clients as it is.
 */
export const FRAME = {
  // client → keeper
  stdin: 0,
  plan: 16,
  resize: 17,
  signal: 18,
  attach: 19,
  taken: 20,
  wait: 21,
  policy: 23,
  renew: 24,
  hold: 25,
  name: 26,
  // keeper → client
  stdout: 1,
  stderr: 2,
  report: 32,
  exit: 33,
  state: 34,
  fed: 35,
  gone: 36,
} as const;

export const HEADER = 8;

/** A whole frame; the payload is copied. */
export function frame(type: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const bytes = new Uint8Array(HEADER + length);
  bytes[0] = type;
  bytes[4] = length >>> 24;
  bytes[5] = length >>> 16;
  bytes[6] = length >>> 8;
  bytes[7] = length;
  bytes.set(payload, HEADER);
  return bytes;
}

/** A number of 32 bits, most significant byte first. By hand: a DataView of a small array has its array converted first. */
export const number32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>>
  0;

/** Cuts a byte stream into frames. Output is handed on as it comes, in parts; other frames are handed on whole. */
export class FrameReader {
  readonly #onOutput: (stream: 1 | 2, data: Uint8Array) => void;
  readonly #onFrame: (type: number, payload: Uint8Array) => void;
  #type = 0;
  /** Bytes of the present payload still to come. */
  #left = 0;
  #held = new Uint8Array(0);

  constructor(
    onOutput: (stream: 1 | 2, data: Uint8Array) => void,
    onFrame: (type: number, payload: Uint8Array) => void,
  ) {
    this.#onOutput = onOutput;
    this.#onFrame = onFrame;
  }

  push(chunk: Uint8Array): void {
    let data = chunk;
    if (this.#held.length > 0) {
      data = new Uint8Array(this.#held.length + chunk.length);
      data.set(this.#held);
      data.set(chunk, this.#held.length);
      this.#held = new Uint8Array(0);
    }
    let at = 0;
    while (at < data.length) {
      if (this.#left > 0) {
        const end = Math.min(data.length, at + this.#left);
        this.#onOutput(this.#type as 1 | 2, data.subarray(at, end));
        this.#left -= end - at;
        at = end;
        continue;
      }
      if (data.length - at < HEADER) break;
      const type = data[at] ?? 0;
      const length = number32(data, at + 4);
      if (type === FRAME.stdout || type === FRAME.stderr) {
        this.#type = type;
        this.#left = length;
        at += HEADER;
        continue;
      }
      if (data.length - at < HEADER + length) break;
      this.#onFrame(type, data.subarray(at + HEADER, at + HEADER + length));
      at += HEADER + length;
    }
    if (at < data.length) this.#held = data.slice(at);
  }
}
