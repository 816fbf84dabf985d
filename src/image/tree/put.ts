/**
 * Puts the members of an archive into a folder that exists already, by the rules of `docker cp`: folders are merged and get
 * the archive's mode and time, everything else takes the place of what was there, and neither kind takes the other's. What
 * is to be made is told to the launcher, which makes it while the next piece of the archive is read here.
 */
import type { Entry } from "../tar/entry.ts";
import type { TarSink } from "../tar/reader.ts";
import type { Making } from "./making.ts";
import { Records, type RecordsOptions } from "./records.ts";

/** What is smaller goes beside its record, of what is larger only the record. */
const SMALL = 16 << 10;

export class TreeFolder implements TarSink {
  readonly #making: Making;
  readonly #records: Records;
  /** The size of the file whose content comes; -1: none does. */
  #file = -1;

  constructor(making: Making, options?: RecordsOptions) {
    this.#making = making;
    this.#records = new Records(options);
  }

  entry(entry: Entry): void {
    this.#records.member(entry.name, entry.type, entry, entry.link, entry.xattrs);
    this.#file = entry.type === "file" ? entry.size : -1;
    this.#send();
  }

  data(bytes: Uint8Array, position: number): void {
    if (this.#file < 0) return;
    // The tail goes the other way, so that what follows is aligned.
    const whole = bytes.length <= SMALL ? 0 : bytes.length & ~7;
    if (whole > 0) {
      this.#records.announce(whole, position);
      this.#send();
      this.#making.write(bytes.subarray(0, whole));
    }
    if (whole < bytes.length) this.#records.data(bytes.subarray(whole), position + whole);
  }

  end(): void {
    if (this.#file >= 0) this.#records.endFile();
    this.#file = -1;
  }

  /** Everything has come. */
  finish(): void {
    this.#records.end();
    this.#send();
  }

  #send(): void {
    if (this.#records.out.waiting) for (const piece of this.#records.out.full()) this.#making.write(piece);
  }
}
