/**
 * Decompresses gzip and zstd into a ring: on a thread that does nothing else, call by call, straight to where the other threads read it.
 * A stream would give every piece new memory, which the kernel has to clear and a collector to find, and go through the event loop each
 * time: that is half as much again as decompressing. The calls are those that node:zlib's streams make themselves.
 */
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { assertNoBomb, assertSome, damaged, LIMITS } from "../compression.ts";
import { growing, pieces } from "../pieces.ts";
import type { Ring } from "./ring.ts";
import type { InflateTask } from "./threads.ts";

/** What is beneath a stream of node:zlib, in Node and in Bun. */
interface Codec {
  readonly _handle: {
    onerror: (message: string, errno: number, code: string) => void;
    writeSync(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputLength: number,
      output: Uint8Array,
      outputAt: number,
      outputLength: number,
    ): void;
  };
  /** After a call: how much of the output, and of the input, is left. */
  readonly _writeState: Uint32Array;
  readonly _defaultFlushFlag: number;
  readonly _finishFlushFlag: number;
}

/** Windows up to 128 MiB, as zstd's own tool takes them without being asked. */
const ZSTD = { params: { [constants.ZSTD_d_windowLogMax]: 27 } };
const NOTHING = new Uint8Array();

export function inflateInto(ring: Ring, { compression, limits, ...task }: InflateTask): void {
  const stream = compression === "gzip" ? createGunzip() : createZstdDecompress(ZSTD);
  const codec = stream as unknown as Codec;
  let failure: Error | undefined;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it knows no listeners
  codec._handle.onerror = (message, _, code) => {
    failure = Object.assign(new Error(message), { code });
  };
  const most = { ...LIMITS, ...limits };
  let packed = 0;
  let unpacked = 0;
  let slot = ring.room();
  let filled = 0;
  /** Whether it may go on: what stands behind the end of the data is nobody's. */
  const inflate = (input: Uint8Array, flush: number): boolean => {
    packed += input.length;
    for (let at = 0; ; ) {
      const room = slot.length - filled;
      codec._handle.writeSync(flush, input, at, input.length - at, slot, filled, room);
      if (failure) throw damaged(compression, failure);
      const [roomLeft = 0, inputLeft = 0] = codec._writeState;
      at = input.length - inputLeft;
      filled += room - roomLeft;
      unpacked += room - roomLeft;
      assertNoBomb(unpacked, packed, most);
      if (roomLeft > 0) return inputLeft === 0;
      ring.put(filled);
      slot = ring.room();
      filled = 0;
    }
  };
  let more = true;
  for (const piece of inputOf(task)) {
    more = inflate(piece, codec._defaultFlushFlag);
    if (!more) break;
  }
  if (more) inflate(NOTHING, codec._finishFlushFlag);
  assertSome(unpacked, compression);
  if (filled > 0) ring.put(filled);
}

function* inputOf({
  head,
  range,
  size,
  parent,
}: Pick<InflateTask, "head" | "range" | "size" | "parent">): Generator<Uint8Array> {
  yield head;
  const memory = { reused: true };
  if (size !== undefined) yield* growing(0, size - head.length, parent, memory);
  else if (!range) yield* pieces(0, undefined, memory);
  else yield* pieces(0, { start: range.start + head.length, length: range.length - head.length }, memory);
}
