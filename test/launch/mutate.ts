/** Bytes made wrong, in ways that can be repeated. */

/** A small generator with a seed, so that a failure can be repeated. */
export function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const NUMBERS = [
  0, 1, 2, 3, 5, 127, 255, 256, 4096, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
];

export function mutate(from: Uint8Array, random: (below: number) => number): Uint8Array {
  let bytes = from.slice();
  for (let n = 1 + random(4); n > 0; n--) {
    const at = random(Math.max(bytes.length - 4, 1));
    switch (random(6)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        if (bytes.length >= 4)
          new DataView(bytes.buffer).setUint32(at, NUMBERS[random(NUMBERS.length)] ?? 0, true);
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3: {
        const length = random(64);
        bytes = Uint8Array.from([
          ...bytes.subarray(0, at),
          ...bytes.subarray(random(bytes.length), random(bytes.length)),
          ...bytes.subarray(at + length),
        ]);
        break;
      }
      case 4:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
        break;
      default: {
        const more = new Uint8Array(bytes.length + 4);
        more.set(bytes.subarray(0, at));
        more.set(bytes.subarray(at), at + 4);
        bytes = more;
      }
    }
  }
  return bytes;
}
