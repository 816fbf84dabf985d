/** The keys that detach from a container: `ctrl-p,ctrl-q` unless the caller names others. */

/** `ctrl-p,ctrl-q`, `a`, `ctrl-[` → the bytes that they send. */
export function readDetachKeys(text: string): Uint8Array {
  const bytes = text.split(",").map((key) => {
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    const letter = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (!letter)
      throw new Error(`'${key}' is no key: it takes a list such as ctrl-p,ctrl-q or a single character`);
    return letter.toUpperCase().charCodeAt(0) - 64;
  });
  return Uint8Array.from(bytes);
}

export const DETACH_KEYS = Uint8Array.of(16, 17);

/**
 * Looks for the keys in what is typed. Those that may be the beginning are held back, and follow when the next key shows
 * that they were not.
 */
export class DetachWatch {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** What may pass on of these bytes; undefined: the keys were typed. */
  pass(typed: Uint8Array): Uint8Array | undefined {
    if (this.#keys.length === 0) return typed;
    // Most of what is typed has nothing to do with it.
    if (this.#matched === 0 && !typed.includes(this.#keys[0] ?? 0)) return typed;
    const passed: number[] = [];
    for (const byte of typed) {
      if (byte === this.#keys[this.#matched]) {
        if (++this.#matched === this.#keys.length) return undefined;
        continue;
      }
      passed.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) passed.push(byte);
    }
    return Uint8Array.from(passed);
  }
}
