/**
 * The lines of a log file → the bytes that the process wrote. Logs are big, so nothing here makes an object for a line:
 * the usual line is recognised by a few fixed bytes and its text is copied as it is; only what has an escape in it
 * other than its final newline is given to JSON.parse.
 */

export interface Selection {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly timestamps: boolean;
  /** Stands before each line, after its time. */
  readonly prefix?: Buffer;
  /** RFC 3339 in UTC with nine decimals and no Z: entries before the one and after the other are left out. */
  readonly since?: string;
  readonly until?: string;
}

export interface LogChunk {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

/** Digits of a moment from 2001 to 2286. */
const NANOSECONDS = 19;

/** Nanoseconds since 1970 in decimal → `2026-11-24T02:25:45.123456789`. */
export function nineDecimals(nanoseconds: string): string {
  const padded = nanoseconds.padStart(10, "0");
  return `${new Date(Number(padded.slice(0, -9)) * 1000).toISOString().slice(0, 19)}.${padded.slice(-9)}`;
}

/** What a decoder keeps from block to block. */
export class Decoder {
  /** An entry after `until` was met: there is nothing more to come. */
  done = false;
  readonly #selection: Selection;
  readonly #local: boolean;
  /** Whether the last entry of each stream ended its line: a long line comes in several entries. */
  readonly #atStart = { stdout: true, stderr: true };

  constructor(driver: string, selection: Selection) {
    this.#selection = selection;
    this.#local = driver === "local";
  }

  /** Decodes whole lines. */
  decode(block: Uint8Array): LogChunk[] {
    const input = Buffer.from(block.buffer, block.byteOffset, block.length);
    const output = new Output(input.length + 64);
    if (this.#local) this.#decodeLocal(input, output);
    else this.#decodeJson(input, output);
    return output.chunks();
  }

  #decodeJson(input: Buffer, output: Output): void {
    const { stdout, stderr, timestamps, prefix, since, until } = this.#selection;
    let at = 0;
    while (at < input.length && !this.done) {
      // {"log":"text\n","stream":"stdout","time":"2026-11-24T02:25:45.123456789Z"}
      const begin = at + 8;
      const quote = input[at + 6] === 0x3a && input[at] === 0x7b ? input.indexOf(0x22, begin) : -1;
      if (
        quote >= 0 &&
        input[quote - 2] === 0x5c &&
        input[quote - 1] === 0x6e &&
        input.indexOf(0x5c, begin) === quote - 2 &&
        input[at + 3] === 0x6f &&
        input[quote + 3] === 0x73 &&
        input[quote + 60] === 0x0a &&
        input[quote + 26] === 0x3a
      ) {
        const isError = input[quote + 15] === 0x65;
        const next = quote + 61;
        const time = quote + 28;
        if (since !== undefined && compareTime(input, time, 29, since) < 0) {
          at = next;
          continue;
        }
        if (until !== undefined && compareTime(input, time, 29, until) > 0) {
          this.done = true;
          break;
        }
        if (isError ? stderr : stdout) {
          output.stream(isError);
          const key = isError ? "stderr" : "stdout";
          if (timestamps && this.#atStart[key]) output.stamp(input, time, 30);
          if (prefix && this.#atStart[key]) output.part(prefix, 0, prefix.length);
          output.line(input, begin, quote - 2);
          this.#atStart[key] = true;
        }
        at = next;
        continue;
      }
      let end = input.indexOf(0x0a, at);
      if (end < 0) end = input.length;
      this.#slow(input, at, end, output);
      at = end + 1;
    }
  }

  /** `1764000000123456789 oF text`: nanoseconds, out or err, Full or Part of a line, the bytes as they came. */
  #decodeLocal(input: Buffer, output: Output): void {
    const { stdout, stderr, timestamps, prefix, since, until } = this.#selection;
    const limits = since !== undefined || until !== undefined;
    for (let at = 0; at < input.length; ) {
      const line = at;
      let end = input.indexOf(0x0a, line);
      if (end < 0) end = input.length;
      at = end + 1;
      const space = line + NANOSECONDS;
      if (input[space] !== 0x20 || input[space + 3] !== 0x20) continue;
      const isError = input[space + 1] === 0x65;
      const time = limits || timestamps ? nineDecimals(input.toString("latin1", line, space)) : "";
      if (since !== undefined && time < since) continue;
      if (until !== undefined && time > until) {
        this.done = true;
        return;
      }
      if (!(isError ? stderr : stdout)) continue;
      const key = isError ? "stderr" : "stdout";
      const whole = input[space + 2] === 0x46;
      output.stream(isError);
      if (timestamps && this.#atStart[key])
        output.stamp(Buffer.from(`${time}Z`, "latin1"), 0, time.length + 1);
      if (prefix && this.#atStart[key]) output.part(prefix, 0, prefix.length);
      if (whole) output.line(input, space + 4, end);
      else output.part(input, space + 4, end);
      this.#atStart[key] = whole;
    }
  }

  #slow(input: Buffer, at: number, end: number, output: Output): void {
    const entry = parseJson(input.toString("utf8", at, end));
    if (!entry) return;
    const { stdout, stderr, timestamps, prefix, since, until } = this.#selection;
    const time = Buffer.from(entry.time, "latin1");
    const length = entry.time.endsWith("Z") ? time.length - 1 : time.length;
    if (since !== undefined && compareTime(time, 0, length, since) < 0) return;
    if (until !== undefined && compareTime(time, 0, length, until) > 0) {
      this.done = true;
      return;
    }
    const isError = entry.stream === "stderr";
    if (!(isError ? stderr : stdout)) return;
    const key = isError ? "stderr" : "stdout";
    output.stream(isError);
    if (timestamps && this.#atStart[key]) output.stamp(time, 0, time.length);
    if (prefix && this.#atStart[key]) output.part(prefix, 0, prefix.length);
    output.text(entry.text);
    this.#atStart[key] = entry.text.endsWith("\n");
  }
}

/** A block's output: runs of one stream each. */
class Output {
  #bytes: Buffer;
  #length = 0;
  #start = 0;
  #isError = false;
  readonly #chunks: LogChunk[] = [];

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  /** What follows belongs to this stream. */
  stream(isError: boolean): void {
    if (isError === this.#isError) return;
    this.#cut();
    this.#isError = isError;
  }

  stamp(from: Buffer, at: number, length: number): void {
    this.#room(length + 1);
    from.copy(this.#bytes, this.#length, at, at + length);
    this.#length += length;
    this.#bytes[this.#length++] = 0x20;
  }

  line(from: Buffer, begin: number, end: number): void {
    this.part(from, begin, end);
    this.#bytes[this.#length++] = 0x0a;
  }

  part(from: Buffer, begin: number, end: number): void {
    this.#room(end - begin + 1);
    from.copy(this.#bytes, this.#length, begin, end);
    this.#length += end - begin;
  }

  text(text: string): void {
    const length = Buffer.byteLength(text);
    this.#room(length);
    this.#bytes.write(text, this.#length, length, "utf8");
    this.#length += length;
  }

  chunks(): LogChunk[] {
    this.#cut();
    return this.#chunks;
  }

  #cut(): void {
    if (this.#length === this.#start) return;
    this.#chunks.push({
      stream: this.#isError ? "stderr" : "stdout",
      data: this.#bytes.subarray(this.#start, this.#length),
    });
    this.#start = this.#length;
  }

  /** What a line becomes is shorter than the line, except for characters that Docker's logs escape and UTF-8 spells out. */
  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe((this.#length + more) * 2);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** -1, 0 or 1: a moment in bytes (without its Z) against one in nine decimals. Decimals that are left out are zeros. */
function compareTime(bytes: Uint8Array, at: number, length: number, text: string): number {
  for (let n = 0; n < text.length; n++) {
    const mine = n < length ? (bytes[at + n] ?? 0) : n === 19 ? 0x2e : 0x30;
    const other = text.charCodeAt(n);
    if (mine !== other) return mine < other ? -1 : 1;
  }
  return 0;
}

interface Entry {
  readonly text: string;
  readonly stream: string;
  readonly time: string;
}

/** A line that a crash cut short is no entry. */
function parseJson(line: string): Entry | undefined {
  if (line === "") return undefined;
  try {
    const entry = JSON.parse(line) as { log?: string; stream?: string; time?: string };
    return { text: entry.log ?? "", stream: entry.stream ?? "stdout", time: entry.time ?? "" };
  } catch {
    return undefined;
  }
}
