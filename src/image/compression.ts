/**
 * Decompression by what the bytes are, never by what somebody calls them: gzip, zstd, bzip2, xz or none. Streaming, with 1 MiB
 * pieces, since zlib's own thread then works while ours uses the piece before. zlib and streams cost 25 ms to load: only
 * what is compressed pays for them.
 */
import { SampanError } from "../common/error.ts";

export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

/** Bytes as they come, from wherever. */
export type Source = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Bytes that `detect` needs. */
export const MAGIC_LENGTH = 6;
const PIECE = 1 << 20;

export function detect(head: Uint8Array): Compression {
  const begins = (...bytes: number[]): boolean => bytes.every((byte, index) => head[index] === byte);
  if (begins(0x1f, 0x8b)) return "gzip";
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  // A skippable frame of zstd, as chunked archives begin with.
  if (((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18)
    return "zstd";
  if (begins(0x42, 0x5a, 0x68)) return "bzip2";
  if (begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return "xz";
  return "none";
}

/** What an archive bomb runs into. */
export interface InflateLimits {
  /** Bytes out for each byte in, looked at once there are `free` bytes out. */
  readonly ratio: number;
  readonly free: number;
}

export const LIMITS: InflateLimits = { ratio: 200, free: 1 << 30 };

/** A stream whose beginning has been looked at. */
export interface Opened {
  readonly compression: Compression;
  /** Its uncompressed bytes. */
  readonly pieces: AsyncGenerator<Uint8Array>;
}

/** The uncompressed bytes of a stream. */
export async function* decompress(
  source: Source,
  limits: Partial<InflateLimits> = {},
): AsyncGenerator<Uint8Array> {
  yield* (await openCompressed(source, limits)).pieces;
}

/** Reads as much of a stream as tells how it is compressed. */
export async function openCompressed(source: Source, limits: Partial<InflateLimits> = {}): Promise<Opened> {
  let packed = 0;
  const pieces = counted(source, (length) => {
    packed += length;
  });
  let head: Uint8Array = new Uint8Array();
  let more = true;
  while (head.length < MAGIC_LENGTH && more) {
    const next = await pieces.next();
    if (next.done) more = false;
    else head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  const compression = detect(head);
  const all = (async function* () {
    if (head.length > 0) yield head;
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value;
  })();
  return {
    compression,
    pieces: compression === "none" ? all : inflated(all, compression, () => packed, { ...LIMITS, ...limits }),
  };
}

/** `packed` tells how many bytes went in. */
async function* inflated(
  all: AsyncIterable<Uint8Array>,
  compression: Exclude<Compression, "none">,
  packed: () => number,
  { ratio, free }: InflateLimits,
): AsyncGenerator<Uint8Array> {
  let failure: unknown;
  const inflate = await inflater(all, compression, (error) => {
    failure = error;
  });
  let unpacked = 0;
  try {
    for await (const piece of inflate) {
      unpacked += piece.length;
      assertNoBomb(unpacked, packed(), { ratio, free });
      yield piece;
    }
  } catch (error) {
    throw damaged(compression, error);
  }
  if (failure) throw damaged(compression, failure);
  assertSome(unpacked, compression);
}

export function assertNoBomb(unpacked: number, packed: number, { ratio, free }: InflateLimits): void {
  if (unpacked > free && unpacked > packed * ratio)
    throw new SampanError(
      "invalid",
      `the archive grows to more than ${ratio} times its size: this looks like an archive bomb`,
      { hint: "If it is meant so, decompress it first: the limit is for compressed archives." },
    );
}

/** zstd's stream ends without a word where its input is cut; with some output the reader of it will notice. */
export function assertSome(unpacked: number, compression: Compression): void {
  if (unpacked === 0 && compression === "zstd")
    throw new SampanError("invalid", "the zstd data is truncated");
}

/** Its output; `ended` hears what ended it, where the output does not say so itself. */
async function inflater(
  all: AsyncIterable<Uint8Array>,
  compression: Exclude<Compression, "none">,
  ended: (error: unknown) => void,
): Promise<AsyncIterable<Uint8Array>> {
  if (compression === "bzip2") return (await import("./bzip2.ts")).unbzip2(all);
  if (compression === "xz") return (await import("./xz.ts")).unxz(all);
  const [{ pipeline, Readable }, { constants, createGunzip, createZstdDecompress }] = await Promise.all([
    import("node:stream"),
    import("node:zlib"),
  ]);
  const inflate =
    compression === "gzip"
      ? createGunzip({ chunkSize: PIECE })
      : createZstdDecompress({
          chunkSize: PIECE,
          // Windows up to 128 MiB, as zstd's own tool takes them without being asked.
          params: { [constants.ZSTD_d_windowLogMax]: 27 },
        });
  pipeline(Readable.from(all, { objectMode: true, highWaterMark: 1 }), inflate, ended);
  return inflate as AsyncIterable<Uint8Array>;
}

async function* counted(source: Source, count: (length: number) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    count(piece.length);
    yield piece;
  }
}

export function damaged(compression: Compression, error: unknown): unknown {
  if (error instanceof Error && error.name === "TruncatedError")
    return new SampanError("invalid", `the ${compression} data is truncated`, { cause: error });
  if (error instanceof Error && error.name === "DamagedError")
    return new SampanError("invalid", `the ${compression} data is damaged: ${error.message}`, {
      cause: error,
    });
  if (!(error instanceof Error) || !("code" in error)) return error;
  const code = String(error.code);
  if (!code.startsWith("Z_") && !code.startsWith("ZSTD_") && !code.startsWith("ERR_")) return error;
  return new SampanError(
    "invalid",
    /unexpected end|truncated/i.test(error.message)
      ? `the ${compression} data is truncated`
      : `the ${compression} data is damaged: ${error.message}`,
    { cause: error },
  );
}
